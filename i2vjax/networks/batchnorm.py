"""Batch norm with running averages across devices, and its convolution."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from i2vjax.networks.conv import conv, transposed

MOMENTS = ('train', 'batch', 'running')
MOMENTUM, EPSILON = 0.9, 1e-5    # of the running averages, as PyTorch and flax have them


class BatchNorm(nn.Module):
  """Batch norm over B, H and W, with scale and bias, float32 inside.

  Attributes:
    axis: mapped axis over whose devices the moments are taken; None: each device has its own.
    running: keep running averages in the collection `batch_stats` (variance unbiased, as PyTorch).
  """

  axis: str | None = None
  running: bool = True

  @nn.compact
  def __call__(self, x, moments):
    """[B, H, W, C] -> same.

    Args:
      x: any float type, which comes back.
      moments: 'train' (the batch's, and the running averages move), 'batch' (the batch's, on this
        device alone), 'running' (the averages).
    """
    if moments not in MOMENTS:
      raise ValueError(f'moments={moments!r}: choose one of {", ".join(MOMENTS)}')
    C, wide = x.shape[-1], x.astype(jnp.float32)
    scale = self.param('scale', _near_one, (C,))
    bias = self.param('bias', nn.initializers.zeros, (C,))
    if self.running:
      average_mean = self.variable('batch_stats', 'mean', jnp.zeros, (C,), jnp.float32)
      average_var = self.variable('batch_stats', 'var', jnp.ones, (C,), jnp.float32)
    if moments == 'running':
      mean, variance = average_mean.value, average_var.value
    else:
      axis = None if self.is_initializing() or moments == 'batch' else self.axis
      mean, variance, count = batch_moments(wide, axis)
      if self.running and moments == 'train' and not self.is_initializing():
        unbiased = variance * (count / max(count - 1, 1))
        for average, new in ((average_mean, mean), (average_var, unbiased)):
          average.value = MOMENTUM * average.value + (1 - MOMENTUM) * jax.lax.stop_gradient(new)
    return ((wide - mean) * (jax.lax.rsqrt(variance + EPSILON) * scale) + bias).astype(x.dtype)


def _near_one(key, shape):
  """N(1, 0.02), the scale that pix2pix begins with."""
  return 1 + 0.02 * jax.random.normal(key, shape)


def batch_moments(x, axis=None):
  """(mean [C], biased variance [C], number of values) of [B, H, W, C], over the devices of `axis`.

  In two passes, like the instance norm here, for precision on flat maps.
  """
  def mean(v):
    v = jnp.mean(v, axis=(0, 1, 2))
    return jax.lax.pmean(v, axis) if axis else v
  center = mean(x)
  count = x.size // x.shape[-1] * (jax.lax.psum(1, axis) if axis else 1)
  return center, mean(jnp.square(x - center)), count


class ConvNorm(nn.Module):
  """Convolution 4x4 that halves H and W, or transposed one that doubles them; then batch norm.

  The convolution has no bias.

  Attributes:
    features: output channels.
    up: double instead of halve.
    axis, running: see BatchNorm.
    impl, kernel_init, dtype: see conv.Conv.
  """

  features: int
  up: bool = False
  axis: str | None = None
  running: bool = True
  impl: str = 'auto'
  kernel_init: Callable = nn.initializers.normal(0.02)
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x, moments):
    """[B, H, W, I] -> [B, H/2, W/2, features], or twice the sides. `moments`: see BatchNorm."""
    ends = (self.features, x.shape[-1]) if self.up else (x.shape[-1], self.features)
    kernel = self.param('kernel', self.kernel_init, (4, 4, *ends))
    x, kernel = x.astype(self.dtype), kernel.astype(self.dtype)
    x = transposed(x, kernel, self.impl) if self.up else conv(x, kernel, 2, 'zero', 1, self.impl)
    return BatchNorm(self.axis, self.running, name='norm')(x, moments)

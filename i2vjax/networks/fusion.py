"""Fusion of a frame with the warped previous frame (STC-V2V)."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from i2vjax.core.errors import UserError
from i2vjax.networks import layers
from i2vjax.networks.conv import Conv


class FusionBlock(nn.Module):
  """Mask of where the warped frame is kept: conv, norm, ReLU, conv, norm, ReLU, conv, sigmoid.

  The paper says three convolutions with reflected padding, but not their size: kernel and width are
  those of the fusion network in the public code of Unsupervised Recycle-GAN. 213,377 parameters for
  three channels.

  Attributes:
    width: channels between the convolutions.
    kernel: side of the kernels, odd.
    remat: recompute in the backward pass.
    impl, kernel_init, dtype: see conv.Conv.
  """

  width: int = 64
  kernel: int = 7
  remat: bool = False
  impl: str = 'auto'
  kernel_init: Callable = nn.initializers.normal(0.02)
  dtype: Any = jnp.float32

  def setup(self):
    rest = {'pad': 'reflect', 'impl': self.impl, 'kernel_init': self.kernel_init,
            'dtype': self.dtype}
    self.conv_0 = Conv(self.width, self.kernel, **rest)
    self.conv_1 = Conv(self.width, self.kernel, **rest)
    self.head = Conv(1, self.kernel, **rest)

  def __call__(self, difference):
    """[B, H, W, C], values from -2 to 2 -> mask [B, H, W, 1] float32: 1 keeps the warped frame."""
    return (nn.remat(_mask) if self.remat else _mask)(self, difference)


def _mask(module, x):
  for conv in (module.conv_0, module.conv_1):
    x = nn.relu(layers.instance_norm(conv.for_norm(x)))
  return nn.sigmoid(module.head(x).astype(jnp.float32))


def block(config):
  """FusionBlock of the block `config.fuse` (`width`, `kernel`)."""
  fuse = config.fuse
  if fuse.kernel % 2 == 0:
    raise UserError(f'fuse.kernel={fuse.kernel} must be odd, so that the mask is aligned with its '
                    'frame')
  return FusionBlock(fuse.width, fuse.kernel, bool(config.remat),
                     kernel_init=layers.initializer(config.init),
                     dtype=layers.compute_dtype(config))

"""Critic of three views of a frame: colors, texture, outlines (ToDayGAN).

ToDayGAN is ICRA 2019; details are those of its public code.
"""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from i2vjax.core import ops
from i2vjax.core.errors import UserError
from i2vjax.networks import combogan, layers
from i2vjax.networks.conv import Conv

# The public code's window: a single pixel blurred by a Gaussian of deviation 3 in 5 mirrored
# pixels, which is nearly a mean over the window.
BLUR = (0.1997292, 0.2001045, 0.2003327, 0.2001045, 0.1997292)


class Branch(nn.Module):
  """A patch critic that judges on several scales: `conv_0` .. `conv_n`, `head`, an `act_i` each.

  Kernel 4, zero padding 2. conv_0 .. conv_{n-1} halve H and W. From conv_1 on, the LAST channel
  after the activation is a map of scores, the others are the input of the next convolution.

  Attributes:
    stages: n.
    width: channels of conv_0; conv_i passes on width * min(2^i, 8).
    norm: instance norm after conv_1 .. conv_n (ToDayGAN), or none (spectral norm is applied to the
      parameters, see `spectral.py`).
    impl, kernel_init, dtype: see conv.Conv. Scores come back in float32.
  """

  stages: int = 4
  width: int = 64
  norm: bool = False
  impl: str = 'auto'
  kernel_init: Callable = nn.initializers.normal(0.02)
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x):
    """[B, H, W, C] -> n score maps [B, h_i, w_i], from fine to coarse, the last from the head."""
    def layer(name, features, stride, x):
      return Conv(features, 4, stride, padding=2, impl=self.impl, kernel_init=self.kernel_init,
                  dtype=self.dtype, name=name)(x)
    maps = []
    for i in range(self.stages + 1):
      has_scores = 0 < i < self.stages
      stride = 2 if i < self.stages else 1
      x = layer(f'conv_{i}', self.width * min(2**i, 8) + has_scores, stride, x)
      x = combogan.prelu(f'act_{i}')(layers.instance_norm(x) if self.norm and i else x)
      if has_scores:
        x, score = x[..., :-1], x[..., -1]
        maps.append(score.astype(jnp.float32))
    return [*maps, layer('head', 1, 1, x)[..., 0].astype(jnp.float32)]


class ThreeCritics(nn.Module):
  """`rgb` sees blurred colors, `gray` the sharp luma, `grad` differences of every second pixel.

  Attributes:
    width, norm, impl, kernel_init, dtype: see Branch.
    stages: of rgb and gray; grad has one fewer.
  """

  width: int = 64
  stages: int = 4
  norm: bool = False
  impl: str = 'auto'
  kernel_init: Callable = nn.initializers.normal(0.02)
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x):
    """[B, H, W, 1 or 3] in [-1, 1] -> {'rgb', 'gray', 'grad': maps of scores, see Branch}."""
    gray = ops.luma(x)
    views = {'rgb': (blurred(x), self.stages), 'gray': (gray, self.stages),
             'grad': (differences(gray), self.stages - 1)}
    return {name: Branch(stages, self.width, self.norm, self.impl, self.kernel_init, self.dtype,
                         name=name)(view) for name, (view, stages) in views.items()}


def blurred(x):
  """5x5 blur, zeros outside. [B, H, W, C] -> same."""
  for axis in (1, 2):
    size = x.shape[axis]
    padded = jnp.pad(x, [(2, 2) if a == axis else (0, 0) for a in range(4)])
    x = sum(tap * jnp.take(padded, jnp.arange(i, i + size), axis=axis)
            for i, tap in enumerate(BLUR))
  return x


def differences(gray):
  """Central differences to the right and down, of every second pixel.

  [B, H, W, 1] -> [B, ceil(H / 2) - 2, ceil(W / 2) - 2, 2], without the half.
  """
  x = gray[:, ::2, ::2]
  right = x[:, 1:-1, 2:] - x[:, 1:-1, :-2]
  return jnp.concatenate([right, x[:, 2:, 1:-1] - x[:, :-2, 1:-1]], axis=-1)


def critics(config, in_channels):
  """Three critics of the block `config.disc` (`width`, `stages`, `norm` 'spectral' | 'instance').

  With 'spectral' the caller normalizes the weights, by `spectral.normalize`. `in_channels` is for
  the reader: flax takes it from the input.
  """
  del in_channels
  disc = config.disc
  if disc.norm not in ('spectral', 'instance'):
    raise UserError(f"disc.norm={disc.norm!r}: choose 'spectral' or 'instance'")
  if disc.stages < 2:
    raise UserError(f'disc.stages={disc.stages}: at least 2 are needed')
  return ThreeCritics(disc.width, disc.stages, disc.norm == 'instance',
                      kernel_init=layers.initializer(config.init),
                      dtype=layers.compute_dtype(config))

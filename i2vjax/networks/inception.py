"""Inception-v3 of FID, up to the features that are compared.

The network of the first FID code (Heusel et al., NeurIPS 2017), which came from a TensorFlow graph
of 2015; names as in its PyTorch port (pytorch-fid). It differs from torchvision's Inception
(Szegedy et al., CVPR 2016): average pooling does not count the padding, the last block has max
pooling where all others have average pooling, and the classifier, left out here, had 1008 classes.
"""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from i2vjax.core import ops
from i2vjax.core.errors import UserError

EPSILON = 1e-3
SIDE = 299                       # of the frames the network was trained on
MIN_SIDE = 75                    # of a frame that leaves one place for the last block

# A step of a branch is 'average', 'maximum' or 'halve' (3x3 pooling), a convolution
# (name, channels, kernel, stride), or a tuple of parallel convolutions. Branches of a block, and
# parallel convolutions, are concatenated along the channels in the order written.


def _conv(name, features, kernel=1, stride=1):
  return name, features, (kernel, kernel) if isinstance(kernel, int) else kernel, stride


def _block_a(pooled):
  return (
      (_conv('branch1x1', 64),),
      (_conv('branch5x5_1', 48), _conv('branch5x5_2', 64, 5)),
      (_conv('branch3x3dbl_1', 64), _conv('branch3x3dbl_2', 96, 3),
       _conv('branch3x3dbl_3', 96, 3)),
      ('average', _conv('branch_pool', pooled)))


def _block_b():
  return (
      (_conv('branch3x3', 384, 3, 2),),
      (_conv('branch3x3dbl_1', 64), _conv('branch3x3dbl_2', 96, 3),
       _conv('branch3x3dbl_3', 96, 3, 2)),
      ('halve',))


def _block_c(inner):
  row, column = (1, 7), (7, 1)
  return (
      (_conv('branch1x1', 192),),
      (_conv('branch7x7_1', inner), _conv('branch7x7_2', inner, row),
       _conv('branch7x7_3', 192, column)),
      (_conv('branch7x7dbl_1', inner), _conv('branch7x7dbl_2', inner, column),
       _conv('branch7x7dbl_3', inner, row), _conv('branch7x7dbl_4', inner, column),
       _conv('branch7x7dbl_5', 192, row)),
      ('average', _conv('branch_pool', 192)))


def _block_d():
  return (
      (_conv('branch3x3_1', 192), _conv('branch3x3_2', 320, 3, 2)),
      (_conv('branch7x7x3_1', 192), _conv('branch7x7x3_2', 192, (1, 7)),
       _conv('branch7x7x3_3', 192, (7, 1)), _conv('branch7x7x3_4', 192, 3, 2)),
      ('halve',))


def _block_e(pool):
  def fork(name):
    return _conv(f'{name}a', 384, (1, 3)), _conv(f'{name}b', 384, (3, 1))
  return (
      (_conv('branch1x1', 320),),
      (_conv('branch3x3_1', 384), fork('branch3x3_2')),
      (_conv('branch3x3dbl_1', 448), _conv('branch3x3dbl_2', 384, 3),
       fork('branch3x3dbl_3')),
      (pool, _conv('branch_pool', 192)))


STEM = (_conv('Conv2d_1a_3x3', 32, 3, 2), _conv('Conv2d_2a_3x3', 32, 3),
        _conv('Conv2d_2b_3x3', 64, 3), 'halve',
        _conv('Conv2d_3b_1x1', 80), _conv('Conv2d_4a_3x3', 192, 3), 'halve')
VALID = ('Conv2d_2a_3x3', 'Conv2d_4a_3x3')   # without padding, as are all of stride 2
BLOCKS = {
    'Mixed_5b': _block_a(32), 'Mixed_5c': _block_a(64), 'Mixed_5d': _block_a(64),
    'Mixed_6a': _block_b(), 'Mixed_6b': _block_c(128), 'Mixed_6c': _block_c(160),
    'Mixed_6d': _block_c(160), 'Mixed_6e': _block_c(192),
    'Mixed_7a': _block_d(), 'Mixed_7b': _block_e('average'), 'Mixed_7c': _block_e('maximum'),
}


class Unit(nn.Module):
  """Convolution without bias, batch norm with the statistics of its file, ReLU.

  Attributes:
    features: output channels.
    kernel: (rows, columns).
    stride: 1 or 2.
    padded: by half the kernel on each side, or without padding.
    kernel_init, dtype: as in conv.Conv.
  """

  features: int
  kernel: tuple
  stride: int = 1
  padded: bool = True
  kernel_init: Callable = nn.initializers.he_normal()
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x):
    """[B, H, W, I] -> [B, h, w, features]."""
    shape = (*self.kernel, x.shape[-1], self.features)
    kernel = self.param('kernel', self.kernel_init, shape)
    ones, zeros = nn.initializers.ones, nn.initializers.zeros
    scale, bias = self.param('scale', ones, shape[-1:]), self.param('bias', zeros, shape[-1:])
    mean, var = self.param('mean', zeros, shape[-1:]), self.param('var', ones, shape[-1:])
    factor = scale * jax.lax.rsqrt(var + EPSILON)
    sides = [(k // 2, k // 2) if self.padded else (0, 0) for k in self.kernel]
    y = jax.lax.conv_general_dilated(
        x.astype(self.dtype), kernel.astype(self.dtype), (self.stride,) * 2, sides,
        dimension_numbers=('NHWC', 'HWIO', 'NHWC'))
    return nn.relu(y * factor.astype(self.dtype) + (bias - mean * factor).astype(self.dtype))


class Block(nn.Module):
  """Parallel branches, concatenated along the channels.

  Attributes:
    branches: a value of `BLOCKS`.
    width: multiplies all channels.
    dtype: see Unit.
  """

  branches: tuple
  width: float = 1
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x):
    """[B, H, W, I] -> [B, h, w, O]."""
    return jnp.concatenate([run(x, branch, self.width, self.dtype) for branch in self.branches], -1)


class Inception(nn.Module):
  """Frames to the mean of the last feature map over the frame.

  Attributes:
    width: multiplies all channels; 1 in the published file.
    dtype: of the computation.
  """

  width: float = 1
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x):
    """Features of frames.

    Args:
      x: [B, H, W, 3 or 1] in [-1, 1], 299 x 299 for comparable scores; gray is repeated.

    Returns:
      [B, 2048 * width] float32.

    Raises:
      UserError: frames too small.
    """
    if min(x.shape[1:3]) < MIN_SIDE:
      raise UserError(f'inception: frames {x.shape} are too small, H and W must be at least '
                      f'{MIN_SIDE}')
    x = run(ops.match_channels(x, 3).astype(self.dtype), STEM, self.width, self.dtype)
    for name, branches in BLOCKS.items():
      x = Block(branches, self.width, self.dtype, name=name)(x)
    return jnp.mean(x.astype(jnp.float32), axis=(1, 2))


def run(x, steps, width, dtype):
  """One branch, or the stem. Its convolutions become submodules of the calling module."""
  for step in steps:
    if step in POOLS:
      x = POOLS[step](x)
    elif isinstance(step[0], tuple):
      x = jnp.concatenate([_unit(x, side, width, dtype) for side in step], -1)
    else:
      x = _unit(x, step, width, dtype)
  return x


def _unit(x, step, width, dtype):
  name, features, kernel, stride = step
  padded = stride == 1 and name not in VALID
  return Unit(max(1, round(features * width)), kernel, stride, padded, dtype=dtype, name=name)(x)


# ---- 3x3 pooling --------------------------------------------------------------------------------


def average(x):
  """Mean over 3x3 places, of those inside the map."""
  return nn.avg_pool(x, (3, 3), (1, 1), ((1, 1), (1, 1)), count_include_pad=False)


def maximum(x):
  """Maximum over 3x3 places."""
  return nn.max_pool(x, (3, 3), (1, 1), ((1, 1), (1, 1)))


def halve(x):
  """Maximum over 3x3 places, stride 2, without padding."""
  return nn.max_pool(x, (3, 3), (2, 2))


POOLS = {'average': average, 'maximum': maximum, 'halve': halve}

"""VGG-16 and VGG-19 (Simonyan and Zisserman, 2015) up to the features a loss asks for.

Frozen; the parameters come from torchvision's files through `pretrained`. Convolutions are named by
block and place, `conv4_1`, and so are features, `conv4_1` before their ReLU and `relu4_1` after it:
names, never layer numbers, because the public code bases count differently.
"""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from i2vjax.core import ops
from i2vjax.core.errors import UserError
from i2vjax.networks import layers
from i2vjax.networks.conv import Conv

BLOCKS = {16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}   # convolutions in each block
WIDTHS = (1, 2, 4, 8, 8)                              # times 64 channels
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)   # of ImageNet, for [0, 1]


def tap_names(depth):
  """All taps in order: ('relu1_1', 'relu1_2', 'relu2_1', ...)."""
  return tuple(f'relu{block}_{i}' for block, count in enumerate(BLOCKS[depth], 1)
               for i in range(1, count + 1))


def tap_channels(taps, width=64):
  """Channels of the features `taps`; `width` is that of block 1."""
  return [width * WIDTHS[int(tap[4]) - 1] for tap in taps]


class VGG(nn.Module):
  """3x3 convolutions with ReLU, halved by 2x2 maxima between blocks; ends with the last tap.

  Attributes:
    depth: 16 or 19.
    taps: features to return, 'relu4_1' and the like, or 'conv4_1' for what goes into that ReLU.
    input_norm: 'raw' feeds frames as they are, in [-1, 1] (public I2V-GAN code); 'imagenet' gives
      the network the mean and scale it was trained with.
    width: channels of block 1; 64 in every published file.
    remat: keep only the blocks' inputs for the backward pass and compute the rest again.
    impl, dtype: see conv.Conv. Features come back in `dtype`.
  """

  depth: int = 19
  taps: tuple = ('relu1_1', 'relu2_1', 'relu3_1', 'relu4_1', 'relu5_1')
  input_norm: str = 'raw'
  width: int = 64
  remat: bool = False
  impl: str = 'auto'
  kernel_init: Callable = nn.initializers.he_normal()
  dtype: Any = jnp.float32

  def setup(self):
    self._check()
    wanted = tap_names(self.depth)
    last = max(wanted.index(tap.replace('conv', 'relu')) for tap in self.taps)
    self.conv = {name: self._conv(name) for name in wanted[:last + 1]}

  def _check(self):
    if self.depth not in BLOCKS:
      raise UserError(f'vgg.depth={self.depth}: choose 16 or 19')
    if self.input_norm not in ('raw', 'imagenet'):
      raise UserError(f"vgg.input_norm={self.input_norm!r}: choose 'raw' or 'imagenet'")
    known = tap_names(self.depth)
    unknown = [tap for tap in self.taps if tap.replace('conv', 'relu') not in known]
    if unknown or not self.taps:
      raise UserError(f'VGG-{self.depth} has no feature {", ".join(unknown) or "without a name"}; '
                       f'it has {", ".join(known)}')

  def _conv(self, tap):
    return Conv(*tap_channels([tap], self.width), 3, impl=self.impl, kernel_init=self.kernel_init,
                dtype=self.dtype, name=tap.replace('relu', 'conv'))

  def __call__(self, x):
    """Features of frames.

    Args:
      x: [B, H, W, 3 or 1] in [-1, 1]; gray is repeated. H and W at least 2^(last block - 1); what
        halving leaves over at the right and lower edge is not seen, as in PyTorch.

    Returns:
      {tap: [B, H / 2^(block - 1), W / 2^(block - 1), channels]}.
    """
    x = self._normalize(ops.match_channels(x, 3)).astype(self.dtype)
    features = {}
    for block in range(1, 6):
      taps = [tap for tap in self.conv if tap.startswith(f'relu{block}_')]
      if not taps:
        break
      x = halve(x) if block > 1 else x
      run = nn.remat(_block, static_argnums=(2,)) if self.remat else _block
      found = run(self, x, tuple(taps))
      x = found[taps[-1]]
      features |= found
    return {tap: features[tap] for tap in self.taps}

  def _normalize(self, x):
    if self.input_norm == 'raw':
      return x
    mean, std = (np.asarray(value, np.float32) for value in (MEAN, STD))
    return ((x + 1) / 2 - mean) / std


def _block(module, x, taps):
  """The convolutions of one block. Returns {tap: feature}."""
  features = {}
  for tap in taps:
    features[tap.replace('relu', 'conv')] = x = module.conv[tap](x)
    features[tap] = x = nn.relu(x)
  return features


def halve(x):
  """Maxima of 2x2 pixels: [B, H, W, C] -> [B, H // 2, W // 2, C].

  As maxima of rows, then of columns: on a CPU forward and gradient take a seventh of the time of
  the windowed maximum (11 against 77 ms for [4, 128, 128, 64]). Where inputs are equal the gradient
  is shared between them, in PyTorch the first gets all; after a ReLU that matters only for equal
  positive numbers.
  """
  B, H, W, C = x.shape
  if min(H, W) < 2:
    raise UserError('VGG: the frames are too small for the features asked for; each block after '
                     'the first halves them')
  x = x[:, :H // 2 * 2, :W // 2 * 2]
  x = jnp.maximum(x[:, 0::2], x[:, 1::2])
  return jnp.maximum(x[:, :, 0::2], x[:, :, 1::2])


def perceptual(config, taps, depth=19):
  """VGG of the block `config.vgg` (optional `input_norm`, `width`) with the run's `remat`."""
  block = config.get('vgg', {})
  return VGG(depth, tuple(taps), block.get('input_norm', 'raw'), block.get('width', 64),
             bool(config.remat), dtype=layers.compute_dtype(config))

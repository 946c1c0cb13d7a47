"""VGG-16 and VGG-19 (Simonyan and Zisserman, 2015) up to the requested features.

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
  """3x3 convolutions with ReLU, 2x2 max pooling between blocks; ends with the last tap.

  Attributes:
    depth: 16 or 19.
    taps: features to return, such as 'relu4_1', or 'conv4_1' for the input of that ReLU.
    input_norm: 'raw' takes frames in [-1, 1] without change (public I2V-GAN code); 'imagenet'
      gives them the mean and scale of the network's training.
    width: channels of block 1; 64 in every published file.
    remat: store only the blocks' inputs for the backward pass and compute the rest again.
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
    names = tap_names(self.depth)
    last = max(names.index(tap.replace('conv', 'relu')) for tap in self.taps)
    self.conv = {name: self._conv(name) for name in names[:last + 1]}

  def _check(self):
    if self.depth not in BLOCKS:
      raise UserError(f'vgg.depth={self.depth}: choose 16 or 19')
    if self.input_norm not in ('raw', 'imagenet'):
      raise UserError(f"vgg.input_norm={self.input_norm!r}: choose 'raw' or 'imagenet'")
    available = tap_names(self.depth)
    unknown = [tap for tap in self.taps if tap.replace('conv', 'relu') not in available]
    if unknown or not self.taps:
      raise UserError(f'VGG-{self.depth} has no feature {", ".join(unknown) or "without a name"}; '
                      f'it has {", ".join(available)}')

  def _conv(self, tap):
    return Conv(*tap_channels([tap], self.width), 3, impl=self.impl, kernel_init=self.kernel_init,
                dtype=self.dtype, name=tap.replace('relu', 'conv'))

  def __call__(self, x):
    """Features of frames.

    Args:
      x: [B, H, W, 3 or 1] in [-1, 1]; gray is repeated. H and W at least 2^(last block - 1); what
        pooling leaves over at the right and lower edge is ignored, as in PyTorch.

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
      run_block = nn.remat(_block, static_argnums=(2,)) if self.remat else _block
      features |= run_block(self, x, tuple(taps))
      x = features[taps[-1]]
    return {tap: features[tap] for tap in self.taps}

  def _normalize(self, x):
    if self.input_norm == 'raw':
      return x
    return ((x + 1) / 2 - np.asarray(MEAN, np.float32)) / np.asarray(STD, np.float32)


def _block(module, x, taps):
  """The convolutions of one block. Returns {tap: feature}."""
  features = {}
  for tap in taps:
    features[tap.replace('relu', 'conv')] = x = module.conv[tap](x)
    features[tap] = x = nn.relu(x)
  return features


def halve(x):
  """Maxima of 2x2 pixels: [B, H, W, C] -> [B, H // 2, W // 2, C].

  Computed as maxima of rows, then of columns: on a CPU forward and gradient take a seventh of the
  time of the windowed maximum (11 against 77 ms for [4, 128, 128, 64]). Equal inputs share the
  gradient, while in PyTorch the first one gets all of it; after a ReLU that matters only for equal
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

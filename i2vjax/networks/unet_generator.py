"""U-Net generator, fast on CPUs: most layers at half size and below.

Ours, in the form of Ronneberger et al. (MICCAI 2015). The ResNet generator spends most of its time
on a CPU in narrow layers at full size; here one convolution works there. The deepest maps see the
whole frame, so that sky, road and facades can be told apart by where they are.
"""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from i2vjax.networks import layers, resnet
from i2vjax.networks.conv import Conv
from i2vjax.networks.segmentation import space_to_depth


class UNetGenerator(nn.Module):
  """`stem`, `down_k` for each further halving, `res_i` at the bottom, `join_k` up again, `head`.

  The stem folds 2x2 pixels into channels. Maps are doubled by blurring, which leaves no stripes,
  and joined with those of the way down; the head also reads the frame itself. Every convolution
  but the head is followed by instance norm.

  Attributes:
    out_channels: of the frame that comes out.
    width: channels at half size; 2 width below.
    levels: halvings, at least 2.
    blocks: residual blocks at the bottom.
    remat: recompute each layer in the backward pass.
    impl, kernel_init, dtype: see conv.Conv. The frame comes back in float32.
  """

  out_channels: int = 3
  width: int = 32
  levels: int = 3
  blocks: int = 2
  remat: bool = False
  impl: str = 'auto'
  kernel_init: Callable = nn.initializers.normal(0.02)
  dtype: Any = jnp.float32

  def setup(self):
    rest = {'impl': self.impl, 'kernel_init': self.kernel_init, 'dtype': self.dtype}

    def conv(features, stride=1):
      return Conv(features, 3, stride, padding=1, **rest)
    widths = [self.width] + [2 * self.width] * (self.levels - 1)
    self.stem = conv(widths[0])
    self.down = [conv(features, 2) for features in widths[1:]]
    residual = nn.remat(resnet.Residual) if self.remat else resnet.Residual
    self.res = [residual(widths[-1], **rest) for _ in range(self.blocks)]
    self.join = [conv(features) for features in widths[:-1]]
    self.narrow = Conv(self.width // 2, 1, **rest)
    self.head = Conv(self.out_channels, 3, pad='reflect', **rest)

  def __call__(self, x):
    """[B, H, W, C] in [-1, 1], sides multiples of 2^levels -> [B, H, W, out_channels]."""
    return self.decode(self.encode(x)[0])

  def encode(self, x, taps=()):
    """The way down, and the residual blocks.

    Args:
      x: [B, H, W, C] in [-1, 1].
      taps: names of features to return: 'rgb' (the input), 'stem', 'down_k', 'res_i'.

    Returns:
      ([x and the maps that `decode` joins, the deepest last], {tap: feature}).

    Raises:
      UserError: a size or a tap this network does not have.
    """
    check_size(x.shape[1:3], self.levels)
    check_taps(taps, self.levels, self.blocks)
    x = x.astype(self.dtype)
    maps = {'rgb': x, 'stem': self._layer(self.stem, space_to_depth(x))}
    h = maps['stem']
    for k, conv in enumerate(self.down):
      h = maps[f'down_{k}'] = self._layer(conv, h)
    skips = list(maps.values())[:-1]
    for i, block in enumerate(self.res):
      h = maps[f'res_{i}'] = block(h)
    return [*skips, h], {tap: maps[tap] for tap in taps}

  def decode(self, maps):
    """Maps of `encode` -> frame [B, H, W, out_channels] in [-1, 1], float32."""
    x, *skips, h = maps
    for conv, skip in zip(reversed(self.join), reversed(skips), strict=True):
      h = self._layer(conv, jnp.concatenate([skip, layers.blur_up(h)], axis=-1))
    h = layers.blur_up(self._layer(self.narrow, h))
    return jnp.tanh(self.head(jnp.concatenate([h, x], axis=-1)).astype(jnp.float32))

  def _layer(self, conv, h):
    return (nn.remat(_layer) if self.remat else _layer)(conv, h)


def _layer(conv, h):
  return nn.relu(layers.instance_norm(conv.for_norm(h)))


def tap_names(levels, blocks):
  """All taps of a U-Net of so many halvings and residual blocks."""
  return ('rgb', 'stem', *(f'down_{k}' for k in range(levels - 1)),
          *(f'res_{i}' for i in range(blocks)))


def check_taps(taps, levels, blocks):
  """Refuse taps that the network does not have."""
  layers.check_taps(taps, tap_names(levels, blocks),
                    f'a U-Net with gen.levels={levels} and gen.blocks={blocks}')


def tap_channels(taps, width, in_channels=3):
  """Channels of each tap: [int, ...]."""
  narrow = {'rgb': in_channels, 'stem': width}
  return [narrow.get(tap, 2 * width) for tap in taps]


def check_size(size, levels):
  """Refuse sides that cannot be halved `levels` times."""
  layers.check_halvings(size, levels, f'a U-Net with gen.levels={levels}',
                        'change data.crop_size, or take fewer gen.levels')

"""Small segmentation U-Net that scores translated frames of `scenes`.

Ours; the layout is that of Ronneberger et al. (MICCAI 2015), with a norm and strided convolutions.
It has no coordinates as input: it must recognize a class from the image, not from where such
objects usually are in a street.
"""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from i2vjax.networks import layers
from i2vjax.networks.conv import Conv, ConvTranspose
from i2vjax.networks.layers import instance_norm


class SegmentationUNet(nn.Module):
  """`stem`, `down_k` and `deep_k` for each halving, `up_k` and `join_k` for each doubling, `head`.

  The first halving folds 2x2 pixels into channels and the head unfolds its logits again: layers at
  full size would take most of the time on a CPU. Every convolution but the head is followed by
  instance norm and ReLU. All levels below the first have 2 width channels; skip connections
  concatenate encoder and decoder on each level.

  Attributes:
    classes: K.
    width: channels of the stem.
    levels: halvings, at least 1.
    impl, kernel_init, dtype: see conv.Conv. Logits come back in float32.
  """

  classes: int
  width: int = 32
  levels: int = 3
  impl: str = 'auto'
  kernel_init: Callable = nn.initializers.variance_scaling(2.0, 'fan_in', 'normal')
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x, taps=False):
    """[B, H, W, C] in [-1, 1], H and W multiples of 2^levels -> logits [B, H, W, K].

    With `taps`: (logits, [features of the stem, of the deepest level]).
    """
    check_size(x.shape[1:3], self.levels)
    rest = {'impl': self.impl, 'kernel_init': self.kernel_init, 'dtype': self.dtype}
    widths = [self.width] + [2 * self.width] * (self.levels - 1)

    def layer(name, features, h, stride=1):
      conv = Conv(features, 3, stride, padding=1, name=name, **rest)
      return nn.relu(instance_norm(conv.for_norm(h)))
    skips = [layer('stem', widths[0], space_to_depth(x.astype(self.dtype)))]
    for k, features in enumerate(widths[1:]):
      skips.append(layer(f'deep_{k}', features, layer(f'down_{k}', features, skips[-1], 2)))
    ends = [skips[0], skips[-1]]
    h = skips.pop()
    for k in reversed(range(self.levels - 1)):
      h = ConvTranspose(widths[k], 4, name=f'up_{k}', **rest)(h)
      h = layer(f'join_{k}', widths[k], jnp.concatenate([skips[k], h], axis=-1))
    h = Conv(4 * self.classes, 1, name='head', **rest)(h)
    logits = depth_to_space(h).astype(jnp.float32)
    return (logits, ends) if taps else logits


def space_to_depth(x):
  """[B, 2h, 2w, C] -> [B, h, w, 4 C]: the 2x2 pixels of a block side by side."""
  B, H, W, C = x.shape
  x = x.reshape(B, H // 2, 2, W // 2, 2, C).transpose(0, 1, 3, 2, 4, 5)
  return x.reshape(B, H // 2, W // 2, 4 * C)


def depth_to_space(x):
  """[B, h, w, 4 C] -> [B, 2h, 2w, C], the inverse of `space_to_depth`."""
  B, h, w, C = x.shape
  x = x.reshape(B, h, w, 2, 2, C // 4).transpose(0, 1, 3, 2, 4, 5)
  return x.reshape(B, 2 * h, 2 * w, C // 4)


def check_size(size, levels):
  """Refuse sides that cannot be halved `levels` times."""
  layers.check_halvings(size, levels, f'a segmentation network with {levels} halvings',
                        'pad or crop the frames')


def like(params):
  """The SegmentationUNet that `params` belong to."""
  levels = 1 + sum(name.startswith('down_') for name in params)
  return SegmentationUNet(params['head']['kernel'].shape[-1] // 4,
                          params['stem']['kernel'].shape[-1], levels)

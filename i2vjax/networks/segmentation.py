"""A small encoder-decoder that names the class of every pixel.

The judge of translated `scenes` frames (ours; the layout is that of Ronneberger et al., MICCAI
2015, with a norm and strided convolutions). It sees no coordinates: it must read a class from the
picture, not from where such a thing usually stands in a street.
"""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from i2vjax.networks.conv import Conv, ConvTranspose
from i2vjax.networks.layers import instance_norm


class SegmentationUNet(nn.Module):
  """`stem`, then `down_k` and `deep_k` for each halving, back by `up_k` and `join_k`, `head`.

  Every convolution but the head is followed by instance norm and ReLU. Level k has
  width * min(2^k, 8) channels, and its map is joined to what comes back from level k + 1.

  Attributes:
    classes: K.
    width: channels of level 0.
    levels: halvings.
    impl, kernel_init, dtype: see conv.Conv. Logits come back in float32.
  """

  classes: int
  width: int = 16
  levels: int = 3
  impl: str = 'auto'
  kernel_init: Callable = nn.initializers.variance_scaling(2.0, 'fan_in', 'normal')
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x):
    """[B, H, W, C] in [-1, 1], H and W multiples of 2^levels -> logits [B, H, W, K]."""
    check_size(x.shape[1:3], self.levels)
    rest = {'impl': self.impl, 'kernel_init': self.kernel_init, 'dtype': self.dtype}
    widths = [self.width * min(2**k, 8) for k in range(self.levels + 1)]

    def layer(name, features, h, stride=1):
      return nn.relu(instance_norm(Conv(features, 3, stride, padding=1, name=name, **rest)(h)))
    skips = [layer('stem', widths[0], x.astype(self.dtype))]
    for k, features in enumerate(widths[1:]):
      skips.append(layer(f'deep_{k}', features, layer(f'down_{k}', features, skips[-1], 2)))
    h = skips.pop()
    for k in reversed(range(self.levels)):
      h = ConvTranspose(widths[k], 4, name=f'up_{k}', **rest)(h)
      h = layer(f'join_{k}', widths[k], jnp.concatenate([skips[k], h], axis=-1))
    return Conv(self.classes, 1, name='head', **rest)(h).astype(jnp.float32)


def check_size(size, levels):
  """Refuse sides that cannot be halved `levels` times."""
  if any(side % 2**levels for side in size):
    raise ValueError(f'frames of {size[1]}x{size[0]} pixels: a segmentation network with {levels} '
                     f'halvings takes sides that are multiples of {2**levels}')


def like(params):
  """The SegmentationUNet that `params` belong to."""
  levels = sum(name.startswith('down_') for name in params)
  return SegmentationUNet(params['head']['kernel'].shape[-1], params['stem']['kernel'].shape[-1],
                          levels)

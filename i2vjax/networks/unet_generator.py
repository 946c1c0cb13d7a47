"""U-Net generator, fast on CPUs: most layers at half size and below.

Ours, in the form of Ronneberger et al. (MICCAI 2015). The ResNet generator spends most of its time
on a CPU in narrow layers at full size; here one convolution works there. The deepest maps see the
whole frame, so that sky, road and facades can be told apart by where they are.
"""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from i2vjax.core.errors import UserError
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
    impl, kernel_init, dtype: see conv.Conv. The frame comes back in float32.
  """

  out_channels: int = 3
  width: int = 32
  levels: int = 3
  blocks: int = 2
  impl: str = 'auto'
  kernel_init: Callable = nn.initializers.normal(0.02)
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x):
    """[B, H, W, C] in [-1, 1], sides multiples of 2^levels -> [B, H, W, out_channels]."""
    check_size(x.shape[1:3], self.levels)
    rest = {'impl': self.impl, 'kernel_init': self.kernel_init, 'dtype': self.dtype}
    widths = [self.width] + [2 * self.width] * (self.levels - 1)

    def layer(name, features, h, stride=1):
      conv = Conv(features, 3, stride, padding=1, name=name, **rest)
      return nn.relu(layers.instance_norm(conv(h)))
    x = x.astype(self.dtype)
    h = layer('stem', widths[0], space_to_depth(x))
    skips = []
    for k, features in enumerate(widths[1:]):
      skips.append(h)
      h = layer(f'down_{k}', features, h, 2)
    for i in range(self.blocks):
      h = resnet.Residual(widths[-1], name=f'res_{i}', **rest)(h)
    for k in reversed(range(self.levels - 1)):
      h = layer(f'join_{k}', widths[k], jnp.concatenate([skips[k], layers.blur_up(h)], axis=-1))
    h = layers.instance_norm(Conv(self.width // 2, 1, name='narrow', **rest)(h))
    h = jnp.concatenate([layers.blur_up(nn.relu(h)), x], axis=-1)
    h = Conv(self.out_channels, 3, pad='reflect', name='head', **rest)(h)
    return jnp.tanh(h.astype(jnp.float32))


def check_size(size, levels):
  """Refuse sides that cannot be halved `levels` times."""
  if any(side % 2**levels for side in size):
    raise UserError(f'frames of {size[1]}x{size[0]} pixels: a U-Net with gen.levels={levels} takes '
                    f'sides that are multiples of {2**levels}')

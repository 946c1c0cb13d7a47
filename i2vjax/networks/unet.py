"""Predictors of the next frame from two previous ones (Recycle-GAN, I2V-GAN).

All of them take the two frames concatenated in channels, in time order: [B, H, W, 2 C].
"""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from i2vjax.core import ops
from i2vjax.core.errors import UserError
from i2vjax.networks import layers, resnet
from i2vjax.networks.conv import Conv, ConvTranspose

KINDS = ('unet', 'prediction', 'resnet')
MAX_DOWNS = 8   # of the public code bases ('unet_256')
TWO_STREAM_DOWNS = 6   # of the U-Net in the public Recycle-GAN code's 'prediction'


class UNetPredictor(nn.Module):
  """U-Net of the public pix2pix code: `down_0` .. `down_{n-1}`, then `up_{n-1}` .. `up_0`.

  Kernel 4, stride 2, padding 1 throughout. The input of each level but the outermost is
  concatenated with the output of the level below. No norm on the outermost convolution, nor on the
  innermost, whose map may be one pixel, which a norm would set to zero.

  Attributes:
    out_channels: of the predicted frame.
    width: channels of level 0; level k has width * min(2^k, 8).
    downs: n, at least 2; 7 is 'unet_128' and 8 'unet_256' of the public codes.
    dropout: 0.5 in the decoder on levels 4 .. n-2, where the call is given an rng named 'dropout'.
    impl, kernel_init, dtype: see conv.Conv. The frame comes back in float32.
  """

  out_channels: int = 3
  width: int = 64
  downs: int = 7
  dropout: bool = False
  impl: str = 'auto'
  kernel_init: Callable = nn.initializers.normal(0.02)
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x):
    """[B, H, W, C], sides multiples of 2^downs -> [B, H, W, out_channels] in [-1, 1]."""
    n = self.downs
    check_size(x.shape[1:3], n)
    rest = {'impl': self.impl, 'kernel_init': self.kernel_init, 'dtype': self.dtype}
    widths = [self.width * min(2**k, 8) for k in range(n)]
    h, down = x.astype(self.dtype), []
    for k, width in enumerate(widths):
      conv = Conv(width, 4, 2, padding=1, name=f'down_{k}', **rest)
      h = layers.leaky_relu(h) if k else h
      h = layers.instance_norm(conv.for_norm(h)) if 0 < k < n - 1 else conv(h)
      down.append(h)
    for k in reversed(range(n)):
      features = widths[k - 1] if k else self.out_channels
      conv, h = ConvTranspose(features, 4, name=f'up_{k}', **rest), nn.relu(h)
      h = layers.instance_norm(conv.for_norm(h)) if k else conv(h)
      if k:
        if self.dropout and 4 <= k <= n - 2:
          h = layers.Dropout(0.5)(h)
        h = jnp.concatenate([down[k - 1], h], axis=-1)
    return jnp.tanh(h.astype(jnp.float32))


class TwoStreamPredictor(nn.Module):
  """The 'prediction' network of the public Recycle-GAN code: 117 million parameters at width 8.

  `stem_0` .. `stem_2` process each frame separately, a U-Net of 6 halvings processes both, `tail_0`
  .. `tail_2` make the frame.

  Attributes:
    out_channels: of the predicted frame.
    width: channels of stem_0; the stem ends with 4 times, the U-Net starts with 16 times as many.
    impl, kernel_init, dtype: see conv.Conv. The frame comes back in float32.
  """

  out_channels: int = 3
  width: int = 8
  impl: str = 'auto'
  kernel_init: Callable = nn.initializers.normal(0.02)
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x):
    """[B, H, W, 2 C], sides multiples of 64 -> [B, H, W, out_channels] in [-1, 1]."""
    rest = {'impl': self.impl, 'kernel_init': self.kernel_init, 'dtype': self.dtype}
    check_two_streams(x.shape[1:3])

    def layer(features, kernel, name):
      pad = 'reflect' if kernel == 7 else 'zero'
      return Conv(features, kernel, pad=pad, name=name, **rest)
    # Both frames pass the stem as one batch.
    h = jnp.concatenate(jnp.split(x.astype(self.dtype), 2, axis=-1))
    for i, kernel in enumerate((7, 3, 3)):
      h = nn.relu(layers.instance_norm(layer(self.width * 2**i, kernel, f'stem_{i}').for_norm(h)))
    h = jnp.concatenate(jnp.split(h, 2), axis=-1)
    h = UNetPredictor(4 * self.width, 16 * self.width, TWO_STREAM_DOWNS, name='unet', **rest)(h)
    h = h.astype(self.dtype)
    for i, factor in enumerate((2, 1)):
      h = nn.relu(layers.instance_norm(layer(self.width * factor, 3, f'tail_{i}').for_norm(h)))
    return jnp.tanh(layer(self.out_channels, 7, 'tail_2')(h).astype(jnp.float32))


def check_size(size, downs):
  """Refuse sides (height, width) that cannot be halved `downs` times; says how often they can."""
  if downs < 2:
    raise UserError(f'pred.downs={downs}: at least 2')
  fits = next((n for n in range(MAX_DOWNS, 1, -1) if not any(side % 2**n for side in size)), None)
  layers.check_halvings(
      size, downs, f'a predictor with pred.downs={downs}',
      'change data.crop_size' + (f', or take pred.downs={fits}' if fits else ''))


def check_two_streams(size):
  """Refuse sides (height, width) that a TwoStreamPredictor cannot halve."""
  layers.check_halvings(size, TWO_STREAM_DOWNS, "a predictor of pred.kind='prediction'")


def any_size(predict, pairs, multiple):
  """`predict` on [B, H, W, 2 C] of any size: mirrored up to a multiple, then cropped."""
  H, W = pairs.shape[1:3]
  sides = ((0, 0), (0, -H % multiple), (0, -W % multiple), (0, 0))
  return predict(jnp.pad(pairs, sides, mode='symmetric'))[:, :H, :W]


def multiple(config):
  """Number that the sides of a frame must be multiples of for the predictor of `config`."""
  downs = {'unet': config.pred.downs, 'prediction': TWO_STREAM_DOWNS, 'resnet': 2}
  return 2**downs[config.pred.kind]


def predictor(config, channels):
  """Predictor of the block `config.pred` for frames of `channels` channels.

  Its fields: `kind` 'unet' (`width`, `downs`), 'prediction' (`stream_width`) or 'resnet' (the
  generator of `config.gen` on two frames; an option of the public code); `dropout`.

  Raises:
    UserError: an unknown kind, or a `data.crop_size` that the network cannot halve so often.
  """
  pred = config.pred
  if pred.kind not in KINDS:
    raise UserError(f'pred.kind={pred.kind!r}: choose one of {", ".join(KINDS)}')
  if pred.kind == 'resnet':
    return resnet.generator(config, 2 * channels, channels)
  size = ops.hw(config.data.crop_size)
  rest = {'kernel_init': layers.initializer(config.init), 'dtype': layers.compute_dtype(config)}
  if pred.kind == 'prediction':
    check_two_streams(size)
    return TwoStreamPredictor(channels, pred.stream_width, **rest)
  check_size(size, pred.downs)
  return UNetPredictor(channels, pred.width, pred.downs, bool(pred.get('dropout', False)), **rest)

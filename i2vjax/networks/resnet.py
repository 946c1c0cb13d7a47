"""ResNet generator of CycleGAN, CUT and I2V-GAN (Johnson et al., 2016)."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from i2vjax.core.errors import UserError
from i2vjax.networks import layers
from i2vjax.networks.conv import Conv, ConvTranspose
from i2vjax.networks.conv_fast import pad_hw


class Stage(nn.Module):
  """[blur up] -> conv -> instance norm -> ReLU -> [blur down].

  Attributes:
    features, kernel: of the convolution.
    stride: 1 or 2.
    pad: 'zero' | 'reflect'.
    blur: '' | 'up' | 'down'.
    deconv: a transposed convolution (doubles H and W) instead.
    impl, kernel_init, dtype: see conv.Conv.
  """

  features: int
  kernel: int = 3
  stride: int = 1
  pad: str = 'zero'
  blur: str = ''
  deconv: bool = False
  impl: str = 'auto'
  kernel_init: Callable = nn.initializers.normal(0.02)
  dtype: Any = jnp.float32

  def setup(self):
    rest = {'impl': self.impl, 'kernel_init': self.kernel_init, 'dtype': self.dtype}
    if self.deconv:
      self.conv = ConvTranspose(self.features, self.kernel, **rest)
    else:
      self.conv = Conv(self.features, self.kernel, self.stride, self.pad, **rest)

  def __call__(self, x):
    """[B, H, W, C] -> (output, the convolution's output before the norm)."""
    conv, bias = self.conv.parts(layers.blur_up(x) if self.blur == 'up' else x)
    y = nn.relu(layers.instance_norm(conv))   # without the bias: see Conv.for_norm
    return layers.blur_down(y) if self.blur == 'down' else y, conv + bias


class Residual(nn.Module):
  """x + [reflect, conv 3x3, norm, ReLU, (dropout), reflect, conv 3x3, norm]; no ReLU after it.

  Dropout 0.5 acts where `dropout` is set and the call is given an rng named 'dropout'.
  """

  features: int
  dropout: bool = False
  impl: str = 'auto'
  kernel_init: Callable = nn.initializers.normal(0.02)
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x):
    """[B, H, W, C] -> [B, H, W, C]."""
    rest = {'impl': self.impl, 'kernel_init': self.kernel_init, 'dtype': self.dtype}
    first = Conv(self.features, 3, pad='reflect', name='conv_0', **rest)
    second = Conv(self.features, 3, pad='reflect', name='conv_1', **rest)
    y = nn.relu(layers.instance_norm(first.for_norm(x)))
    if self.dropout:
      y = layers.Dropout(0.5)(y)
    return x + layers.instance_norm(second.for_norm(y))


class ResnetGenerator(nn.Module):
  """Frame to frame, H and W kept: stem, two halvings, residual blocks, two doublings, head.

  Attributes:
    out_channels: of the frame that comes out.
    width: channels of the stem; the residual blocks have four times as many.
    blocks: residual blocks (9 for 256 pixels, 6 for 128 in the CycleGAN paper).
    down: 'stride' | 'blur'.
    up: 'deconv' | 'blur'.
    dropout: see Residual.
    remat: recompute each stage in the backward pass.
    impl, kernel_init, dtype: see conv.Conv. The frame comes back in float32.
  """

  out_channels: int = 3
  width: int = 64
  blocks: int = 9
  down: str = 'stride'
  up: str = 'deconv'
  dropout: bool = False
  remat: bool = False
  impl: str = 'auto'
  kernel_init: Callable = nn.initializers.normal(0.02)
  dtype: Any = jnp.float32

  def setup(self):
    if self.down not in ('stride', 'blur') or self.up not in ('deconv', 'blur'):
      raise UserError(f"gen.down={self.down!r}, gen.up={self.up!r}: choose 'stride' or 'blur' "
                       "for down, 'deconv' or 'blur' for up")
    stage = nn.remat(Stage) if self.remat else Stage
    residual = nn.remat(Residual) if self.remat else Residual
    rest = {'impl': self.impl, 'kernel_init': self.kernel_init, 'dtype': self.dtype}
    halve = {'blur': 'down'} if self.down == 'blur' else {'stride': 2}
    double = {'blur': 'up'} if self.up == 'blur' else {'deconv': True}
    # Children are named by their attribute, so that remat changes no parameter's name.
    self.stem = stage(self.width, 7, pad='reflect', **rest)
    self.down_stage = [stage(self.width * f, name=f'down_{i}', **halve, **rest)
                       for i, f in enumerate((2, 4))]
    self.res = [residual(self.width * 4, self.dropout, **rest) for _ in range(self.blocks)]
    self.up_stage = [stage(self.width * f, name=f'up_{i}', **double, **rest)
                     for i, f in enumerate((2, 1))]
    self.head = Head(self.out_channels, **rest)

  def __call__(self, x):
    """[B, H, W, C] in [-1, 1] -> [B, H, W, out_channels] in [-1, 1]."""
    return self.decode(self.encode(x)[0])

  def encode(self, x, taps=()):
    """Stem to the last residual block.

    Args:
      x: [B, H, W, C] in [-1, 1]; H and W multiples of 4, at least 8.
      taps: names of features to return: 'rgb' (the input, reflect-padded by 3), 'stem', 'down_i',
        'res_i' (outputs of stages), 'stem.conv', 'down_i.conv' (convolutions before their norm),
        'up_0.blur' (up='blur': the doubled output, before up_0's convolution), 'up_0.conv'
        (up='deconv': its transposed convolution before the norm).

    Returns:
      (h [B, H/4, W/4, 4*width], {tap: feature}). Under jit, unused features are not computed, so a
      call for early taps costs only their layers.

    Raises:
      UserError: a size or a tap this network does not have.
    """
    check_size(x.shape)
    check_taps(taps, self.blocks, self.up)
    features = {'rgb': pad_hw(x, 'reflect', 3)}
    h = x.astype(self.dtype)
    stages = {'stem': self.stem, 'down_0': self.down_stage[0], 'down_1': self.down_stage[1]}
    for name, stage in stages.items():
      h, features[f'{name}.conv'] = stage(h)
      features[name] = h
    for i, block in enumerate(self.res):
      h = features[f'res_{i}'] = block(h)
    if 'up_0.blur' in taps:
      features['up_0.blur'] = layers.blur_up(h)
    if 'up_0.conv' in taps:
      features['up_0.conv'] = self.up_stage[0](h)[1]
    return h, {tap: features[tap] for tap in taps}

  def decode(self, h):
    """[B, h, w, 4*width] of `encode` -> frame [B, 4h, 4w, out_channels] in [-1, 1]."""
    for stage in self.up_stage:
      h, _ = stage(h)
    return self.head(h)


class Head(nn.Module):
  """reflect 3, conv 7x7, tanh; float32 out."""

  features: int
  impl: str = 'auto'
  kernel_init: Callable = nn.initializers.normal(0.02)
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x):
    """[B, H, W, C] -> [B, H, W, features] in [-1, 1]."""
    conv = Conv(self.features, 7, pad='reflect', impl=self.impl,
                kernel_init=self.kernel_init, dtype=self.dtype, name='conv')
    return jnp.tanh(conv(x).astype(jnp.float32))


def check_size(shape):
  """Refuse frames [B, H, W, C] whose sides are no multiples of 4, or below 8."""
  H, W = shape[1:3]
  if H % 4 or W % 4 or H < 8 or W < 8:
    raise UserError(f'the ResNet generator takes frames whose sides are multiples of 4 and at '
                     f'least 8, got {H}x{W}: pad or crop the frames (data.crop_size)')


def tap_names(blocks, up):
  """All taps of a generator with `blocks` residual blocks."""
  stages = ('stem', 'down_0', 'down_1')
  return ('rgb', *stages, *(f'{stage}.conv' for stage in stages),
          *(f'res_{i}' for i in range(blocks)), 'up_0.blur' if up == 'blur' else 'up_0.conv')


def check_taps(taps, blocks, up):
  """Refuse taps that the network does not have."""
  layers.check_taps(taps, tap_names(blocks, up),
                    f'a generator with gen.blocks={blocks} and gen.up={up!r}')


def tap_channels(taps, width, in_channels=3):
  """Channels of each tap, for the heads that read them: [int, ...]."""
  narrow = {'rgb': in_channels, 'stem': width, 'stem.conv': width, 'down_0': 2 * width,
            'down_0.conv': 2 * width, 'up_0.conv': 2 * width}
  return [narrow.get(tap, 4 * width) for tap in taps]


def generator(config, in_channels=3, out_channels=3):
  """ResNet generator of the block `config.gen` (`width`, `blocks`, `down`, `up`).

  `in_channels` is for the reader: flax takes it from the input.
  """
  del in_channels
  gen = config.gen
  return ResnetGenerator(
      out_channels, gen.width, gen.blocks, gen.down, gen.up, bool(gen.get('dropout', False)),
      bool(config.remat), kernel_init=layers.initializer(config.init),
      dtype=layers.compute_dtype(config))

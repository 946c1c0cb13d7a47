"""Encoder and renderer halves of ComboGAN, ToDayGAN and PearlGAN generators.

ToDayGAN is ICRA 2019; PearlGAN's attention block is optional. Public code keeps four halves, an
encoder E and a renderer R for each domain, and crosses them. As E of a domain is always followed by
R of the other one, the two of a direction are one module here:
`gen_ab` holds E_a and R_b, `gen_ba` holds E_b and R_a. Parameters: `encoder` and `renderer`, in
them `stem/conv`, `down_i/conv`, `res_i/conv_j`, `up_i/conv`, `up_i/norm`, `head/conv`, `act` with
the slope of a PReLU, and `attention`.
"""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from i2vjax.core import ops
from i2vjax.core.errors import UserError
from i2vjax.networks import layers
from i2vjax.networks.conv import Conv, ConvTranspose
from i2vjax.networks.resnet import Head, check_size

STRIDES = (2, 4, 8, 16)   # of the pooling of the attention block's four groups of channels
MIN_SIDE = 12             # pixels per side that attention needs: one window of 3 at stride 4


def prelu(name):
  """max(x, 0) + a min(x, 0) with one learned slope a, initially 0.25 (as PyTorch)."""
  return nn.PReLU(negative_slope_init=0.25, name=name)


class Stage(nn.Module):
  """conv, instance or group norm, PReLU.

  Attributes:
    features, kernel, stride, pad: see conv.Conv.
    up: a transposed convolution of kernel 4 instead, which doubles H and W.
    groups: 0: instance norm without scale and shift; else group norm with both.
    impl, kernel_init, dtype: see conv.Conv.
  """

  features: int
  kernel: int = 3
  stride: int = 1
  pad: str = 'zero'
  up: bool = False
  groups: int = 0
  impl: str = 'auto'
  kernel_init: Callable = nn.initializers.normal(0.02)
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x):
    """[B, H, W, C] -> [B, h, w, features]."""
    rest = dict(impl=self.impl, kernel_init=self.kernel_init, dtype=self.dtype, name='conv')
    if self.up:
      conv = ConvTranspose(self.features, 4, **rest)
    else:
      conv = Conv(self.features, self.kernel, self.stride, self.pad, **rest)
    if self.groups:   # moments in two passes and float32, as in instance_norm
      x = nn.GroupNorm(self.groups, epsilon=layers.EPSILON, dtype=self.dtype,
                       use_fast_variance=False, name='norm')(conv(x))
    else:
      x = layers.instance_norm(conv.for_norm(x))
    return prelu('act')(x)


class Residual(nn.Module):
  """x + [conv 3x3, norm, PReLU, conv 3x3, norm]; no activation after it.

  Attributes:
    features: channels in and out.
    pad: 'reflect', or 'zero' (MornGAN's segmenters).
    impl, kernel_init, dtype: see conv.Conv.
  """

  features: int
  pad: str = 'reflect'
  impl: str = 'auto'
  kernel_init: Callable = nn.initializers.normal(0.02)
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x):
    """[B, H, W, C] -> same."""
    rest = dict(impl=self.impl, kernel_init=self.kernel_init, dtype=self.dtype)
    first = Conv(self.features, 3, pad=self.pad, name='conv_0', **rest)
    second = Conv(self.features, 3, pad=self.pad, name='conv_1', **rest)
    y = prelu('act')(layers.instance_norm(first.for_norm(x)))
    return x + layers.instance_norm(second.for_norm(y))


class Attention(nn.Module):
  """Top-down guided attention (PearlGAN, TDGA), from coarse to fine.

  Each scale has a quarter of the channels s_i; p_i is its mean in windows of 3 x 3 at stride 2, 4,
  8, 16. U resizes, B_i = sigmoid(norm(conv(.))) gives one channel:

    m1 = B_1(p_3)   m2 = B_2(p_2 (1 + U m1))   m3 = B_3(p_1 (1 + U m2))   m4 = B_4(p_0 (1 + U m3))
    out = x + concat(M4 s_0, M3 s_1, M2 s_2, M1 s_3)      M_i = U m_i at the size of x
  """

  impl: str = 'auto'
  kernel_init: Callable = nn.initializers.normal(0.02)
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x):
    """[B, h, w, C], C a multiple of 4, h and w at least 3 -> (same, maps M1 .. M4 [B, h, w, 4])."""
    rest = dict(impl=self.impl, kernel_init=self.kernel_init, dtype=self.dtype)
    mixed = Conv(x.shape[-1], 1, name='conv', **rest).for_norm(x)
    parts = jnp.split(prelu('act')(layers.instance_norm(mixed)), 4, axis=-1)
    pooled = [nn.avg_pool(part, (3, 3), (stride, stride))
              for part, stride in zip(parts, STRIDES, strict=True)]
    maps, gate = [], None
    for i, p in enumerate(reversed(pooled), 1):
      if gate is not None:
        p = p * (1 + ops.resize(gate, p.shape[1:3]))
      logit = Conv(1, 3, pad='reflect', name=f'gate_{i}', **rest).for_norm(p)
      gate = nn.sigmoid(layers.instance_norm(logit))
      maps.append(ops.resize(gate, x.shape[1:3]))
    weighted = [m * part for m, part in zip(reversed(maps), parts, strict=True)]
    return x + jnp.concatenate(weighted, -1), jnp.concatenate(maps, -1).astype(jnp.float32)


class Encoder(nn.Module):
  """E: stem, two halvings, [attention], residual blocks. Attributes: see ComboGenerator."""

  width: int
  blocks: int
  attention: bool
  remat: bool
  rest: Any

  @nn.compact
  def __call__(self, x):
    """[B, H, W, C] -> (h [B, H/4, W/4, 4 width], maps [B, H/4, W/4, 4] or None)."""
    stage, residual, attention = stage_kinds(self.remat)
    x = stage(self.width, 7, pad='reflect', name='stem', **self.rest)(x.astype(self.rest['dtype']))
    for i, factor in enumerate((2, 4)):
      x = stage(self.width * factor, stride=2, name=f'down_{i}', **self.rest)(x)
    maps = None
    if self.attention:
      x, maps = attention(name='attention', **self.rest)(x)
    for i in range(self.blocks):
      x = residual(4 * self.width, name=f'res_{i}', **self.rest)(x)
    return x, maps


class Renderer(nn.Module):
  """R: [attention], residual blocks, two doublings, head. Attributes: see ComboGenerator."""

  out_channels: int
  width: int
  blocks: int
  attention: bool
  groups: int
  remat: bool
  rest: Any

  @nn.compact
  def __call__(self, h):
    """[B, h, w, 4 width] -> [B, 4h, 4w, out_channels] in [-1, 1], float32."""
    stage, residual, attention = stage_kinds(self.remat)
    if self.attention:
      h, _ = attention(name='attention', **self.rest)(h)
    for i in range(self.blocks):
      h = residual(4 * self.width, name=f'res_{i}', **self.rest)(h)
    for i, factor in enumerate((2, 1)):
      channels = self.width * factor
      # 32 groups do not divide narrow maps: at least two channels share a group (ours).
      h = stage(channels, up=True, groups=min(self.groups, channels // 2), name=f'up_{i}',
                **self.rest)(h)
    return Head(self.out_channels, name='head', **self.rest)(h)


def stage_kinds(remat):
  """The three kinds of stages; with `remat` they are recomputed in the backward pass."""
  kinds = Stage, Residual, Attention
  return tuple(map(nn.remat, kinds)) if remat else kinds


class ComboGenerator(nn.Module):
  """Frame to frame, H and W kept: E of one domain, R of the other.

  Attributes:
    out_channels: of the frame that comes out.
    width: channels of the stem; 4 width between the halves.
    blocks_enc, blocks_dec: residual blocks in E and in R.
    attention: PearlGAN's attention block in both.
    groups: of the norm after the doublings; 0: instance norm (ToDayGAN).
    remat: recompute each stage in the backward pass.
    impl, kernel_init, dtype: see conv.Conv.
  """

  out_channels: int = 3
  width: int = 64
  blocks_enc: int = 4
  blocks_dec: int = 5
  attention: bool = False
  groups: int = 32
  remat: bool = False
  impl: str = 'auto'
  kernel_init: Callable = nn.initializers.normal(0.02)
  dtype: Any = jnp.float32

  def setup(self):
    rest = dict(impl=self.impl, kernel_init=self.kernel_init, dtype=self.dtype)
    self.encoder = Encoder(self.width, self.blocks_enc, self.attention, self.remat, rest)
    self.renderer = Renderer(self.out_channels, self.width, self.blocks_dec, self.attention,
                             self.groups, self.remat, rest)

  def __call__(self, x):
    """[B, H, W, C] in [-1, 1] -> [B, H, W, out_channels] in [-1, 1]."""
    return self.decode(self.encode(x)[0])

  def encode(self, x):
    """E(x).

    Args:
      x: [B, H, W, C] in [-1, 1]; H and W multiples of 4, at least 8, with attention 12.

    Returns:
      (h [B, H/4, W/4, 4 width], attention maps M1 .. M4 [B, H/4, W/4, 4] in (0, 1), float32, from
      coarse to fine; None without attention).
    """
    check_size(x.shape)
    if self.attention and any(side < MIN_SIDE for side in x.shape[1:3]):
      raise UserError(f'frames of {x.shape[1]}x{x.shape[2]} pixels: gen.attention needs {MIN_SIDE}')
    return self.encoder(x)

  def decode(self, h):
    """R(h): [B, h, w, 4 width] -> [B, 4h, 4w, out_channels] in [-1, 1]."""
    return self.renderer(h)


def generator(config, in_channels=3, out_channels=3):
  """Generator of the block `config.gen`.

  Its fields: `width`, `blocks_enc`, `blocks_dec`, `attention`, `up_norm` 'group' | 'instance',
  `groups`. `in_channels` is for the reader: flax takes it from the input.
  """
  del in_channels
  gen = config.gen
  if gen.up_norm not in ('group', 'instance'):
    raise UserError(f"gen.up_norm={gen.up_norm!r}: choose 'group' or 'instance'")
  return ComboGenerator(
      out_channels, gen.width, gen.blocks_enc, gen.blocks_dec, bool(gen.attention),
      gen.groups if gen.up_norm == 'group' else 0, bool(config.remat),
      kernel_init=layers.initializer(config.init), dtype=layers.compute_dtype(config))

"""ViT as a frozen tokenizer, and the critic on its tokens.

The network is that of Dosovitskiy et al. (2021). Parameters are named and shaped as in Google's
AugReg .npz files, so those load without a table. The choice of tokens follows the public ROMA code.
"""

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from i2vjax.core import ops
from i2vjax.core.errors import UserError
from i2vjax.networks import layers

EPSILON = 1e-6   # layer norm of the published weights
HE = nn.initializers.he_normal()


class PatchEmbedding(nn.Module):
  """Non-overlapping patches times one matrix: a convolution with stride = kernel."""

  width: int
  patch: int
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x):
    """[B, H, W, C] -> [B, (H/patch) * (W/patch), width], row by row."""
    B, H, W, C = x.shape
    p = self.patch
    kernel = self.param('kernel', HE, (p, p, C, self.width))
    bias = self.param('bias', nn.initializers.zeros, (self.width,))
    x, kernel, bias = nn.dtypes.promote_dtype(x, kernel, bias, dtype=self.dtype)
    x = x.reshape(B, H // p, p, W // p, p, C).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(B, -1, p * p * C) @ kernel.reshape(-1, self.width) + bias


class Attention(nn.Module):
  """Multi-head self-attention with biases on q, k, v."""

  width: int
  heads: int
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x):
    """[B, M, width] -> [B, M, width]."""
    split = (self.heads, self.width // self.heads)

    def project(name):
      return nn.DenseGeneral(split, kernel_init=HE, dtype=self.dtype, name=name)(x)
    mixed = jax.nn.dot_product_attention(project('query'), project('key'), project('value'))
    return nn.DenseGeneral(self.width, axis=(-2, -1), kernel_init=HE, dtype=self.dtype,
                           name='out')(mixed)


class Mlp(nn.Module):
  """Dense, exact GELU, Dense."""

  width: int
  hidden: int
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x):
    """[B, M, width] -> [B, M, width]."""
    x = nn.Dense(self.hidden, kernel_init=HE, dtype=self.dtype, name='Dense_0')(x)
    x = nn.gelu(x, approximate=False)
    return nn.Dense(self.width, kernel_init=HE, dtype=self.dtype, name='Dense_1')(x)


def _layer_norm(name=None):
  return nn.LayerNorm(EPSILON, use_fast_variance=False, name=name)


class Block(nn.Module):
  """x + attention(norm(x)), then x + mlp(norm(x))."""

  width: int
  heads: int
  hidden: int
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x):
    """[B, M, width] -> [B, M, width]."""
    attention = Attention(self.width, self.heads, self.dtype, name='MultiHeadDotProductAttention_1')
    x = x + attention(_layer_norm('LayerNorm_0')(x))
    return x + Mlp(self.width, self.hidden, self.dtype, name='MlpBlock_3')(
        _layer_norm('LayerNorm_2')(x))


class Position(nn.Module):
  """Learned position of every token, the class token first."""

  @nn.compact
  def __call__(self, tokens, width):
    """[1, tokens, width]."""
    return self.param('pos_embedding', nn.initializers.normal(0.02), (1, tokens, width))


class Transformer(nn.Module):
  """Position embedding, blocks, final norm."""

  width: int
  heads: int
  hidden: int
  depth: int
  remat: bool = False
  dtype: Any = jnp.float32

  def setup(self):
    block = nn.remat(Block) if self.remat else Block
    self.posembed_input = Position()
    self.encoderblock = [block(self.width, self.heads, self.hidden, self.dtype)
                         for _ in range(self.depth)]
    self.encoder_norm = _layer_norm()

  def position(self, count):
    """[1, count, width]."""
    return self.posembed_input(count, self.width)

  def __call__(self, x, taps):
    """[B, M, width] -> one float32 [B, M, width] per block of `taps`, final norm applied."""
    outputs = {}
    for i in range(max(taps) + 1):
      x = self.encoderblock[i](x)
      if i in taps:
        outputs[i] = self.encoder_norm(x.astype(jnp.float32))
    return [outputs[i] for i in taps]


class ViT(nn.Module):
  """Tokenizer with square input `image_size`, patches of 16 pixels.

  Attributes:
    width, heads, hidden: of the blocks (ViT-B: 768, 12, 3072).
    depth: number of blocks. Blocks after the last tap are neither built nor loaded.
    image_size: frames are resized to it (bilinear, half-pixel centers).
    remat: recompute each block in the backward pass; local windows have many tokens.
    dtype: of the computation; tokens come back in float32.
  """

  width: int = 768
  heads: int = 12
  hidden: int = 3072
  depth: int = 6
  image_size: int = 384
  patch: int = 16
  remat: bool = False
  dtype: Any = jnp.float32

  def setup(self):
    self.embedding = PatchEmbedding(self.width, self.patch, self.dtype)
    self.cls = self.param('cls', nn.initializers.zeros, (1, 1, self.width))
    self.Transformer = Transformer(self.width, self.heads, self.hidden, self.depth, self.remat,
                                   self.dtype)

  @property
  def grid(self):
    """Tokens along one side."""
    return self.image_size // self.patch

  def __call__(self, img):
    """`tokens` of the last block: [B, H, W, 3] -> [B, grid^2, width]."""
    return self.tokens(img, (self.depth - 1,))[0]

  def tokens(self, img, layers=(1, 3, 5)):
    """Tokens of whole frames.

    Args:
      img: [B, H, W, 3] in [-1, 1], the normalization of the published weights.
      layers: blocks counted from 0.

    Returns:
      One [B, grid^2, width] float32 per layer: the block's output without the class token, after
      the final layer norm.
    """
    self._check(layers)
    x, position = self._embed(img)
    first = jnp.broadcast_to(self.cls + position[:, :1], (x.shape[0], 1, self.width))
    x = jnp.concatenate([first.astype(x.dtype), x], axis=1)
    return [tokens[:, 1:] for tokens in self.Transformer(x, layers)]

  def tokens_local(self, img, ids, layers=(1, 3, 5), side=7):
    """Tokens of small windows, each a separate sequence, without the class token.

    Args:
      img: [B, H, W, 3] in [-1, 1].
      ids: [K] int, tokens (row * grid + column) at the windows' centers, shared by the batch.
      layers: blocks counted from 0.
      side: tokens along a window's side; windows at the border are shifted inwards.

    Returns:
      One [B*K, side^2, width] float32 per layer, the K windows of a frame in a row.
      O(B * K * side^2) tokens are stored for the backward pass unless `remat`.
    """
    self._check(layers)
    if side > self.grid:
      raise UserError(f'cs.side={side}: the ViT has {self.grid}x{self.grid} tokens')
    places = ops.window_places(ids, (self.grid, self.grid), side)
    windows = jnp.take(self._embed(img)[0], places, axis=1)
    return self.Transformer(windows.reshape(-1, side * side, self.width), layers)

  def _embed(self, img):
    """(patches with their position [B, grid^2, width], all positions [1, 1 + grid^2, width])."""
    position = self.Transformer.position(1 + self.grid**2)
    x = self.embedding(ops.resize(img, self.image_size))
    return x + position[:, 1:].astype(x.dtype), position

  def _check(self, taps):
    if min(taps) < 0 or max(taps) >= self.depth:
      raise UserError(f'cs.layers={tuple(taps)}: this ViT has blocks 0 to {self.depth - 1}')


def backbone(config):
  """ViT of `config.backbone`: 'vit' is ViT-B/16, 'random' a small one for smoke tests.

  Reads `config.vit.image_size`, `config.cs.layers` (blocks after the last are not built),
  `config.remat`, `config.compute`. Parameters: weight id 'vit_b16_384' of `pretrained`.
  """
  sizes = {'vit': (768, 12, 3072, 12), 'random': (192, 3, 768, 6)}
  if config.backbone not in sizes:
    raise UserError(f"backbone={config.backbone!r} has no ViT: choose 'vit' or 'random'")
  width, heads, hidden, blocks = sizes[config.backbone]
  depth, image_size = max(config.cs.layers) + 1, config.vit.image_size
  if depth > blocks:
    raise UserError(f'cs.layers={tuple(config.cs.layers)}: this ViT has blocks 0 to {blocks - 1}')
  if image_size % 16:
    raise UserError(f'vit.image_size={image_size} is not a multiple of its patches of 16')
  return ViT(width, heads, hidden, depth, image_size, 16, bool(config.remat),
             layers.compute_dtype(config))


def _uniform(fan_in):
  """U(-1/sqrt(fan_in), 1/sqrt(fan_in)): the default of a linear layer in PyTorch."""
  def init(key, shape, dtype=jnp.float32):
    return jax.random.uniform(key, shape, dtype, -1, 1) / jnp.sqrt(fan_in)
  return init


class TokenCritic(nn.Module):
  """Two dense layers on each token separately (public ROMA code).

  Weights and biases are initialized uniformly, independent of `config.init`: at the small published
  learning rates of this critic small initial weights would hardly change.

  Attributes:
    width: hidden units.
    out_channels: logits per token.
  """

  width: int = 768
  out_channels: int = 1

  @nn.compact
  def __call__(self, tokens):
    """[B, M, C] -> [B, M, out_channels] float32."""
    fan_in = tokens.shape[-1]
    x = nn.Dense(self.width, kernel_init=_uniform(fan_in), bias_init=_uniform(fan_in),
                 name='dense_0')(tokens)
    x = nn.gelu(x, approximate=False)
    return nn.Dense(self.out_channels, kernel_init=_uniform(self.width),
                    bias_init=_uniform(self.width), name='dense_1')(x)


def regions(tokens, scales, extra_row=False):
  """Tokens, followed by their means over larger and larger square regions (ROMA, multiscale).

  Args:
    tokens: [B, M, C] of a square map, row by row.
    scales: sides of the regions in tokens; the regions of a scale tile the map, those at its right
      and lower edge are cut off there.
    extra_row: a region includes one more row below it, where there is one (a slip of the public
      code).

  Returns:
    [B, M + regions, C] float32: with 24 x 24 tokens and scales 2, 4, 6, 8, 12 it is
    576 + 144 + 36 + 16 + 9 + 4 = 785.
  """
  side = math.isqrt(tokens.shape[1])
  if side * side != tokens.shape[1]:
    raise ValueError(f'{tokens.shape[1]} tokens are no square map')
  areas = []
  for scale in scales:
    starts, places = np.arange(0, side, scale)[:, None], np.arange(side)
    rows = (starts <= places) & (places < starts + scale + bool(extra_row))
    columns = (starts <= places) & (places < starts + scale)
    area = rows[:, None, :, None] & columns[None, :, None, :]
    areas.append(area.reshape(len(starts) ** 2, side * side))
  if not areas:
    return tokens
  area = np.concatenate(areas).astype(np.float32)
  means = jnp.einsum('rm,bmc->brc', area / area.sum(1, keepdims=True), tokens,
                     precision=jax.lax.Precision.HIGHEST)
  return jnp.concatenate([tokens, means], axis=1)

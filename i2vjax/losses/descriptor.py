"""Local self-similarity descriptors: layout across sensors, without weights.

A descriptor says how a patch resembles its surroundings and ignores its gray values, so polarity
and gain cancel: the family of Shechtman and Irani (CVPR 2007) in the dense, differentiable form of
MIND (Heinrich et al., 2012). Where no weight file is present it replaces a ViT's tokens in the
cross-similarity losses of CPTrans and ROMA, and a VGG's features in LSeSim; sizes, pooling and
centering are ours.

r radius of a level, h w the grid of cells.
"""

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from i2vjax.core import ops
from i2vjax.core.errors import UserError


def sizes(height: int, radii: Sequence[int], sigma: float,
          cell: int | Sequence[int]) -> dict[str, Any]:
  """Sizes in pixels of a frame of this height, from those given for 256 pixels.

  Args:
    height: H of the frame.
    radii: distance of a patch's neighbors, one per level; level l gets at least 2^l pixels.
    sigma: radius of a patch; half of it below 128 pixels.
    cell: side of a token, at least 4 pixels; or a tuple, one for each level.

  Returns:
    dict(radii, sigma, cell).
  """
  scale = height / 256

  def cell_size(size):
    return max(4, round(size * scale))
  scaled = tuple(max(2 ** level, round(radius * scale)) for level, radius in enumerate(radii))
  cells = cell_size(cell) if isinstance(cell, int) else tuple(map(cell_size, cell))
  return dict(radii=scaled, sigma=sigma if height >= 128 else sigma / 2, cell=cells)


def offsets(radius: int, angles: int) -> list[tuple[int, int]]:
  """`angles` whole-pixel steps (dy, dx) around a circle."""
  turns = [2 * math.pi * k / angles for k in range(angles)]
  return [(round(radius * math.sin(t)), round(radius * math.cos(t))) for t in turns]


def self_similarity(frames: jax.Array, radius: int, angles: int, sigma: float,
                    floor: float) -> jax.Array:
  """exp(-d_k / V) with the neighbors k on a circle (MIND).

  d_k is the squared difference to the frame moved by offset k, summed over a Gaussian patch; V its
  mean over k. In a flat region V would be noise only: `floor` times the frame's mean of V is added.

  Args:
    frames: [B, H, W, 1 or 3] in [-1, 1].
    radius: pixels.
    angles: number of neighbors.
    sigma: of the Gaussian patch, pixels.
    floor: share of the frame's mean variance.

  Returns:
    [B, H, W, angles] float32 in (0, 1].
  """
  Y = ops.luma(frames.astype(jnp.float32))
  neighbors = [ops.shift(Y, dy, dx) for dy, dx in offsets(radius, angles)]
  d = ops.gaussian_blur(jnp.square(jnp.concatenate(neighbors, axis=-1) - Y), sigma, mode='edge')
  V = jnp.mean(d, axis=-1, keepdims=True)
  V = V + floor * jnp.mean(V, axis=(1, 2), keepdims=True) + 1e-4   # 1e-4: a constant frame
  return jnp.exp(-d / V)


def pool(similarity: jax.Array, cell: int, sub: int) -> jax.Array:
  """Cells of the frame as vectors: the means of their sub x sub parts, side by side.

  Args:
    similarity: [B, H, W, K]; rows and columns beyond whole cells are cut off.
    cell: pixels; the parts have cell // sub pixels.
    sub: parts per side.

  Returns:
    [B, h, w, sub * sub * K] with h = H // cell.
  """
  B, H, W, K = similarity.shape
  h, w, part = H // cell, W // cell, cell // sub
  if not h or not w:
    raise UserError(f'a frame of {H} x {W} pixels holds no cell of {cell}: lower lss.cell')
  s = similarity[:, :h * cell, :w * cell].reshape(B, h, cell, w, cell, K)
  s = s[:, :, :part * sub, :, :part * sub].reshape(B, h, sub, part, w, sub, part, K)
  return s.mean(axis=(3, 6)).transpose(0, 1, 3, 2, 4, 5).reshape(B, h, w, sub * sub * K)


def maps(frames: jax.Array, *, radii: Sequence[int] = (2, 4, 8), angles: int = 8,
         sigma: float = 2.0, floor: float = 0.01, cell: int | Sequence[int] = 16,
         sub: int = 2) -> list[jax.Array]:
  """Descriptor maps of all levels, before centering.

  Args:
    frames: [B, H, W, 1 or 3] in [-1, 1].
    radii, sigma, cell: for frames of 256 pixels; scaled by `sizes`. A cell size for each level
      makes maps of different sizes, as in a pyramid (LSeSim).
    angles, floor: as in `self_similarity`.
    sub: as in `pool`.

  Returns:
    List over the radii of [B, h, w, sub * sub * angles] float32, differentiable.
  """
  scaled = sizes(frames.shape[1], radii, sigma, cell)
  cells = scaled['cell']
  if isinstance(cells, int):
    cells = (cells,) * len(radii)
  return [pool(self_similarity(frames, radius, angles, scaled['sigma'], floor), cell, sub)
          for radius, cell in zip(scaled['radii'], cells, strict=True)]


def center(tokens: jax.Array) -> jax.Array:
  """Tokens [..., M, C] without their mean and at unit length.

  All cells resemble their surroundings in much the same way. If that common part is kept, the
  cross-similarity finds any two images alike (measured: 0.015 aligned against 0.034 unrelated).
  """
  tokens = tokens - jnp.mean(tokens, axis=-2, keepdims=True)
  return tokens * jax.lax.rsqrt(jnp.sum(jnp.square(tokens), axis=-1, keepdims=True) + 1e-8)


def tokens(levels: Sequence[jax.Array]) -> list[jax.Array]:
  """Maps [B, h, w, C] of all levels -> centered tokens [B, h * w, C] of all levels."""
  return [center(level.reshape(level.shape[0], -1, level.shape[-1])) for level in levels]


def window_tokens(levels: Sequence[jax.Array], places: jax.Array) -> list[jax.Array]:
  """Maps of all levels cut at places [K, S] -> [B, K, S, C] each, centered inside each window."""
  flat = [level.reshape(level.shape[0], -1, level.shape[-1]) for level in levels]
  return [center(level[:, places]) for level in flat]

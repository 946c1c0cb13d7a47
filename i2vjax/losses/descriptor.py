"""Local self-similarity: tokens that describe layout across sensors, without any weights.

How a patch resembles its own surroundings, never its gray values, so that polarity and gain drop
out: the family of Shechtman and Irani (CVPR 2007) in the dense, differentiable form of MIND
(Heinrich et al., 2012). It stands in for a ViT's tokens in the cross-similarity losses of CPTrans
and ROMA, and for a VGG's features in LSeSim, where no weight file is there; sizes, pooling and
centring are ours.

r radius of a level, h w the grid of cells.
"""

import math

import jax
import jax.numpy as jnp

from i2vjax.core import ops
from i2vjax.core.errors import UserError


def sizes(height, radii, sigma, cell):
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
  return dict(radii=tuple(max(2 ** level, round(r * scale)) for level, r in enumerate(radii)),
              sigma=sigma if height >= 128 else sigma / 2,
              cell=cell_size(cell) if isinstance(cell, int) else tuple(map(cell_size, cell)))


def offsets(radius, angles):
  """`angles` whole-pixel steps (dy, dx) around a circle."""
  turns = [2 * math.pi * k / angles for k in range(angles)]
  return [(round(radius * math.sin(t)), round(radius * math.cos(t))) for t in turns]


def self_similarity(frames, radius, angles, sigma, floor):
  """exp(-d_k / V) with the neighbors k on a circle (MIND).

  d_k is the squared difference to the frame moved by offset k, summed over a Gaussian patch; V its
  mean over k. Where a region is flat V would be noise alone: `floor` times the frame's mean of V
  is added.

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
  moved = [ops.shift(Y, dy, dx) for dy, dx in offsets(radius, angles)]
  d = ops.gaussian_blur(jnp.square(jnp.concatenate(moved, axis=-1) - Y), sigma, mode='edge')
  V = jnp.mean(d, axis=-1, keepdims=True)
  V = V + floor * jnp.mean(V, axis=(1, 2), keepdims=True) + 1e-4   # 1e-4: a constant frame
  return jnp.exp(-d / V)


def pool(similarity, cell, sub):
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


def maps(frames, *, radii=(2, 4, 8), angles=8, sigma=2.0, floor=0.01, cell=16, sub=2):
  """Descriptor maps of all levels, before centring.

  Args:
    frames: [B, H, W, 1 or 3] in [-1, 1].
    radii, sigma, cell: for frames of 256 pixels; scaled by `sizes`. One cell for each level makes
      maps of different sizes, as those of a pyramid are (LSeSim).
    angles, floor: as in `self_similarity`.
    sub: as in `pool`.

  Returns:
    List over the radii of [B, h, w, sub * sub * angles] float32, differentiable.
  """
  own = sizes(frames.shape[1], radii, sigma, cell)
  cells = (own['cell'],) * len(radii) if isinstance(own['cell'], int) else own['cell']
  return [pool(self_similarity(frames, radius, angles, own['sigma'], floor), cell, sub)
          for radius, cell in zip(own['radii'], cells, strict=True)]


def center(tokens):
  """Tokens [..., M, C] without their mean and at unit length.

  All cells resemble their surroundings in much the same way. With that common part left in, any
  two images look alike to the cross-similarity (measured: 0.015 aligned against 0.034 unrelated).
  """
  tokens = tokens - jnp.mean(tokens, axis=-2, keepdims=True)
  return tokens * jax.lax.rsqrt(jnp.sum(jnp.square(tokens), axis=-1, keepdims=True) + 1e-8)


def tokens(levels):
  """Maps [B, h, w, C] of all levels -> centerd tokens [B, h * w, C] of all levels."""
  return [center(level.reshape(level.shape[0], -1, level.shape[-1])) for level in levels]


def window_tokens(levels, places):
  """Maps of all levels cut at places [K, S] -> [B, K, S, C] each, centerd inside each window."""
  flat = [level.reshape(level.shape[0], -1, level.shape[-1]) for level in levels]
  return [center(level[:, places]) for level in flat]

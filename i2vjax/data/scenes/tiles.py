"""Periodic texture tiles, and outlines of shapes. Built once, at import."""

import numpy as np

from i2vjax.data.scenes import hashing

SIDE = 64                       # texels of a tile
PITCH = SIDE + 1                # a tile is stored with its first row and column repeated at the end
OUTLINE = 128                   # cells of an outline

FLAT, ASPHALT, SLABS, BRICK, PLASTER, LEAVES, CLOTH, CLOUDS = range(8)
# Meters of a fine texel (sky: of a plane 1,000 m away); the coarse octave is four times as large.
TEXEL = np.array([0.1, 0.07, 0.05, 0.05, 0.1, 0.09, 0.05, 30.0])
CONTRAST = np.array([0.0, 0.08, 0.08, 0.08, 0.06, 0.2, 0.05, 0.035])   # of the day color
GRAINS = np.array([FLAT, PLASTER, PLASTER, PLASTER, PLASTER, LEAVES, FLAT, FLAT])   # seen from afar
WARMTH = np.array([0.0, 0.2, 0.3, 0.4, 0.4, 1.0, 0.5, 0.5])         # kelvin at night

RECT, ELLIPSE, CABIN, ROUND, DIAMOND, TRIANGLE, HEDGE, CROWN = range(8)   # CROWN and up: variants
CROWNS = 6


def _noise(seed, step):
  """[SIDE, SIDE] smooth periodic noise in [-1, 1] whose grains are `step` texels wide."""
  n = SIDE // step
  grid = 2.0 * hashing.uniform(seed, np.arange(n)[:, None], np.arange(n)[None, :]) - 1.0
  at = np.arange(SIDE) / step
  low = np.floor(at).astype(int)
  part = at - low
  part = part * part * (3.0 - 2.0 * part)
  rows = grid[low % n] * (1 - part[:, None]) + grid[(low + 1) % n] * part[:, None]
  return rows[:, low % n] * (1 - part) + rows[:, (low + 1) % n] * part


def _slabs():
  y, x = np.mgrid[:SIDE, :SIDE]
  tone = 2.0 * hashing.uniform(21, y // 8, x // 8) - 1.0
  joint = (y % 8 == 0) | (x % 8 == 0)
  return np.where(joint, -1.0, 0.35 + 0.35 * tone + 0.2 * _noise(22, 1))


def _brick():
  y, x = np.mgrid[:SIDE, :SIDE]
  shifted = (x + 4 * (y // 4 % 2)) % SIDE
  tone = 2.0 * hashing.uniform(31, y // 4, shifted // 8) - 1.0
  joint = (y % 4 == 0) | (shifted % 8 == 0)
  return np.where(joint, 0.9, -0.2 + 0.6 * tone + 0.2 * _noise(32, 1))


def _tiles():
  """[tiles * PITCH * PITCH] values in about [-1, 1], flat for fast look-up."""
  leaves = np.clip(0.8 * _noise(51, 2) + 0.7 * _noise(52, 4) + 0.3 * _noise(53, 1), -1, 1)
  clouds = np.clip(0.9 * _noise(71, 32) + 0.5 * _noise(72, 16) + 0.3 * _noise(73, 8), -1, 1)
  tiles = [np.zeros((SIDE, SIDE)), _noise(11, 1), _slabs(), _brick(),
           0.7 * _noise(41, 2) + 0.5 * _noise(42, 8), leaves,
           0.5 * _noise(61, 1) + 0.5 * _noise(62, 4), clouds]
  return np.concatenate([np.pad(t, ((0, 1), (0, 1)), mode='wrap').ravel() for t in tiles])


def _crown(seed):
  """A tree's outline: lumps around an egg, with a few holes, as booleans."""
  at = (np.arange(OUTLINE) + 0.5) / OUTLINE * 2 - 1
  x, y = at[None, :], at[:, None]
  inside = (x * x / 0.6 + (y - 0.05) * (y - 0.05) / 0.62) < 1
  for k in range(18):
    cx, cy = (hashing.between(-0.62, 0.62, seed, k, axis) for axis in (0, 1))
    r = hashing.between(0.2, 0.36, seed, k, 2)
    inside |= (x - cx) * (x - cx) + (y - cy) * (y - cy) < r * r
  n = OUTLINE // 2
  grain = hashing.uniform(seed, 99, np.arange(n)[:, None], np.arange(n)[None, :])
  grain = np.repeat(np.repeat(grain, 2, 0), 2, 1)
  return inside & (grain > 0.35 * np.clip(2.2 * (x * x + y * y) - 1.0, 0, 1))


def _outlines():
  """[shapes, OUTLINE, OUTLINE] booleans; row 0 is the top."""
  at = (np.arange(OUTLINE) + 0.5) / OUTLINE
  x, y = np.abs(at[None, :] * 2 - 1), at[:, None]
  yc = np.abs(y * 2 - 1)
  ragged = hashing.uniform(81, np.arange(OUTLINE) // 4)[None, :]
  shapes = [
      np.ones((OUTLINE, OUTLINE), bool),
      x * x + yc * yc < 1,
      x < 0.72 + 0.28 * y,                                  # narrower at the top
      (x < 0.8) | (yc < 0.8) | ((x - 0.8) * (x - 0.8) + (yc - 0.8) * (yc - 0.8) < 0.04),
      x + yc < 1,
      x < y,                                                # point upwards
      (y > 0.3 * ragged) & ((x < 0.93) | (y > 0.3)),
  ]
  return np.stack(shapes + [_crown(90 + k) for k in range(CROWNS)])


TILES = _tiles()
OUTLINES = _outlines()


def sample(tile, s, t):
  """Bilinear look-up in periodic tiles.

  Args:
    tile: [N] ints, which tile.
    s, t: [N] float64 coordinates in texels, any size.

  Returns:
    [N] float64 in about [-1, 1].
  """
  si, ti = np.floor(s), np.floor(t)
  s, t = s - si, t - ti
  index = ti.astype(np.int64)
  index &= SIDE - 1
  index *= PITCH
  index += si.astype(np.int64) & (SIDE - 1)
  index += tile * (PITCH * PITCH)
  top = TILES.take(index)
  top += (TILES.take(index + 1) - top) * s
  index += PITCH
  low = TILES.take(index)
  low += (TILES.take(index + 1) - low) * s
  low -= top
  low *= t
  low += top
  return low

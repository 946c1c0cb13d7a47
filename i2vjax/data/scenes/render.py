"""Rasterizer: the surface id and depth of every pixel of a frame.

Pixel centers are integers; X right, Y down, Z forward, meters; u = u0 + f X / Z, v = v0 + f Y / Z.
Every surface is a plane, so 1 / Z is linear in the pixel: a pixel keeps its surface id, and
1 / Z = wall[id] (u - u0) + plumb[id], or (v - v0) / (f h) on the ground. Masks are 0 or 1, without
blended edges, so labels and flow are exact.
"""

from typing import NamedTuple

import numpy as np

from i2vjax.data.scenes import hashing, street, tiles, world

SKY_DEPTH, BEYOND_DEPTH = 1000.0, 400.0      # only for texture and haze: both are infinitely far


class Pose(NamedTuple):
  """Camera of one frame: pixels (f, u0, v0) and meters (x, z, height)."""
  f: float
  u0: float
  v0: float
  x: float
  z: float
  height: float


class Raster(NamedTuple):
  """Surfaces of one frame. ids, depth: [H, W]; wall, plumb, origin: [ids]."""
  pose: Pose
  ids: np.ndarray
  inverse: np.ndarray                        # 1 / Z
  wall: np.ndarray
  origin: np.ndarray                         # world X that the surface coordinate S starts from
  du: np.ndarray                             # [W] u - u0
  dv: np.ndarray                             # [H] v - v0


def pose(scene: world.World, t: int, size: tuple[int, int]) -> Pose:
  """The camera at frame t for frames of (height, width) pixels."""
  view, (height, width) = scene.camera, size
  def wave(rate, phase):
    return float(hashing.triangle(t * rate + phase))
  su = view.shift[0] * width * wave(view.shift_rate[0], view.phase[0])
  sv = view.shift[1] * width * wave(view.shift_rate[1], view.phase[1])
  return Pose(view.focal * width, 0.5 * (width - 1) + su, view.horizon * (height - 1) + sv,
              view.x + view.sway * wave(view.sway_rate, view.phase[0]), view.speed * t, view.height)


def positions(scene, t):
  """World X and Z of every object at frame t: two arrays [objects]; static ones come last."""
  x, z, speed, sway_x, sway_z, rate, phase, wraps = scene.motion.T
  n = scene.moving
  wave = hashing.triangle(t * rate[:n] + phase[:n])
  x, z = x.copy(), z.copy()
  x[:n] += sway_x[:n] * wave
  z[:n] += speed[:n] * t + sway_z[:n] * wave
  back = scene.camera.speed * t - world.traffic.BEHIND
  turns = np.floor((z[:n] - back) / world.traffic.SPAN)
  z[:n] -= np.where(wraps[:n] > 0, turns * world.traffic.SPAN, 0.0)
  return x, z


def part_positions(scene, t):
  """World X and Z of every part row (legs swing, slices stand behind each other)."""
  x, z = positions(scene, t)
  parts = scene.parts
  step = hashing.triangle(0.055 * t + 0.37 * parts.owner)      # a stride of 18 frames
  return x[parts.owner] + parts.swing * step, z[parts.owner] + parts.dz


def raster(scene: world.World, t: int, size: tuple[int, int], shadows: bool = True) -> Raster:
  """Draws frame t of a world.

  Args:
    scene: `world.World`; t: frame; size: (height, width).
    shadows: also mark ground in shadow (by day, under a clear sky).

  Returns:
    `Raster`.
  """
  height, width = size
  at = pose(scene, t, size)
  du, dv = np.arange(width) - at.u0, np.arange(height) - at.v0
  count = len(scene.tables.label)
  wall, plumb = np.zeros(count), np.zeros(count)
  origin = -scene.tables.offset
  plumb[world.SKY], plumb[world.BEYOND] = 1 / SKY_DEPTH, 1 / BEYOND_DEPTH
  origin[:2] += at.x
  ids = _houses(scene, at, du, dv, wall, plumb, origin)
  x, z = part_positions(scene, t)
  if shadows and scene.weather == 'clear':
    ground = ids == world.GROUND
    ids[ground & _shadows(scene, at, positions(scene, t)[0], z, du, dv)] = world.SHADOW
  first = scene.first_part
  origin[first:] += x
  plumb[first:] = 1.0 / np.maximum(z - at.z, 0.5)              # nearer ones are not drawn
  _paint(scene, at, ids, x, z, size)
  inverse = wall.take(ids)
  inverse *= du
  inverse += plumb.take(ids)
  ground = (ids == world.GROUND) | (ids == world.SHADOW)
  np.copyto(inverse, (dv / (at.f * at.height))[:, None], where=ground)
  return Raster(at, ids, inverse, wall, origin, du, dv)


def _houses(scene, at, du, dv, wall, plumb, origin):
  """Sky, houses and ground; fills the tables of the houses. Returns ids [H, W].

  Along a column of pixels the houses of one side form a staircase: the nearest one whose top is
  above a pixel hides the rest, so counting tops above it gives its house without drawing any.
  """
  height = len(dv)
  k0 = max(0, int(np.floor(at.z / street.CELL)) - scene.cells.start)
  k1 = min(k0 + world.VIEW, len(scene.cells))
  z0 = (np.arange(k0, k1) + scene.cells.start) * street.CELL - at.z
  lots, sign = scene.lots, np.array([-1.0, 1.0])[:, None]
  front_x = sign * lots.setback[:, k0:k1]
  count = len(scene.cells)
  base = world.HOUSES + 2 * (np.arange(2)[:, None] * count + np.arange(k0, k1))
  wall[base] = 1.0 / (at.f * (front_x - at.x))
  plumb[base + 1] = 1.0 / np.maximum(z0, 0.5)
  origin[base + 1] = front_x
  side = (du > 0).astype(int)
  ray = np.where(du == 0, 1e-9, du) / at.f
  z0 = z0[:, None]
  hit = (front_x - at.x).T[:, side] / ray                      # [K, W]: where walls are met
  along = (hit >= z0) & (hit < np.minimum(z0 + street.CELL, world.FAR))
  across = (hit < z0) & (z0 < world.FAR) & (z0 > world.NEAR)
  there = (along | across) & lots.present[:, k0:k1].T[:, side]
  depth = np.where(along, hit, np.maximum(z0, world.NEAR))
  scale = at.f / np.maximum(depth, world.NEAR)
  roof = lots.height[:, k0:k1].T[:, side]
  tops = np.where(there, np.ceil(at.v0 + scale * (at.height - roof)), height)
  feet = np.ceil(at.v0 + scale * at.height)
  index = base.T[:, side] + across
  return _stack(at, ray, height, tops, feet, index)


def _stack(at, ray, height, tops, feet, index):
  """Ids [H, W] of the nearest layer whose top is above a pixel; tops, feet, index: [K, W]."""
  width = len(ray)
  far = at.v0 + at.f * at.height / world.FAR                   # where the ground ends
  rise = 0.018 + 0.012 * tiles.sample(np.full(width, tiles.CLOUDS), ray * 90.0, ray * 0.0)
  rise += 0.004 * tiles.sample(np.full(width, tiles.ASPHALT), ray * 160.0, ray * 0.0)
  tops = np.vstack([tops, np.ceil(at.v0 - at.f * rise)])
  feet = np.vstack([feet, np.full(width, np.ceil(far)), np.full(width, height)]).astype(np.int64)
  index = np.vstack([index, np.full(width, world.BEYOND), np.full(width, world.SKY)])
  tops = np.clip(tops, 0, height).astype(np.int64)
  lowest = np.minimum.accumulate(tops, axis=0)                 # lower ones farther off are hidden
  starts = np.zeros((height + 1) * width, np.int16)            # layers whose top is at a pixel
  np.add.at(starts, (lowest * width + np.arange(width)).ravel(), 1)
  layer = len(tops) - np.cumsum(
      starts.reshape(height + 1, width)[:height], axis=0, dtype=np.int16)
  flat = layer * np.int64(width) + np.arange(width)
  ids = index.ravel().take(flat)
  ids[np.arange(height)[:, None] >= feet.ravel().take(flat)] = world.GROUND
  return ids


def _shadows(scene, at, x, z, du, dv):
  """[H, W] booleans: where the sun does not reach the ground.

  Objects cast ellipses to the side away from the sun, houses a strip along the street. Shadows are
  spans of columns per row, so starts and ends are counted and summed along the row.
  """
  height, width = len(dv), len(du)
  below = np.flatnonzero(dv > 0)
  depth = at.f * at.height / dv[below]                         # [R]
  center, half, z_mid, z_half = _footprints(scene, at, x, z)
  off = (depth + at.z - z_mid[:, None]) / z_half[:, None]      # [S, R]
  span = half[:, None] * np.sqrt(np.maximum(1.0 - off * off, 0.0))
  cast = (span > 0) & (depth < world.FAR)
  left, right = center[:, None] - span, center[:, None] + span
  edge, inward = _house_edge(scene, depth + at.z)
  outer = np.full(edge.shape, 60.0 * inward)
  left = np.vstack([left, np.minimum(edge, outer)])
  right = np.vstack([right, np.maximum(edge, outer)])
  cast = np.vstack([cast, depth[None] < world.FAR])
  scale = at.f / depth
  u_left, u_right = (np.clip(np.ceil(at.u0 + scale * (e - at.x)), 0, width).astype(np.int64)
                     for e in (left, right))
  rows = np.broadcast_to(below, cast.shape)[cast] * (width + 1)
  spans = np.zeros(height * (width + 1), np.int16)
  np.add.at(spans, rows + u_left[cast], 1)
  np.add.at(spans, rows + u_right[cast], -1)
  return np.cumsum(spans.reshape(height, width + 1)[:, :width], axis=1, dtype=np.int16) > 0


def _footprints(scene, at, x, z):
  """Ellipses on the ground, one per object near enough: center X, half-width, center Z, depth.

  x: [objects]; z: [parts].
  """
  parts = scene.parts
  first = np.flatnonzero(np.diff(parts.owner, prepend=-1))     # first part of every object
  wide = np.maximum.reduceat(np.maximum(parts.right, -parts.left), first)
  tall = np.maximum.reduceat(parts.high, first)
  near, deep = np.minimum.reduceat(z, first), np.maximum.reduceat(z, first)
  keep = (deep > at.z + world.NEAR) & (near < at.z + 60.0)
  wide, tall = wide[keep], np.minimum(tall[keep], 7.0)
  reach = 0.5 * tall
  center = x[keep] - scene.sun * 0.5 * reach
  return center, wide + 0.5 * reach, 0.5 * (near + deep)[keep], 0.5 * (deep - near)[keep] + 0.35


def _house_edge(scene, z):
  """World X where the houses' shadow ends in each row, and the side it comes from (-1 or 1)."""
  side = int(scene.sun > 0)
  k = np.clip(np.floor(z / street.CELL).astype(int) - scene.cells.start, 0, len(scene.cells) - 1)
  lots = scene.lots
  length = np.where(lots.present[side, k], 0.3 * lots.height[side, k], -20.0)
  return (scene.sun * (lots.setback[side, k] - length))[None], float(scene.sun)


def _paint(scene, at, ids, x, z, size):
  """Draws the parts in sight over ids, far to near."""
  height, width = size
  parts, first = scene.parts, scene.first_part
  cell = int(np.floor(at.z / street.CELL)) - scene.cells.start
  a, b = scene.starts[max(0, cell - 1)], scene.starts[min(cell + world.VIEW, len(scene.cells))]
  rows = np.concatenate([np.arange(scene.starts[0]), np.arange(a, b)])
  depth = z[rows] - at.z
  limit = parts.far[rows] * np.sqrt(at.f / 230.0)              # slices that would be too thin
  rows = rows[(depth > world.NEAR) & (depth < np.minimum(world.FAR, limit))]
  rows = rows[np.argsort(-z[rows], kind='stable')]
  scale = at.f / (z[rows] - at.z)
  u = at.u0 + scale * (x[rows] - at.x)
  edges = (u + scale * parts.left[rows], u + scale * parts.right[rows],
           at.v0 + scale * (at.height - parts.high[rows]),
           at.v0 + scale * (at.height - parts.low[rows]))
  box = [np.clip(np.ceil(e), 0, n).astype(np.int64)
         for e, n in zip(edges, (width, width, height, height), strict=True)]
  keep = (box[1] > box[0]) & (box[3] > box[2])
  columns = [e[keep].tolist() for e in (*box, rows + first, parts.shape[rows], *edges)]
  across, down = np.arange(width, dtype=np.float64), np.arange(height, dtype=np.float64)
  for x0, x1, y0, y1, name, shape, left, right, top, low in zip(*columns, strict=True):
    if shape == tiles.RECT or (x1 - x0 < 2 and y1 - y0 < 3):
      ids[y0:y1, x0:x1] = name
    else:
      outline = tiles.OUTLINES[shape]
      i = ((across[x0:x1] - left) * (tiles.OUTLINE / (right - left))).astype(np.int64)
      j = ((down[y0:y1] - top) * (tiles.OUTLINE / (low - top))).astype(np.int64)
      inside = outline.take(j, axis=0, mode='clip').take(i, axis=1, mode='clip')
      np.copyto(ids[y0:y1, x0:x1], name, where=inside)

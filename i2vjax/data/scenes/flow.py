"""True optical flow between two frames of a clip, from geometry."""

import numpy as np

from i2vjax.data.scenes import render, world


def between(scene: world.World, t: int, other: int,
            size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
  """Flow from frame t to frame `other` (usually t + 1 or t - 1).

  A point at (X, Y, Z) relative to the camera is at (X + dX, Y, Z + dZ) in the other frame, d the
  object's step less the camera's. With w = 1 / Z the pixel moves by
  (u0' - u0) + w (f dX - (u - u0) dZ) / (1 + w dZ), and likewise for v with dY = 0: exactly zero
  where nothing moves, and exact for the sky with w = 0.

  Returns:
    flow [H, W, 2] float64, (x, y) in pixels: frame_t(p) = frame_other(p + flow(p)).
    visible [H, W] bool: the target is inside the frame, in front of the near plane, and all pixels
    around it belong to the same surface (ground in shadow is one of its own).
  """
  a, b = render.raster(scene, t, size), render.raster(scene, other, size)
  dx, dz = steps(scene, t, other)
  dx, dz = dx.take(a.ids), dz.take(a.ids)
  w = np.where(a.ids <= world.BEYOND, 0.0, a.inverse)
  near = 1.0 + w * dz
  u = (b.pose.u0 - a.pose.u0) + w * (a.pose.f * dx - a.du * dz) / near
  v = (b.pose.v0 - a.pose.v0) - w * (a.dv[:, None] * dz) / near
  flow = np.stack([u, v], axis=-1)
  return flow, _visible(a.ids, b.ids, u, v) & (near > w)


def steps(scene, t, other):
  """Movement of every surface relative to the camera, meters: dX and dZ, each [ids]."""
  size = (64, 64)                                          # poses in meters do not depend on it
  here, there = render.pose(scene, t, size), render.pose(scene, other, size)
  (x0, z0), (x1, z1) = render.part_positions(scene, t), render.part_positions(scene, other)
  count, first = len(scene.tables.label), scene.first_part
  dx, dz = np.full(count, here.x - there.x), np.full(count, here.z - there.z)
  dx[first:] += x1 - x0
  dz[first:] += z1 - z0
  return dx, dz


def _visible(ids, other, u, v):
  height, width = ids.shape
  x, y = np.arange(width) + u, np.arange(height)[:, None] + v
  inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
  x, y = np.where(inside, x, 0.0), np.where(inside, y, 0.0)
  x0, x1 = np.floor(x).astype(np.int64), np.ceil(x).astype(np.int64)
  y0, y1 = np.floor(y).astype(np.int64), np.ceil(y).astype(np.int64)
  for row, column in ((y0, x0), (y0, x1), (y1, x0), (y1, x1)):
    inside &= other.ravel().take(row * width + column) == ids
  return inside

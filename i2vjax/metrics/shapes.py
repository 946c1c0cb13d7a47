"""Temporal instability of mask outlines: T of DAVIS 2016.

T says how much the outline of a mask changes its shape from frame to frame. Outlines are compared
by shape contexts (Belongie et al., PAMI 24(4), 2002) along the cheapest monotone path. Polygons
come from OpenCV, so values are close to those of the original C++ code, not equal to the digit.
T sees the predicted masks alone: a frozen mask has T = 0.
"""

import cv2
import numpy as np

SPACING = 3.0                     # pixels: tolerance of the polygon and longest segment
ANGLES, RADII = 12, 5
RINGS = np.logspace(np.log10(1 / 8), np.log10(2), RADII)   # in mean distances
TINY = 2.2e-16


def instability(masks: np.ndarray) -> np.ndarray:
  """T of each pair of consecutive masks.

  Args:
    masks: bool [T, H, W].

  Returns:
    [T - 1] float64, 0 for equal shapes wherever they are; NaN where a mask has no outline.
  """
  outlines = [outline(mask) for mask in masks]
  contexts = [None if points is None else shape_context(points) for points in outlines]
  return np.array([np.nan if a is None or b is None else pair_cost(a, b)
                   for a, b in zip(contexts[:-1], contexts[1:], strict=True)])


def outline(mask: np.ndarray) -> np.ndarray | None:
  """Points along the longest outer contour of a mask, at most SPACING apart.

  Returns:
    [N, 2] float64 (x, y), or None where there are fewer than 3.
  """
  contours, _ = cv2.findContours(np.ascontiguousarray(mask, np.uint8), cv2.RETR_EXTERNAL,
                                 cv2.CHAIN_APPROX_NONE)
  if not contours:
    return None
  longest = max(contours, key=lambda points: cv2.arcLength(points, True))
  corners = cv2.approxPolyDP(longest, SPACING, True)[:, 0].astype(np.float64)
  parts = []
  for start, end in zip(corners, np.roll(corners, -1, axis=0), strict=True):
    count = max(1, int(np.ceil(np.hypot(*(end - start)) / SPACING)))
    parts.append(start + (end - start) * np.arange(count)[:, None] / count)
  points = np.concatenate(parts)
  return points if len(points) > 2 else None


def shape_context(points: np.ndarray) -> np.ndarray:
  """Histogram of the other points as seen from each point: 12 directions x 5 rings.

  Ring k holds distances below RINGS[k] mean distances; what lies farther off is not counted.

  Args:
    points: [N, 2].

  Returns:
    [N, 60] float64, rows of sum 1 (0 where nothing is near).
  """
  apart = points[None] - points[:, None]
  distance = np.hypot(apart[..., 0], apart[..., 1])
  ring = np.searchsorted(RINGS, distance / distance.mean(), side='right')
  turn = np.arctan2(apart[..., 1], apart[..., 0]) % (2 * np.pi)
  # Rounding must not throw points on the border between two directions to either side.
  sector = np.floor(turn * ANGLES / (2 * np.pi) + 1e-6).astype(int) % ANGLES
  counts = np.zeros((len(points), ANGLES * RADII))
  near = (ring < RADII) & ~np.eye(len(points), dtype=bool)
  row, column = np.nonzero(near)
  np.add.at(counts, (row, sector[near] * RADII + ring[near]), 1)
  return counts / (counts.sum(axis=1, keepdims=True) + TINY)


def costs(a: np.ndarray, b: np.ndarray) -> np.ndarray:
  """Half the chi-square distance of every pair of rows. [N, D], [M, D] -> [N, M] in [0, 1]."""
  return np.stack([0.5 * np.sum((row - b) ** 2 / (row + b + TINY), axis=1) for row in a])


def pair_cost(a: np.ndarray, b: np.ndarray) -> float:
  """Mean cost of the matched points of two outlines, which may start anywhere.

  The cheapest cell on a first path tells where both outlines are alike; they are turned to begin
  behind it. On the second path each point keeps its cheapest partner alone.

  Args:
    a, b: [N, D], [M, D] shape contexts in order along the outline.
  """
  cost = costs(a, b)
  path = cheapest_path(cost)
  row, column = path[np.argmin(cost[tuple(path.T)])]
  cost = np.roll(cost, (-(row + 1), -(column + 1)), axis=(0, 1))
  path = cheapest_path(cost)
  return float(np.mean(cost[tuple(one_to_one(path, cost).T)]))


def cheapest_path(cost: np.ndarray) -> np.ndarray:
  """Cells from the first to the last corner by steps down, right or both, of least sum.

  Args:
    cost: [N, M], paid on entering a cell.

  Returns:
    [L, 2] int (row, column).
  """
  total = np.full((cost.shape[0] + 1, cost.shape[1] + 1), np.inf)
  total[1, 1] = 0
  height, width = cost.shape
  for diagonal in range(1, height + width - 1):     # cells of one diagonal depend on earlier ones
    row = np.arange(max(0, diagonal - width + 1), min(height, diagonal + 1))
    column = diagonal - row
    total[row + 1, column + 1] = cost[row, column] + np.minimum(
        np.minimum(total[row, column], total[row, column + 1]), total[row + 1, column])
  row, column = height - 1, width - 1
  path = [(row, column)]
  while row or column:
    row, column = min(((row - 1, column - 1), (row - 1, column), (row, column - 1)),
                      key=lambda cell: total[cell[0] + 1, cell[1] + 1])
    path.append((row, column))
  return np.array(path[::-1])


def one_to_one(path: np.ndarray, cost: np.ndarray) -> np.ndarray:
  """Cells of a path that are the cheapest of their row and, among those, of their column."""
  for side in (0, 1):
    cheapest = {}
    for cell in path:
      best = cheapest.get(cell[side])
      if best is None or cost[tuple(cell)] < cost[tuple(best)]:
        cheapest[cell[side]] = cell
    path = list(cheapest.values())
  return np.array(path)

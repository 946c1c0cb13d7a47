"""The world of one clip, with tables by surface id.

It is a pure function of the clip's seed and fields.

Surface ids: 0 sky, 1 what lies beyond the far plane, 2 ground, 3 ground in shadow, then two per
house (the wall along the street and the front facing the camera), then one per part of an object.
"""

from typing import NamedTuple

import numpy as np

from i2vjax.data.scenes import hashing, street, tiles, traffic
from i2vjax.data.scenes import palette as p

SKY, BEYOND, GROUND, SHADOW, HOUSES = 0, 1, 2, 3, 4
NEAR, FAR = 1.0, 120.0                    # meters
VIEW = int(FAR / street.CELL) + 1         # cells in sight


class Camera(NamedTuple):
  """Optics and path. Lengths in meters; focal, horizon and shifts as shares of the frame's size."""
  height: float
  focal: float                            # of W
  horizon: float                          # of H - 1
  x: float
  sway: float
  sway_rate: float
  speed: float                            # meters per frame
  shift: tuple                            # su, sv: amplitudes of the image shift, shares of W
  shift_rate: tuple                       # turns per frame
  phase: tuple


class Parts(NamedTuple):
  """One row per part of every object. Lengths in meters."""
  owner: np.ndarray                       # index of the object
  left: np.ndarray
  right: np.ndarray
  low: np.ndarray
  high: np.ndarray
  dz: np.ndarray
  far: np.ndarray
  swing: np.ndarray
  shape: np.ndarray


class Tables(NamedTuple):
  """What a surface id looks like."""
  label: np.ndarray                       # uint8
  rgb: np.ndarray                         # [3, ids] float64
  warm: np.ndarray
  tile: np.ndarray
  shade: np.ndarray                       # [3, ids]: 1, per meter of S, per meter of height
  offset: np.ndarray                      # shifts the texture of an object
  owner: np.ndarray                       # object + 1, or 0


class World(NamedTuple):
  seed: int
  weather: str
  sun: int                                # -1: from the left, 1: from the right
  camera: Camera
  road: street.Road
  cells: range
  lots: street.Lots
  motion: np.ndarray                      # [objects, 8] fields of traffic.Motion
  labels: np.ndarray                      # [objects] class, 255 where objects get no box
  moving: int                             # the first so many objects move
  parts: Parts
  starts: np.ndarray                      # [cells + 1] first part row of a cell's furniture
  tables: Tables

  @property
  def first_part(self):
    """Surface id of part row 0."""
    return HOUSES + 4 * len(self.cells)


def camera(seed: int, kind: str, road: street.Road) -> Camera:
  """The camera of a clip. kind: 'driving' | 'monitoring'."""
  if kind == 'monitoring':
    x = hashing.between(-0.6, 0.6, seed, 601) * road.half
    return Camera(6.0, 1.1, 0.2, x, 0.0, 0.0, 0.0, (0.0, 0.0), (0.0, 0.0), (0.0, 0.0))
  def u(attribute):
    return hashing.draw(seed, 602, attribute)
  return Camera(
      1.4, 0.9, 0.45, 0.5 * road.drive, 0.05 + 0.15 * u(0), 0.004 + 0.008 * u(1),
      0.2 + 0.4 * u(2), (0.005 + 0.015 * u(3), 0.005 + 0.005 * u(4)),
      (0.005 + 0.01 * u(5), 0.03 + 0.04 * u(6)), (u(7), u(8)))


def build(seed: int, kind: str, weather: str, length: int) -> World:
  """The world of one clip of `length` frames. kind: 'driving' | 'monitoring'."""
  road = street.road(seed)
  view = camera(seed, kind, road)
  last = int(view.speed * length / street.CELL) + VIEW + 2
  cells = range(-2, last)
  lots = street.lots(seed, road, cells)
  crossings = [c * street.CELL + 2.0 for c, yes in zip(cells, lots.crossing, strict=True)
               if yes and c > 0]
  things = traffic.vehicles(seed, road, view.speed) + traffic.people(seed, road, crossings)
  moving = len(things)
  starts = [sum(len(parts) for _, _, parts in things)]
  clear_of = 12.0 if kind == 'monitoring' else -100.0
  for k, cell in enumerate(cells):
    furniture = street.furniture(seed, road, lots, cell, k, clear_of)
    things += [(label, traffic.Motion(x, z), parts) for label, x, z, parts in furniture]
    starts.append(starts[-1] + sum(len(parts) for _, _, _, parts in furniture))
  sun = 1 if hashing.draw(seed, 603) < 0.5 else -1
  rows, owners = _rows(things)
  return World(
      seed, weather, sun, view, road, cells, lots,
      np.array([motion for _, motion, _ in things], np.float64),
      np.array([255 if label is None else label for label, _, _ in things], np.uint8),
      moving, _parts(rows, owners), np.array(starts),
      _tables(seed, weather, sun, lots, rows, owners, things))


def _rows(things):
  rows = [part for _, _, parts in things for part in parts]
  return rows, np.repeat(np.arange(len(things)), [len(parts) for _, _, parts in things])


def _column(rows, name, dtype=np.float64):
  return np.array([getattr(row, name) for row in rows], dtype)


def _parts(rows, owners):
  names = ('left', 'right', 'low', 'high', 'dz', 'far', 'swing')
  return Parts(owners, *(_column(rows, name) for name in names),
               _column(rows, 'shape', np.int64))


def _weathered(rgb, label, weather):
  """Day colors ([N, 3]) under the weather: gray light, snow on leaves and roofs."""
  if weather == 'clear':
    return rgb
  mean = (rgb[:, :1] + rgb[:, 1:2] + rgb[:, 2:]) / 3.0
  rgb = mean + 0.7 * (rgb - mean)
  if weather == 'snow':
    share = np.where(label == p.VEGETATION, 0.35, 0.0)[:, None]
    rgb = (1 - share) * rgb + share * np.array(p.SNOW_RGB, np.float64)
  return rgb


def _tables(seed, weather, sun, lots, rows, owners, things):
  """Everything that pixels look up by surface id."""
  houses = _house_tables(sun, lots)
  low, high = _column(rows, 'low'), _column(rows, 'high')
  left, right = _column(rows, 'left'), _column(rows, 'right')
  offset = 64.0 * hashing.uniform(seed, 604, owners)
  per_s = sun * _column(rows, 'round') / (right - left)
  per_t = _column(rows, 'fall') / (high - low)
  front = 0.75 + 0.25 * 0.5                               # Lambert-like: the sun comes from a side
  level = 1.0 - per_t * high - per_s * (0.5 * (left + right) + offset)
  shade = front * np.stack([level, per_s, per_t])
  label = np.concatenate([[p.SKY, p.VEGETATION, p.ROAD, p.ROAD], houses[0],
                          _column(rows, 'label')]).astype(np.uint8)
  rgb = np.concatenate([np.array([p.SKY_LOW, (84, 104, 84), p.ASPHALT_RGB, p.ASPHALT_RGB]),
                        houses[1], _column(rows, 'rgb')]).astype(np.float64)
  ground = np.array([[1.0, 1.0, 1.0, 0.55], [0.0] * 4, [0.0] * 4])
  sky = p.SKY_C if weather == 'clear' else p.CLOUD_C
  return Tables(
      label, _weathered(rgb, label, weather).T.copy(),
      np.concatenate([[sky, p.LEAF_C, p.ROAD_C, p.ROAD_C], houses[2], _column(rows, 'warm')]),
      np.concatenate([[tiles.CLOUDS, tiles.LEAVES, tiles.ASPHALT, tiles.ASPHALT], houses[3],
                      _column(rows, 'tile')]).astype(np.int64),
      np.concatenate([ground, houses[4], shade], axis=1),
      np.concatenate([np.zeros(4 + len(houses[0])), offset]),
      np.concatenate([np.zeros(4 + len(houses[0]), np.int64), owners + 1]))


def _house_tables(sun, lots):
  """Rows (side, cell, wall | front): label, rgb, warm, tile, shade."""
  def twice(x):
    return np.repeat(x.reshape((-1, *x.shape[2:])), 2, axis=0)
  sides, cells = lots.present.shape
  facing = np.where(np.arange(sides) == 0, 1, -1) * sun     # the left wall looks to the right
  factor = np.stack([np.where(facing > 0, 1.0, 0.0), np.full(sides, 0.5)], axis=1)
  light = 0.75 + 0.25 * np.repeat(factor[:, None], cells, axis=1).ravel()
  shade = np.stack([light, 0 * light, 0 * light])
  return (np.full(light.shape, p.BUILDING), twice(lots.wall), twice(lots.warm), twice(lots.tile),
          shade)

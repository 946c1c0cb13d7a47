"""Houses and street furniture, cell by cell.

The street is cut into cells of 8 m of world Z. Everything in a cell is a hash of (clip
seed, cell, side), so no cell depends on another and any stretch can be built alone. Side 0 is left
of the street (X < 0), side 1 right.
"""

from typing import NamedTuple

import numpy as np

from i2vjax.data.scenes import hashing, models
from i2vjax.data.scenes import palette as p

CELL = 8.0                 # meters
STOREY = 3.0
KERB, PAVEMENT = 0.15, 2.5
STOREYS, COLUMNS = 8, 4    # most storeys and window columns of one front


class Road(NamedTuple):
  """Cross-section of a street, meters."""
  half: float              # half-width of the carriageway
  drive: float             # half-width of what traffic uses: less than half where cars park
  front: float             # nearest house fronts at |X| = front


class Lots(NamedTuple):
  """Houses by [side, cell]; colors have a last axis of 3, panes [side, cell, storey, column]."""
  present: np.ndarray
  setback: np.ndarray      # |X| of the front along the street
  eaves: np.ndarray        # meters of wall
  height: np.ndarray       # with the roof
  wall: np.ndarray
  roof: np.ndarray
  warm: np.ndarray
  columns: np.ndarray      # windows in 8 m
  share: np.ndarray        # of a column's width that is window
  rise: np.ndarray         # height of a window, meters
  shop: np.ndarray         # wide windows at street level
  tile: np.ndarray
  pane_warm: np.ndarray
  pane_tone: np.ndarray    # day brightness of a pane
  crossing: np.ndarray     # [cell]: a zebra crossing


def road(seed: int) -> Road:
  """The street's cross-section."""
  half = hashing.between(3.5, 7.0, seed, 101)
  drive = half - 2.1 if half >= 5.6 else half
  return Road(half, drive, max(8.0, half + KERB + PAVEMENT + 0.2))


def _choose(items, u):
  """Rows of a table chosen by uniform numbers."""
  items = np.asarray(items, np.float64)
  return items[(u * len(items)).astype(int)]


def lots(seed: int, road: Road, cells: range) -> Lots:
  """The houses of the given cells (a range of ints)."""
  cells, sides = np.asarray(cells)[None, :], np.arange(2)[:, None]
  pair = cells // 2
  merged = hashing.uniform(seed, 201, sides, pair) < 0.4          # one house over two cells
  lot = np.where(merged, 2 * pair, cells)
  def u(attribute):
    return hashing.uniform(seed, 202, sides, lot, attribute)
  storeys = _choose((2, 3, 3, 4, 4, 5, 6), u(1))
  tint = 24.0 * hashing.uniform(seed, 203, sides[..., None], lot[..., None], np.arange(3)) - 12.0
  panes = (sides[..., None, None], cells[..., None, None],
           np.arange(STOREYS)[:, None], np.arange(COLUMNS))
  lived_in = (u(9) < 0.35)[..., None, None] & (hashing.uniform(seed, 204, *panes) < 0.4)
  glow = 16.0 + 4.0 * hashing.uniform(seed, 205, *panes)
  return Lots(
      present=u(0) < 0.87,
      setback=road.front + _choose((0.0, 0.0, 0.0, 1.2, 2.5), u(2)),
      eaves=storeys * STOREY,
      height=storeys * STOREY + 0.5 + 1.4 * u(3),
      wall=np.clip(_choose(p.WALLS_RGB, u(4)) + tint, 0, 255),
      roof=_choose(p.ROOFS_RGB, u(5)) + 0.5 * tint,
      warm=p.WALL_C - 2.0 + 4.0 * u(6),
      columns=_choose((2, 3, 3, 4), u(7)),
      share=0.4 + 0.2 * u(8),
      rise=1.3 + 0.6 * u(10),
      shop=u(11) < 0.35,
      tile=_choose((3, 4, 4), u(12)).astype(np.int64),            # tiles.BRICK, tiles.PLASTER
      pane_warm=np.where(lived_in, glow, p.WINDOW_C),
      pane_tone=0.65 + 0.9 * hashing.uniform(seed, 206, *panes),
      crossing=hashing.uniform(seed, 207, cells[0]) < 0.1,
  )


def _leaf(seed, *keys):
  tint = [24 * hashing.draw(seed, *keys, c) - 12 for c in range(3)]
  return tuple(c + d for c, d in zip(p.LEAF_RGB, tint, strict=True))


def furniture(seed, road, house, cell, k, clear_of):
  """Static objects of one cell.

  Args:
    house: `Lots`; k: the cell's column in it.
    clear_of: no trees before this world Z (they would stand in front of a fixed camera).

  Returns:
    List of (label or None, x, z, [Part]).
  """
  things = []
  for side in (0, 1):
    sign, z0 = 2 * side - 1, cell * CELL
    def u(attribute, side=side):
      return hashing.draw(seed, 301, side, cell, attribute)
    kerb = road.half + KERB
    if house.crossing[k]:
      things.append((p.LIGHT, sign * (kerb + 0.4), z0 + 5.6, models.traffic_light(int(3 * u(0)))))
    elif (cell + 2 * side) % 4 == 0:
      things.append((None, sign * (kerb + 0.5), z0 + 1.0, models.lamp_post(-sign)))
    if u(1) < 0.22:
      things.append((p.SIGN, sign * (kerb + 0.6), z0 + 2.6, models.sign(int(4 * u(2)))))
    if u(3) < 0.4 and z0 + 4 > clear_of:
      width, height = 3.0 + 2.0 * u(4), 5.0 + 3.0 * u(5)
      leafy = models.tree(width, height, _leaf(seed, 302, side, cell), int(6 * u(6)))
      things.append((None, sign * (kerb + 1.7), z0 + 3.0 + 3.0 * u(7), leafy))
    if road.drive < road.half and u(8) < 0.42 and not house.crossing[k]:
      body = hashing.pick(p.CARS_RGB, seed, 303, side, cell)
      things.append((p.CAR, sign * (road.half - 1.05), z0 + 1.0 + 2.0 * u(9),
                     models.car(body, False, side == 1)))
    if not house.present[side, k]:
      things += _garden(seed, road, side, cell)
  return things


def _garden(seed, road, side, cell):
  """A gap between houses: a hedge in line with the fronts and trees behind it."""
  sign, things = 2 * side - 1, []
  for n in range(3):
    keys = (304, side, cell, n)
    width = 4.0 + 2.0 * hashing.draw(seed, *keys, 4)
    height = 6.0 + 4.0 * hashing.draw(seed, *keys, 5)
    x = road.front + 2.5 + 4.5 * n
    things.append((None, sign * x, cell * CELL + 7.5 - 1.5 * n,
                   models.tree(width, height, _leaf(seed, *keys), n + cell % 3)))
  hedge = models.bush(9.0, 1.5 + hashing.draw(seed, 305, side, cell), _leaf(seed, 305, side), 0)
  things.append((None, sign * (road.front + 4.6), cell * CELL + 1.0, hedge))
  shrub = models.bush(2.2, 1.6, _leaf(seed, 306, side), cell % 6)
  things.append((None, sign * (road.front + 0.4), cell * CELL + 4.0, shrub))
  return things

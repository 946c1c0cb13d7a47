"""Surface coordinates of every pixel, textures, and marks on ground and houses.

S and T are meters on the surface: world X and Z on the ground, world Z and height on walls along
the street, X from the object's foot and height on what faces the camera.
"""

from typing import NamedTuple

import numpy as np

from i2vjax.data.scenes import palette as p
from i2vjax.data.scenes import street, tiles, world
from i2vjax.data.scenes.render import Raster

LENS = 1.4                     # edges are ramps so many pixels wide, as through a real lens
STRETCH = 3.0                  # ground texture is drawn out along the street, as wear is


class Surface(NamedTuple):
  """All [H * W] float64: coordinates (meters), depth and the meters that one pixel covers."""
  s: np.ndarray
  t: np.ndarray
  depth: np.ndarray
  foot: np.ndarray             # in the direction that does not recede (X on the ground)
  coarse: np.ndarray           # in the direction that recedes (Z on ground and walls)
  ids: np.ndarray


def coordinates(view: Raster) -> Surface:
  """`render.Raster` -> `Surface`.

  One pixel covers Z / f of what faces the camera. On a plane that recedes it covers Z / d times
  that along the street (d: distance of the plane), and sideways as much as a neighboring row or
  column is shifted, |offset| / d times.
  """
  at, ids = view.pose, view.ids
  depth = 1.0 / view.inverse
  pixel = depth / at.f
  x, y = pixel * view.du, pixel * view.dv[:, None]
  ground = (ids == world.GROUND) | (ids == world.SHADOW)
  slant = at.f * np.abs(view.wall)
  slant[world.GROUND] = slant[world.SHADOW] = 1.0 / at.height
  slant = slant.take(ids)
  wall = (slant > 0) & ~ground
  coarse = pixel * np.maximum(depth * slant, 1.0)
  foot = pixel * np.maximum(np.abs(np.where(wall, y, x)) * slant, 1.0)
  ahead = depth + at.z
  x += at.x
  x -= view.origin.take(ids)
  np.subtract(at.height, y, out=y)
  np.copyto(y, ahead, where=ground)
  np.copyto(x, ahead, where=wall)
  return Surface(x.ravel(), y.ravel(), depth.ravel(), foot.ravel(), coarse.ravel(), ids.ravel())


def texture(scene, on, amplitude, octaves=(1.0, 4.0, 16.0)):
  """Texture of every pixel, [H * W], about +-1 times the tile's amplitude.

  An octave fades before it aliases, by clip(texel / footprint - 1, 0, 1). The widest one, of smooth
  grains, is only used where the middle one has faded, so that far walls are not bare.

  Args:
    amplitude: [tiles] contrast by tile (day) or kelvin (night).
    octaves: sizes in texels; those left out of (1, 4, 16) are not drawn.
  """
  tile = scene.tables.tile.take(on.ids)
  texel = tiles.TEXEL.take(tile)
  ground = (on.ids == world.GROUND) | (on.ids == world.SHADOW)
  stretch = np.where(ground, 1.0 / STRETCH, 1.0)
  reach = np.maximum(on.foot, on.coarse * stretch)
  np.divide(texel, reach, out=reach)                       # pixels per texel
  s, t = on.s / texel, on.t / texel
  t *= stretch
  middle = np.clip(4.0 * reach - 1.0, 0.0, 1.0)
  value = middle * tiles.sample(tile, 0.25 * s, 0.25 * t)
  shares = {1.0: np.clip(reach - 1.0, 0.0, 1.0),
            16.0: np.clip(16.0 * reach - 1.0, 0.0, 1.0) * (1.0 - middle)}
  for size, share in shares.items():
    if size in octaves:
      places = np.flatnonzero(share)
      name = tile.take(places) if size == 1.0 else tiles.GRAINS.take(tile.take(places))
      value[places] += share.take(places) * tiles.sample(
          name, s.take(places) / size, t.take(places) / size)
  value *= amplitude.take(tile)
  if scene.weather == 'snow':
    value[ground] *= 0.4                                   # snow is smooth
  return value


def _band(x, low, high, foot):
  """Share of a pixel of width foot around x that is in [low, high]."""
  foot = LENS * foot
  return (np.clip((x - low) / foot + 0.5, 0.0, 1.0)
          - np.clip((x - high) / foot + 0.5, 0.0, 1.0))


def _dashes(x, period, length, foot):
  """Share of a pixel on dashes of a length that start at multiples of the period."""
  inside = x - period * np.floor(x / period)
  ink = _band(inside, 0.0, length, foot) + _band(inside, period, period + length, foot)
  mean = length / period
  return mean + (ink - mean) * np.clip(period / (2.0 * foot) - 1.0, 0.0, 1.0)


class Ground(NamedTuple):
  """Ground pixels: their places in the frame and what covers them, as shares in [0, 1]."""
  place: np.ndarray            # [G] flat index
  label: np.ndarray            # [G] uint8
  paint: np.ndarray            # lane marks and crossings
  kerb: np.ndarray
  paving: np.ndarray
  grass: np.ndarray
  track: np.ndarray            # where tyres run


def ground(scene, on):
  """What covers the ground of a frame. Road is what is left."""
  place = np.flatnonzero((on.ids == world.GROUND) | (on.ids == world.SHADOW))
  s, t, foot, coarse = (a.take(place) for a in (on.s, on.t, on.foot, on.coarse))
  road = scene.road
  wide, edge = np.abs(s), road.half + street.KERB
  label = np.where(wide < road.half, p.ROAD,
                   np.where(wide < edge + street.PAVEMENT, p.SIDEWALK, p.VEGETATION))
  kerb = _band(wide, road.half, edge, foot)
  paving = _band(wide, edge, edge + street.PAVEMENT, foot)
  grass = np.clip((wide - edge - street.PAVEMENT) / foot + 0.5, 0.0, 1.0)
  lane = np.abs(wide - 0.5 * road.drive)
  track = np.clip(1.0 - np.abs(lane - 0.75) / 0.4, 0.0, 1.0)
  paint = _band(s, -0.07, 0.07, foot) * _dashes(t, 9.0, 3.5, coarse)
  rim = road.drive if road.drive < road.half else road.half - 0.3
  paint += _band(wide, rim - 0.07, rim + 0.07, foot)
  cell = np.floor(t / street.CELL)
  k = np.clip(cell.astype(np.int64) - scene.cells.start, 0, len(scene.cells) - 1)
  zebra = np.flatnonzero(scene.lots.crossing.take(k) & (wide < road.half))
  if len(zebra):
    at, thin = t[zebra] - street.CELL * cell[zebra], coarse[zebra]
    stripes = _band(at, 2.0, 5.0, thin) * _dashes(s[zebra], 1.0, 0.5, foot[zebra])
    paint[zebra] *= 1.0 - _band(at, 1.0, 5.5, thin)
    paint[zebra] += stripes * (wide[zebra] < road.half - 0.2)
  return Ground(place, label, paint, kerb, paving, grass, track)


class Facade(NamedTuple):
  """House pixels: their places in the frame and what covers them."""
  place: np.ndarray            # [F] flat index
  lot: np.ndarray              # [F] row of (side, cell)
  pane: np.ndarray             # [F] row of (side, cell, storey, column)
  window: np.ndarray           # share of glass
  roof: np.ndarray             # share of roof


def facade(scene, on):
  """Windows and roofs of the houses in a frame."""
  place = np.flatnonzero((on.ids >= world.HOUSES) & (on.ids < scene.first_part))
  s, t, foot, coarse = (a.take(place) for a in (on.s, on.t, on.foot, on.coarse))
  lot = (on.ids.take(place) - world.HOUSES) >> 1
  lots = scene.lots
  eaves = lots.eaves.ravel().take(lot)
  columns = lots.columns.ravel().take(lot)
  pitch = street.CELL / columns
  across = np.abs(s) / pitch
  column = np.floor(across)
  across -= column
  column -= columns * np.floor(column / columns)
  storey = np.clip(np.floor(t / street.STOREY), 0, street.STOREYS - 1)
  up = t - street.STOREY * storey
  shop = lots.shop.ravel().take(lot) & (storey == 0)
  half = np.where(shop, 0.43, 0.5 * lots.share.ravel().take(lot)) * pitch
  rise = np.where(shop, 2.0, lots.rise.ravel().take(lot))
  sill = np.where(shop, 0.5, 0.8)
  roof = np.clip((t - eaves) / foot + 0.5, 0.0, 1.0)
  window = _band((across - 0.5) * pitch, -half, half, coarse) * _band(up, sill, sill + rise, foot)
  bar = _band((across - 0.5) * pitch, -0.04, 0.04, coarse)           # the frame between two panes
  window *= 1.0 - np.where(shop, 0.0, bar)
  mean = 2.0 * half / pitch * rise / street.STOREY
  fade = np.clip(np.minimum(pitch / (2.0 * coarse), street.STOREY / (2.0 * foot)) - 1.0, 0.0, 1.0)
  window = (mean + (window - mean) * fade) * (1.0 - roof)
  pane = (lot * street.STOREYS + storey.astype(np.int64)) * street.COLUMNS + column.astype(np.int64)
  return Facade(place, lot, pane, window, roof)


class Look(NamedTuple):
  """All that a camera has to know of a frame."""
  on: Surface
  ground: Ground
  facade: Facade


def look(scene: world.World, view: Raster) -> Look:
  """`Look` of a `render.Raster`."""
  on = coordinates(view)
  return Look(on, ground(scene, on), facade(scene, on))

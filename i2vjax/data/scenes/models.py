"""Object models: lists of upright rectangles and outlines, in meters.

A part stands upright and faces the camera; vehicles are stacks of such slices along the street, so
that their sides and roofs show. All sizes are ours, after common vehicles and street furniture.
"""

from typing import NamedTuple

from i2vjax.data.scenes import palette as p
from i2vjax.data.scenes import tiles

EVERYWHERE = 1e3
FINE = 22.0                         # slices between slices are drawn up to this depth


class Part(NamedTuple):
  """left, right, low, high: meters from the object's foot; dz: meters behind its near face."""
  left: float
  right: float
  low: float
  high: float
  rgb: tuple
  warm: float                       # degrees Celsius at night
  label: int
  shape: int = tiles.RECT
  dz: float = 0.0
  tile: int = tiles.FLAT
  round: float = 0.0                # darker towards the side away from the sun
  fall: float = 0.0                 # darker towards the foot
  far: float = EVERYWHERE           # drawn up to this depth (at 256 pixels)
  swing: float = 0.0                # amplitude of a walking leg


def both(x0, x1, low, high, rgb, warm, label, **more):
  """A part and its mirror image."""
  return [Part(x0, x1, low, high, rgb, warm, label, **more),
          Part(-x1, -x0, low, high, rgb, warm, label, **more)]


def _dim(rgb, share):
  return tuple(share * c for c in rgb)


def car(rgb, running, away):
  """1.8 x 1.5 x 4.2 m. away: its back is turned to the camera. [Part], far to near."""
  warm, tyre = p.BODY_C, p.TYRE_C if running else p.BODY_C + 1
  side, roof = _dim(rgb, 0.82), rgb
  parts = []
  for k in range(20):               # slices of the side, 4.2 m to 0.4 m behind the near face
    dz = 4.2 - 0.2 * k
    from_nose = dz if not away else 4.2 - dz
    parts += _car_slice(side, roof, warm, tyre, from_nose, dz, FINE if k % 3 else 32.0)
  return parts + (_car_back(rgb, running) if away else _car_front(rgb, running))


def _car_slice(side, roof, warm, tyre, from_nose, dz, far):
  more = dict(dz=dz, far=far)
  top = 0.86 if from_nose < 1.1 else 0.95
  parts = [Part(-0.88, 0.88, 0.24, top, side, warm, p.CAR, **more)]
  if 0.5 < from_nose < 1.1 or 3.1 < from_nose < 3.7:
    parts += both(-0.9, -0.68, 0.0, 0.6, p.TYRE_RGB, tyre, p.CAR, **more)
  if 1.1 < from_nose < 4.0:
    rise = 1.22 if from_nose < 1.5 or from_nose > 3.7 else 1.5
    if far > FINE and 2.0 < from_nose < 3.2:
      more['far'] = EVERYWHERE
    parts.append(Part(-0.74, 0.74, 0.9, rise - 0.1, p.GLASS_RGB, p.GLASS_C, p.CAR,
                      shape=tiles.CABIN, **more))
    cover, heat = (roof, warm) if rise == 1.5 else (p.GLASS_RGB, p.GLASS_C)
    parts.append(Part(-0.58, 0.58, rise - 0.2, rise, cover, heat, p.CAR, **more))
  return parts


def _car_back(rgb, running):
  exhaust = p.EXHAUST_C if running else p.BODY_C
  tyre = p.TYRE_C if running else p.BODY_C + 1
  return [
      *both(-0.86, -0.62, 0.0, 0.4, p.TYRE_RGB, tyre, p.CAR),
      Part(-0.64, 0.64, 0.1, 0.3, p.UNDER_RGB, p.BODY_C + 1, p.CAR),
      Part(-0.7, 0.7, 0.85, 1.44, rgb, p.BODY_C, p.CAR, shape=tiles.CABIN, dz=0.3),
      Part(-0.6, 0.6, 0.95, 1.36, p.GLASS_RGB, p.GLASS_C, p.CAR, shape=tiles.CABIN, dz=0.25),
      Part(-0.9, 0.9, 0.22, 0.98, rgb, p.BODY_C, p.CAR, shape=tiles.ROUND, fall=0.25),
      Part(-0.88, 0.88, 0.24, 0.42, _dim(rgb, 0.6), p.BODY_C, p.CAR),
      *both(-0.87, -0.58, 0.66, 0.84, (190, 24, 24), p.BODY_C + 4, p.CAR),
      Part(-0.26, 0.26, 0.52, 0.64, (230, 230, 222), p.BODY_C, p.CAR),
      Part(0.42, 0.58, 0.17, 0.3, (60, 60, 62), exhaust, p.CAR),
  ]


def _car_front(rgb, running):
  bonnet = p.BONNET_C if running else p.BODY_C
  tyre = p.TYRE_C if running else p.BODY_C + 1
  return [
      *both(-0.86, -0.62, 0.0, 0.4, p.TYRE_RGB, tyre, p.CAR),
      Part(-0.64, 0.64, 0.1, 0.3, p.UNDER_RGB, bonnet, p.CAR),
      Part(-0.7, 0.7, 0.85, 1.42, p.GLASS_RGB, p.GLASS_C, p.CAR, shape=tiles.CABIN, dz=0.3),
      Part(-0.9, 0.9, 0.22, 0.86, rgb, bonnet, p.CAR, shape=tiles.ROUND, fall=0.2),
      Part(-0.5, 0.5, 0.42, 0.6, p.DARK_RGB, bonnet + (6 if running else 0), p.CAR),
      Part(-0.88, 0.88, 0.24, 0.38, _dim(rgb, 0.55), p.BODY_C, p.CAR),
      *both(-0.86, -0.56, 0.58, 0.74, (236, 238, 232), p.BODY_C + 5, p.CAR),
      Part(-0.26, 0.26, 0.4, 0.5, (230, 230, 222), p.BODY_C, p.CAR),
  ]


def bus(rgb, away):
  """2.5 x 3.1 x 10 m."""
  parts, label = [], p.BUS
  for k in range(27):
    dz = 10.0 - 0.36 * k
    more = dict(dz=dz, far=24.0 if k % 3 else 60.0)
    parts.append(Part(-1.23, 1.23, 0.35, 3.1, _dim(rgb, 0.85), p.BODY_C, label, **more))
    parts += both(-1.24, -1.0, 1.3, 2.45, p.GLASS_RGB, p.BUS_WINDOW_C, label, **more)
    if 1.6 < dz < 2.9 or 7.6 < dz < 8.6:
      parts += both(-1.24, -0.95, 0.0, 0.95, p.TYRE_RGB, p.TYRE_C, label, **more)
  lamp, engine = ((190, 24, 24), p.BONNET_C) if away else ((236, 238, 232), p.BODY_C)
  return parts + [
      *both(-1.2, -0.85, 0.0, 0.6, p.TYRE_RGB, p.TYRE_C, label),
      Part(-1.25, 1.25, 0.35, 3.1, rgb, p.BODY_C, label, shape=tiles.ROUND, fall=0.15),
      Part(-1.1, 1.1, 1.35, 2.55, p.GLASS_RGB, p.BUS_WINDOW_C, label, shape=tiles.ROUND),
      Part(-0.8, 0.8, 2.66, 2.95, p.DARK_RGB, p.BODY_C + 3, label),
      Part(-0.9, 0.9, 0.5, 1.05, _dim(rgb, 0.8), engine, label),
      *both(-1.15, -0.85, 0.7, 0.95, lamp, p.BODY_C + 4, label),
  ]


def truck(rgb, away):
  """2.5 x 3.2 x 7 m: a cab and a box."""
  parts, label, box = [], p.TRUCK, _dim(rgb, 0.85)
  for k in range(21):
    dz = 7.0 - 0.33 * k
    more = dict(dz=dz, far=24.0 if k % 3 else 60.0)
    cab = dz > 5.5 if away else dz < 1.5
    tint, top = (_dim(rgb, 0.6), 2.6) if cab else (box, 3.2)
    parts.append(Part(-1.23, 1.23, 0.8, top, tint, p.BODY_C, label, **more))
    if 1.0 < dz < 2.0 or 5.2 < dz < 6.2:
      parts += both(-1.24, -0.9, 0.0, 0.95, p.TYRE_RGB, p.TYRE_C, label, **more)
  parts += [*both(-1.2, -0.75, 0.0, 0.9, p.TYRE_RGB, p.TYRE_C, label),
            Part(-1.15, 1.15, 0.45, 0.85, p.UNDER_RGB, p.BODY_C + 2, label)]
  if away:
    return parts + [
        Part(-1.25, 1.25, 0.85, 3.2, rgb, p.BODY_C, label, fall=0.15),
        Part(-0.03, 0.03, 0.9, 3.1, _dim(rgb, 0.6), p.BODY_C, label),
        *both(-1.2, -0.95, 0.6, 0.8, (190, 24, 24), p.BODY_C + 4, label),
        Part(0.6, 0.8, 0.35, 0.55, p.DARK_RGB, p.EXHAUST_C, label),
    ]
  return parts + [
      Part(-1.2, 1.2, 0.5, 2.6, _dim(rgb, 0.9), p.BODY_C, label, shape=tiles.ROUND, fall=0.15),
      Part(-1.05, 1.05, 1.55, 2.4, p.GLASS_RGB, p.GLASS_C + 6, label),
      Part(-0.75, 0.75, 0.75, 1.3, p.DARK_RGB, p.BONNET_C + 4, label),
      *both(-1.15, -0.8, 0.6, 0.85, (236, 238, 232), p.BODY_C + 4, label),
  ]


def motorcycle(rgb, away):
  """0.8 x 1.4 m without its rider, who is a person of their own."""
  label, lamp = p.MOTORCYCLE, (200, 30, 30) if away else (240, 240, 232)
  return [
      Part(-0.09, 0.09, 0.0, 0.62, p.TYRE_RGB, p.TYRE_C, label, shape=tiles.ROUND),
      Part(-0.24, 0.24, 0.3, 0.58, p.DARK_RGB, p.ENGINE_C, label, shape=tiles.ROUND),
      Part(-0.22, 0.22, 0.55, 0.95, rgb, p.BODY_C + 3, label, shape=tiles.ROUND),
      Part(-0.4, 0.4, 1.0, 1.07, p.DARK_RGB, p.BODY_C, label),
      Part(-0.08, 0.08, 0.74, 0.88, lamp, p.BODY_C + 4, label, shape=tiles.ELLIPSE),
  ]


def rider(shirt, trousers, helmet):
  """Who sits on a motorcycle: up to 1.65 m."""
  return [
      *both(-0.3, -0.1, 0.35, 0.85, trousers, p.CLOTHES_C - 1, p.PERSON, tile=tiles.CLOTH),
      Part(-0.27, 0.27, 0.72, 1.34, shirt, p.CLOTHES_C, p.PERSON, shape=tiles.ROUND,
           tile=tiles.CLOTH, round=0.3),
      Part(-0.15, 0.15, 1.3, 1.65, helmet, p.CLOTHES_C - 4, p.PERSON, shape=tiles.ELLIPSE),
  ]


def person(shirt, trousers, hair, walk):
  """0.5 x 1.75 m; walk: how far the feet swing."""
  label, cloth = p.PERSON, tiles.CLOTH
  return [
      Part(-0.17, -0.01, 0.0, 0.85, trousers, p.CLOTHES_C - 2, label, tile=cloth, swing=-walk),
      Part(0.01, 0.17, 0.0, 0.85, trousers, p.CLOTHES_C - 2, label, tile=cloth, swing=walk),
      *both(-0.27, -0.17, 0.75, 1.4, _dim(shirt, 0.85), p.CLOTHES_C + 1, label, tile=cloth),
      Part(-0.21, 0.21, 0.78, 1.46, shirt, p.CLOTHES_C, label, shape=tiles.ROUND, tile=cloth,
           round=0.3),
      Part(-0.06, 0.06, 1.4, 1.52, p.SKIN_RGB, p.HEAD_C, label),
      Part(-0.12, 0.12, 1.47, 1.75, p.SKIN_RGB, p.HEAD_C, label, shape=tiles.ELLIPSE),
      Part(-0.12, 0.12, 1.62, 1.76, hair, p.CLOTHES_C, label, shape=tiles.ROUND),
  ]


def tree(width, height, rgb, variant):
  """3 to 5 m wide, 5 to 8 m high: a trunk and three leafy layers that shift against each other."""
  foot, half, leaf = 0.24 * height, 0.5 * width, tiles.LEAVES
  crown = [tiles.CROWN + (variant + k) % tiles.CROWNS for k in range(3)]
  return [
      Part(-half, half, foot, height, _dim(rgb, 0.72), p.LEAF_C, p.VEGETATION, shape=crown[0],
           dz=0.9, tile=leaf, round=0.3, fall=0.3),
      Part(-0.16, 0.16, 0.0, foot + 0.35 * height, p.TRUNK_RGB, p.LEAF_C + 1, p.VEGETATION,
           dz=0.5, tile=tiles.PLASTER, round=0.4),
      Part(-0.86 * half, 0.62 * half, foot + 0.04 * height, 0.86 * height, _dim(rgb, 0.9),
           p.LEAF_C, p.VEGETATION, shape=crown[1], dz=0.45, tile=leaf, round=0.3, fall=0.3),
      Part(-0.5 * half, 0.88 * half, foot + 0.1 * height, 0.93 * height, rgb, p.LEAF_C + 0.5,
           p.VEGETATION, shape=crown[2], tile=leaf, round=0.3, fall=0.35),
  ]


def bush(width, height, rgb, variant):
  """A round shrub or the face of a hedge."""
  shape = tiles.HEDGE if width > 3 else tiles.CROWN + variant % tiles.CROWNS
  return [Part(-0.5 * width, 0.5 * width, -0.1, height, rgb, p.LEAF_C, p.VEGETATION, shape=shape,
               tile=tiles.LEAVES, fall=0.4, round=0.15)]


def lamp_post(inward):
  """0.15 x 5 m with an arm over the road; inward: -1 or 1, the side the road is on."""
  low, high = sorted((0.0, 1.5 * inward))
  tip = sorted((0.9 * inward, 1.6 * inward))
  return [
      Part(-0.075, 0.075, 0.0, 5.0, p.POLE_RGB, p.POLE_C, p.POLE, round=0.5),
      Part(low, high, 4.92, 5.0, p.POLE_RGB, p.POLE_C, p.POLE),
      Part(tip[0], tip[1], 4.84, 4.96, (206, 206, 200), p.POLE_C + 5, p.POLE),
  ]


def sign(kind):
  """0.7 x 0.7 m at 2.2 m on a post; kind 0: red ring, 1: blue, 2: yellow diamond, 3: warning."""
  post = Part(-0.04, 0.04, 0.0, 2.3, p.POLE_RGB, p.POLE_C, p.POLE)
  def plate(half, rgb, shape):
    return Part(-half, half, 2.55 - half, 2.55 + half, rgb, p.SIGN_C, p.SIGN, shape=shape)
  red, white, ellipse = (196, 30, 36), (232, 232, 230), tiles.ELLIPSE
  plates = (
      [plate(0.35, red, ellipse), plate(0.25, white, ellipse)],
      [plate(0.35, (34, 80, 170), tiles.ROUND), plate(0.14, white, tiles.TRIANGLE)],
      [plate(0.35, white, tiles.DIAMOND), plate(0.28, (236, 190, 40), tiles.DIAMOND)],
      [plate(0.35, red, tiles.TRIANGLE), plate(0.2, white, tiles.TRIANGLE)],
  )
  return [post, *plates[kind]]


def traffic_light(lit):
  """0.3 x 0.9 m at 3 m on a post; lit: 0 red, 1 amber, 2 green."""
  colors = ((232, 40, 34), (240, 176, 40), (60, 214, 110))
  parts = [Part(-0.06, 0.06, 0.0, 3.1, p.POLE_RGB, p.POLE_C, p.POLE),
           Part(-0.15, 0.15, 3.0, 3.9, p.DARK_RGB, p.LIGHT_C, p.LIGHT)]
  for k, rgb in enumerate(colors):
    on = k == lit
    parts.append(Part(-0.1, 0.1, 3.63 - 0.28 * k, 3.83 - 0.28 * k, rgb if on else _dim(rgb, 0.3),
                      p.LAMP_C if on else p.LIGHT_C, p.LIGHT, shape=tiles.ELLIPSE))
  return parts

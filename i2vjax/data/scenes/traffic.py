"""Moving objects: vehicles in two lanes, people on pavements and crossings."""

from typing import NamedTuple

from i2vjax.data.scenes import hashing, models, street
from i2vjax.data.scenes import palette as p

BEHIND, SPAN = 14.0, 150.0   # traffic re-enters far ahead once 14 m behind the camera: both unseen


class Motion(NamedTuple):
  """Where an object is at frame t: x + sway_x * tri, z + speed * t + sway_z * tri (meters).

  `tri` is a triangle wave of `rate` turns per frame. wraps: z is kept within SPAN of the camera.
  """
  x: float
  z: float
  speed: float = 0.0
  sway_x: float = 0.0
  sway_z: float = 0.0
  rate: float = 0.0
  phase: float = 0.0
  wraps: float = 0.0


def vehicles(seed, road, camera_speed):
  """List of (label, Motion, [Part]): 4 to 10 of them, own lane and oncoming.

  In front of a moving camera the own lane keeps the camera's speed, a few meters more or less, so
  that nobody is run over; the oncoming lane has one speed of its own.
  """
  things, driving = [], camera_speed > 0
  for lane in (0, 1):                                   # 0: own lane (right), 1: oncoming
    count = 2 + int(hashing.draw(seed, 401, lane) * (3 if lane == 0 else 5))
    pace = hashing.between(0.2, 0.5, seed, 402, lane)
    for n in range(count):
      def u(attribute, lane=lane, n=n):
        return hashing.draw(seed, 403, lane, n, attribute)
      x = (0.5 if lane == 0 else -0.5) * road.drive + 0.4 * u(0) - 0.2
      if lane == 0 and driving:
        z = 12.0 + 26.0 * n + 10.0 * u(1)
        path = Motion(x, z, camera_speed, sway_z=1.0 + 1.5 * u(2), rate=0.006 + 0.008 * u(3),
                      phase=u(4))
      else:
        z = SPAN * (n + 0.5 * u(1)) / count - BEHIND
        path = Motion(x, z, pace if lane == 0 else -pace, wraps=1.0)
      things += _vehicle(seed, path, lane, n, away=lane == 0, small=lane == 0 and n == 0)
  return things


def _vehicle(seed, path, lane, n, away, small):
  keys = (seed, 404, lane, n)
  kind = hashing.draw(*keys, 0)
  tint = [24 * hashing.draw(*keys, 1, c) - 12 for c in range(3)]
  def colored(items):
    chosen = hashing.pick(items, *keys, 2)
    return tuple(min(255.0, max(12.0, c + d)) for c, d in zip(chosen, tint, strict=True))
  if kind < 0.7 or (small and kind < 0.86):             # no lorry right in front of the camera
    return [(p.CAR, path, models.car(colored(p.CARS_RGB), True, away))]
  if kind < 0.79:
    return [(p.TRUCK, path, models.truck(colored(p.VANS_RGB), away))]
  if kind < 0.87:
    return [(p.BUS, path, models.bus(colored(p.BUSES_RGB), away))]
  on_top = models.rider(hashing.pick(p.SHIRTS_RGB, *keys, 3), (44, 48, 66),
                        hashing.pick(p.CARS_RGB, *keys, 4))
  bike = models.motorcycle(colored(p.CARS_RGB), away)
  nearer = path._replace(z=path.z - 0.01)               # the rider is drawn over the machine
  return [(p.MOTORCYCLE, path, bike), (p.PERSON, nearer, on_top)]


def people(seed, road, crossings):
  """3 to 8 pedestrians: list of (label, Motion, [Part]).

  Args:
    crossings: world Z of zebra crossings; every fifth person uses one where there is any.
  """
  things = []
  for n in range(3 + int(6 * hashing.draw(seed, 501))):
    def u(attribute, n=n):
      return hashing.draw(seed, 502, n, attribute)
    looks = [hashing.pick(items, seed, 503, n, k) for k, items in enumerate(
        (p.SHIRTS_RGB, p.TROUSERS_RGB, ((40, 32, 26), (110, 80, 50), (150, 150, 150))))]
    pace = 0.03 + 0.03 * u(0)
    if crossings and u(1) < 0.2:
      z = crossings[int(u(2) * len(crossings))] + 0.5 + 2.0 * u(3)
      reach = road.half + 0.8                         # from kerb to kerb and back
      path = Motion(0.0, z, sway_x=reach, rate=pace / (4.0 * reach), phase=u(4))
      parts = models.person(*looks, walk=0.22)
    else:
      side = -1 if u(1) < 0.5 else 1
      x = side * (road.half + street.KERB + 0.7 + 1.5 * u(2))
      z = 6.0 + 40.0 * u(3) if n % 2 else SPAN * u(3) * u(5) - BEHIND
      path = Motion(x, z, pace if u(4) < 0.5 else -pace, wraps=1.0)
      parts = models.person(*looks, walk=0.06)
    things.append((p.PERSON, path, parts))
  return things

"""The two cameras: color by day (b) and thermal by night (a)."""

import numpy as np

from i2vjax.core import class_names
from i2vjax.data.scenes import hashing, render, surface, tiles, weather, world
from i2vjax.data.scenes import palette as p

CLASSES = len(class_names.CITYSCAPES)   # ids of `palette`
COLD, HOT = -40.0, 60.0          # degrees Celsius at 0 and 65535 of a 16-bit thermal frame
DARK, BRIGHT = 0.0, 34.0         # degrees Celsius at 16 and 216 of an 8-bit one


def visible(scene: world.World, view: render.Raster, look: surface.Look, t: int) -> np.ndarray:
  """The color frame.

  Args:
    scene: `world.World`; view: `render.Raster` of frame t, drawn with shadows; look: its
      `surface.Look`.

  Returns:
    [H, W, 3] uint8.
  """
  size = view.ids.shape
  on, ground, facade = look
  clear = 150.0 / (on.depth + 150.0)                       # what the haze lets through
  lit = _light(scene, on)
  through, haze = lit * clear, 1.0 - clear
  top, low = (p.SKY_TOP, p.SKY_LOW) if scene.weather == 'clear' else (p.GRAY_TOP, p.GRAY_LOW)
  up = np.clip(-view.dv / max(view.pose.v0, 1.0), 0.0, 1.0)
  sky = np.flatnonzero(on.ids == world.SKY)
  planes = []
  for c in range(3):
    plane = scene.tables.rgb[c].take(on.ids)
    plane[ground.place] = _ground_color(scene, ground, c)
    plane[facade.place] = _facade_color(scene, facade, plane, c)
    plane *= through
    plane += haze * low[c]
    plane[sky] = (low[c] + (top[c] - low[c]) * up).take(sky // size[1]) * lit.take(sky)
    planes.append(plane)
  weather.on_color(scene, t, planes, size)
  out = np.empty((*size, 3), np.uint8)
  for c, plane in enumerate(planes):
    plane += 0.5
    np.clip(plane, 0.0, 255.0, out=plane)
    out[..., c] = plane.astype(np.uint8).reshape(size)     # truncation is floor: nothing is below 0
  return out


def _light(scene, on):
  """[H * W] how bright every surface is, with its texture; linear in the surface coordinates."""
  level, per_s, per_t = scene.tables.shade
  light = per_s.take(on.ids)
  light *= on.s
  fall = per_t.take(on.ids)
  fall *= on.t
  light += fall
  light += level.take(on.ids)
  light *= 1.0 + surface.texture(scene, on, tiles.CONTRAST)
  return light


def _ground_color(scene, ground, c):
  """[G] color of the ground's pixels in channel c."""
  road, snow = p.ASPHALT_RGB[c], scene.weather == 'snow'
  if snow:
    white = float(p.SNOW_RGB[c])
    return white - 55.0 * ground.track * (1.0 - ground.paving) - 18.0 * ground.kerb
  wet = 0.8 if scene.weather == 'rain' else 1.0
  grass = (p.GRASS_RGB if scene.weather == 'clear' else p.grayed(p.GRASS_RGB, 0.7))[c]
  return wet * (road + ground.paint * (p.MARK_RGB[c] - road) - 7.0 * ground.track
                + ground.kerb * (p.KERB_RGB[c] - road) + ground.paving * (p.PAVING_RGB[c] - road)
                + ground.grass * (grass - road))


def _facade_color(scene, facade, plane, c):
  """[F] color of the houses' pixels in channel c; plane holds the walls' colors."""
  wall = plane.take(facade.place)
  roof = scene.lots.roof[..., c].ravel().take(facade.lot)
  if scene.weather == 'snow':
    roof = np.full_like(roof, p.SNOW_RGB[c])
  glass = p.WINDOW_RGB[c] * scene.lots.pane_tone.ravel().take(facade.pane)
  wall += facade.window * (glass - wall)
  wall += facade.roof * (roof - wall)
  return wall


def heat_of_kinds(scene: world.World, spread: float) -> np.ndarray:
  """[256] degrees Celsius by which the surfaces of each class differ from the usual in this clip.

  Uniform within a spread that is itself drawn, between 0 and `spread`: a road in the evening is
  warmer than walls, in the morning it is not, and some nights are as usual. The sky is left.
  """
  heat, most = np.zeros(256, np.float32), spread * hashing.draw(scene.seed, 706)
  heat[:CLASSES] = [hashing.between(-most, most, scene.seed, 705, k) for k in range(CLASSES)]
  heat[p.SKY] = 0.0
  return heat


def temperature(scene: world.World, view: render.Raster, look: surface.Look) -> np.ndarray:
  """[H, W] degrees Celsius of every pixel's surface. Never a function of its color."""
  on, ground, facade = look
  warm = scene.tables.warm.take(on.ids)
  snow = scene.weather == 'snow'
  road, paving, kerb, grass = (
      (p.SNOW_C, p.SNOW_C - 0.8, p.SNOW_C, p.SNOW_C - 1.5) if snow
      else (p.ROAD_C, p.PAVING_C, p.KERB_C, p.GRASS_C))
  warm[ground.place] = (road + ground.paving * (paving - road) + ground.kerb * (kerb - road)
                        + ground.grass * (grass - road) + 0.8 * ground.track)
  wall = warm.take(facade.place)
  wall += facade.window * (scene.lots.pane_warm.ravel().take(facade.pane) - wall)
  wall += facade.roof * ((p.SNOW_C if snow else 5.0) - wall)
  warm[facade.place] = wall
  warm += surface.texture(scene, on, tiles.WARMTH, octaves=(4.0, 16.0))
  return warm.reshape(view.ids.shape)


def radiance(celsius: np.ndarray | float) -> np.ndarray | float:
  """Relative radiance ((T + 273) / 288)^4, by three multiplications."""
  x = (celsius + 273.0) / 288.0
  return x * x * x * x


def blur(image: np.ndarray) -> np.ndarray:
  """Optical blur: [1, 2, 1] / 4 in both axes at 256 rows, less or more passes at other sizes."""
  spread = (image.shape[0] / 256.0) ** 2                   # variance grows with the square
  passes = max(1, int(np.ceil(spread)))
  side = 0.25 * spread / passes
  for _ in range(passes):
    for axis in (0, 1):
      image = _pass(image, side, axis)
  return image


def _pass(image, side, axis):
  width = [(1, 1) if k == axis else (0, 0) for k in (0, 1)]
  wide = np.pad(image, width, mode='edge')
  n = image.shape[axis]
  first, last = ((wide[:n], wide[2:]) if axis == 0 else (wide[:, :n], wide[:, 2:]))
  return (1.0 - 2.0 * side) * image + side * (first + last)


def gain(scene: world.World, t: int, jumps: bool) -> float:
  """The automatic gain of frame t: 1, or with `jumps` 0.8 to 1.25 from a drawn frame on."""
  if not jumps:
    return 1.0
  value, start = 1.0, 0
  for n in range(1 + t // 6):
    start += 6 + int(18 * hashing.draw(scene.seed, 701, n))
    if start > t:
      return value
    value = hashing.between(0.8, 1.25, scene.seed, 702, n)
  return value


def thermal(scene: world.World, view: render.Raster, look: surface.Look, t: int, bits: int = 8,
            noise: float = 1.0, jumps: bool = False,
            warmer: np.ndarray | float = 0.0) -> np.ndarray:
  """The thermal frame.

  Args:
    scene: `world.World`; view: `render.Raster` of frame t; look: its `surface.Look`.
    bits: 8 (0 C is 16, 34 C is 216, clipped) or 16 (-40 to 60 C over the whole range, no gain).
    noise: multiplies the sensor's noise; 0 for none.
    jumps: the camera's gain steps now and then. warmer: degrees Celsius that are
      added, [H, W] or one number (`heat_of_kinds`).

  Returns:
    [H, W, 1] uint8 or uint16.
  """
  glow = blur(radiance(temperature(scene, view, look) + warmer))
  height, width = glow.shape
  dark, bright = radiance(DARK), radiance(BRIGHT)
  level = 16.0 + 200.0 * (glow - dark) / (bright - dark)
  level = weather.on_heat(scene, t, level)
  if noise:
    level += noise * 1.5 * hashing.normal(hashing.fold_int(scene.seed, 703, t), height, width)
    level += noise * hashing.normal(hashing.fold_int(scene.seed, 704), 1, width)
  if bits == 8:
    level *= gain(scene, t, jumps)
    return np.clip(level + 0.5, 0.0, 255.0).astype(np.uint8)[..., None]
  back = np.maximum(dark + (level - 16.0) * ((bright - dark) / 200.0), 0.0)
  celsius = np.sqrt(np.sqrt(back)) * 288.0 - 273.0
  raw = (celsius - COLD) * (65535.0 / (HOT - COLD))
  return np.clip(raw + 0.5, 0.0, 65535.0).astype(np.uint16)[..., None]

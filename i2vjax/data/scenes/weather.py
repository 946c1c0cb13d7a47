"""Rain and snow in front of the camera and on its lens."""

import numpy as np

from i2vjax.data.scenes import hashing

MIDDLE = 128.0


def on_color(scene, t, planes, size):
  """Changes three planes ([H * W] of 255) in place."""
  if scene.weather == 'rain':
    to, source = _drops(scene.seed, size)
    places, share = _streaks(scene.seed, t, size)
    for plane in planes:
      plane -= MIDDLE
      plane *= 0.7
      plane += MIDDLE
      plane[places] += share * (215.0 - plane[places])
      plane[to] = 0.35 * plane[to] + 0.65 * plane[source] + 6.0
  if scene.weather == 'snow':
    places, share = _flakes(scene.seed, t, size)
    for plane in planes:
      plane[places] += share * (244.0 - plane[places])


def on_heat(scene, t, level):
  """Thermal levels ([H, W] of 255) through rain or snow: less contrast, faint cold specks."""
  if scene.weather not in ('rain', 'snow'):
    return level
  size = level.shape
  flat = level.ravel()
  if scene.weather == 'rain':
    flat = 70.0 + 0.7 * (flat - 70.0)
    to, source = _drops(scene.seed, size)
    places, share = _streaks(scene.seed, t, size)
    flat[to] = 0.5 * flat[to] + 0.5 * flat[source]
    flat[places] += share * 0.4 * (60.0 - flat[places])
  else:
    places, share = _flakes(scene.seed, t, size)
    flat = flat.copy()
    flat[places] += share * 0.5 * (20.0 - flat[places])
  return flat.reshape(size)


def _drops(seed, size):
  """Drops on the lens, still during a clip: places and where light comes from (upside down)."""
  height, width = size
  count = max(1, int(0.002 * height * width / 4))        # drops in sight cover several pixels
  k = np.arange(count)
  cx, cy = (hashing.uniform(seed, 801, k, axis) * n for axis, n in ((0, width), (1, height)))
  radius = (0.004 + 0.012 * hashing.uniform(seed, 801, k, 2)) * width + 0.5
  reach = int(0.016 * width + 0.5) + 1
  span = np.arange(-reach, reach + 1)
  x = np.floor(cx)[:, None, None] + span
  y = np.floor(cy)[:, None, None] + span[:, None]
  dx, dy = x - cx[:, None, None], y - cy[:, None, None]
  inside = dx * dx + dy * dy < (radius * radius)[:, None, None]
  inside = inside & (x >= 0) & (x < width) & (y >= 0) & (y < height)
  from_x = np.clip(np.floor(x - 5.0 * dx), 0, width - 1)
  from_y = np.clip(np.floor(y - 5.0 * dy), 0, height - 1)
  place, source = (y * width + x).astype(np.int64), (from_y * width + from_x).astype(np.int64)
  return place[inside], source[inside]


def _streaks(seed, t, size):
  """Falling rain: places and the share of white there."""
  height, width = size
  count = max(4, int(0.004 * height * width))
  k = np.arange(count)
  length = max(3, height // 22)
  x, y = (hashing.uniform(seed, 802, t, k, axis) for axis in (0, 1))
  share = 0.12 + 0.2 * hashing.uniform(seed, 802, t, k, 2)
  step = np.arange(length)
  rows = np.floor(y * (height + length))[:, None].astype(np.int64) - step
  columns = np.floor(x * width)[:, None].astype(np.int64) + step // 4
  return _kept(rows, columns, share[:, None], size)


def _flakes(seed, t, size):
  """Falling snow: discs of 1 to 4 pixels' width, each falling at its own pace."""
  height, width = size
  count = max(6, int(0.0016 * height * width))
  k = np.arange(count)
  x, y, pace, near = (hashing.uniform(seed, 803, k, axis) for axis in range(4))
  y = y + t * (0.02 + 0.05 * pace)
  x = x + t * 0.01 * (pace - 0.5)
  x, y = x - np.floor(x), y - np.floor(y)
  radius = 0.4 + near * near * 0.006 * width
  reach = int(0.4 + 0.006 * width) + 1
  span = np.arange(-reach, reach + 1)
  rows = np.floor(y * height)[:, None, None].astype(np.int64) + span[:, None]
  columns = np.floor(x * width)[:, None, None].astype(np.int64) + span
  inside = span * span + (span * span)[:, None] <= (radius * radius)[:, None, None]
  return _kept(rows, columns, inside * (0.55 + 0.3 * near)[:, None, None], size)


def _kept(rows, columns, share, size):
  """Flat places inside the frame, each once, and their shares."""
  height, width = size
  rows, columns, share = np.broadcast_arrays(rows, columns, share)
  keep = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width) & (share > 0)
  places, first = np.unique(rows[keep] * width + columns[keep], return_index=True)
  return places, share[keep][first]

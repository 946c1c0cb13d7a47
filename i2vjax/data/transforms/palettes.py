"""The colors that thermal cameras draw temperatures with, undone."""

import functools
import os
from collections.abc import Sequence

import cv2
import numpy as np

from i2vjax.core.errors import UserError
from i2vjax.data.io import images

# Colors of ironbow from cold to hot, by eye (ours): cameras differ a little in theirs.
IRONBOW = ((0, 0, 10), (30, 0, 110), (90, 0, 155), (150, 0, 150), (195, 20, 115), (228, 65, 30),
           (243, 120, 0), (252, 175, 5), (255, 220, 60), (255, 255, 246))
# Palettes of OpenCV; in its rainbow and HSV red comes first, on cameras hot is red.
OPENCV = ('jet', 'hot', 'rainbow', 'turbo', 'inferno', 'magma', 'plasma', 'viridis', 'cividis')
REVERSED = ('rainbow',)
NAMES = ('ironbow', *OPENCV)
AS_IS = 'none'       # `data.unpalette`: colors are meant as they are

# The measure is the distance to the nearest color of a palette, in RGB, 0 to 441.
KNOWN = 12.0         # mean distance up to which frames are drawn with that palette; compressed ones
ALIKE = 30.0         # up to which with one like it, as cameras differ
REFUSED = 30.0       # mean distance from which on a palette is the wrong one
COLORFUL = 25.0      # largest minus smallest channel, mean: less is no palette but a tint
SPREAD = 0.25        # of the palette that the middle 90 % of the pixels use at least
THAN_GRAY = 4.0      # times closer to the palette than to gray


@functools.cache
def colors(name: str) -> np.ndarray:
  """uint8 [N, 3] RGB from cold to hot: a palette of `NAMES`, or a picture of the camera's scale.

  Args:
    name: of the palette, or of a picture file that shows nothing but the color scale of a camera,
      lying (cold at the left) or standing (cold at the bottom).

  Raises:
    UserError: neither.
  """
  if name == 'ironbow':
    places = np.linspace(0, 255, len(IRONBOW))
    channels = [np.interp(np.arange(256), places, values) for values in np.transpose(IRONBOW)]
    return np.rint(np.stack(channels, axis=-1)).astype(np.uint8)
  if name in OPENCV:
    ramp = np.arange(256, dtype=np.uint8)[:, None]
    table = cv2.applyColorMap(ramp, getattr(cv2, f'COLORMAP_{name.upper()}'))[:, 0, ::-1]
    return np.ascontiguousarray(table[::-1] if name in REVERSED else table)
  if not os.path.isfile(name):
    raise UserError(f'data.unpalette={name}: neither a palette ({", ".join(NAMES)}) nor a picture '
                    f'file of a color scale; {AS_IS}: colors are taken as they are')
  return _from_picture(name)


def _from_picture(path):
  """The color scale that a picture shows, one color a pixel along its longer side."""
  scale = images.read_image(path)
  if scale.dtype != np.uint8 or scale.shape[-1] != 3:
    raise UserError(f'data.unpalette={path}: no color picture of 8 bits')
  if scale.shape[0] > scale.shape[1]:           # standing: cold is at the bottom
    scale = scale[::-1].transpose(1, 0, 2)
  table = np.median(scale, axis=0).astype(np.uint8)
  if len(np.unique(table, axis=0)) < 16:
    raise UserError(f'data.unpalette={path}: fewer than 16 colors; cut out the color scale alone, '
                    'its whole length')
  return table


def to_gray(frame: np.ndarray, name: str) -> tuple[np.ndarray, float]:
  """A drawn frame as the gray values behind its colors.

  Args:
    frame: uint8 [H, W, 3] RGB. name: of `colors`.

  Returns:
    (uint8 [H, W, 1]: the place of the nearest color in the palette, 0 to 255; the mean distance of
    the pixels to it).
  """
  index, distance = _nearest(frame.reshape(-1, 3), name)
  gray = np.rint(index * (255 / (len(colors(name)) - 1))).astype(np.uint8)
  return gray.reshape(*frame.shape[:2], 1), float(distance.mean())


def _nearest(pixels, name):
  """(index of the nearest color of a palette, distance to it), [N] each, of uint8 [N, 3]."""
  packed = pixels.astype(np.uint32) @ np.array([65536, 256, 1], np.uint32)
  _, first, place = np.unique(packed, return_index=True, return_inverse=True)
  distance, index = _tree(name).query(pixels[first])
  return index[place], distance[place]


@functools.cache
def _tree(name):
  from scipy import spatial  # gray footage need not wait for it
  return spatial.cKDTree(colors(name))


def detect(frames: Sequence[np.ndarray]) -> tuple[str, float] | None:
  """The palette of `NAMES` that frames are drawn with.

  Args:
    frames: each [H, W, C].

  Returns:
    (name, mean distance): drawn with it (up to `KNOWN`) or one like it (up to `ALIKE`). None: gray
    frames, and colors along none of these palettes.
  """
  pixels = [frame[::4, ::4].reshape(-1, 3) for frame in frames
            if frame.dtype == np.uint8 and frame.shape[-1] == 3]
  if not pixels:
    return None
  pixels = np.concatenate(pixels)
  if np.ptp(pixels, axis=-1).mean() < COLORFUL:
    return None
  from_gray = float(np.linalg.norm(pixels - pixels.mean(-1, keepdims=True), axis=-1).mean())
  found = {}
  for name in NAMES:
    index, distance = _nearest(pixels, name)
    low, high = np.percentile(index, (5, 95)) / (len(colors(name)) - 1)
    if high - low >= SPREAD:
      found[name] = float(distance.mean())
  best = min(found, key=found.__getitem__, default='')
  if not best or found[best] > ALIKE or from_gray < THAN_GRAY * found[best]:
    return None
  return best, found[best]

"""One frame on the host: reading, writing, resizing, and what its 16-bit values mean.

Frames are `[H, W, C]` arrays: uint8 with C 1 or 3 (RGB), or uint16 with C 1 (thermal).
"""

import itertools
import os
import pathlib

import cv2
import numpy as np
from PIL import Image

from i2vjax.core import files, ops
from i2vjax.data import tiff

EXTENSIONS = ('.jpg', '.jpeg', '.png', '.bmp', '.ppm', '.pgm', '.tif', '.tiff', '.webp')
LIMIT_FRAMES = 64       # frames looked at for the limits of a clip
WHOLE = 0.999           # weight of known motion from which a resized vector is known
LIMIT_SHARE = 0.01      # cut off at either end: dead pixels and the sun do not set the scale


# it prints what is wrong with a picture, on top of the message that we raise
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


class UnreadableFrame(ValueError):   # noqa: N818 (named as it reads in a message)
  """A frame that exists but cannot be decoded; the message names the file."""


def is_image(path):
  """True if the name ends like a picture (any case) and is not hidden."""
  path = pathlib.PurePath(path)
  return path.suffix.lower() in EXTENSIONS and not path.name.startswith('.')


def read_image(path):
  """A picture file as an array; grey stays grey, alpha is dropped, rotation tags are ignored.

  Returns:
    uint8 [H, W, 1 or 3] (RGB), or uint16 [H, W, 1]. Colour of 16 bits is rounded to 8; where its
    three channels are equal it is thermal and keeps its 16 bits in one.

  Raises:
    FileNotFoundError: no such file. UnreadableFrame: damaged, values that are not 8 or 16 bits,
    or a TIFF of several pages.
  """
  if not os.path.isfile(path):
    raise FileNotFoundError(f'No such picture: {path}')
  return decode_image(np.fromfile(path, np.uint8), path)   # imread: ASCII names only on Windows


def decode_image(data, name):
  """The bytes of a picture file as an array, as `read_image` gives it.

  Args:
    data: bytes, or uint8 [N]. name: file, for messages.
  """
  data = np.frombuffer(data, np.uint8)
  frame = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if data.size else None
  if frame is None:
    raise UnreadableFrame(f'{name} cannot be decoded ({data.size} bytes): damaged, cut short, or '
                          f'not a picture. Replace or remove it.')
  if frame.dtype not in (np.uint8, np.uint16):
    raise UnreadableFrame(f'{name} holds {frame.dtype} values; frames are 8 or 16 bits without '
                          f'sign. Convert it first: degrees, say, as round(100 * kelvin).')
  if (pages := tiff.count_pages(data)) > 1:
    raise UnreadableFrame(f'{name} holds {pages} pages, and a frame is one. Unpack them: '
                          f'python -m i2vjax.main prepare --input {name} --output FOLDER')
  return _channels_last(frame)


def read_pages(path):
  """The pages of a TIFF file in order, one at a time: arrays as of `read_image`."""
  for k, page in enumerate(tiff.pages(np.fromfile(path, np.uint8))):
    if page is None or page.dtype not in (np.uint8, np.uint16):
      kind = 'cannot be decoded' if page is None else f'holds {page.dtype} values'
      raise UnreadableFrame(f'{path}: page {k} (from 0) {kind}; pages are 8 or 16 bits')
    yield _channels_last(page)


def _channels_last(frame):
  """What OpenCV decoded -> [H, W, C] in RGB order."""
  if frame.ndim == 2:
    return frame[..., None]
  if frame.shape[-1] < 3:              # grey with alpha
    return np.ascontiguousarray(frame[..., :1])
  if frame.dtype == np.uint16:
    if (frame[..., :1] == frame[..., :3]).all():   # thermal, stored three times
      return np.ascontiguousarray(frame[..., :1])
    frame = ((frame.astype(np.uint32) + 128) // 257).astype(np.uint8)
  return np.ascontiguousarray(frame[..., 2::-1])


def write_image(path, frame):
  """Write a frame; the format follows the ending. Never half a file.

  Args:
    path: where to; folders are made. 16 bits need png or tif.
    frame: uint8 [H, W], [H, W, 1 or 3] (RGB), or uint16 [H, W] or [H, W, 1].
  """
  path, frame = pathlib.Path(path), np.atleast_3d(frame)
  if frame.dtype == np.uint16 and path.suffix.lower() not in ('.png', '.tif', '.tiff'):
    raise ValueError(f'{path}: 16-bit frames can be written as .png or .tif')
  if path.suffix.lower() not in EXTENSIONS:
    raise ValueError(f'{path}: pictures are written as {" ".join(EXTENSIONS)}')
  if path.suffix.lower() == '.ppm':      # has no grey
    frame = np.broadcast_to(frame, (*frame.shape[:2], 3))
  _, data = cv2.imencode(path.suffix.lower(), np.ascontiguousarray(frame[..., ::-1]))
  files.save_atomic(path, lambda part: part.write_bytes(data.tobytes()))


def resize(frame, size):
  """Bicubic resize with antialiasing, by Pillow: what the public loaders of these methods use.

  16-bit frames go through Pillow's float mode: the same filter, then rounded and clipped.

  Args:
    frame: uint8 [H, W, 1 or 3] or uint16 [H, W, 1].
    size: (height, width).

  Returns:
    [height, width, C] of the same type; the frame itself where it has that size already.
  """
  if frame.shape[:2] == tuple(size):
    return frame
  turned = (size[1], size[0])
  if frame.dtype == np.uint16:
    plane = Image.fromarray(frame[..., 0].astype(np.float32))
    plane = np.asarray(plane.resize(turned, Image.Resampling.BICUBIC))
    return np.clip(np.rint(plane), 0, 65535).astype(np.uint16)[..., None]
  picture = Image.fromarray(frame[..., 0] if frame.shape[-1] == 1 else frame)
  frame = np.asarray(picture.resize(turned, Image.Resampling.BICUBIC))
  return frame[..., None] if frame.ndim == 2 else frame


def resize_grey(picture, size):
  """`resize` of uint8 [H, W]."""
  return resize(picture[..., None], size)[..., 0]


def resize_labels(label, size):
  """[H, W] class ids -> [height, width], nearest (half-pixel centres)."""
  if label.shape == tuple(size):
    return label
  picture = Image.fromarray(label).resize((size[1], size[0]), Image.Resampling.NEAREST)
  return np.asarray(picture)


def resize_flow(flow, size):
  """[H, W, 2] pixels (x, y) -> [height, width, 2], bilinear; vectors grow with their axis.

  NaN, motion that is not known, spreads to every pixel that any of it would enter.
  """
  (H, W), (height, width) = flow.shape[:2], size
  if flow.shape[:2] == tuple(size):
    return flow
  known = np.isfinite(flow).all(axis=-1)
  planes = [np.asarray(Image.fromarray(plane).resize((width, height), Image.Resampling.BILINEAR))
            for plane in (*np.moveaxis(np.where(known[..., None], flow, 0).astype(np.float32), -1,
                                       0), known.astype(np.float32))]
  smaller = np.stack(planes[:2], axis=-1) * np.float32([width / W, height / H])
  return np.where(planes[2][..., None] > WHOLE, smaller, np.float32(np.nan))


def train_size(shape, data):
  """(height, width) a training frame is resized to before the random crop.

  Args:
    shape: (height, width) of the frame.
    data: config.data. resize='square': exactly `load_size`. 'width': the width of `load_size`,
      the height in proportion but at least that of the crop (CycleGAN's scale_width). 'none': as
      it is.
  """
  load, crop = ops.hw(data.load_size), ops.hw(data.crop_size)
  if data.resize == 'square':
    return load
  if data.resize == 'width':
    return max(round(load[1] * shape[0] / shape[1]), crop[0]), load[1]
  if data.resize == 'none':
    return tuple(shape)
  raise ValueError(f"data.resize='{data.resize}' is unknown: square, width or none")


def test_size(shape, data):
  """(height, width) a test frame is resized to: `crop_size` takes the place of `load_size`.

  No crop follows, so 'width' and 'none' round both sides to multiples of 4, as the public code
  does: the networks halve the frame twice.
  """
  crop = ops.hw(data.crop_size)
  if data.resize == 'square':
    return crop
  height, width = shape
  if data.resize == 'width':
    height, width = crop[1] * height / width, crop[1]
  return tuple(max(4, 4 * round(side / 4)) for side in (height, width))


def thermal_rule(text):
  """`data.thermal_range` -> 'clip', 'frame', 'dtype' or (low, high) as floats."""
  if text in ('clip', 'frame', 'dtype'):
    return text
  try:
    low, high = (float(x) for x in (text.split(',') if isinstance(text, str) else text))
  except (TypeError, ValueError):
    low = high = 0.0
  if not low < high:
    raise ValueError(f"data.thermal_range='{text}' is unknown: clip, frame, dtype, or two raw "
                     f"values LOW,HIGH with LOW < HIGH (for instance 7000,9500)")
  return low, high


def thermal_limits(sample, rule):
  """The raw values that become -1 and 1 (`ops.to_float` clips what lies outside).

  Args:
    sample: iterable of frames of one clip or stream; at most `LIMIT_FRAMES` are looked at.
    rule: `data.thermal_range`. 'clip': 1st and 99th percentile over the sample. 'dtype' and
      'frame': 0 and 65535 (with 'frame' every frame is first passed through `stretch`).

  Returns:
    [2] float32. 8-bit frames: always (0, 255).
  """
  rule = thermal_rule(rule)
  sample = iter(sample)
  first = next(sample)
  if first.dtype == np.uint8:
    return np.array([0, 255], np.float32)
  if rule in ('dtype', 'frame'):
    return np.array([0, 65535], np.float32)
  if rule != 'clip':
    return np.array(rule, np.float32)
  sample = itertools.chain([first], itertools.islice(sample, LIMIT_FRAMES - 1))
  return _percentiles(sum(np.bincount(x.ravel(), minlength=65536) for x in sample))


def _percentiles(counts):
  """[65536] histogram -> (low, high) raw values, different from each other."""
  share = np.cumsum(counts) / counts.sum()
  low = np.searchsorted(share, LIMIT_SHARE, side='right')
  high = np.searchsorted(share, 1 - LIMIT_SHARE)
  return np.array([low, max(high, low + 1)], np.float32)


def stretch(frame, rule):
  """With the rule 'frame', a 16-bit frame spread over 0..65535 by its own percentiles.

  Neighbouring frames then get different scales, which flickers: meant for single pictures.
  """
  if rule != 'frame' or frame.dtype != np.uint16:
    return frame
  low, high = _percentiles(np.bincount(frame.ravel(), minlength=65536))
  spread = (frame.astype(np.float32) - low) * (65535 / (high - low))
  return np.clip(np.rint(spread), 0, 65535).astype(np.uint16)

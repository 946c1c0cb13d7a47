"""Resizing frames, labels and flow; sizes for training and testing."""

import numpy as np
from ml_collections import ConfigDict
from PIL import Image

from i2vjax.core import ops
from i2vjax.core.errors import UserError

MIN_KNOWN_WEIGHT = 0.999     # of known motion in a resized vector, else it is unknown


def resize_frame(frame: np.ndarray, size: tuple[int, int]) -> np.ndarray:
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
  width_height = (size[1], size[0])   # Pillow's order
  if frame.dtype == np.uint16:
    plane = Image.fromarray(frame[..., 0].astype(np.float32))
    plane = np.asarray(plane.resize(width_height, Image.Resampling.BICUBIC))
    return np.clip(np.rint(plane), 0, 65535).astype(np.uint16)[..., None]
  picture = Image.fromarray(frame[..., 0] if frame.shape[-1] == 1 else frame)
  frame = np.asarray(picture.resize(width_height, Image.Resampling.BICUBIC))
  return frame[..., None] if frame.ndim == 2 else frame


def resize_gray(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
  """`resize_frame` of uint8 [H, W]."""
  return resize_frame(picture[..., None], size)[..., 0]


def resize_labels(label: np.ndarray, size: tuple[int, int]) -> np.ndarray:
  """[H, W] class ids -> [height, width], nearest (half-pixel centers)."""
  if label.shape == tuple(size):
    return label
  picture = Image.fromarray(label).resize((size[1], size[0]), Image.Resampling.NEAREST)
  return np.asarray(picture)


def resize_flow(flow: np.ndarray, size: tuple[int, int]) -> np.ndarray:
  """[H, W, 2] pixels (x, y) -> [height, width, 2], bilinear; vectors grow with their axis.

  NaN (unknown motion) spreads to every pixel whose filter touches it.
  """
  (H, W), (height, width) = flow.shape[:2], size
  if flow.shape[:2] == tuple(size):
    return flow
  known = np.isfinite(flow).all(axis=-1)
  filled = np.where(known[..., None], flow, 0)
  x, y, weight = (_bilinear(plane, size) for plane in (filled[..., 0], filled[..., 1], known))
  resized = np.stack([x, y], axis=-1) * np.float32([width / W, height / H])
  return np.where(weight[..., None] > MIN_KNOWN_WEIGHT, resized, np.float32(np.nan))


def _bilinear(plane, size):
  """[H, W] -> float32 [height, width]."""
  image = Image.fromarray(plane.astype(np.float32))
  return np.asarray(image.resize((size[1], size[0]), Image.Resampling.BILINEAR))


def train_size(shape: tuple[int, int], data: ConfigDict) -> tuple[int, int]:
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
  raise UserError(f"data.resize='{data.resize}' is unknown: square, width or none")


def test_size(shape: tuple[int, int], data: ConfigDict) -> tuple[int, int]:
  """(height, width) a test frame is resized to: `crop_size` takes the place of `load_size`.

  No crop follows, so 'width' rounds both sides to multiples of 4, as the public code does: the
  networks halve the frame twice. 'none' leaves the frame as it is: evaluation pads it for the
  networks as `translate` does, and crops the result.
  """
  crop = ops.hw(data.crop_size)
  if data.resize == 'square':
    return crop
  if data.resize != 'width':
    return train_size(shape, data)
  height, width = crop[1] * shape[0] / shape[1], crop[1]
  return tuple(max(4, 4 * round(side / 4)) for side in (height, width))

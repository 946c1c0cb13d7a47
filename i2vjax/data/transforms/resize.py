"""Resizing frames, labels and flow on the host; sizes for training and testing."""


import numpy as np
from PIL import Image

from i2vjax.core import ops
from i2vjax.core.errors import UserError

ALL_KNOWN = 0.999           # weight of known motion from which a resized vector is known


def resize_frame(frame, size):
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


def resize_gray(picture, size):
  """`resize` of uint8 [H, W]."""
  return resize_frame(picture[..., None], size)[..., 0]


def resize_labels(label, size):
  """[H, W] class ids -> [height, width], nearest (half-pixel centers)."""
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
  return np.where(planes[2][..., None] > ALL_KNOWN, smaller, np.float32(np.nan))


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
  raise UserError(f"data.resize='{data.resize}' is unknown: square, width or none")


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

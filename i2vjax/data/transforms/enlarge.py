"""A small translation enlarged along the edges of its large source."""

import cv2
import numpy as np

from i2vjax.core import ops

RADIUS = 1       # pixels of the small frame around each: as far as colors may follow one edge
SMOOTH = 1e-4    # contrast, as variance of a source in [0, 1], below which there is no edge


def along_edges(result: np.ndarray, source: np.ndarray) -> np.ndarray:
  """The guided filter, fitted on small frames and applied to a large one.

  Around each pixel of the small frame the colors of the result are taken as a line over the
  brightness of the source, a I + b by least squares. The coefficients are averaged, enlarged
  bilinearly, and applied to the large source, whose edges are kept so (He and Sun, Fast Guided
  Filter, 2015, algorithm 2).

  Args:
    result: uint8 [h, w, C].
    source: uint8 [H, W, 1 or 3], of which a frame of [h, w] was translated.

  Returns:
    uint8 [H, W, C]; where the source is the smaller one, the mean of what falls on each pixel.
  """
  guide = brightness(source) / 255
  H, W = guide.shape
  if result.shape[0] * result.shape[1] > H * W:
    return _planes(cv2.resize(result, (W, H), interpolation=cv2.INTER_AREA))
  small = cv2.resize(guide, result.shape[1::-1], interpolation=cv2.INTER_AREA)[..., None]
  target = result.astype(np.float32) / 255
  mean, mean_target = _mean(small), _mean(target)
  slope = ((_mean(small * target) - mean * mean_target)
           / (_mean(small * small) - mean * mean + SMOOTH))
  offset = mean_target - slope * mean
  slope, offset = (_planes(cv2.resize(_mean(x), (W, H), interpolation=cv2.INTER_LINEAR))
                   for x in (slope, offset))
  return np.rint(np.clip(slope * guide[..., None] + offset, 0, 1) * 255).astype(np.uint8)


def brightness(frame: np.ndarray) -> np.ndarray:
  """uint8 [H, W, 1 or 3] -> float32 [H, W], 0 to 255: luma of BT.601."""
  frame = frame.astype(np.float32)
  return frame[..., 0] if frame.shape[-1] == 1 else frame @ np.asarray(ops.LUMA, np.float32)


def _mean(planes):
  """Mean over `RADIUS` around each pixel, mirrored at the borders: [H, W, C] -> the same."""
  side = 2 * RADIUS + 1
  return _planes(cv2.blur(planes, (side, side), borderType=cv2.BORDER_REFLECT))


def _planes(image):
  """OpenCV drops a single channel."""
  return image[..., None] if image.ndim == 2 else image

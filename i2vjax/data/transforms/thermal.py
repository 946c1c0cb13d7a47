"""The raw values of 16-bit thermal frames that become black and white."""

import itertools
from collections.abc import Iterable

import numpy as np

from i2vjax.core.errors import UserError

RANGE_FRAMES = 64        # frames of a clip that its value range is measured on
CLIPPED_SHARE = 0.01     # of the pixels at either end: dead pixels and the sun set no scale


def thermal_rule(text: str | tuple) -> str | tuple[float, float]:
  """`data.thermal_range` -> 'clip', 'frame', 'dtype' or (low, high) as floats."""
  if text in ('clip', 'frame', 'dtype'):
    return text
  try:
    low, high = text.split(',') if isinstance(text, str) else text
    low, high = float(low), float(high)
  except (TypeError, ValueError):
    low = high = 0.0
  if not low < high:
    raise UserError(f"data.thermal_range='{text}' is unknown: clip, frame, dtype, or two raw "
                     f"values LOW,HIGH with LOW < HIGH (for instance 7000,9500)")
  return low, high


def is_pair(rule: str | tuple) -> bool:
  """Whether `data.thermal_range` names two raw values, LOW,HIGH."""
  return not isinstance(thermal_rule(rule), str)


def value_range(sample: Iterable[np.ndarray], rule: str | tuple | None) -> np.ndarray:
  """The raw values that become -1 and 1 (`ops.to_float` clips what lies outside).

  Args:
    sample: iterable of frames of one clip or stream; at most `RANGE_FRAMES` are read.
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
  sample = itertools.chain([first], itertools.islice(sample, RANGE_FRAMES - 1))
  return _percentiles(sum(np.bincount(x.ravel(), minlength=65536) for x in sample))


def _percentiles(counts):
  """[65536] histogram -> (low, high) raw values, different from each other."""
  share = np.cumsum(counts) / counts.sum()
  low = np.searchsorted(share, CLIPPED_SHARE, side='right')
  high = np.searchsorted(share, 1 - CLIPPED_SHARE)
  return np.array([low, max(high, low + 1)], np.float32)


class RunningRange:
  """The value range of a live clip, whose later frames nobody has seen yet.

  `value_range` of all frames so far, up to `RANGE_FRAMES` of them; then it stays. It may widen and
  shift at the beginning; LOW,HIGH and 'dtype' stand from the first frame on.
  """

  def __init__(self, rule: str | tuple | None):
    """rule: `data.thermal_range`."""
    self.rule, self.seen = thermal_rule(rule), 0
    self._counts, self._range = np.zeros(65536, np.int64), np.array([0, 255], np.float32)

  def of(self, frame: np.ndarray) -> np.ndarray:
    """[2] float32, with this frame [H, W, C] among those it is measured on."""
    if frame.dtype == np.uint8 or self.rule != 'clip':
      return value_range([frame], self.rule)
    if self.seen < RANGE_FRAMES:
      self._counts += np.bincount(frame.ravel(), minlength=65536)
      self._range, self.seen = _percentiles(self._counts), self.seen + 1
    return self._range


def stretch(frame: np.ndarray, rule: str | tuple | None) -> np.ndarray:
  """With the rule 'frame', a 16-bit frame spread over 0..65535 by its own percentiles.

  Neighboring frames then get different scales, which flickers: meant for single pictures.
  """
  if rule != 'frame' or frame.dtype != np.uint16:
    return frame
  low, high = _percentiles(np.bincount(frame.ravel(), minlength=65536))
  spread = (frame.astype(np.float32) - low) * (65535 / (high - low))
  return np.clip(np.rint(spread), 0, 65535).astype(np.uint16)


def to_display(frames: np.ndarray, raw_range: np.ndarray | None = None) -> np.ndarray:
  """Raw frames [..., H, W, C] as uint8 for display: `raw_range` becomes 0 and 255.

  Without a range, 16 bits are shown between the percentiles of `value_range`.
  """
  if frames.dtype == np.uint8:
    return frames
  low, high = value_range(frames, 'clip') if raw_range is None else raw_range
  return np.rint(np.clip((frames - low) / (high - low), 0, 1) * 255).astype(np.uint8)

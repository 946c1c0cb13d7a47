"""Which raw values of a 16-bit thermal frame become black and white."""

import itertools

import numpy as np

from i2vjax.core.errors import UserError

LIMIT_FRAMES = 64       # frames looked at for the limits of a clip
LIMIT_SHARE = 0.01      # cut off at either end: dead pixels and the sun do not set the scale


def thermal_rule(text):
  """`data.thermal_range` -> 'clip', 'frame', 'dtype' or (low, high) as floats."""
  if text in ('clip', 'frame', 'dtype'):
    return text
  try:
    low, high = (float(x) for x in (text.split(',') if isinstance(text, str) else text))
  except (TypeError, ValueError):
    low = high = 0.0
  if not low < high:
    raise UserError(f"data.thermal_range='{text}' is unknown: clip, frame, dtype, or two raw "
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

  Neighboring frames then get different scales, which flickers: meant for single pictures.
  """
  if rule != 'frame' or frame.dtype != np.uint16:
    return frame
  low, high = _percentiles(np.bincount(frame.ravel(), minlength=65536))
  spread = (frame.astype(np.float32) - low) * (65535 / (high - low))
  return np.clip(np.rint(spread), 0, 65535).astype(np.uint16)


def to_display(frames, limits=None):
  """[..., H, W, C] raw frames as uint8 for looking at: the limits become 0 and 255.

  Without limits, 16 bits are shown between the percentiles of `thermal_limits`.
  """
  if frames.dtype == np.uint8:
    return frames
  low, high = thermal_limits(frames, 'clip') if limits is None else limits
  return np.rint(np.clip((frames - low) / (high - low), 0, 1) * 255).astype(np.uint8)

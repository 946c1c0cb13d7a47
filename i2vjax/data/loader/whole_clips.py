"""Whole test clips in order, one at a time in memory."""

import functools
from typing import Any, NamedTuple

import numpy as np

from i2vjax.core import files
from i2vjax.core.errors import UserError
from i2vjax.data.loader import requirements, windows
from i2vjax.data.transforms import resize, thermal


class LoadedClip(NamedTuple):
  """A whole test clip.

  Attributes:
    name: of the clip.
    frames: [T, H, W, C] uint8 or uint16, resized by the test rule.
    limits: [2] float32, raw values that become -1 and 1.
    source: the FrameSource. start: index of the clip's first frame in it.
  """

  name: str
  frames: np.ndarray
  limits: np.ndarray
  source: Any
  start: int


def test_clips(config, domain, split='test'):
  """The clips of a split in order, one at a time in memory.

  Args:
    config: the run's config. domain: 'a' | 'b'. split: 'test' | 'val' | 'train'.

  Yields:
    Clip, frames resized to `crop_size` by the test rule, not cropped.

  Raises:
    ValueError: the split has no such domain, or a clip mixes sizes or kinds of frames.
  """
  data = config.data
  frames = requirements.require_source(data, split, domain)
  rule = thermal.thermal_rule(data.thermal_range)
  size = functools.partial(resize.test_size, data=data)
  window = windows.WindowSource(frames, 1, size=size, rule=rule)
  for clip, (name, start, length) in enumerate(frames.clips):
    first = int(np.searchsorted(window.starts, start))
    parts = (window[first + k]['frames'][0] for k in range(length))
    whole = files.stack_stream(_one_size(frames, start, parts), length)
    yield LoadedClip(name, whole, window.limits(clip), frames, start)


def _one_size(frames, start, parts):
  """The parts, up to one that differs in size from the first."""
  shape = None
  for k, part in enumerate(parts):
    shape = shape or part.shape
    if part.shape != shape:
      raise UserError(f'{frames.where(start + k)}: differs in size from the first frame of '
                       f'its clip')
    yield part

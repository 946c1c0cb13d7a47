"""Whole test clips in order, one at a time in memory."""

import functools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from ml_collections import ConfigDict

from i2vjax.core import files
from i2vjax.core.errors import UserError
from i2vjax.data.loader import requirements, windows
from i2vjax.data.source import FrameSource
from i2vjax.data.transforms import resize, thermal


class LoadedClip(NamedTuple):
  """A whole test clip.

  Attributes:
    name: of the clip.
    frames: [T, H, W, C] uint8 or uint16, resized by the test rule.
    value_range: [2] float32, raw values that become -1 and 1.
    source: the FrameSource. start: index of the clip's first frame in it.
  """

  name: str
  frames: np.ndarray
  value_range: np.ndarray
  source: FrameSource
  start: int


def test_clips(config: ConfigDict, domain: str, split: str = 'test') -> Iterator[LoadedClip]:
  """The clips of a split in order, one at a time in memory.

  Args:
    config: the run's config. domain: 'a' | 'b'. split: 'test' | 'val' | 'train'.

  Yields:
    LoadedClip, frames resized to `crop_size` by the test rule, not cropped.

  Raises:
    UserError: the split has no such domain, or a clip mixes sizes or kinds of frames.
  """
  data = config.data
  frames = requirements.require_source(data, split, domain)
  rule = thermal.thermal_rule(data.thermal_range)
  size = functools.partial(resize.test_size, data=data)
  window = windows.WindowSource(frames, 1, size=size, rule=rule)
  for k, clip in enumerate(frames.clips):
    stack = files.stack_stream(_frames_of(window, clip), clip.length)
    yield LoadedClip(clip.name, stack, window.value_range(k), frames, clip.start)


def _frames_of(window, clip):
  """The frames of a clip in order, [H, W, C] each; refuses one of another size."""
  first = int(np.searchsorted(window.starts, clip.start))   # windows of length 1: one per frame
  shape = None
  for k in range(clip.length):
    frame = window[first + k]['frames'][0]
    shape = shape or frame.shape
    if frame.shape != shape:
      raise UserError(f'{window.frames.where(clip.start + k)}: differs in size from the first '
                       'frame of its clip. Give stills one size by --config.data.resize=square or '
                       '--config.data.prepare.resize=WIDTHxHEIGHT, or those of each size a '
                       'sub-folder')
    yield frame

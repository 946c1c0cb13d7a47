"""The contract of frame sources: `FrameSource`, `Clip`, `Wrapper`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from i2vjax.core.errors import UserError


class Clip(NamedTuple):
  """Consecutive frames of one camera: frames `start` to `start + length - 1` of a source."""

  name: str
  start: int
  length: int


class FrameSource:
  """The frames of one split and domain, in clips, by random access.

  A new source (docs/adding_a_source.md) inherits from this class, sets `clips` and defines `read`;
  it needs a stable `repr` and must pickle, because reading processes get a copy.

  Attributes:
    clips: list of `Clip`, in order; together they cover all frames.
    has_flow: `flow` knows the true motion.
  """

  clips: list[Clip]
  has_flow: bool = False

  def __len__(self) -> int:
    """Number of frames."""
    return self.clips[-1].start + self.clips[-1].length if self.clips else 0

  def read(self, i: int) -> dict[str, Any]:
    """Frame `i`: 'frame', uint8 [H, W, 1 or 3] or uint16 [H, W, 1], and what else is known of it.

    Further fields: 'label' (uint8 [H, W], class ids, 255 none), 'edges' (uint8 [H, W], 255 an
    edge), 'boxes', 'original' ((height, width) before `Preprocessed`).
    """
    raise NotImplementedError

  def flow(self, i: int) -> dict[str, np.ndarray]:
    """True motion between frames `i` and `i + 1` of a clip, pixels (x, y), NaN where not known.

    Returns:
      'forward' [H, W, 2] on frame i and 'backward' on frame i + 1, and 'forward_visible' bool
      [H, W].
    """
    raise UserError(f'{self!r} knows no motion')

  def names(self, start: int, length: int) -> list[str] | None:
    """File names of frames without folder and ending; None where they tell nothing."""
    del start, length
    return None

  def clip_of(self, i: int) -> Clip:
    """The clip that frame `i` belongs to."""
    return next(clip for clip in self.clips if clip.start <= i < clip.start + clip.length)

  def where(self, i: int) -> str:
    """Frame `i` as text, for messages."""
    clip = self.clip_of(i)
    return f'clip {clip.name}, frame {i - clip.start}'

  @property
  def innermost(self) -> FrameSource:
    """The source inside all wrappers."""
    return self

  def follow(self, picture: np.ndarray, resize: Callable) -> np.ndarray:
    """What was done to the frames' geometry, done to a picture [H, W, ...] of their first size.

    Args:
      resize: (picture, (height, width)) -> picture.
    """
    del resize
    return picture


class Wrapper(FrameSource):
  """A source around another, whose records it changes; all else is passed on."""

  def __init__(self, source: FrameSource):
    self.source, self.clips, self.has_flow = source, source.clips, source.has_flow

  def __len__(self):
    return len(self.source)

  def __repr__(self):
    return f'{type(self).__name__}({self.source!r})'

  def read(self, i):
    return self.source.read(i)

  def flow(self, i):
    return self.source.flow(i)

  def names(self, start, length):
    return self.source.names(start, length)

  def where(self, i):
    return self.source.where(i)

  @property
  def innermost(self):
    return self.source.innermost

  def follow(self, picture, resize):
    return self.source.follow(picture, resize)

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

  A new source inherits from this class, sets `clips` and defines `read`. It needs a stable `repr`
  (which names it in messages) and must pickle, because reading processes get a copy.

  Attributes:
    clips: list of `Clip`, in order; together they cover all frames.
    has_flow: `flow` knows the true motion.
    knows_hidden: its `forward_visible` and `backward_visible` are 0 where a point is hidden in the
      other frame; False: they only say where the motion is known.
    unpaired: why no frame of another source shows the same moment, whatever the names; '': one may.
  """

  clips: list[Clip]
  has_flow: bool = False
  knows_hidden: bool = True
  unpaired: str = ''

  def __len__(self) -> int:
    """Number of frames."""
    return self.clips[-1].start + self.clips[-1].length if self.clips else 0

  def read(self, i: int) -> dict[str, Any]:
    """Frame `i` and its annotations.

    Returns:
      {'frame': uint8 [H, W, 1 or 3] or uint16 [H, W, 1]} and, where the source has them,
      'label' (uint8 [H, W], class ids, 255 = no class), 'edges' (uint8 [H, W], 255 an edge),
      'boxes' (float32 [N, 5]: x0, y0, x1, y1, class) and 'original' ((height, width) before
      `transforms.preprocess`, or before the resize and crop of a published set).
    """
    raise NotImplementedError

  def flow(self, i: int) -> dict[str, np.ndarray]:
    """True motion between frames `i` and `i + 1` of one clip.

    Returns:
      {'forward': [H, W, 2] on frame i, 'backward': [H, W, 2] on frame i + 1}, float32 pixels
      (x, y), NaN where the motion is unknown:
      frame_i(p) = frame_i+1(p + forward(p)), frame_i+1(p) = frame_i(p + backward(p)).
      'forward_visible', 'backward_visible': float32 [H, W], 1 where the other frame shows the same
      point (but see `knows_hidden`).
    """
    raise UserError(f'{self!r} knows no motion')

  def names(self, start: int, length: int) -> list[str] | None:
    """File names of `length` frames from `start` on, without folder and ending.

    None where the frames have no names, only a place in their clip.
    """
    del start, length
    return None

  def parts(self, clip: int) -> int:
    """Frames side by side in the one file that clip number `clip` is; 1 where it is no strip.

    Of a strip that is longer than a window, training takes one window an epoch.
    """
    del clip
    return 1

  def clip_index(self, i: int) -> int:
    """The number of the clip that frame `i` belongs to."""
    for k, clip in enumerate(self.clips):
      if clip.start <= i < clip.start + clip.length:
        return k
    raise IndexError(f'frame {i} of {len(self)} in {self!r}')

  def where(self, i: int) -> str:
    """Where frame `i` comes from, for messages."""
    clip = self.clips[self.clip_index(i)]
    return f'clip {clip.name}, frame {i - clip.start}'

  @property
  def innermost(self) -> FrameSource:
    """The source inside all wrappers."""
    return self

  def follow(self, picture: np.ndarray, resize: Callable) -> np.ndarray:
    """A map of an original frame, resized and cropped as the wrappers resize and crop the frame.

    Args:
      picture: [H, W, ...] of the size that the innermost source has.
      resize: (picture, (height, width)) -> picture.
    """
    del resize
    return picture


class Wrapper(FrameSource):
  """A source around another: it changes the records and passes on everything else."""

  def __init__(self, source: FrameSource):
    self.source, self.clips, self.has_flow = source, source.clips, source.has_flow
    self.knows_hidden, self.unpaired = source.knows_hidden, source.unpaired

  def __len__(self) -> int:
    return len(self.source)

  def __repr__(self) -> str:
    return f'{type(self).__name__}({self.source!r})'

  def read(self, i: int) -> dict[str, Any]:
    return self.source.read(i)

  def flow(self, i: int) -> dict[str, np.ndarray]:
    return self.source.flow(i)

  def names(self, start: int, length: int) -> list[str] | None:
    return self.source.names(start, length)

  def parts(self, clip: int) -> int:
    return self.source.parts(clip)

  def where(self, i: int) -> str:
    return self.source.where(i)

  @property
  def innermost(self) -> FrameSource:
    return self.source.innermost

  def follow(self, picture: np.ndarray, resize: Callable) -> np.ndarray:
    return self.source.follow(picture, resize)

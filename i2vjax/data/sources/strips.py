"""Frames side by side in one picture: telling strips from wide frames.

Training files of ROMA and InfraredCity hold two frames (t|t+1), those of I2V-GAN (IRVI) and
Recycle-GAN three (t|t+1|t+2). A frame of Cityscapes is twice as wide as high as well, and no strip.
"""

import os
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from i2vjax.core import notes, ops
from i2vjax.data.io import images

Parts = int | Callable[[Sequence[str]], int]   # frames in each file, or a rule: files -> frames
COUNTS = (3, 2)      # frames that a strip can hold
PROBES = 5           # files of a folder that are looked into
TRIED = 20           # files that may be damaged before one shows the size
ALIKE = 0.85         # correlation of neighboring parts from which on they show one scene
SEAM = 3.0           # the brightness steps where parts meet, in those from column to column;
FAR = 0.6            # and in those between columns half a part away: above, nothing goes on there
HINT = 'data.frames_per_image=1, 2 or 3 decides otherwise'


class Auto:
  """The rule of `data.frames_per_image='auto'` for the files of one place.

  A file is a strip of N (3 or 2) frames where it is as high and N times as wide as frames elsewhere
  in the same data, or N times as wide as high: all published strips have square frames. It is one
  frame where the pictures go on where its parts meet (`look_whole`), or where frames elsewhere are
  N times as wide as it is. The rule is ours; public code takes the width that its options name.
  """

  def __init__(self, others: Mapping[str, tuple[int, int]] | None = None, silent: bool = False):
    """others: {place: (height, width)} of other frames. silent: do not say what is decided."""
    self.others, self.silent = dict(others or {}), silent
    self.decided: dict[tuple[int, int], int] = {}

  def __call__(self, files: Sequence[str]) -> int:
    """Frames in each of `files`, judging by the first that can be read; said on the terminal."""
    size = _first_size(files)
    if size not in self.decided:
      count, reason = self._decide(files, size)
      self.decided[size] = count
      if reason and not self.silent:
        what = f'{count} frames side by side' if count > 1 else 'one frame'
        notes.say_once(f'{os.path.dirname(files[0])}: files of {ops.size_text(size)} pixels hold '
                       f'{what}, {reason} ({HINT})')
    return self.decided[size]

  def _decide(self, files, size):
    """(frames in a file, why; '' where there was no doubt)."""
    height, width = size
    square = [count for count in COUNTS if width == count * height]
    reasons = {}   # of each number of frames that comes into question
    for place, other in self.others.items():
      if other[0] == height and other[1] in [count * width for count in COUNTS]:
        return 1, f'as those in {place} are {other[1] // width} times as wide' if square else ''
      if other[0] == height and width in [count * other[1] for count in COUNTS]:
        reasons.setdefault(width // other[1], f'as frames in {place} have {ops.size_text(other)}')
    reasons |= {count: 'square and alike' for count in square if count not in reasons}
    if not reasons:
      return 1, ''
    same = [path for path in spread(files) if _size_or_none(path) == size]
    cut = [count for count in reasons if not look_whole(same, count)]
    if not cut:
      return 1, 'one wide view by its looks'
    return cut[0], reasons[cut[0]]


def count_of(parts: Parts, files: Sequence[str]) -> int:
  """Frames in each of `files`."""
  return parts(files) if callable(parts) else parts


def _first_size(files):
  """The size of the first file that can be read; a damaged one is reported when it is read."""
  sizes = (_size_or_none(path) for path in files[:TRIED])
  return next((size for size in sizes if size), None) or images.picture_size(files[0])


def _size_or_none(path):
  try:
    return images.picture_size(path)
  except images.UnreadableFrame:
    return None


def spread(files: Sequence[str]) -> list[str]:
  """A few files, evenly spread, the first and the last among them."""
  places = np.unique(np.linspace(0, len(files) - 1, PROBES).astype(int))
  return [files[k] for k in places]


def look_whole(files: Sequence[str], count: int) -> bool:
  """True if most of the files show one wide view and not `count` moments of a scene side by side.

  In one wide view the picture goes on where its equal parts meet, and they show different things.
  Of two moments the right border of one meets the left border of the other, and they are alike.
  """
  votes = []
  for path in files:
    try:
      votes.append(_looks_whole(images.read_image(path), count))
    except images.UnreadableFrame:     # reported when the frame is read
      continue
  return sum(votes) > len(votes) / 2


def _looks_whole(frame, count):
  gray = frame.astype(np.float32).mean(axis=-1)
  width = gray.shape[1] // count
  parts = [gray[:, k * width:(k + 1) * width] for k in range(count)]
  steps = np.abs(np.diff(gray, axis=1)).mean(axis=0)       # from each column to the next
  border = steps[[k * width - 1 for k in range(1, count)]].max()
  half = max(width // 2, 1)
  far = np.median(np.abs(gray[:, half:] - gray[:, :-half]).mean(axis=0))
  goes_on = border <= SEAM * np.median(steps) and border < FAR * far
  alike = max(_correlation(x, y) for x, y in zip(parts, parts[1:], strict=False))
  return bool(goes_on and alike < ALIKE)


def _correlation(x, y):
  """Of two arrays; 0 where one is flat."""
  x, y = x - x.mean(), y - y.mean()
  power = np.sqrt(np.square(x).sum() * np.square(y).sum())
  return float((x * y).sum() / power) if power else 0.0

"""A run's own preparation of frames, applied to footage it translates."""

import dataclasses
from collections.abc import Callable

import numpy as np
import tqdm
from ml_collections import ConfigDict

from i2vjax.core import ops
from i2vjax.core.errors import UserError
from i2vjax.data.sources import records
from i2vjax.data.sources.streams import Stream
from i2vjax.data.transforms import preprocess, resize

AS_IS = '--as_is translates frames as they are'


@dataclasses.dataclass(frozen=True)
class Preparation:
  """What a run does to every test frame before its networks see it.

  Attributes:
    place: where it is written down: 'data.prepare' or the records of a set.
    size: (height, width) that a frame is resized to, or None.
    crop: (top, left, height, width) that is then cut out; top and left None: the middle. Or None.
    trained: it was trained on frames prepared so.
  """

  place: str
  size: tuple[int, int] | None = None
  crop: tuple | None = None
  trained: bool = True

  def __bool__(self) -> bool:
    return bool(self.size or self.crop)

  def result(self, shape: tuple[int, ...]) -> tuple[int, int]:
    """(height, width) of a prepared frame of shape [H, W, ...]."""
    if self.crop:
      return self.crop[2], self.crop[3]
    return self.size or (shape[0], shape[1])

  def apply(self, frame: np.ndarray) -> np.ndarray:
    """A raw frame [H, W, C], resized and cropped; one of the prepared size is prepared already.

    Raises:
      UserError: the frame is smaller than the crop.
    """
    if frame.shape[:2] == self.result(frame.shape):
      return frame
    if self.size:
      frame = resize.resize_frame(frame, self.size)
    if not self.crop:
      return frame
    top, left, height, width = self.crop
    H, W = frame.shape[:2]
    top = (H - height) // 2 if top is None else top
    left = (W - width) // 2 if left is None else left
    if top < 0 or left < 0 or top + height > H or left + width > W:
      raise UserError(f'{W}x{H} pixels are less than what {self.place} of this run cuts out '
                      f'({width}x{height}); {AS_IS}')
    return np.ascontiguousarray(frame[top:top + height, left:left + width])

  def describe(self, shape: tuple[int, ...]) -> str:
    """One line on what happens to frames of shape [H, W, ...]."""
    before, after = ops.size_text(shape), ops.size_text(self.result(shape))
    if before == after:
      return (f'frames of {before} pixels have the size that {self.place} makes: taken as prepared '
              'already')
    steps = [f'resized to {ops.size_text(self.size)}'] if self.size else []
    if self.crop:
      steps.append(f'cut to {after}')
    of_run, like = ((' of this run', ', as those it was trained and scored on')
                    if self.trained else ('', ''))
    return (f'{self.place}{of_run}: frames of {before} pixels are {" and ".join(steps)}{like}, and '
            f'come out so; {AS_IS}')


def of_run(data: ConfigDict) -> Preparation:
  """The preparation of a run's test frames; false where it has none.

  Folders have `data.prepare`; records their own, told by their `clips.json`: where that is not on
  this machine, frames can only be taken as they are, with one loud line. A run of the built-in
  street has `data.prepare` only where it is given to the translation.
  """
  if data.source == 'tfds':
    return _of_records(data)
  crop = preprocess.read_size(data.prepare.crop, 'data.prepare.crop')
  size = preprocess.read_size(data.prepare.resize, 'data.prepare.resize')
  return Preparation('data.prepare', size if data.prepare.resize_test else None,
                     (None, None, *crop) if crop else None, data.source == 'folders')


def _of_records(data):
  for split in ('test', 'train'):
    try:
      found = records.open_split(data, split, 'b' if data.direction == 'b2a' else 'a')
    except (OSError, UserError) as error:
      tqdm.tqdm.write('how frames of this run were prepared is not known here, they are taken as '
                      f'they are ({str(error).splitlines()[0]})')
      return Preparation('')
    if isinstance(found, records.TfdsFrames):
      return Preparation(f'the set {found.name}', *(
          tuple(found.index[name]) if found.index[name] else None for name in ('resize', 'crop')))
  return Preparation('')


def prepared(stream: Stream, preparation: Preparation, say: Callable[[str], None]) -> Stream:
  """A stream whose frames are prepared; `say` gets the line on each of them."""
  def prepare(frame, label):
    say(preparation.describe(frame.shape))
    try:
      return preparation.apply(frame)
    except UserError as error:
      raise UserError(f'frame {label}: {error}') from error

  def read(damaged='stop'):
    for label, frame, seconds in stream.read(damaged):
      if not isinstance(frame, Exception):
        frame = prepare(frame, label)
      yield label, frame, seconds

  def at(k):
    return prepare(stream.at(k), f'{k} (from 0) of {stream.name}')
  return dataclasses.replace(stream, read=read, at=at if stream.at else None)

"""The size at which footage is translated: a run's own, or learned."""

import dataclasses
from collections.abc import Callable

import numpy as np
import tqdm
from ml_collections import ConfigDict

from i2vjax.core import notes, ops
from i2vjax.core.errors import UserError
from i2vjax.data.sources import records
from i2vjax.data.sources.streams import Stream
from i2vjax.data.transforms import preprocess, resize

JITTER = 1.25   # frames of training by their crop, up to which the crop is about the whole frame
LARGER = 1.5   # times as high as what was learned: frames are translated smaller
ADVICE = 'frames far larger than those learned'   # what `size_advice` is about, said once
ENLARGED = 'and results made as large as the input again, along its edges'
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

  def describe(self, shape: tuple[int, ...], enlarged: bool = False) -> str:
    """One line on what happens to frames of shape [H, W, ...]; `enlarged`: and to results."""
    before, after = ops.size_text(shape), ops.size_text(self.result(shape))
    if before == after:
      return (f'frames of {before} pixels have the size that {self.place} makes: taken as prepared '
              'already')
    steps = [f'resized to {ops.size_text(self.size)}'] if self.size else []
    if self.crop:
      steps.append(f'cut to {after}')
    of_run, like = ((' of this run', ', as those it was trained and scored on')
                    if self.trained else ('', ''))
    end = ENLARGED if enlarged else f'and come out so; {AS_IS}'
    return (f'{self.place}{of_run}: frames of {before} pixels are {" and ".join(steps)}{like}, '
            f'{end}')


@dataclasses.dataclass(frozen=True)
class LearnedSize:
  """Larger frames are made as high as those that a run has learned things on.

  Attributes:
    data: config.data of the run.
  """

  data: ConfigDict

  def result(self, shape: tuple[int, ...]) -> tuple[int, int]:
    """(height, width) at which a frame of shape [H, W, ...] is translated."""
    return learned_size(self.data, shape) or (shape[0], shape[1])

  def apply(self, frame: np.ndarray) -> np.ndarray:
    """A raw frame [H, W, C] at that size."""
    return resize.resize_frame(frame, self.result(frame.shape))

  def describe(self, shape: tuple[int, ...], enlarged: bool = True) -> str:
    """One line on what happens to frames of shape [H, W, ...] and to results."""
    del enlarged   # they always are
    size = self.result(shape)
    if size == tuple(shape[:2]):
      return (f'frames of {ops.size_text(shape)} pixels are not much higher than those this run '
              'has learned, or not at all: translated in their own size')
    return (f'frames of {ops.size_text(shape)} pixels are translated at {ops.size_text(size)}, '
            f'about as high as those this run has learned, {ENLARGED}')


def for_translation(data: ConfigDict, as_is: bool = False,
                    full_size: bool = False) -> Preparation | LearnedSize | None:
  """What is done to frames before they are translated; None: nothing.

  Args:
    data: config.data of the run.
    as_is: nothing.
    full_size: results are enlarged to the size of the input afterwards, so that frames may be made
      smaller: as the run's own frames were, else as `LearnedSize` says.

  Raises:
    UserError: both; frames that are cut, or a run that has learned things of any size.
  """
  if as_is and full_size:
    raise UserError('--as_is translates frames in their own size: --full_size has nothing to '
                    'enlarge, leave one of them away')
  own = None if as_is else of_run(data)
  if not full_size:
    return own or None
  if own and own.crop:
    raise UserError(f'--full_size: {own.place} of this run cuts frames out ({own.crop[3]}x'
                    f'{own.crop[2]}), and what is cut off was never translated: leave it away')
  if not own and data.resize == 'none':
    cut_only = ' --config.data.prepare.resize_test=true' if not data.prepare.resize_test else ''
    raise UserError('--full_size: this run was trained on frames in their own size '
                    '(data.resize=none); name the size to translate at, as '
                    f'--config.data.prepare.resize=320x256{cut_only}, or leave it away')
  return own or LearnedSize(data)


def learned_size(data: ConfigDict, shape: tuple[int, ...]) -> tuple[int, int] | None:
  """(height, width) like [H, W, ...] in shape, as high as the frames that a run has learned.

  Those are the frames that its crops are cut from; where they are hardly larger than the crop (286
  and 256, which only moves things a little) those that it is scored on. The width is a multiple of
  4, which most networks take without padding. None where frames are less than `LARGER` times as
  high, or the run has learned frames as they came.
  """
  if data.resize == 'none':
    return None
  frame = shape[0], shape[1]
  height, whole = (size(frame, data)[0] for size in (resize.test_size, resize.train_size))
  if whole > JITTER * height:
    height = whole
  if shape[0] < LARGER * height:
    return None
  return height, max(4 * round(shape[1] * height / shape[0] / 4), 4)


def size_advice(data: ConfigDict, shape: tuple[int, ...]) -> str:
  """Advice for frames [H, W, ...] that are far larger than those a run has learned; else ''."""
  size = learned_size(data, shape)
  if not size:
    return ''
  return (f'frames of {ops.size_text(shape)} pixels are {shape[0] / size[0]:.1f} times as high as '
          'those that this run has learned, and things in them as much larger, which mostly makes '
          f'worse pictures: --full_size translates them at {ops.size_text(size)}, {ENLARGED}')


def say_size(data: ConfigDict, shape: tuple[int, ...],
             prepare: Preparation | LearnedSize | None, full_size: bool = False) -> None:
  """One line, once: what is done to frames [H, W, ...], or what would be better (`size_advice`)."""
  if prepare:
    notes.say_once(prepare.describe(shape, full_size))
  elif advice := size_advice(data, shape):
    notes.say_once(advice, about=ADVICE)


def of_run(data: ConfigDict) -> Preparation:
  """The preparation of a run's test frames; false where it has none.

  Folders have `data.prepare`; records their own, told by their `clips.json`: where that is not on
  this machine, frames can only be taken as they are, with one loud line. Runs of records and of the
  built-in street have `data.prepare` only where it is given to the translation.
  """
  crop = preprocess.read_size(data.prepare.crop, 'data.prepare.crop')
  size = preprocess.read_size(data.prepare.resize, 'data.prepare.resize')
  of_folders = data.source == 'folders'
  if data.source == 'tfds' and not (size or crop):
    return _of_records(data)
  return Preparation('data.prepare', size if data.prepare.resize_test or not of_folders else None,
                     (None, None, *crop) if crop else None, trained=of_folders)


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


def prepared(stream: Stream, preparation: Preparation | LearnedSize, say: Callable[[str], None],
             keep: bool = False) -> Stream:
  """A stream whose frames are prepared; `say` gets the line on each of them.

  With `keep` its items have a fourth part, the frame as it was.
  """
  def prepare(frame, label):
    say(preparation.describe(frame.shape, keep))
    try:
      return preparation.apply(frame)
    except UserError as error:
      raise UserError(f'frame {label}: {error}') from error

  def read(damaged='stop'):
    for label, frame, seconds in stream.read(damaged):
      small = frame if isinstance(frame, Exception) else prepare(frame, label)
      yield (label, small, seconds, frame) if keep else (label, small, seconds)

  def at(k):
    return prepare(stream.at(k), f'{k} (from 0) of {stream.name}')
  return dataclasses.replace(stream, read=read, at=at if stream.at else None)

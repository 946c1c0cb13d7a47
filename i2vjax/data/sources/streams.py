"""Clips read frame by frame in constant memory, for `translate`.

What it makes of them is written by data/io/result_writers.py.
"""

import collections
import dataclasses
import glob
import itertools
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from i2vjax.core import machine, notes, stages
from i2vjax.core.errors import UserError
from i2vjax.data.io import cptv_files, images, video_reader
from i2vjax.data.sources import clip_splitting, listing
from i2vjax.data.sources.videos import VideoFrames
from i2vjax.data.transforms import thermal

READ_AHEAD = 16       # pictures decoded in the background
MOST_READERS = 4      # threads that decode them


@dataclasses.dataclass(frozen=True)
class Stream:
  """One clip, read from front to back.

  Attributes:
    name: for messages.
    read: 'stop' | 'skip' -> iterator of (label, frame, seconds). The label is the path, without
      ending, of the frame's own file below an output folder. The frame is a raw array, or the
      `UnreadableFrame` that reading it raised (a video's reader raises by itself on 'stop').
      Seconds is the presentation time in a video, None for pictures.
    length: number of frames, None where the file does not say.
    at: index -> that raw frame, by random access; None where that is not possible.
    info: `video_reader.video_info` of a video, None for pictures.
  """

  name: str
  read: Callable[[], Any]
  length: int | None = None
  info: Any = None
  at: Callable[[int], Any] | None = None


def open_streams(place: str | os.PathLike, deinterlace: bool = False,
                 on_damage: str = 'stop') -> list[Stream]:
  """The clips of a video file, a folder of frames (sub-folders are clips), a glob or a picture.

  A flat folder is split into clips where its frame numbers jump, so that a recurrent method does
  not carry memory over the jump.

  Args:
    place: of them. deinterlace: make whole frames of the half pictures of videos.
    on_damage: 'skip': of several videos those of which nothing can be read are left out, named.

  Raises:
    FileNotFoundError: nothing there. UserError: two pictures would get the same name, or pictures
    are to be deinterlaced.
  """
  pictures, video_files = listing.find_files(place, one_picture=True)
  if deinterlace and not video_files:
    raise UserError(f'--deinterlace is for videos, and {place} holds pictures: leave it away')
  if len(video_files) == 1:
    return [_video_stream(video_files[0], '', deinterlace)]
  if video_files:
    names = listing.unique_names(video_files)
    files = readable_videos(video_files, on_damage)
    return [_video_stream(path, names[path] + '/', deinterlace) for path in files]
  streams = []
  for folder, files in pictures.items():
    _unique_labels(folder, files)
    runs = clip_splitting.split_runs(files, gaps=folder == '')
    clip_splitting.say_runs(os.path.join(str(place), folder), files, runs,
                            'sub-folders, one for each clip, decide otherwise')
    streams += [_picture_stream(folder, run) for run in runs]
  return streams


def array_stream(frames: np.ndarray) -> Stream:
  """Frames that are in memory already as a clip.

  Args:
    frames: uint8 or uint16 [T, H, W] or [T, H, W, C] of 1 or 3 channels, RGB.

  Raises:
    UserError: another type or shape, or no frame.
  """
  frames = np.asarray(frames)
  clip = frames[..., None] if frames.ndim == 3 else frames
  if clip.ndim != 4 or clip.shape[3] not in (1, 3) or not clip.size:
    raise UserError(f'frames of shape {frames.shape}: [T, H, W] or [T, H, W, C] with 1 or 3 '
                    'channels and at least one frame are asked for')
  if clip.dtype not in (np.uint8, np.uint16):
    raise UserError(f'frames of {clip.dtype}: uint8 are asked for, or the raw uint16 of a thermal '
                    'camera')

  def read(damaged='stop'):
    del damaged
    return ((f'{k + 1:06d}', frame, None) for k, frame in enumerate(clip))
  return Stream('the array', read, len(clip), at=lambda k: clip[k])


def readable_videos(paths: list[str], on_damage: str = 'stop') -> list[str]:
  """The videos of a folder; on 'skip' without those of which nothing can be read, each named.

  Raises:
    UserError: none can be read.
  """
  if on_damage != 'skip' or len(paths) < 2:
    return paths
  good = []
  for path in paths:
    try:
      next(video_reader.read_video(path, 'skip'))
    except (video_reader.UnreadableVideo, OSError) as error:
      notes.say_once(f'skipped: {error}')
      continue
    good.append(path)
  if not good:
    raise UserError(f'none of {len(paths)} videos can be read, such as {paths[0]}')
  return good


def _unique_labels(folder, files):
  count = collections.Counter(pathlib.Path(file).stem for file in files)
  stem, most = count.most_common(1)[0]
  if most > 1:
    paths = [file for file in files if pathlib.Path(file).stem == stem]
    first = pathlib.Path(paths[0])
    raise UserError(f'{" and ".join(paths[:2])} would get the same name in the output: give a '
                     f'glob that matches one of them, such as '
                     f'{glob.escape(str(first.parent))}/*{glob.escape(first.suffix)}')


def _picture_stream(folder, files):
  def read_one(file):
    label = f'{folder}/{pathlib.Path(file).stem}'.lstrip('/')
    try:
      return label, images.read_image(file), None
    except images.UnreadableFrame as error:
      return label, error, None

  def read(damaged='stop'):
    del damaged   # an unreadable picture is handed out as such; `translate` decides
    return stages.map_ahead(read_one, files, machine.threads(MOST_READERS), READ_AHEAD)
  return Stream(folder or str(pathlib.Path(files[0]).parent), read, len(files),
                at=lambda k: images.read_image(files[k]))


def _video_stream(path, prefix, deinterlace):
  info = video_reader.video_info(path)

  def read(damaged='stop'):
    for index, (frame, seconds) in enumerate(video_frames(path, damaged, deinterlace)):
      yield f'{prefix}{index + 1:06d}', frame, seconds
  at = _random_access(path) if info.dtype == 'uint16' else None   # only 16 bits need a value range
  return Stream(str(path), read, info.frames, info, at)


def _random_access(path):
  video = VideoFrames([path])
  return lambda k: video.read(k)['frame']


def video_frames(path: str | os.PathLike, damaged: str = 'stop', deinterlace: bool = False
                 ) -> Iterator[tuple[np.ndarray | images.UnreadableFrame, float]]:
  """`video_reader.read_video`; on 'skip' an UnreadableFrame stands for each frame left out."""
  if damaged != 'skip' or cptv_files.is_cptv(path):
    return video_reader.read_video(path, damaged, deinterlace)
  return _with_gaps(path, video_reader.read_video(path, damaged, deinterlace, True))


def _with_gaps(path, decoded):
  """An `UnreadableFrame` for each None."""
  container, stream = video_reader.open_stream(path)
  with container:
    stamps = [float(x) for x in video_reader.time_stamps(container, stream) or ()]
  for k, (frame, seconds) in enumerate(_by_stamps(decoded, stamps) if stamps else decoded):
    if frame is None:
      frame = images.UnreadableFrame(f'{path}: frame {k} (from 0) cannot be decoded')
    yield frame, seconds


def _by_stamps(decoded, stamps):
  """Decoded frames, and None for each time stamp without one: decoders pass over some in silence.
  """
  place = 0
  frames = (item for item in decoded if item[0] is not None)
  for frame, seconds in itertools.chain(frames, [(None, float('inf'))]):
    while place < len(stamps) and stamps[place] < seconds - 1e-4:
      yield None, stamps[place]
      place += 1
    if frame is not None:
      yield frame, seconds
      place += 1


# ---- value ranges of thermal clips


def value_range(stream: Stream, rule: str | tuple | None) -> np.ndarray | None:
  """The raw values of a whole clip that become -1 and 1.

  Measured as in training, on frames spread evenly over the clip: a jump of the camera's gain late
  in a long clip then stays inside the range.

  Returns:
    [2] float32; None for 8 bits, and where the clip can only be read in order (use
    `peek_value_range` then).
  """
  if stream.at is None or not stream.length:
    return None
  count = min(stream.length, thermal.RANGE_FRAMES)
  sample = []
  for k in np.unique(np.linspace(0, stream.length - 1, count).astype(int)):
    try:
      frame = stream.at(int(k))
    except (images.UnreadableFrame, video_reader.UnreadableVideo):
      continue                     # reported when the clip is read in order
    if frame.dtype == np.uint8:
      return None
    sample.append(frame)
  return thermal.value_range(sample, rule) if sample else None


def peek_value_range(items: Iterable[tuple],
                     rule: str | tuple | None) -> tuple[Iterator[tuple], np.ndarray | None]:
  """(items again from the start, value range [2] or None), measured on the first frames.

  The percentiles of the rule 'clip' come from the first 64 frames: a stream has no others yet.
  8-bit frames need no range: None.
  """
  items = iter(items)
  first_items, sample = [], []
  for item in items:
    first_items.append(item)
    frame = item[1]
    if frame is not None and frame.dtype == np.uint8:
      break
    if frame is not None:
      sample.append(frame)
    if len(sample) == thermal.RANGE_FRAMES:
      break
  again = itertools.chain(first_items, items)
  return again, thermal.value_range(sample, rule) if sample else None

"""Footage from front to back in constant memory: what `translate` reads and writes."""

import collections
import concurrent.futures
import dataclasses
import itertools
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np

from i2vjax.core.errors import UserError
from i2vjax.data.io import images, video_reader
from i2vjax.data.sources import clip_splitting, folders, videos
from i2vjax.data.transforms import thermal

AHEAD = 16   # pictures decoded before they are asked for


@dataclasses.dataclass(frozen=True)
class Stream:
  """One clip.

  Attributes:
    name: for messages.
    read: 'stop' | 'skip' -> iterator of (label, frame, seconds). The label is the path, without
      ending, of the frame's own file below an output folder. The frame is a raw array, or the
      `UnreadableFrame` that reading it gave (a video's reader raises by itself on 'stop').
      Seconds is the presentation time in a video, None for pictures.
    length: number of frames, None where the file does not say.
    at: index -> the raw frame there, wherever reading stands; None where that cannot be had.
    info: `video_reader.video_info` of a video, None for pictures.
  """

  name: str
  read: Callable[[], Any]
  length: int | None = None
  info: Any = None
  at: Callable[[int], Any] | None = None


def open_streams(place):
  """The clips of a video file, a folder of frames (sub-folders are clips) or a glob.

  A flat folder is cut into clips where its frame numbers jump, so that a recurrent method does not
  carry memory over a cut.

  Raises:
    FileNotFoundError: nothing there. ValueError: two pictures would get the same name.
  """
  pictures, videos = folders.search(place)
  if videos:
    names = folders.unique_names(videos)
    alone = len(videos) == 1
    return [_video_stream(path, '' if alone else names[path] + '/') for path in videos]
  streams = []
  for folder, files in pictures.items():
    _unique_labels(folder, files)
    runs = clip_splitting.cut_runs(files) if folder == '' else [files]
    streams += [_picture_stream(folder, run) for run in runs]
  return streams


def _unique_labels(folder, files):
  count = collections.Counter(pathlib.Path(file).stem for file in files)
  stem, most = count.most_common(1)[0]
  if most > 1:
    twins = [file for file in files if pathlib.Path(file).stem == stem]
    raise UserError(f'{" and ".join(twins[:2])} would get the same name in the output: give a '
                     f'glob that matches one of them, such as {pathlib.Path(twins[0]).parent}/*'
                     f'{pathlib.Path(twins[0]).suffix}')


def _picture_stream(folder, files):
  def one(file):
    label = f'{folder}/{pathlib.Path(file).stem}'.lstrip('/')
    try:
      return label, images.read_image(file), None
    except images.UnreadableFrame as error:
      return label, error, None
  return Stream(folder or str(pathlib.Path(files[0]).parent),
                lambda damaged='stop': _ahead(one, files), len(files),
                at=lambda k: images.read_image(files[k]))


def _ahead(function, items):
  """map(function, items) in order, with a few calls running in the background."""
  items = iter(items)
  with concurrent.futures.ThreadPoolExecutor(2) as pool:
    running = collections.deque(pool.submit(function, x) for x in itertools.islice(items, AHEAD))
    try:
      while running:
        yield running.popleft().result()
        running.extend(pool.submit(function, x) for x in itertools.islice(items, 1))
    finally:
      for job in running:
        job.cancel()


def _video_stream(path, prefix):
  info = video_reader.video_info(path)

  def read(damaged='stop'):
    shown = video_reader.read_video(path, damaged)
    shown = _with_gaps(path, shown) if damaged == 'skip' else shown
    for index, (frame, seconds) in enumerate(shown):
      yield f'{prefix}{index + 1:06d}', frame, seconds
  return Stream(str(path), read, info.frames, info, _at(path) if info.dtype == 'uint16' else None)


def _at(path):
  film = videos.VideoFrames([path])
  return lambda k: film.read(k)['frame']


def _with_gaps(path, decoded):
  """Put an `UnreadableFrame` wherever the file has a time stamp that no decoded frame came for."""
  container, stream = video_reader.open_stream(path)
  with container:
    stamps = [float(x) for x in video_reader.time_stamps(container, stream) or ()]
  place = 0
  for frame, seconds in itertools.chain(decoded, [(None, float('inf'))]):
    while place < len(stamps) and stamps[place] < seconds - 1e-4:
      yield images.UnreadableFrame(f'{path}: frame {place} (from 0) cannot be decoded'), \
          stamps[place]
      place += 1
    if frame is not None:
      yield frame, seconds
      place += 1


# ---- cutting a stream to what a device takes ---------------------------------------------------


def groups(items, chunk):
  """Cut a stream of (label, frame or None, ...) into chunks.

  Yields:
    (begins, items): at most `chunk` frames of one shape and type, in order, frames that are None
    riding along; `begins` is true for the first group and wherever the shape or type changes.
  """
  group, kind, begins, count = [], None, True, 0
  for item in items:
    frame = item[1]
    if frame is not None:
      own = frame.shape, frame.dtype
      changed = kind is not None and own != kind
      if changed or count == chunk:
        yield begins, group
        group, count, begins = [], 0, changed
      kind, count = own, count + 1
    group.append(item)
  if group:
    yield begins, group


def limits(stream, rule):
  """Raw values of a whole clip that become -1 and 1, found as in training: from frames spread over
  it evenly, so that what a jump of the gain does late in a long clip stays inside the range.

  Returns:
    [2] float32; None for 8 bits, and where the clip can only be read in order (`measured` then
    looks at its beginning).
  """
  if stream.at is None or not stream.length:
    return None
  count = min(stream.length, thermal.LIMIT_FRAMES)
  sample = []
  for k in np.unique(np.linspace(0, stream.length - 1, count).astype(int)):
    try:
      frame = stream.at(int(k))
    except (images.UnreadableFrame, video_reader.UnreadableVideo):
      continue                     # reading in order will meet it and say so
    if frame.dtype == np.uint8:
      return None
    sample.append(frame)
  return thermal.thermal_limits(sample, rule) if sample else None


def measured(items, rule):
  """(items again from the start, limits [2] or None) after a look at the first frames.

  The percentiles of the rule 'clip' come from the first 64 frames: a stream has no others yet.
  8-bit frames need no limits: None.
  """
  items = iter(items)
  seen, sample = [], []
  while len(sample) < thermal.LIMIT_FRAMES:
    item = next(items, None)
    if item is None or (item[1] is not None and item[1].dtype == np.uint8):
      break
    seen.append(item)
    sample += [item[1]] if item[1] is not None else []
  rest = itertools.chain(seen, [] if item is None else [item], items)
  return rest, thermal.thermal_limits(sample, rule) if sample else None


# ---- the other end ----------------------------------------------------------------------------


def write_folder(output, results):
  """Write (label, uint8 frame or None, seconds) as `output/label.png`; None leaves a gap.

  Returns:
    Number of files written.
  """
  count = 0
  for label, frame, _ in results:
    if frame is not None:
      images.write_image(pathlib.Path(output) / f'{label}.png', frame)
      count += 1
  return count


def write_video(output, results, rate):
  """Write (label, uint8 frame or None, seconds or None) as one video, whole or not at all.

  None shows the frame before it once more (at the start: the first there is), so that the video
  keeps its length.

  Returns:
    Number of frames written.
  """
  with video_reader.VideoWriter(output, rate) as writer:
    for frame, seconds in held(results):
      writer.write(frame, seconds)
  return writer.frames


def held(results):
  """(frame, seconds) with every None replaced by the frame before it, or the first there is."""
  before, early = None, []
  for _, frame, seconds in results:
    if frame is None and before is None:
      early.append(seconds)
      continue
    before = frame if frame is not None else before
    yield from ((before, time) for time in (*early, seconds))
    early = []

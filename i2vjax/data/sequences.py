"""Videos as training and test data: random access, and unpacking into pictures."""

import hashlib
import os
import pathlib
import secrets
import shutil
import threading
import time

import numpy as np
import tqdm

from i2vjax.core import files
from i2vjax.data import frames as images
from i2vjax.data import video

SEEKS = ('mp4', 'matroska')   # files with an index and true times; others are read from the start
STALE_SECONDS = 3600          # an unpacking that has not moved for so long was killed


class VideoFrames:
  """Videos as a FrameSource: any frame, bit-equal to reading in order.

  Reading on is as fast as decoding. A jump decodes from the key frame before, up to a whole group
  of pictures (often 250 frames); in files that cannot be sought exactly (.avi, .ts, .mpg) from the
  start. For training use `unpack`.
  """

  has_flow = False

  def __init__(self, paths, names=None):
    """paths: video files; each is a clip. names: of the clips, by default the files' stems."""
    names = names or [pathlib.Path(path).stem for path in paths]
    self.place, self.paths, self.clips, self.stamps = str(paths[0]), list(map(str, paths)), [], []
    start = 0
    for name, path in zip(names, self.paths, strict=True):
      container, stream = video.open_stream(path)
      with container:
        stamps = video.time_stamps(container, stream)
        seeks = any(name in SEEKS for name in container.format.name.split(','))
      count = len(stamps) if stamps else video.video_info(path).frames
      stamps = stamps if seeks else None
      self.clips.append((name, start, count))
      self.stamps.append(stamps)
      start += count
    self._reset()

  def _reset(self):
    self._lock, self._open_clip, self._next = threading.Lock(), None, None

  def __getstate__(self):
    return {name: value for name, value in self.__dict__.items() if name[0] != '_'}

  def __setstate__(self, state):
    self.__dict__.update(state)
    self._reset()

  def __len__(self):
    return sum(length for _, _, length in self.clips)

  def __repr__(self):
    return f'VideoFrames({self.paths!r}, {len(self)} frames)'

  def where(self, i):
    """Frame `i` in words, for messages."""
    clip = self._clip(i)
    return f'{self.paths[clip]}, frame {i - self.clips[clip][1]} (from 0)'

  def _clip(self, i):
    return next(k for k, (_, start, length) in enumerate(self.clips) if start <= i < start + length)

  def read(self, i):
    """{'frame': uint8 [H, W, 1 or 3] or uint16 [H, W, 1]}."""
    clip = self._clip(i)
    with self._lock:
      return {'frame': self._read(clip, i - self.clips[clip][1])}

  def _read(self, clip, k):
    if self._open_clip != clip or k != self._next:
      self._go_to(clip, k)
    stamps = self.stamps[clip]
    for frame in self._stream_frames:
      self._next += 1
      if stamps is None and self._next <= k:
        continue
      if stamps is None or frame.time is None or frame.pts * frame.time_base >= stamps[k]:
        self._next = k + 1
        return video.to_array(frame, self._kind, self._size)
    raise video.UnreadableVideo(f'{self.paths[clip]}: frame {k} (from 0) cannot be decoded')

  def _go_to(self, clip, k):
    """Place the decoder at the key frame before frame `k` of a clip."""
    path, stamps = self.paths[clip], self.stamps[clip]
    # opened anew: after a seek some decoders still hand out frames from before it
    self._container, stream = video.open_stream(path)
    self._open_clip, self._next = clip, 0
    self._kind, self._size = video.kind_of(stream), video.size_of(self._container, stream)
    if stamps and k:
      self._container.seek(int(stamps[k] / stream.time_base), stream=stream)
    self._stream_frames = video.decoded(self._container, stream, path)


def cache_dir(data):
  """Folder for unpacked videos: `data.cache_dir`, or `i2vjax/videos` in the user's cache."""
  if data.cache_dir:
    return pathlib.Path(data.cache_dir).expanduser()
  return files.cache('videos')


def unpack(path, data):
  """Decode a video once into PNG frames, resized as training will resize them; as they are where
  `data.prepare` comes first.

  Kept under a name made of the file's path, size and time and of the load size, so a changed video
  is unpacked anew. Written beside, then renamed: an interrupted unpacking is never taken for whole.

  Args:
    path: the video. data: config.data (`cache_dir`, `load_size`, `crop_size`, `resize`, `prepare`).

  Returns:
    The folder of frames, 000000.png and so on.

  Raises:
    OSError: the disk lacks the space (named, with what is needed).
  """
  stat = os.stat(path)
  size, prepare = video_shape(path), data.get('prepare', None)
  if not (prepare and (prepare.resize or prepare.crop)):
    size = images.train_size(size, data)
  key = f'{os.path.realpath(path)}|{stat.st_size}|{stat.st_mtime_ns}|{size}'
  key = hashlib.sha256(key.encode()).hexdigest()[:16]
  folder = cache_dir(data) / f'{pathlib.Path(path).stem}-{key}'
  if not folder.is_dir():
    folder.parent.mkdir(parents=True, exist_ok=True)
    for left in folder.parent.glob(f'{folder.name}.part-*'):
      if time.time() - left.stat().st_mtime > STALE_SECONDS:
        shutil.rmtree(left, ignore_errors=True)
    _unpack(path, folder, size)
  return folder


def video_shape(path):
  """(height, width) of the first frame."""
  return next(video.read_video(path))[0].shape[:2]


def _amount(count):
  return f'{count / 1e9:.2f} GB' if count >= 1e9 else f'{count / 1e6:.2f} MB'


def _unpack(path, folder, size):
  info = video.video_info(path)
  need = info.frames * size[0] * size[1] * info.channels * np.dtype(info.dtype).itemsize
  free = shutil.disk_usage(folder.parent).free
  print(f'{path}: unpacking {info.frames} frames of {size[1]}x{size[0]} into {folder}, at most '
        f'{_amount(need)}', flush=True)
  if need > free:
    raise OSError(f'{folder.parent} has {_amount(free)} left and {path} may need {_amount(need)}: '
                  f'free some, or set data.cache_dir to another disk')
  part = folder.with_name(f'{folder.name}.part-{secrets.token_hex(4)}')   # hosts share the disk
  part.mkdir()
  try:
    steps = tqdm.tqdm(video.read_video(path), total=info.frames, unit='frame', disable=None)
    for k, (frame, _) in enumerate(steps):
      images.write_image(part / f'{k:06d}.png', images.resize(frame, size))
    part.rename(folder)
  except OSError:
    if not folder.is_dir():               # else another process was faster
      raise
  finally:
    shutil.rmtree(part, ignore_errors=True)

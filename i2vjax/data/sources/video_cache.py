"""Films unpacked once into pictures, for training."""

import hashlib
import os
import pathlib
import secrets
import shutil
import time

import numpy as np
import tqdm

from i2vjax.core import files
from i2vjax.data.io import images, video_reader
from i2vjax.data.sources import videos
from i2vjax.data.transforms import resize

STALE_SECONDS = 3600          # an unpacking that has not moved for so long was killed


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
  size, prepare = videos.video_shape(path), data.get('prepare', None)
  if not (prepare and (prepare.resize or prepare.crop)):
    size = resize.train_size(size, data)
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


def _unpack(path, folder, size):
  info = video_reader.video_info(path)
  need = info.frames * size[0] * size[1] * info.channels * np.dtype(info.dtype).itemsize
  free = shutil.disk_usage(folder.parent).free
  print(f'{path}: unpacking {info.frames} frames of {size[1]}x{size[0]} into {folder}, at most '
        f'{videos._amount(need)}', flush=True)
  if need > free:
    raise OSError(
      f'{folder.parent} has {videos._amount(free)} left and {path} may need {videos._amount(need)}: '
      f'free some, or set data.cache_dir to another disk'
    )
  part = folder.with_name(f'{folder.name}.part-{secrets.token_hex(4)}')   # hosts share the disk
  part.mkdir()
  try:
    steps = tqdm.tqdm(video_reader.read_video(path), total=info.frames, unit='frame', disable=None)
    for k, (frame, _) in enumerate(steps):
      images.write_image(part / f'{k:06d}.png', resize.resize_frame(frame, size))
    part.rename(folder)
  except OSError:
    if not folder.is_dir():               # else another process was faster
      raise
  finally:
    shutil.rmtree(part, ignore_errors=True)

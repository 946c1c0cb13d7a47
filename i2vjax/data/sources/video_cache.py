"""Cache of videos unpacked into pictures, for training."""

import hashlib
import os
import pathlib
import secrets
import shutil
import time

import numpy as np
import tqdm
from ml_collections import ConfigDict

from i2vjax.core import files
from i2vjax.data.io import images, video_reader
from i2vjax.data.transforms import resize

READING = 4                   # counted up where films are read otherwise: they are unpacked anew
STALE_SECONDS = 3600          # a part folder not written to for so long: its process was killed


def cache_dir(data: ConfigDict) -> pathlib.Path:
  """Folder for unpacked videos: `data.cache_dir`, or `i2vjax/videos` in the user's cache."""
  if data.cache_dir:
    return files.expanded(data.cache_dir)
  return files.cache('videos')


def unpack(path: str | os.PathLike, data: ConfigDict) -> pathlib.Path:
  """Decode a video once into PNG frames, resized as training will resize them.

  Where `data.prepare` resizes or crops first, or `data.unpalette` needs colors unmixed, they keep
  their size. The folder is named by the file's path, size and time and by the size of the frames,
  so a changed video is unpacked anew. It is written under a temporary name, then renamed: an
  interrupted one is never taken for whole.

  Args:
    path: the video. data: config.data (`cache_dir`, `load_size`, `crop_size`, `resize`, `prepare`).

  Returns:
    The folder of frames, 000000.png and so on.

  Raises:
    OSError: the disk lacks the space (named, with what is needed).
  """
  stat = os.stat(path)
  first_frame, _ = next(video_reader.read_video(path))
  size = first_frame.shape[:2]
  if not (data.prepare.resize or data.prepare.crop or data.get('unpalette', '')):
    size = resize.train_size(size, data)
  key = f'{os.path.realpath(path)}|{stat.st_size}|{stat.st_mtime_ns}|{size}|{READING}'
  key = hashlib.sha256(os.fsencode(key)).hexdigest()[:16]
  folder = cache_dir(data) / f'{pathlib.Path(path).stem}-{key}'
  if not folder.is_dir():
    files.make_cache(folder.parent, 'data.cache_dir (--config.data.cache_dir=FOLDER)')
    for part in folder.parent.glob(f'{folder.name}.part-*'):
      if time.time() - part.stat().st_mtime > STALE_SECONDS:
        shutil.rmtree(part, ignore_errors=True)
    _unpack(path, folder, size)
  return folder


def _unpack(path, folder, size):
  info = video_reader.video_info(path)
  video_reader.say_pictures(info)
  need = info.frames * size[0] * size[1] * info.channels * np.dtype(info.dtype).itemsize
  free = shutil.disk_usage(folder.parent).free
  print(f'{path}: unpacking {info.frames} frames of {size[1]}x{size[0]} into {folder}, at most '
        f'{_amount(need)}', flush=True)
  if need > free:
    raise OSError(
      f'{folder.parent} has {_amount(free)} left and {path} may need {_amount(need)}: free some, '
      f'or set data.cache_dir to another disk'
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


def _amount(count):
  return f'{count / 1e9:.2f} GB' if count >= 1e9 else f'{count / 1e6:.2f} MB'

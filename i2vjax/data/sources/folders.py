"""Frames in folders, globs and videos as a frame source.

A folder is flat, or has one sub-folder per clip; a file holds one frame, or a strip of several side
by side.
"""

import glob
import os
import pathlib
import threading
import warnings
from collections.abc import Iterator

import numpy as np
from ml_collections import ConfigDict

from i2vjax.core.errors import UserError
from i2vjax.data.io import images, output_paths, video_reader
from i2vjax.data.source import Clip, FrameSource
from i2vjax.data.sources import clip_splitting, listing, locate, strips, video_cache, videos

_cache = threading.local()   # the picture read last: the frames of a strip share one file


def open_split(data: ConfigDict, split: str, domain: str) -> FrameSource | None:
  """The frames of `data.<split>_<domain>` or below `data.root`; None where neither has any.

  Videos are unpacked once into pictures for training, and read in place for testing.
  """
  place = locate.find_split(data, split, domain)
  if not place:
    return None
  pictures, video_files, ignored = listing.list_place(place)
  names = listing.unique_names(video_files)
  if video_files and split != 'train':
    return videos.VideoFrames(video_files, list(names.values()))
  if video_files:
    output_paths.check_apart(place, video_cache.cache_dir(data), may_hold=True,
                             name='data.cache_dir')
    clips = [(names[path], _unpacked(path, data)) for path in video_files]
    return FolderFrames(place, clips, ignored=ignored, named=False)
  parts = frames_per_file(data.frames_per_image, other_sizes(data, split, domain))
  if parts == 1:
    warn_strips(pictures, other_sizes(data, split, domain))
  if split != 'train' and parts in strips.COUNTS:   # published sets test on single frames
    parts = strips.Auto(other_sizes(data, split, domain))
  clips = clip_splitting.split_clips(place, pictures, data.clip_regex, data.max_gap, parts)
  return FolderFrames(place, clips, parts, ignored)


def _unpacked(path, data):
  """The picture files that a video was unpacked into, in order."""
  pictures, _ = listing.find_files(video_cache.unpack(path, data))
  return pictures['']


class FolderFrames(FrameSource):
  """Random access to picture files.

  Attributes:
    clips: list of Clip.
    place: folder or glob, for messages.
    files: for each frame (file, its part of the file, parts of the file).
    ignored: number of files there that are hidden or not pictures.
  """

  def __init__(self, place: str | os.PathLike, clips: list, parts: strips.Parts = 1,
               ignored: int = 0, named: bool = True):
    """Clips from lists of files.

    Args:
      place: folder or glob, for messages.
      clips: list of (name, files in time order).
      parts: frames side by side in a file, or a rule. Files of several frames are a clip each,
        named after the file.
      ignored: number of files that were left out.
      named: file names identify frames; those of an unpacked video do not.
    """
    self.place, self.ignored, self.named = str(place), ignored, named
    self.clips, self.files = [], []
    for name, files in clips:
      count = strips.count_of(parts, files)
      if count == 1:
        self._add_clip(name, files, 1)
        continue
      for file in files:
        self._add_clip(f'{name}/{pathlib.Path(file).stem}'.lstrip('/'), [file], count)

  def _add_clip(self, name, files, parts):
    if not name:
      name = 'frames' if glob.has_magic(self.place) else pathlib.Path(self.place).name
    self.clips.append(Clip(name, len(self.files), len(files) * parts))
    for file in files:
      self.files += [(str(file), part, parts) for part in range(parts)]

  def __len__(self):
    return len(self.files)

  def __repr__(self):
    return f'FolderFrames({self.place!r}, {len(self.clips)} clips, {len(self)} frames)'

  def parts(self, clip):
    """Frames in the strip that clip number `clip` is; 1 for a clip of several files."""
    return self.files[self.clips[clip].start][2]

  def where(self, i):
    """Where frame `i` comes from, for messages."""
    return f'clip {self.clips[self.clip_index(i)].name}, file {self.files[i][0]}'

  def names(self, start, length):
    """File names without folder and ending; None for frames of an unpacked video."""
    if not self.named:
      return None
    return [frame_name(*entry) for entry in self.files[start:start + length]]

  def read(self, i):
    """{'frame': uint8 [H, W, 1 or 3] or uint16 [H, W, 1]}."""
    path, part, count = self.files[i]
    if count == 1:
      return {'frame': images.read_image(path)}
    if getattr(_cache, 'path', None) != path:
      _cache.path, _cache.frame = path, images.read_image(path)
    width = _cache.frame.shape[1]
    if width % count:
      raise UserError(f'{path} is {width} pixels wide, which {count} frames side by side cannot '
                       f"share: data.frames_per_image='auto' tells strips by their shape")
    width //= count
    return {'frame': np.ascontiguousarray(_cache.frame[:, part * width:(part + 1) * width])}


def frame_name(path: str, part: int = 0, parts: int = 1) -> str:
  """The name of a file without folder and ending; with its part if it holds several frames."""
  suffix = f' part {part}' if parts > 1 else ''
  return pathlib.Path(path).stem + suffix


def frames_per_file(text: str | int, others: dict | None = None) -> strips.Parts:
  """`data.frames_per_image` -> 1, 2, 3, or the rule of 'auto' (`strips.Auto`).

  Args:
    text: the field. others: {place: (height, width)} of other frames of the data.
  """
  if str(text) not in ('1', '2', '3', 'auto'):
    raise UserError(f"data.frames_per_image='{text}' is unknown: 1, 2, 3 or auto")
  return strips.Auto(others) if text == 'auto' else int(text)


def warn_strips(groups: dict[str, list[str]], others: dict | None = None) -> None:
  """Warn if pictures that are to be single frames look like strips of two or three.

  Args:
    groups: {folder: files}. others: {place: (height, width)} of other frames of the data.
  """
  files = next(iter(groups.values()))
  try:
    count = strips.Auto(others, silent=True)(files)
  except images.UnreadableFrame:    # reported when the frame is read
    return
  if count > 1:
    warnings.warn(f'{files[0]} looks like {count} frames side by side and is read as one frame: '
                  f'if it is a strip, set data.frames_per_image=auto', stacklevel=3)


def other_sizes(data: ConfigDict, split: str, domain: str) -> dict[str, tuple[int, int]]:
  """{place: (height, width) of its first frame} of the other splits and domains of `data`.

  Test frames first, as published sets keep single frames for testing, and those of the same
  domain before the others. Places that are not there are left out: whoever needs them says so.
  """
  other = {'a': 'b', 'b': 'a'}[domain]
  sizes = {}
  for place in (('test', domain), ('test', other), ('train', domain), ('train', other)):
    if place == (split, domain):
      continue
    try:
      path = locate.find_split(data, *place)
    except (UserError, FileNotFoundError):
      continue
    size = first_size(path) if path else None
    if size:
      sizes[path] = size
  return sizes


def first_size(place: str | os.PathLike) -> tuple[int, int] | None:
  """(height, width) of a picture in a folder or glob, or of a video; None where there is none."""
  place = os.path.expanduser(str(place))
  try:
    if os.path.isfile(place) and video_reader.is_video(place):
      return video_reader.frame_size(place)
    path = next(_pictures(place), None)
    return images.picture_size(path) if path else None
  except (UserError, OSError):      # damaged, or not to be listed: reported when it is read
    return None


def _pictures(place: str) -> Iterator[str]:
  """The pictures below a folder or of a glob, one after the other."""
  places = listing.matches_of(place) if glob.has_magic(place) else [place]
  for path in [place] if os.path.isdir(place) else places:
    if os.path.isdir(path):
      for folder, names in listing.walk(path):
        yield from (os.path.join(folder, name) for name in names if images.is_image(name))
    elif os.path.isfile(path) and images.is_image(path):
      yield path


def open_place(data: ConfigDict, place: str | os.PathLike) -> FrameSource:
  """The frames in any folder, glob or video, such as the results of another program.

  Args:
    data: a `data` config block, for how folders are read.
    place: folder, glob or video file.
  """
  data = data.copy_and_resolve_references()
  data.update(source='folders', root='', test_a=str(place))
  return open_split(data, 'test', 'a')

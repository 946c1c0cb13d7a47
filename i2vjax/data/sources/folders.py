"""Frames in folders, globs and videos as a frame source.

A folder is flat, or has one sub-folder per clip; a file holds one frame, or a strip of several side
by side.
"""

import collections
import glob
import os
import pathlib
import re
import threading
import warnings
from collections.abc import Iterator

import numpy as np
from ml_collections import ConfigDict

from i2vjax.core.errors import UserError
from i2vjax.data.io import images, video_reader
from i2vjax.data.source import Clip, FrameSource
from i2vjax.data.sources import clip_splitting, locate, strips, video_cache, videos

_cache = threading.local()   # the picture read last: the frames of a strip share one file


def open_split(data: ConfigDict, split: str, domain: str) -> FrameSource | None:
  """The frames of `data.<split>_<domain>` or below `data.root`; None where neither has any.

  Videos are unpacked once into pictures for training, and read in place for testing.
  """
  place = locate.find_split(data, split, domain)
  if not place:
    return None
  pictures, video_files, ignored = _find_files(place)
  names = unique_names(video_files)
  if video_files and split != 'train':
    return videos.VideoFrames(video_files, list(names.values()))
  if video_files:
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
  pictures, _ = find_files(video_cache.unpack(path, data))
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


def natural_key(path: str | os.PathLike) -> tuple:
  """Sort key with digits as numbers: 2.png before 10.png."""
  parts = re.split(r'(\d+)', str(path))
  return [int(x) if k % 2 else x for k, x in enumerate(parts)], str(path)


def find_files(place: str | os.PathLike) -> tuple[dict[str, list[str]], list[str]]:
  """All pictures below a folder or matching a glob, or else the videos there.

  Returns:
    ({folder relative to `place` ('' for itself): files in natural order}, [video files]).
    Hidden and other files are ignored.

  Raises:
    FileNotFoundError: nothing there (with the number of files ignored).
    UserError: a single file that is not a video, or a folder that holds two domains.
  """
  pictures, video_files, _ = _find_files(place)
  return pictures, video_files


def _find_files(place):
  """`find_files`, and the number of files ignored."""
  place = os.path.expanduser(str(place))
  if os.path.isfile(place):
    if video_reader.is_video(place):
      return {}, [place], 0
    advice = '. Name the folder of a picture; the prepare command unpacks a TIFF of several pages'
    raise UserError(f'{place} is neither a folder nor a video file ({video_reader.ENDINGS})'
                     + (advice if images.is_image(place) else ''))
  paths, base = _list_files(place)
  groups = collections.defaultdict(list)
  for path in sorted(filter(images.is_image, paths), key=natural_key):
    folder = os.path.relpath(os.path.dirname(path), base)
    groups['' if folder == '.' else folder.replace(os.sep, '/')].append(path)
  video_files = sorted(filter(video_reader.is_video, paths), key=natural_key)
  if not groups and not video_files:
    raise FileNotFoundError(_nothing(place, paths))
  _check_one_domain(place, groups)
  if groups:
    count = sum(len(files) for files in groups.values())
    return dict(groups), [], len(paths) - count
  return {}, video_files, len(paths) - len(video_files)


def _list_files(place):
  """(every file below a folder or matching a glob, the folder that clips are named from)."""
  if os.path.isdir(place):
    return _walk(place), place
  if not glob.has_magic(place):
    raise FileNotFoundError(f'{place}: no such folder or file')
  paths = set()   # a glob with ** matches folders and their files: each file once
  for match in glob.glob(place, recursive=True):
    paths.update(_walk(match) if os.path.isdir(match) else [match])
  paths = sorted(paths)
  return paths, os.path.commonpath([os.path.dirname(path) for path in paths]) if paths else ''


def _walk(place):
  """Every file below a folder, hidden folders left out; links are followed, but not in a circle."""
  paths = []
  for folder, inner, files in os.walk(place, followlinks=True):
    inner[:] = [name for name in inner if not name.startswith('.')
                and not _leads_back(os.path.join(folder, name))]
    paths += [os.path.join(folder, name) for name in files]
  return paths


def _leads_back(path):
  """True for a link to one of the folders above it."""
  if not os.path.islink(path):
    return False
  above = os.path.abspath(path)
  while above != os.path.dirname(above):
    above = os.path.dirname(above)
    if os.path.samefile(path, above):
      return True
  return False


def _nothing(place, paths):
  endings = ' '.join(images.EXTENSIONS)
  other = f' {len(paths)} other files ignored, such as {min(paths)}.' if paths else ''
  return f'{place}: no pictures ({endings}) and no videos found there.{other}'


def _check_one_domain(place, groups):
  mixed = locate.both_domains({folder.split('/')[0] for folder in groups})
  if mixed:
    raise UserError(f'{place} holds both {mixed[0]} and {mixed[1]}, which look like two domains: '
                     f'name one of them, or give this folder as data.root')


def unique_names(paths: list[str]) -> dict[str, str]:
  """{path: stem}, with folder and ending added where two stems are alike."""
  stems = collections.Counter(pathlib.Path(path).stem for path in paths)
  names = {}
  for path in paths:
    x = pathlib.Path(path)
    names[path] = x.stem if stems[x.stem] == 1 else f'{x.parent.name}_{x.name}'
  return names


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
  except UserError:                 # damaged: reported when it is read
    return None


def _pictures(place: str) -> Iterator[str]:
  """The pictures below a folder or of a glob, one after the other."""
  places = glob.iglob(place, recursive=True) if glob.has_magic(place) else [place]
  for path in places:
    if os.path.isdir(path):
      for folder, inner, files in os.walk(path):
        inner[:] = sorted(name for name in inner if not name.startswith('.'))
        yield from (os.path.join(folder, name) for name in sorted(files) if images.is_image(name))
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

"""Frames in folders: flat, one sub-folder per clip, strips side by side, globs, videos."""

import collections
import glob
import os
import pathlib
import re
import threading
import warnings

import numpy as np

from i2vjax.core.errors import UserError
from i2vjax.data.io import images, video_reader
from i2vjax.data.source import Clip, FrameSource
from i2vjax.data.sources import clip_splitting, locate, video_cache, videos

_last = threading.local()   # the picture read last: the frames of a strip share one file


def source(data, split, domain):
  """The frames of `data.<split>_<domain>` or below `data.root`; None where neither gives any.

  Videos are unpacked once into pictures for training, and read in place for testing.
  """
  place = locate.find_split(data, split, domain)
  if not place:
    return None
  pictures, films, ignored = _search(place)
  names = unique_names(films)
  if films and split != 'train':
    return videos.VideoFrames(films, list(names.values()))
  if films:
    groups = {names[path]: search(video_cache.unpack(path, data))[0][''] for path in films}
    return FolderFrames(place, list(groups.items()), ignored=ignored, named=False)
  parts = strips(data.frames_per_image)
  if parts == 1:
    warn_strips(pictures)
  if split != 'train' and parts != 1:   # the published sets keep single frames for testing
    parts = 'auto'
  clips = clip_splitting.cut_clips(place, pictures, data.clip_regex, data.max_gap, parts)
  return FolderFrames(place, clips, parts, ignored)


class FolderFrames(FrameSource):
  """Random access to picture files.

  Attributes:
    clips: list of (name, start, length).
    place: folder or glob, for messages.
    ignored: files there that are hidden or no pictures.
  """

  def __init__(self, place, clips, parts=1, ignored=0, named=True):
    """clips: list of (name, files in time order). parts: frames side by side in a file, or 'auto'.

    Files of several frames are a clip each, named after the file. named: the names of files tell
    something; those of an unpacked video do not.
    """
    self.place, self.ignored, self.named = str(place), ignored, named
    self.clips, self.files = [], []
    for name, files in clips:
      count = clip_splitting.parts_of(files[0]) if parts == 'auto' else parts
      pieces = [files] if count == 1 else [[file] for file in files]
      for piece in pieces:
        title = name if count == 1 else f'{name}/{pathlib.Path(piece[0]).stem}'.lstrip('/')
        title = title or ('frames' if glob.has_magic(self.place) else pathlib.Path(place).name)
        entries = [(str(file), k, count) for file in piece for k in range(count)]
        self.clips.append(Clip(title, len(self.files), len(entries)))
        self.files.extend(entries)

  def __len__(self):
    return len(self.files)

  def __repr__(self):
    return f'FolderFrames({self.place!r}, {len(self.clips)} clips, {len(self)} frames)'

  def where(self, i):
    """Frame `i` in words, for messages."""
    name = next(name for name, start, length in self.clips if start <= i < start + length)
    return f'clip {name}, file {self.files[i][0]}'

  def names(self, start, length):
    """File names of frames without folder and ending; None where they tell nothing."""
    return [stem(path, part, parts) for path, part, parts in self.files[start:start + length]
            ] if self.named else None

  def read(self, i):
    """{'frame': uint8 [H, W, 1 or 3] or uint16 [H, W, 1]}."""
    path, part, count = self.files[i]
    if count == 1:
      return {'frame': images.read_image(path)}
    if getattr(_last, 'path', None) != path:
      _last.path, _last.frame = path, images.read_image(path)
    width = _last.frame.shape[1]
    if width % count:
      raise UserError(f'{path} is {width} pixels wide, which {count} frames side by side cannot '
                       f"share: data.frames_per_image='auto' tells strips by their shape")
    width //= count
    return {'frame': np.ascontiguousarray(_last.frame[:, part * width:(part + 1) * width])}


def stem(path, part=0, parts=1):
  """The name of a file without folder and ending; of one of several frames with its part."""
  return f'{pathlib.Path(path).stem}{f" part {part}" if parts > 1 else ""}'


def natural(path):
  """Sort key with digits as numbers: 2.png before 10.png."""
  parts = re.split(r'(\d+)', str(path))
  return [int(x) if k % 2 else x for k, x in enumerate(parts)], str(path)


def search(place):
  """All pictures below a folder or matching a glob, or else the videos there.

  Returns:
    ({folder relative to `place` ('' for itself): files in natural order}, [video files]).
    Hidden and other files are ignored.

  Raises:
    FileNotFoundError: nothing there (with the number of files ignored). ValueError: a single file
      that is no video, or a folder that holds two domains.
  """
  return _search(place)[:2]


def _search(place):
  """`search`, and the number of files ignored."""
  place = os.path.expanduser(str(place))
  if os.path.isfile(place):
    if video_reader.is_video(place):
      return {}, [place], 0
    advice = '. Name the folder of a picture; the prepare command unpacks a TIFF of several pages'
    raise UserError(f'{place} is neither a folder nor a video file ({video_reader.ENDINGS})'
                     + (advice if images.is_image(place) else ''))
  if os.path.isdir(place):
    found, base = _walk(place), place
  elif glob.has_magic(place):
    hits = glob.glob(place, recursive=True)
    found = sorted({x for hit in hits for x in (_walk(hit) if os.path.isdir(hit) else [hit])})
    base = os.path.commonpath([os.path.dirname(x) for x in found]) if found else ''
  else:
    raise FileNotFoundError(f'{place}: no such folder or file')
  groups = collections.defaultdict(list)
  for path in sorted(filter(images.is_image, found), key=natural):
    folder = os.path.relpath(os.path.dirname(path), base)
    groups['' if folder == '.' else folder.replace(os.sep, '/')].append(path)
  films = sorted(filter(video_reader.is_video, found), key=natural)
  if not groups and not films:
    raise FileNotFoundError(_nothing(place, found))
  _one_domain(place, groups)
  used = sum(map(len, groups.values())) or len(films)
  return dict(groups), [] if groups else films, len(found) - used


def _walk(place):
  """Every file below a folder, hidden folders left out; links are followed, but not in a circle."""
  found = []
  for folder, inner, files in os.walk(place, followlinks=True):
    inner[:] = [name for name in inner if not name.startswith('.')
                and not _leads_back(os.path.join(folder, name))]
    found += [os.path.join(folder, name) for name in files]
  return found


def _leads_back(path):
  """True for a link to a folder that it lies in itself."""
  if not os.path.islink(path):
    return False
  above = os.path.abspath(path)
  while above != os.path.dirname(above):
    above = os.path.dirname(above)
    if os.path.samefile(path, above):
      return True
  return False


def _nothing(place, found):
  endings = ' '.join(images.EXTENSIONS)
  other = f' {len(found)} other files ignored, such as {min(found)}.' if found else ''
  return f'{place}: no pictures ({endings}) and no videos found there.{other}'


def _one_domain(place, groups):
  mixed = locate.both_domains({folder.split('/')[0] for folder in groups})
  if mixed:
    raise UserError(f'{place} holds both {mixed[0]} and {mixed[1]}, which look like two domains: '
                     f'name one of them, or give this folder as data.root')


def unique_names(paths):
  """{path: stem}, with the ending added where two stems are alike."""
  stems = collections.Counter(pathlib.Path(path).stem for path in paths)
  name = {path: pathlib.Path(path) for path in paths}
  return {path: x.stem if stems[x.stem] == 1 else f'{x.parent.name}_{x.name}'
          for path, x in name.items()}


def strips(text):
  """`data.frames_per_image` -> 1, 2, 3 or 'auto'."""
  if str(text) not in ('1', '2', '3', 'auto'):
    raise UserError(f"data.frames_per_image='{text}' is unknown: 1, 2, 3 or auto")
  return text if text == 'auto' else int(text)


def warn_strips(groups):
  """Say so where pictures that are to be single frames look like three side by side."""
  first = next(iter(groups.values()))[0]
  try:
    wide = clip_splitting.parts_of(first) == 3
  except images.UnreadableFrame:    # whoever reads it will say so
    return
  if wide:
    warnings.warn(f'{first} is three times as wide as high: if it is three frames side by side, '
                  f'set data.frames_per_image=auto', stacklevel=3)


def open_place(data, place):
  """The frames another program wrote to a folder, glob or video, as a FrameSource.

  Args:
    data: a `data` config block, for how folders are read.
    place: folder, glob or video file.
  """
  data = data.copy_and_resolve_references()
  data.update(source='folders', root='', test_a=str(place))
  return source(data, 'test', 'a')

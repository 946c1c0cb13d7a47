"""Pictures that belong to training frames: matching by name, and reading."""

import os
import pathlib
import types
from collections.abc import Callable

import numpy as np
from ml_collections import ConfigDict

from i2vjax.core import notes
from i2vjax.core.errors import UserError
from i2vjax.data.annotations import label_files
from i2vjax.data.source import FrameSource, Wrapper
from i2vjax.data.sources import folders
from i2vjax.data.transforms import resize


def check_first(source: 'PictureMaps') -> 'PictureMaps':
  """The source, after reading its first frame with maps: what is wrong in all is said at once."""
  has_maps = [all(files) for files in zip(*source.maps, strict=True)]
  source.read(has_maps.index(True) if any(has_maps) else 0)
  return source


class PictureMaps(Wrapper):
  """Frames with maps from one or more folders of pictures.

  Attributes:
    KIND: of map, for messages. EVERY: each frame needs one.
    RESIZE: function (picture [H, W], (height, width)) that resizes such maps.
    maps: for each folder the file of each frame, None where it has none.
  """

  KIND, EVERY, RESIZE = '', True, None

  def __init__(self, source: FrameSource, places: list[str], data: ConfigDict):
    """places: folders or globs. data: config.data, for how folders are read and for sizes."""
    super().__init__(source)
    self.maps = [
      match_files(source, label_files.label_source(data, place), self.KIND, self.EVERY)
      for place in places
    ]
    self.sizes = types.SimpleNamespace(load_size=data.load_size, crop_size=data.crop_size,
                                       resize=data.resize)   # a locked config cannot be pickled

  def read_maps(self, i: int, record: dict, read: Callable) -> list[np.ndarray]:
    """The map [H, W] of frame `i` from each folder, by `read(path)`; [] where one of them has none.

    A map has the size of the frame, or that to which the frame will be resized. Where frames were
    preprocessed, it may have their original size, and is then preprocessed as well.
    """
    size = record['frame'].shape[:2]
    original = record.get('original', size)
    allowed = {size, original, tuple(resize.train_size(size, self.sizes))}
    maps: list[np.ndarray] = []
    if not all(files[i] for files in self.maps):
      return maps
    for files in self.maps:
      picture = read(files[i])
      if picture.shape not in allowed:
        sizes = ' or '.join(f'{w}x{h}' for h, w in sorted(allowed))
        raise UserError(f'{files[i]} has {picture.shape[1]}x{picture.shape[0]} pixels; its frame '
                         f'needs one of {sizes} (width x height)')
      if 'original' in record and picture.shape == original:
        picture = self.follow(picture, self.RESIZE)
      maps.append(picture)
    return maps


# ---- the file of each frame


def match_files(source: FrameSource, maps: folders.FolderFrames, kind: str,
                every: bool = True) -> list[str | None]:
  """The file among `maps` of each frame, in order; None for a frame without one.

  By path or name (of records the names that they store) if any is the same, and else by number
  (`label_files.match`).

  Args:
    source: FrameSource. maps: FolderFrames. kind: of map, for messages.
    every: each frame needs one. Otherwise the number of frames that have one is said.

  Raises:
    UserError: a frame has none though each needs one, or none has one.
  """
  frames = source.innermost
  files = _match_stems(frames, maps)
  if not any(files):
    files = _match_numbers(frames, maps)
  if every and None in files:
    raise UserError(f'{source.where(files.index(None))} has no {kind} map in {maps!r}: '
                     f'every training frame needs one, of the same name')
  if None in files:
    notes.say_once(f'{len(files) - files.count(None)} of {len(files)} frames of {frames!r} have a '
                   f'{kind} map in {maps.place}')
  return files


def _match_stems(frames, maps):
  """The map of each frame by the names that match most of them; all None where none does."""
  best = [None] * len(frames)
  for map_names in (unique_stems(maps), _distinct(maps.names(0, len(maps)))):
    file_of = {name: file for name, (file, _, _) in zip(map_names, maps.files, strict=False)}
    for names in frame_stems(frames):
      files = [file_of.get(name) for name in names]
      if files.count(None) < best.count(None):
        best = files
  return best


def _match_numbers(frames, maps):
  """The map of each frame by clip and number; stills, each a clip of its own, by number alone."""
  if len(frames.clips) < len(frames) or len(frames) == 1:
    return [None if k is None else maps.files[k][0]
            for clip in label_files.match(frames, maps) for k in clip]
  names = next(iter(frame_stems(frames)), [clip.name for clip in frames.clips])
  positions = label_files.match_names(names, maps.names(0, len(maps)), repr(frames), maps)
  return [None if k is None else maps.files[k][0] for k in positions]


def frame_stems(source: FrameSource) -> list[list[str]]:
  """Lists of names of all frames, each of which tells them apart; [] where nothing does.

  Paths below the folder, names of files, and of stills, each a clip of its own, those of the clips
  (KAIST: set0_1_I02120 as in the published lists, where the file is I02120).
  """
  lists = [unique_stems(source), _distinct(source.names(0, len(source)) or [])]
  if len(source.clips) == len(source):
    lists.append(_distinct([clip.name for clip in source.clips]))
  return [names for names in lists if names]


def _distinct(names):
  """The names, or [] where two are the same."""
  return names if len(set(names)) == len(names) else []


def unique_stems(source: FrameSource) -> list[str]:
  """The path of each frame's file below its folder, without ending; of a glob the name alone.

  [] where these do not tell frames apart.
  """
  if not isinstance(source, folders.FolderFrames):
    return []
  if os.path.isdir(source.place):
    names = [os.path.relpath(file, source.place) for file, _, _ in source.files]
  else:
    names = [pathlib.Path(file).name for file, _, _ in source.files]
  return _distinct([os.path.splitext(name)[0] for name in names])

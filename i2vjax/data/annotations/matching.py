"""Pictures that belong to training frames: matching by name, and reading."""

import collections
import os
import pathlib
import types
from collections.abc import Callable

import numpy as np
from ml_collections import ConfigDict

from i2vjax.core.errors import UserError
from i2vjax.data.annotations import label_files
from i2vjax.data.source import FrameSource, Wrapper
from i2vjax.data.sources import folders
from i2vjax.data.transforms import resize


def check_first(source: FrameSource) -> FrameSource:
  """The source, after reading its first frame: an error in all maps is raised at once."""
  source.read(0)
  return source


class PictureMaps(Wrapper):
  """Frames with maps from one or more folders of pictures, one for each frame.

  Attributes:
    KIND: of map, for messages.
    RESIZE: function (picture [H, W], (height, width)) that resizes such maps.
    maps: for each folder the file of each frame.
  """

  KIND, RESIZE = '', None

  def __init__(self, source: FrameSource, places: list[str], data: ConfigDict):
    """places: folders or globs. data: config.data, for how folders are read and for sizes."""
    super().__init__(source)
    self.maps = [
      match_files(source, label_files.label_source(data, place), self.KIND) for place in places
    ]
    self.sizes = types.SimpleNamespace(load_size=data.load_size, crop_size=data.crop_size,
                                       resize=data.resize)   # a locked config cannot be pickled

  def read_maps(self, i: int, record: dict, read: Callable) -> list[np.ndarray]:
    """The map [H, W] of frame `i` from each folder, by `read(path)`.

    A map has the size of the frame, or that to which the frame will be resized. Where frames were
    preprocessed, it may have their original size, and is then preprocessed as well.
    """
    size = record['frame'].shape[:2]
    original = record.get('original', size)
    allowed = {size, original, tuple(resize.train_size(size, self.sizes))}
    maps = []
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


def match_files(source: FrameSource, maps: folders.FolderFrames, kind: str) -> list[str]:
  """The file among `maps` of each frame, in order.

  By path or name if any is the same, and else by number (`label_files.match`).

  Args:
    source: FrameSource. maps: FolderFrames. kind: of map, for messages.

  Raises:
    UserError: a frame has none.
  """
  frames = source.innermost
  names = unique_stems(frames)
  file_of = {name: file for name, (file, _, _)
             in zip(unique_stems(maps), maps.files, strict=False)}
  if file_of.keys() & set(names):
    files = [file_of.get(name) for name in names]
  else:
    files = []
    for clip in label_files.match(frames, maps):
      files += [None if k is None else maps.files[k][0] for k in clip]
  if None in files:
    raise UserError(f'{source.where(files.index(None))} has no {kind} map in {maps!r}: '
                     f'every training frame needs one, of the same name')
  return files


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
  stems = [os.path.splitext(name)[0] for name in names]
  return [] if max(collections.Counter(stems).values()) > 1 else stems

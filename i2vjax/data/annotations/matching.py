"""Which picture of a folder belongs to which training frame."""

import collections
import os
import pathlib
import types

from i2vjax.core.errors import UserError
from i2vjax.data.annotations import label_files
from i2vjax.data.source import Wrapper
from i2vjax.data.sources import folders
from i2vjax.data.transforms import resize


def checked(found):
  """The source, after a look at its first frame: what is wrong with all maps is said at once."""
  found.read(0)
  return found


class WithPictures(Wrapper):
  """Frames with pictures from one or more folders.

  Attributes:
    KIND: of map, for messages.
    maps: for each folder the file of each frame.
  """

  KIND, RESIZE = '', None   # RESIZE: function ([H, W], size), how such pictures are resized

  def __init__(self, source, places, data):
    """places: folders or globs. data: config.data, for how folders are read and for sizes."""
    super().__init__(source)
    self.maps = [
      matched(source, label_files.label_source(data, place), self.KIND) for place in places
    ]
    self.sizes = types.SimpleNamespace(load_size=data.load_size, crop_size=data.crop_size,
                                       resize=data.resize)   # a locked config cannot be pickled

  def pictures(self, i, record, read):
    """[[H, W]] of frame `i` from each folder, by `read(path)`.

    They have the size of the frame, or that to which it will be resized. Of frames that were
    prepared they may have the size before that, and are then prepared as well.
    """
    size, original = record['frame'].shape[:2], record.get('original', None)
    allowed = {tuple(size), tuple(resize.train_size(size, self.sizes)), original or size}
    found = []
    for path in (paths[i] for paths in self.maps):
      picture = read(path)
      if picture.shape not in allowed:
        sizes = ' or '.join(f'{w}x{h}' for h, w in sorted(allowed))
        raise UserError(f'{path} has {picture.shape[1]}x{picture.shape[0]} pixels; its frame '
                         f'needs one of {sizes} (width x height)')
      found.append(self.follow(picture, self.RESIZE) if picture.shape == original else picture)
    return found


# ---- Which picture belongs to which frame


def matched(source, maps, kind):
  """The file among `maps` of each frame, in order.

  By name where any name is the same, and else by number (`label_files.match`).

  Args:
    source: FrameSource. maps: FolderFrames. kind: what the maps are, for messages.

  Raises:
    ValueError: a frame has none.
  """
  frames = source.innermost
  names, files = stems(frames), {name: file[0] for name, file in zip(stems(maps), maps.files,
                                                                    strict=False)}
  if files.keys() & set(names):
    found = [files.get(name) for name in names]
  else:
    found = [None if k is None else maps.files[k][0]
             for clip in label_files.match(frames, maps) for k in clip]
  if None in found:
    raise UserError(f'{source.where(found.index(None))} has no {kind} map in {maps!r}: '
                     f'every training frame needs one, of the same name')
  return found


def stems(source):
  """Path of each frame below its folder, without ending; [] where these do not tell frames apart.
  """
  if not isinstance(source, folders.FolderFrames):
    return []
  base = source.place if os.path.isdir(source.place) else None
  paths = [file if base else pathlib.Path(file).name for file, _, _ in source.files]
  found = [os.path.splitext(os.path.relpath(x, base) if base else x)[0] for x in paths]
  return [] if max(collections.Counter(found).values()) > 1 else found

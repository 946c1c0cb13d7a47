"""Pictures in folders beside training frames, one for every frame: edge maps, and class maps.

`data.edges_a` is a folder (or glob) of edge maps of the frames of `data.train_a`, `edges_b` of
those of `train_b`: 8-bit grey pictures of the frames' names, 255 where an edge is (PearlGAN, which
draws the thermal ones by MCI and the visible ones by Canny).
"""

import collections
import os
import pathlib
import types

import numpy as np

from i2vjax.data import crops, folders, labels, matching
from i2vjax.data import frames as images


def apply(found, data, domain):
  """The frames of a training domain with the edge maps that its config names.

  Args:
    found: FrameSource. data: config.data. domain: 'a' | 'b', as the fields of `data` count.

  Raises:
    ValueError, FileNotFoundError: a frame without a map, or one that does not fit; named.
  """
  return opened(Edged(found, [data[f'edges_{domain}']], data))


def opened(found):
  """The source, after a look at its first frame: what is wrong with all maps is said at once."""
  found.read(0)
  return found


class Wrapped:
  """A FrameSource around another, whose records it changes."""

  def __init__(self, source):
    self.source, self.clips, self.has_flow = source, source.clips, source.has_flow

  def __len__(self):
    return len(self.source)

  def __repr__(self):
    return f'{type(self).__name__}({self.source!r})'

  def where(self, i):
    """Frame `i` in words, for messages."""
    return crops.where(self.source, i)

  def flow(self, i):
    """As the source's."""
    return self.source.flow(i)

  def follow(self, picture, resize):
    """What the source did to its frames (`prepared`), done to a picture."""
    return self.source.follow(picture, resize)


class Beside(Wrapped):
  """Frames with pictures from one or more folders.

  Attributes:
    KIND: of map, for messages.
    maps: for each folder the file of each frame.
  """

  KIND, RESIZE = '', None   # RESIZE: function ([H, W], size), how such pictures are resized

  def __init__(self, source, places, data):
    """places: folders or globs. data: config.data, for how folders are read and for sizes."""
    super().__init__(source)
    self.maps = [matched(source, labels.source(data, place), self.KIND) for place in places]
    self.sizes = types.SimpleNamespace(load_size=data.load_size, crop_size=data.crop_size,
                                       resize=data.resize)   # a locked config cannot be pickled

  def pictures(self, i, record, read):
    """[[H, W]] of frame `i` from each folder, by `read(path)`.

    They have the size of the frame, or that to which it will be resized. Of frames that were
    prepared they may have the size before that, and are then prepared as well.
    """
    size, original = record['frame'].shape[:2], record.get('original', None)
    allowed = {tuple(size), tuple(images.train_size(size, self.sizes)), original or size}
    found = []
    for path in (paths[i] for paths in self.maps):
      picture = read(path)
      if picture.shape not in allowed:
        sizes = ' or '.join(f'{w}x{h}' for h, w in sorted(allowed))
        raise ValueError(f'{path} has {picture.shape[1]}x{picture.shape[0]} pixels; its frame '
                         f'needs one of {sizes} (width x height)')
      found.append(self.follow(picture, self.RESIZE) if picture.shape == original else picture)
    return found


class Edged(Beside):
  """Frames with edge maps."""

  KIND, RESIZE = 'edge', staticmethod(images.resize_grey)

  def read(self, i):
    """The source's record and 'edges', uint8 [H, W], 255 an edge."""
    record = self.source.read(i)
    return {**record, 'edges': self.pictures(i, record, read_edges)[0]}


def read_edges(path):
  """An edge map, uint8 [H, W]; black and white become 0 and 255."""
  edges = labels.picture(path, ('L', '1'), "edge maps are 8-bit and grey. Pillow's convert('L') "
                                           'makes them so')
  return edges if edges.dtype == np.uint8 else np.where(edges, 255, 0).astype(np.uint8)


# ---- Which picture belongs to which frame


def matched(source, maps, kind):
  """The file among `maps` of each frame, in order.

  By name where any name is the same, and else by number (`labels.match`).

  Args:
    source: FrameSource. maps: FolderFrames. kind: what the maps are, for messages.

  Raises:
    ValueError: a frame has none.
  """
  frames = matching.innermost(source)
  names, files = stems(frames), {name: file[0] for name, file in zip(stems(maps), maps.files,
                                                                    strict=False)}
  if files.keys() & set(names):
    found = [files.get(name) for name in names]
  else:
    found = [None if k is None else maps.files[k][0]
             for clip in labels.match(frames, maps) for k in clip]
  if None in found:
    raise ValueError(f'{crops.where(source, found.index(None))} has no {kind} map in {maps!r}: '
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

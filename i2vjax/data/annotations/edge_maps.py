"""Edge maps in folders, one for each training frame.

`data.edges_a` is a folder (or glob) of edge maps of the frames of `data.train_a`, `edges_b` of
those of `train_b`: 8-bit gray pictures of the frames' names, 255 where an edge is (PearlGAN, which
draws the thermal ones by MCI and the visible ones by Canny).
"""

import os

import numpy as np
from ml_collections import ConfigDict

from i2vjax.data.annotations import label_files, matching
from i2vjax.data.source import FrameSource
from i2vjax.data.transforms import resize


def apply(source: FrameSource, data: ConfigDict, domain: str) -> FrameSource:
  """The frames of a training domain with the edge maps that `data.edges_a` or `_b` names, if any.

  Args:
    source: FrameSource. data: config.data. domain: 'a' | 'b', as in the fields of `data`.

  Raises:
    UserError, FileNotFoundError: a frame without a map, or one that does not fit; named.
  """
  place = data.get(f'edges_{domain}', '')   # the field of some methods
  return matching.check_first(EdgeMaps(source, [place], data)) if place else source


class EdgeMaps(matching.PictureMaps):
  """Frames with edge maps."""

  KIND, RESIZE = 'edge', staticmethod(resize.resize_gray)

  def read(self, i):
    """The source's record and 'edges', uint8 [H, W], 255 an edge."""
    record = self.source.read(i)
    return {**record, 'edges': self.read_maps(i, record, read_edges)[0]}


def read_edges(path: str | os.PathLike) -> np.ndarray:
  """An edge map, uint8 [H, W]; black and white become 0 and 255."""
  edges = label_files.read_picture(
      path, ('L', '1'), "edge maps are 8-bit and gray. Pillow's convert('L') makes them so")
  return edges if edges.dtype == np.uint8 else np.where(edges, 255, 0).astype(np.uint8)

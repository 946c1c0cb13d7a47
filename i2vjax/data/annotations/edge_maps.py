"""Pictures in folders beside training frames, one for every frame: edge maps, and class maps.

`data.edges_a` is a folder (or glob) of edge maps of the frames of `data.train_a`, `edges_b` of
those of `train_b`: 8-bit gray pictures of the frames' names, 255 where an edge is (PearlGAN, which
draws the thermal ones by MCI and the visible ones by Canny).
"""


import numpy as np

from i2vjax.data.annotations import label_files, matching
from i2vjax.data.transforms import resize


def apply(found, data, domain):
  """The frames of a training domain with the edge maps that its config names.

  Args:
    found: FrameSource. data: config.data. domain: 'a' | 'b', as the fields of `data` count.

  Raises:
    ValueError, FileNotFoundError: a frame without a map, or one that does not fit; named.
  """
  return matching.checked(WithEdges(found, [data[f'edges_{domain}']], data))


class WithEdges(matching.WithPictures):
  """Frames with edge maps."""

  KIND, RESIZE = 'edge', staticmethod(resize.resize_gray)

  def read(self, i):
    """The source's record and 'edges', uint8 [H, W], 255 an edge."""
    record = self.source.read(i)
    return {**record, 'edges': self.pictures(i, record, read_edges)[0]}


def read_edges(path):
  """An edge map, uint8 [H, W]; black and white become 0 and 255."""
  edges = label_files.picture(
    path, ('L', '1'), "edge maps are 8-bit and gray. Pillow's convert('L') makes them so"
  )
  return edges if edges.dtype == np.uint8 else np.where(edges, 255, 0).astype(np.uint8)

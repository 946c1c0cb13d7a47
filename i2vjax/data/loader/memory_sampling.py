"""Memory-guided sampling (MornGAN): windows of a chosen to match those of b.

A table has, for each window of a, the shares of rare classes in one of its crops. The pair is a
function of the seed, of the position in the stream, of the window of b and of the table alone: a
resumed run repeats it.
"""

from collections.abc import Iterator

import grain
import numpy as np

from i2vjax.core.errors import UserError
from i2vjax.data.loader import augment
from i2vjax.data.loader.windows import WindowSource


def rare_direction(labels: np.ndarray, ids: tuple[int, ...]) -> np.ndarray:
  """Direction of the shares of some classes, less their mean (Eq. 11 of the paper).

  The NumPy twin of `losses.pseudo_labels.rare_direction`: this one runs in the loader's threads and
  processes, which must not touch the device; the table it is compared with comes from the device.
  tests/data/loader/test_memory_sampling.py holds the two together.

  Args:
    labels: integer array of any shape. ids: tuple of K classes.

  Returns:
    [K] float32 of length 1; 0 where no pixel, or the same number of pixels, has each class.
  """
  count = np.array([np.count_nonzero(labels == k) for k in ids], np.int64)
  v = (len(ids) * count - count.sum()).astype(np.float32)
  length = np.linalg.norm(v)
  return v / length if length else v


class MemorySampler(grain.transforms.RandomMap):
  """A cropped window of b -> (a cropped window of a, that of b).

  One of the `top` windows of a whose shares of rare classes are most alike, in the crop that the
  table was made from; any window and crop where b shows no rare class.
  """

  def __init__(self, source: WindowSource, table: dict, random_crop: augment.RandomCrop):
    """Sampling by one table.

    Args:
      source: WindowSource of a, N windows.
      table: {'vector' [N, K], 'corner' [N, 2], 'classes' [K], 'top'}.
      random_crop: of both domains.

    Raises:
      UserError: the table is not one of this source.
    """
    if len(table['vector']) != len(source):
      raise UserError(f'a memory of {len(table["vector"])} windows does not belong to {source!r}, '
                       f'which has {len(source)}')
    self.source, self.table, self.random_crop = source, table, random_crop

  def random_map(self, element, rng):
    """The pair of windows, in the form of `WindowSource`."""
    vector = rare_direction(element['labels'], tuple(self.table['classes']))
    if not vector.any():
      window = self.source[int(rng.integers(len(self.source)))]
      return self.random_crop.random_map(window, rng), element
    best = most_alike(self.table['vector'], vector, int(self.table['top']))
    i = int(rng.choice(best))
    flip = bool(rng.random() < 0.5) and self.random_crop.flip
    reverse = bool(rng.random() < self.random_crop.flip_time)
    corner = tuple(int(x) for x in self.table['corner'][i])
    size = self.random_crop.size
    return augment.crop(self.source[i], corner, size, flip, reverse), element


def most_alike(vectors: np.ndarray, vector: np.ndarray, top: int) -> np.ndarray:
  """Rows of [N, K] with the `top` largest products with [K], in order; all where there are fewer.

  top < 0: the slip of the public code, which parts the rows so that the -top most alike stand at
  the end, and then takes as many from the front: arbitrary ones.
  """
  alike, count = vectors @ vector, abs(top)
  if len(alike) <= count:
    return np.arange(len(alike))
  parted = np.argpartition(alike, top) if top < 0 else np.argpartition(-alike, top - 1)
  return np.sort(parted[:count])


def sweep(source: WindowSource, size: tuple[int, int], seed: int, batch: int) -> Iterator[dict]:
  """Every window of a source once, in order, each in one crop drawn by seed and number.

  Args:
    source: WindowSource of a. size: (height, width) of the crop.
    batch: windows at a time; the last one is repeated to fill up.

  Yields:
    {'a': [batch, T, H, W, C] raw, 'range_a': [batch, 2], 'corner': [batch, 2] int (row, column),
    'index': [batch] numbers of the windows}.
  """
  for start in range(0, len(source), batch):
    index = np.minimum(np.arange(start, start + batch), len(source) - 1)
    items, corners = [], []
    for i in index:
      item, rng = source[i], np.random.default_rng((seed, int(i)))
      corner = augment.random_corner(item['frames'].shape[1:3], size, rng)
      corners.append(corner)
      items.append(augment.crop(item, corner, size))
    yield {'a': np.stack([item['frames'] for item in items]), 'corner': np.array(corners),
           'range_a': np.stack([item['range'] for item in items]), 'index': index}

"""Windows of a chosen for what a window of b shows: memory-guided sample selection (MornGAN).

A table says what each window of a holds of rare classes, and in which of its crops. The pair is a
function of the seed, of the position in the stream, of the window of b and of the table alone: a
resumed run repeats it.
"""

import grain
import numpy as np

from i2vjax.core.errors import UserError
from i2vjax.data.loader import augment


def rare_direction(labels, ids):
  """Direction of the shares of some classes, less their mean (Eq. 11 of the paper).

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
  """A cut window of b -> (a cut window of a, that of b).

  One of the `top` windows of a whose rare classes are shared out most alike, in the crop in which
  they were seen; any window and crop where b shows no rare class.
  """

  def __init__(self, source, table, cut):
    """source: WindowSource of a. table: {'vector' [N, K], 'corner' [N, 2], 'classes' [K], 'top'}.

    Args:
      cut: augment.RandomCrop of both domains.

    Raises:
      ValueError: the table is not one of this source.
    """
    if len(table['vector']) != len(source):
      raise UserError(f'a memory of {len(table["vector"])} windows does not belong to {source!r}, '
                       f'which has {len(source)}')
    self.source, self.table, self.cut = source, table, cut

  def random_map(self, element, rng):
    """The pair, both as of a WindowSource."""
    vector = rare_direction(element['labels'], tuple(self.table['classes']))
    if not vector.any():
      return self.cut.random_map(self.source[int(rng.integers(len(self.source)))], rng), element
    best = most_alike(self.table['vector'], vector, int(self.table['top']))
    i = int(rng.choice(best))
    flip = bool(rng.random() < 0.5) and self.cut.flip
    reverse = bool(rng.random() < self.cut.flip_time)
    corner = tuple(int(x) for x in self.table['corner'][i])
    return augment.crop(self.source[i], corner, self.cut.size, flip, reverse), element


def most_alike(vectors, vector, top):
  """Rows of [N, K] with the `top` largest products with [K], in order; all where there are fewer.

  Below 0: those with the -top smallest.
  """
  alike, top = np.sign(top) * (vectors @ vector), abs(top)
  if len(alike) <= top:
    return np.arange(len(alike))
  return np.sort(np.argpartition(-alike, top - 1)[:top])


def sweep(source, size, seed, batch):
  """Every window of a source once, in order, each in one crop that seed and number draw.

  Args:
    source: WindowSource of a. size: (height, width) of the crop.
    batch: windows at a time; the last one is repeated to fill up.

  Yields:
    {'a': [batch, T, H, W, C] raw, 'limits_a': [batch, 2], 'corner': [batch, 2] int (row, column),
    'index': [batch] numbers of the windows}.
  """
  for start in range(0, len(source), batch):
    index = np.minimum(np.arange(start, start + batch), len(source) - 1)
    items, corners = [], []
    for i in index:
      item, rng = source[i], np.random.default_rng((seed, int(i)))
      room = [a - b + 1 for a, b in zip(item['frames'].shape[1:3], size, strict=True)]
      corners.append([int(rng.integers(n)) for n in room])
      items.append(augment.crop(item, corners[-1], size))
    yield {'a': np.stack([x['frames'] for x in items]), 'corner': np.array(corners),
           'limits_a': np.stack([x['limits'] for x in items]), 'index': index}

"""Frames whose value identifies them, for the tests of windows and batches."""

import numpy as np

from i2vjax import defaults
from i2vjax.data.io import images
from i2vjax.data.source import Clip, FrameSource

CLIPS = {'a': (5, 4), 'b': (7,)}     # frames of each clip


class Numbered(FrameSource):
  """Frames whose value is their index + 10; `label` is that of the frame, plus 100."""

  def __init__(self, lengths, shape=(8, 8, 1), dtype=np.uint8, columns=False):
    self.clips = [Clip(f'c{k}', sum(lengths[:k]), n) for k, n in enumerate(lengths)]
    self.shape, self.dtype, self.columns = shape, dtype, columns

  def __repr__(self):
    return f'Numbered({self.clips})'

  def read(self, i):
    frame = np.full(self.shape, i + 10, self.dtype)
    if self.columns:
      frame = frame + np.arange(self.shape[1], dtype=self.dtype)[:, None] * 20
    return {'frame': frame, 'label': frame[..., 0].astype(np.uint8) + np.uint8(100)}


def folders_config(tmp_path):
  """Two gray folders, clips of 5 and 4 frames (a) and of 7 (b), all 12 x 16 pixels."""
  value = 10
  for domain, lengths in CLIPS.items():
    for split in ('train', 'test'):
      for clip, length in enumerate(lengths):
        for k in range(length):
          path = tmp_path / f'{split}{domain.upper()}' / f'c{clip}' / f'{k}.png'
          images.write_image(path, np.full((12, 16, 1), value + k, np.uint8))
        value += 20
  result = defaults.get_config()
  result.data.update(source='folders', root=str(tmp_path), load_size=10, crop_size=8, frames=3,
                     batch=2)
  return result


def take(iterator, count):
  return [next(iterator) for _ in range(count)]


def starts(batches, domain):
  return [int(x) for batch in batches for x in batch[domain][:, 0, 0, 0, 0]]


def equal(one, other):
  return all(np.array_equal(one[k], other[k]) for k in one) and one.keys() == other.keys()

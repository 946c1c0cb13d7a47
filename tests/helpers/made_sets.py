"""Small copies of published layouts: the gray value of a frame identifies it."""

import numpy as np

from i2vjax import defaults
from i2vjax.data import open_source
from i2vjax.data.io import images
from i2vjax.data.prepare import published

SHAPE = (8, 12, 1)


def put(folder, names, first=0, shape=SHAPE):
  """Write one gray picture per name, with values first, first + 1, ..."""
  for k, name in enumerate(names):
    images.write_image(folder / name, np.full(shape, first + k, np.uint8))


def strip(path, *values):
  """Frames of 8x8 side by side."""
  images.write_image(path, np.concatenate([np.full((8, 8, 1), x, np.uint8) for x in values], 1))


def build(tmp_path, name, **options):
  return published.build(name, tmp_path / 'in', tmp_path / 'out', show=False, **options)


def read(tmp_path, name, split='train', domain='a', **fields):
  data = defaults.data()
  data.update(source='tfds', name=name, root=str(tmp_path / 'out'), **fields)
  return open_source(data, split, domain)


def values(source):
  return [int(source.read(i)['frame'][0, 0, 0]) for i in range(len(source))]


def pair(folder, first=0, **kwargs):
  """trainA, trainB, testA, testB with two frames each: first, first + 1; + 10; + 20; + 30."""
  for k, name in enumerate(('trainA', 'trainB', 'testA', 'testB')):
    put(folder / name, ['1.png', '2.png'], first + 10 * k, **kwargs)

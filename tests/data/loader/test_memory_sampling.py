"""Windows of a chosen for what a window of b shows."""

import jax.numpy as jnp
import numpy as np
import pytest

from i2vjax import defaults
from i2vjax.data.loader import batches, memory_sampling
from i2vjax.losses import pseudo_labels

CLASSES = (6, 7, 11)


def test_direction_is_that_of_the_device():
  rng = np.random.default_rng(0)
  labels = rng.choice([0, 6, 7, 11, 255], size=(3, 8, 8), p=[0.5, 0.1, 0.2, 0.1, 0.1])
  labels[1] = 0
  result = [memory_sampling.rare_direction(x, CLASSES) for x in labels]
  np.testing.assert_allclose(
    result, pseudo_labels.rare_direction(jnp.asarray(labels), CLASSES), atol=1e-6
  )


def test_only_the_most_alike_are_chosen():
  rng = np.random.default_rng(1)
  vectors, vector = rng.normal(size=(50, 6)), rng.normal(size=6)
  result = memory_sampling.most_alike(vectors, vector, 10)
  assert len(result) == 10
  assert (vectors @ vector)[result].min() >= np.delete(vectors @ vector, result).max()
  np.testing.assert_array_equal(memory_sampling.most_alike(vectors[:4], vector, 10), range(4))


def test_the_slip_of_the_public_code_takes_the_front_of_the_partition():
  """Neither the most nor the least alike: whatever ten of many rows end up there."""
  rng = np.random.default_rng(1)
  vectors, vector = rng.normal(size=(2000, 6)), rng.normal(size=6)
  alike = vectors @ vector
  slip = memory_sampling.most_alike(vectors, vector, -10)
  np.testing.assert_array_equal(slip, np.sort(np.argpartition(alike, -10)[:10]))
  assert not set(slip) & set(np.argsort(alike)[-10:])
  assert set(slip) != set(np.argsort(alike)[:10])
  np.testing.assert_array_equal(memory_sampling.most_alike(vectors[:10], vector, -10), range(10))


@pytest.fixture(scope='module')
def config():
  config = defaults.get_config()
  config.seed = 3
  config.data.update(load_size=40, crop_size=32, flip=True)
  config.data.scenes.update(clips=3, clip_length=4, camera='driving')
  config.data.prefetch = 1
  return config


def table_of(config, likes=()):
  """A memory in which the windows `likes` hold what nobody else does."""
  a, _ = batches.train_windows(config.data)
  vector = np.zeros((len(a), 3), np.float32)
  vector[list(likes)] = memory_sampling.rare_direction(np.array([11]), CLASSES)
  parts = list(batches.sweep(config, 5))
  corner = np.concatenate([x['corner'] for x in parts])[:len(a)]
  return {'vector': vector, 'corner': corner, 'classes': np.array(CLASSES), 'top': np.array(2)}


def test_every_window_is_swept_once_in_a_crop_of_its_own(config):
  parts = list(batches.sweep(config, 5))
  again = list(batches.sweep(config, 5))
  assert [x['index'].tolist() for x in parts] == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9],
                                                 [10, 11, 11, 11, 11]]
  a, _ = batches.train_windows(config.data)
  row, col = parts[1]['corner'][2]
  np.testing.assert_array_equal(parts[1]['a'][2], a[7]['frames'][:, row:row + 32, col:col + 32])
  assert len({tuple(x) for x in parts[0]['corner']}) > 1
  np.testing.assert_array_equal(parts[1]['a'], again[1]['a'])


def stream(config, table, count, position=None):
  feed = batches.train_iterator(config, 1, fields=('labels_b',), table=table)
  if position:
    feed.set_state(position)
  items = [next(feed) for _ in range(count)]
  return items, feed.get_state()


def test_a_window_of_persons_meets_windows_of_persons_in_the_crop_of_the_table(config):
  table = table_of(config, likes=(2, 9))
  a, _ = batches.train_windows(config.data)
  expected = []
  for i in (2, 9):
    row, col = table['corner'][i]
    cut = a[i]['frames'][:, row:row + 32, col:col + 32]
    expected += [cut, cut[:, :, ::-1]]
  items, _ = stream(config, table, 24)
  seen = {True: 0, False: 0}
  for batch in items:
    vector = memory_sampling.rare_direction(batch['labels_b'], CLASSES)
    fits = any(np.array_equal(batch['a'][0], x) for x in expected)
    if vector @ table['vector'][2] > 0:
      assert fits
    seen[bool(vector.any())] += fits
  assert seen[True] > 0 and seen[False] < 4


def test_the_stream_goes_on_where_it_stood_and_b_is_what_it_would_have_been(config):
  table = table_of(config, likes=(2, 9))
  plain, position = stream(config, None, 3)
  first, _ = stream(config, table, 4, position)
  again, _ = stream(config, table, 4, position)
  for x, y in zip(first, again, strict=True):
    for name in x:
      np.testing.assert_array_equal(x[name], y[name])
  straight, _ = stream(config, None, 7)
  _, b = batches.train_windows(config.data)
  streets = [[next(k for k in range(len(b)) if holds(b[k], x['b'][0])) for x in items]
             for items in (first, straight[3:])]
  assert streets[0] == streets[1] and np.array_equal(plain[0]['b'], straight[0]['b'])


def holds(window, cut):
  """True if a crop of 32 pixels, mirrored or not, is part of a window of 40."""
  return any(np.array_equal(window['frames'][:, y:y + 32, x:x + 32], c)
             for y in range(9) for x in range(9) for c in (cut, cut[:, :, ::-1]))


def test_processes_share_the_stream(config):
  table = table_of(config, likes=(1,))
  whole, _ = stream(config, table, 4)
  parts = [batches.train_iterator(config, 1, process=(k, 2), fields=('labels_b',), table=table)
           for k in range(2)]
  for k, batch in enumerate(whole):
    np.testing.assert_array_equal(next(parts[k % 2])['a'], batch['a'])


def test_a_memory_of_other_windows_is_refused(config):
  table = table_of(config)
  table['vector'] = table['vector'][:5]
  with pytest.raises(ValueError, match='a memory of 5 windows'):
    stream(config, table, 1)

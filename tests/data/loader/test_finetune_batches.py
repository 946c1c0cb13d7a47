"""CUT's last epochs: from where the learning rate decays, whole images instead of crops."""

import ml_collections
import numpy as np
import pytest

from i2vjax import defaults
from i2vjax.data.io import images
from i2vjax.data.loader import batches
from i2vjax.data.transforms import resize
from i2vjax.run import schedules


@pytest.fixture
def config(tmp_path):
  """Six color pictures a domain; their columns tell where they were cut."""
  rng = np.random.default_rng(0)
  for domain in 'AB':
    for k in range(6):
      picture = rng.integers(0, 255, (20, 20, 3), np.uint8)
      images.write_image(tmp_path / f'train{domain}' / f'{k}.png', picture)
  result = defaults.get_config()
  result.data.update(source='folders', root=str(tmp_path), load_size=16, crop_size=8, batch=2,
                     finetune_no_crop=True)
  result.train.update(epochs=1, epochs_decay=1)   # 3 steps of crops, then whole images
  return result


def take(config, count):
  iterator = batches.train_iterator(config, 2, fields=('index',))
  return [next(iterator) for _ in range(count)]


def whole(config, batch, i):
  """Is window i of the batch its whole picture, resized to the crop?"""
  picture = batches.train_windows(config.data)[0].frames.read(int(batch['index_a'][i]))['frame']
  return np.array_equal(batch['a'][i, 0], resize.resize_frame(picture, (8, 8)))


def test_pictures_are_whole_from_the_decay_on_and_not_before(config):
  batches = take(config, 5)
  whole_or_not = [whole(config, batch, i) for batch in batches for i in range(2)]
  assert whole_or_not == [False] * 6 + [True] * 4


def test_runs_measured_in_steps_change_where_their_decay_begins(config):
  config.train.update(steps=4, decay_fraction=0.5)
  assert [whole(config, batch, 0) for batch in take(config, 4)] == [False, False, True, True]


def test_order_of_the_pictures_is_that_of_a_run_without_it(config):
  late = take(config, 6)
  config.data.finetune_no_crop = False
  for batch, other in zip(late, take(config, 6), strict=True):
    np.testing.assert_array_equal(batch['index_a'], other['index_a'])
    np.testing.assert_array_equal(batch['index_b'], other['index_b'])


def test_halves_of_two_processes_are_the_batch_of_one(config):
  one = take(config, 6)
  halves = [batches.train_iterator(config, 1, process=(k, 2)) for k in range(2)]
  for batch in one:
    both = np.concatenate([next(half)['a'] for half in halves])
    np.testing.assert_array_equal(batch['a'], both)


def test_goes_on_across_the_change(config):
  straight = batches.train_iterator(config, 2)
  for _ in range(2):
    next(straight)
  state = straight.get_state()
  again = batches.train_iterator(config, 2)
  again.set_state(state)
  for _ in range(3):
    np.testing.assert_array_equal(next(straight)['a'], next(again)['a'])


@pytest.mark.parametrize('length', [
    dict(steps=0, epochs=2, epochs_decay=3, decay_fraction=0.0),
    dict(steps=10, epochs=2, epochs_decay=3, decay_fraction=0.4)])
def test_the_decay_begins_where_the_schedule_has_it(length):
  train = ml_collections.ConfigDict(length)
  optim = ml_collections.ConfigDict(dict(lr=1.0, schedule='linear', lr_scale='none', warmup=0))
  rate = schedules.learning_rate(optim, train, 4)
  first = batches._steps_before_decay(train, 4)
  assert float(rate(first - 1)) == 1 > float(rate(first))

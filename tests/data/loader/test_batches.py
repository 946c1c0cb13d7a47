"""Batches: names, order, seeds, stopping and going on. A gray value says which frame it is."""

import warnings

import numpy as np
import pytest
from window_tools import equal, folders_config, starts, take

from i2vjax import defaults
from i2vjax.core import machine
from i2vjax.core.errors import UserError
from i2vjax.data.io import images
from i2vjax.data.loader import batches


@pytest.fixture
def config(tmp_path):
  return folders_config(tmp_path)


def test_load_size_below_crop_size_is_refused(config):
  config.data.load_size = 6
  with pytest.raises(ValueError, match='load_size.*is smaller than data.crop_size'):
    batches.train_iterator(config, 2)


@pytest.mark.parametrize(('resize', 'crop', 'refused'), [
    ('160x120', '', 'resize'), ('172x128', '', ''), ('172x128', '120x128', 'crop'),
    ('100x100', '128x128', '')])
def test_sizes_of_files_below_the_crop_are_refused_before_any_is_read(resize, crop, refused):
  data = defaults.get_config().data
  data.update(source='folders', resize='none', crop_size=128, load_size=128)
  data.prepare.update(resize=resize, crop=crop)
  with pytest.raises(UserError, match=f'prepare.{refused}=.* makes frames smaller' if refused else
                     'train_a'):   # of which there is none
    batches.train_windows(data)


def test_a_batch_has_the_agreed_names_shapes_and_types(config):
  batch = next(batches.train_iterator(config, 2))
  assert {k: (v.shape, str(v.dtype)) for k, v in batch.items()} == {
      'a': ((2, 3, 8, 8, 1), 'uint8'), 'b': ((2, 3, 8, 8, 1), 'uint8'),
      'range_a': ((2, 2), 'float32'), 'range_b': ((2, 2), 'float32')}
  np.testing.assert_array_equal(batch['range_a'], [[0, 255]] * 2)


def test_an_epoch_shows_every_window_once_and_the_next_in_another_order(config):
  """a has 3 + 2 windows, b has 5."""
  assert batches.steps_per_epoch(config) == 3
  config.data.batch = 1
  assert batches.steps_per_epoch(config) == 5
  stream = take(batches.train_iterator(config, 1), 20)
  for domain, expected in (('a', [10, 11, 12, 30, 31]), ('b', [90, 91, 92, 93, 94])):
    seen = starts(stream, domain)
    epochs = [seen[k:k + 5] for k in range(0, 20, 5)]
    assert all(sorted(epoch) == expected for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1


def test_the_domains_are_drawn_independently(config):
  stream = take(batches.train_iterator(config, 1), 25)
  assert len(set(zip(starts(stream, 'a'), starts(stream, 'b'), strict=True))) > 5


def test_same_seed_same_batches_other_seed_others(config):
  first = take(batches.train_iterator(config, 2), 6)
  assert all(map(equal, first, take(batches.train_iterator(config, 2), 6)))
  config.seed = 1
  assert starts(take(batches.train_iterator(config, 2), 6), 'a') != starts(first, 'a')


@pytest.mark.parametrize('threads', [0, 1, 4, None])
def test_batches_do_not_depend_on_threads(config, threads):
  expected = take(batches.train_iterator(config, 2), 4)
  config.data.threads = threads
  assert all(map(equal, expected, take(batches.train_iterator(config, 2), 4)))


@pytest.mark.parametrize('cores, fields, threads, ahead', [
    (2, {}, 2, 8), (16, {}, 16, 16), (64, {}, 16, 16), (16, dict(workers=4), 4, 4),
    (16, dict(threads=3, prefetch=5), 3, 5)])
def test_threads_and_batches_ahead_follow_the_machine(config, monkeypatch, cores, fields, threads,
                                                      ahead):
  monkeypatch.setattr(machine, 'cores', lambda: cores)
  config.data.update(threads=None, prefetch=None)
  config.data.update(fields)
  options = batches._read_options(config.data)
  assert (options.num_threads, options.prefetch_buffer_size) == (threads, ahead)


def test_a_stopped_iterator_goes_on_with_the_next_batch(config):
  config.data.flip = True
  iterator = batches.train_iterator(config, 2)
  take(iterator, 4)
  state = iterator.get_state()
  expected = take(iterator, 5)
  resumed = batches.train_iterator(config, 2)
  resumed.set_state(state)
  assert all(map(equal, expected, take(resumed, 5)))


def test_two_processes_share_the_batches_of_one(config):
  """Before and after the end of the epoch, and from a state that one process had saved."""
  whole = batches.train_iterator(config, 4)
  take(whole, 3)
  state = whole.get_state()
  shares = [batches.train_iterator(config, 2, (k, 2)) for k in (0, 1)]
  for share in shares:
    share.set_state(state)
  for _ in range(4):
    expected, parts = next(whole), [next(share) for share in shares]
    both = {k: np.stack([x[k] for x in parts], 1).reshape(expected[k].shape) for k in expected}
    assert equal(expected, both)


def test_worker_processes_give_batches_and_resume(config):
  """Also: works where nobody has parsed command-line flags."""
  config.data.workers = 1
  iterator = batches.train_iterator(config, 2)
  first, state, expected = next(iterator), iterator.get_state(), next(iterator)
  resumed = batches.train_iterator(config, 2)
  resumed.set_state(state)
  assert equal(next(resumed), expected)
  config.data.workers = 0
  assert all(map(equal, (first, expected), take(batches.train_iterator(config, 2), 2)))


def test_the_index_of_the_window_is_delivered_if_asked(config):
  batch = next(batches.train_iterator(config, 2, fields=('index',)))
  first = batches.train_windows(config.data)[0]
  shown = [first[i]['frames'][0, 0, 0, 0] for i in batch['index_a']]
  np.testing.assert_array_equal(batch['a'][:, 0, 0, 0, 0], shown)


def test_time_is_reversed_in_the_asked_share_of_windows(config):
  config.data.flip_time = 0.5
  stream = take(batches.train_iterator(config, 2), 20)
  shown = np.concatenate([batch['a'][:, :, 0, 0, 0] for batch in stream]).astype(int)
  steps = (shown[:, 1] - shown[:, 0]).tolist()
  assert 8 <= steps.count(-1) <= 32
  assert set(steps) == {1, -1}


def test_a_missing_domain_names_the_field(config, tmp_path):
  config.data.update(root='', train_a=str(tmp_path / 'trainA'))
  with pytest.raises(ValueError, match='data.train_b'):
    batches.train_iterator(config, 2)
  config.data.direction = 'b2a'      # the run's a is the given b
  with pytest.raises(ValueError, match='data.train_b'):
    batches.train_iterator(config, 2)


def test_16_bit_windows_stay_16_bit(config, tmp_path):
  for path in (tmp_path / 'trainA').rglob('*.png'):
    images.write_image(path, images.read_image(path).astype(np.uint16) * 100)
  config.data.thermal_range = '1000,4000'
  batch = next(batches.train_iterator(config, 2))
  assert batch['a'].dtype == np.uint16
  assert batch['a'].min() >= 1000
  np.testing.assert_array_equal(batch['range_a'], [[1000, 4000]] * 2)


def test_no_warning_where_nothing_is_wrong(config):
  with warnings.catch_warnings():
    warnings.simplefilter('error')
    next(batches.train_iterator(config, 2))

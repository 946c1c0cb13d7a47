"""Strips longer than a window: an epoch has one window of each, at a place drawn anew."""

import warnings

import numpy as np
import pytest
from window_tools import equal, starts, take

from i2vjax import defaults
from i2vjax.data.io import images
from i2vjax.data.loader import batches
from i2vjax.data.prepare import published


def put_strips(folder, count, parts=3, first=0):
  """Strips of 8x8 frames; strip k has the values first + 10 k, first + 10 k + 1, ..."""
  for k in range(count):
    frames = [np.full((8, 8, 1), first + 10 * k + j, np.uint8) for j in range(parts)]
    images.write_image(folder / f'{k}.png', np.concatenate(frames, axis=1))


@pytest.fixture
def config(tmp_path):
  """Eight triptychs of each domain, as Recycle-GAN and IRVI have them; b has values from 100."""
  put_strips(tmp_path / 'trainA', 8)
  put_strips(tmp_path / 'trainB', 8, first=100)
  result = defaults.get_config()
  result.data.update(source='folders', root=str(tmp_path), frames_per_image='auto', load_size=8,
                     crop_size=8, frames=1, batch=1)
  return result


@pytest.mark.parametrize(('frames', 'places'), [(1, 3), (2, 2), (3, 1)])
def test_an_epoch_has_one_window_of_each_strip(config, frames, places):
  """8 steps an epoch for every method: 24 and 16 without this rule for 1 and 2 frames."""
  config.data.frames = frames
  assert batches.steps_per_epoch(config) == 8
  seen = np.array(starts(take(batches.train_iterator(config, 1), 96), 'a'))
  for epoch in seen.reshape(12, 8):
    assert sorted(epoch // 10) == list(range(8))
  drawn = [set(seen[seen // 10 == k] % 10) for k in range(8)]
  assert set().union(*drawn) == set(range(places))
  assert sum(map(len, drawn)) == 8 * places        # each place of each strip in its turn
  if places > 1:
    assert len({tuple(sorted(epoch)) for epoch in seen.reshape(12, 8)}) > 6


def test_draws_are_repeated_by_a_resumed_run_and_by_several_processes(config):
  iterator = batches.train_iterator(config, 2)
  take(iterator, 5)
  state, expected = iterator.get_state(), take(iterator, 9)
  resumed = batches.train_iterator(config, 2)
  resumed.set_state(state)
  assert all(map(equal, expected, take(resumed, 9)))
  shares = [batches.train_iterator(config, 1, (k, 2)) for k in (0, 1)]
  for share in shares:
    share.set_state(state)
  for batch in expected:
    parts = [next(share) for share in shares]
    assert all(np.array_equal(batch[k], np.concatenate([x[k] for x in parts])) for k in batch)
  config.seed = 1
  assert starts(take(batches.train_iterator(config, 2), 9), 'a') != starts(expected, 'a')


def test_paired_strips_show_the_same_moment(config):
  config.data.paired = True
  seen = take(batches.train_iterator(config, 1), 40)
  shift = np.array(starts(seen, 'b')) - np.array(starts(seen, 'a'))
  assert (shift == 100).all() and batches.steps_per_epoch(config) == 8


def test_the_other_direction_and_strips_in_one_domain_alone(config, tmp_path):
  for k in range(5):
    images.write_image(tmp_path / f'single/{k}.png', np.full((8, 8, 1), k, np.uint8))
  config.data.update(train_b=str(tmp_path / 'single'), direction='b2a')
  assert batches.steps_per_epoch(config) == 8
  seen = take(batches.train_iterator(config, 1), 8)
  assert sorted(x // 10 for x in starts(seen, 'b')) == list(range(8))
  assert sorted(starts(seen[:5], 'a')) == list(range(5))


def test_strips_in_records_too(config, tmp_path):
  with warnings.catch_warnings():
    warnings.simplefilter('ignore')
    published.build('frames_folder', tmp_path, tmp_path / 'out', show=False)
  expected = take(batches.train_iterator(config, 1), 20)
  config.data.update(source='tfds', name='frames_folder/default', root=str(tmp_path / 'out'))
  assert batches.steps_per_epoch(config) == 8
  assert all(map(equal, expected, take(batches.train_iterator(config, 1), 20)))


def test_clips_of_many_files_keep_all_their_windows(config, tmp_path):
  for k in range(5):
    images.write_image(tmp_path / f'clip/{k}.png', np.full((8, 8, 1), k, np.uint8))
  config.data.update(train_a=str(tmp_path / 'clip'), train_b=str(tmp_path / 'clip'), frames=2)
  assert batches.steps_per_epoch(config) == 4

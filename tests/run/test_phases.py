"""The start of a phase: epochs in steps, pairs of frames by a table."""

import types

import ml_collections
import numpy as np
import pytest

from i2vjax import defaults, train
from i2vjax.core.model import Model
from i2vjax.data.loader import memory_sampling
from i2vjax.run import feed, phases
from i2vjax.run.feed import Feed


def test_epochs_shrink_with_a_run_whose_length_is_given_in_steps():
  config = ml_collections.ConfigDict(dict(steps=0, epochs=6, epochs_decay=2))
  assert phases.epoch_steps(config, 500) == 500
  config.steps = 83
  assert phases.epoch_steps(config, 500) == 10
  config.steps = 3
  assert phases.epoch_steps(config, 500) == 1


@pytest.fixture
def setup(tmp_path):
  """A method of two phases that asks for window 5 wherever b has persons, from step 4 on."""
  config = defaults.get_config()
  config.data.update(load_size=36, crop_size=32, channels_a=1)
  config.data.scenes.update(clips=2, clip_length=4, camera='driving')
  config.eval.batch = 3
  asked = []

  def table(model, feed, state):
    asked.append((model.phase, state.params['gen']))
    if model.phase == 'early':
      return None
    batches = list(feed.sweep())
    assert all(batch['a'].shape == (3, 1, 32, 32, 1) and abs(batch['a']).max() <= 1
               for batch in batches)
    corner = np.concatenate([batch['corner'] for batch in batches])[:8]
    vector = np.zeros((8, 6), np.float32)
    vector[5] = memory_sampling.rare_direction(np.array([11]), (6, 7, 11, 14, 15, 17))
    return dict(vector=vector, corner=corner, classes=np.array((6, 7, 11, 14, 15, 17)), top=1)

  def training_feed(model, feed, state, step):
    first = 4 if step >= 4 else 0
    return feed.with_pairs(feed.kept_pairs(first, lambda: table(model, feed, state), step > first))
  method = types.SimpleNamespace(phases=lambda config: [(0, 'early'), (4, 'late')],
                                 training_feed=training_feed)
  return types.SimpleNamespace(config=config, method=method, model=Model(config, {}), asked=asked,
                               feed=Feed(config, ('labels_b',), tmp_path), workdir=tmp_path)


def state(value):
  return types.SimpleNamespace(params={'gen': np.float32(value)})


def same(x, y):
  return all(np.array_equal(x[name], y[name]) for name in x)


def test_the_method_is_asked_as_a_phase_begins_and_a_resumed_run_reads_the_answer(setup):
  first = train.feed_of_phase(setup, setup.feed, state(1), 0)
  straight = [next(setup.feed) for _ in range(6)]
  assert all(same(next(first), x) for x in straight[:4])
  position = first.get_state()
  late = train.feed_of_phase(setup, first, state(2), 4)
  chosen = [next(late) for _ in range(3)]
  middle = feed.Feed(setup.config, ('labels_b',), setup.workdir, feed.kept_table(
      setup.workdir, 4, None, write=False, known=True))
  middle.set_state(position)
  next(middle)
  resumed = train.feed_of_phase(setup, middle, state(3), 5)
  assert all(same(next(resumed), x) for x in chosen[1:])
  assert setup.asked == [('early', 1), ('late', 2)]


def test_a_table_is_kept_for_its_own_phase_alone(tmp_path):
  made = feed.kept_table(tmp_path, 4, lambda: {'x': np.arange(3)}, write=True, known=False)
  again = feed.kept_table(tmp_path, 4, None, write=False, known=True)
  np.testing.assert_array_equal(again['x'], made['x'])
  assert feed.kept_table(tmp_path, 9, lambda: None, write=True, known=True) is None
  assert feed.kept_table(tmp_path, 9, None, write=False, known=True) is None

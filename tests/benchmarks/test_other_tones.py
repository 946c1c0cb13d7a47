"""Test clips under other tones: the same for every run, scored beside the truth."""

import numpy as np
import other_tones
import stub_runs as stubs

from i2vjax import defaults


def test_a_perfect_run_is_perfect_on_clips_as_they_are_alone():
  rng = np.random.default_rng(0)
  infrared = rng.integers(40, 90, (2, 16, 16, 1)).astype(np.uint8)
  truth = np.repeat(255 - infrared, 3, axis=-1)
  found = other_tones.table(stubs.make(stubs.negative), [(infrared, truth)], 2)
  assert found['as it is'][0] > 45 and found['as it is'][1] > 0.99
  assert found['under other tones'][0] < 20


def test_tones_are_those_of_clip_and_draw():
  infrared = np.random.default_rng(0).integers(40, 90, (2, 16, 16, 1)).astype(np.uint8)
  one, again, other = (other_tones.under_tones(infrared, 3, draw) for draw in (0, 0, 1))
  np.testing.assert_array_equal(one, again)
  assert not np.array_equal(one, other)


def test_clips_are_drawn_at_the_size_of_the_crop():
  data = defaults.get_config().data
  data.update(load_size=36, crop_size=32)
  data.scenes.clip_length = 2
  clips = other_tones.read_clips(data, 2)
  assert [(a.shape, b.shape) for a, b in clips] == [((2, 32, 32, 1), (2, 32, 32, 3))] * 2

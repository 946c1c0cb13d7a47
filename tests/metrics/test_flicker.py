"""Flicker and brightness jitter by hand."""

import numpy as np
import pytest

from i2vjax.metrics import flicker


def lights(values, channels=1):
  return np.broadcast_to(np.asarray(values, np.float32)[:, None, None, None],
                         (len(values), 4, 5, channels))


def test_flicker_is_the_mean_step_of_luma():
  np.testing.assert_allclose(flicker.flicker(lights([0.1, 0.3, 0.2])), 0.15, rtol=1e-5)
  red = np.zeros((2, 4, 4, 3), np.float32)
  red[1, ..., 0] = 1
  np.testing.assert_allclose(flicker.flicker(red), 0.299, rtol=1e-5)


def test_frozen_clip_has_no_flicker_and_no_jitter():
  values = flicker.clip_values(lights([0.4] * 5, 3), lights([0.1, 0.2, 0.1, 0.2, 0.1]))
  assert values['flicker'] == 0
  assert values['flicker_ratio'] == 0
  assert values['brightness_jitter'] == 0
  assert values['brightness_jitter_source'] > 0.1


def test_even_change_of_light_is_no_jitter():
  np.testing.assert_allclose(flicker.brightness_jitter(lights([0.1, 0.2, 0.3, 0.4, 0.5])), 0,
                             atol=1e-7)


def test_jitter_by_hand():
  """Means 0, 1, 0, 0: second differences -2, 1, spread 1.5."""
  np.testing.assert_allclose(flicker.brightness_jitter(lights([0, 1, 0, 0])), 1.5, rtol=1e-6)


def test_still_source_leaves_the_ratio_open():
  values = flicker.clip_values(lights([0.1, 0.2, 0.1, 0.2]), lights([0.5] * 4))
  assert np.isnan(values['flicker_ratio'])


def test_flicker_beside_the_truth_by_hand():
  """Steps of 0.2, where the source has 0.1 and the truth 0.4: ratios 2 and 1/2."""
  source, target = lights([0.1, 0.2, 0.1, 0.2]), lights([0.1, 0.5, 0.1, 0.5], 3)
  values = flicker.clip_values(lights([0.1, 0.3, 0.1, 0.3]), source, target)
  np.testing.assert_allclose(values['flicker_ratio'], 2, rtol=1e-5)
  np.testing.assert_allclose(values['flicker_true_ratio'], 0.5, rtol=1e-5)
  still = flicker.clip_values(source, source, lights([0.5] * 4))
  assert np.isnan(still['flicker_true_ratio'])
  assert 'flicker_true_ratio' not in flicker.clip_values(source, source)


def test_short_clips():
  with pytest.raises(ValueError, match='at least 2'):
    flicker.flicker(lights([]))
  with pytest.raises(ValueError, match='at least 2'):
    flicker.flicker(lights([0.5]))
  assert 'brightness_jitter' not in flicker.clip_values(lights([0.1, 0.2]), lights([0.1, 0.2]))

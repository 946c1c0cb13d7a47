"""Infrared under tones of other cameras: curve, contrast, shading, and what stays."""

import numpy as np
import pytest
from window_tools import equal, folders_config, take

from i2vjax.core.errors import UserError
from i2vjax.data.loader import batches, tone_jitter

RANGE = np.array([0, 255], np.float32)


@pytest.fixture
def rng():
  return np.random.default_rng(0)


@pytest.fixture
def frames(rng):
  return rng.integers(30, 90, (2, 32, 40, 1)).astype(np.uint8)


def test_without_ranks_the_curve_is_the_line_between_two_percentiles():
  unit = np.linspace(0.2, 0.6, 101, dtype=np.float32)
  dark, bright = np.percentile(unit, (1, 99))
  np.testing.assert_allclose(tone_jitter.curve(unit, 0.0)[1:-1],
                             ((unit - dark) / (bright - dark))[1:-1], atol=1e-6)


def test_ranks_alone_equalize_the_histogram():
  """A half, a quarter and a quarter of the pixels: mean ranks 1/4, 5/8 and 7/8."""
  unit = np.float32([0.5, 0.5, 128.5, 200.5]) / 256   # in the middle of three bins
  np.testing.assert_allclose(tone_jitter.curve(unit, 1.0), [0.25, 0.25, 0.625, 0.875], atol=1e-6)


def test_a_flat_window_stays_finite_and_flat():
  flat = np.full((1, 8, 8, 1), 0.3, np.float32)
  for blend in (0.0, 0.5, 1.0):
    out = tone_jitter.curve(flat, blend)
    assert np.ptp(out) == 0 and 0 <= out.min() <= 1


def test_local_contrast_lifts_what_stands_out_and_leaves_even_areas():
  unit = np.full((1, 32, 32, 1), 0.4, np.float32)
  np.testing.assert_allclose(tone_jitter.local_contrast(unit, 1.0, 1 / 16), unit, atol=1e-6)
  unit[0, 16, 16] = 0.6
  out = tone_jitter.local_contrast(unit, 1.0, 1 / 16)
  assert out[0, 16, 16, 0] > 0.75 and out[0, 16, 17, 0] < 0.4
  np.testing.assert_allclose(tone_jitter.local_contrast(unit, 0.0, 1 / 16), unit, atol=1e-6)


def test_shading_is_smooth_and_small():
  fields = [tone_jitter.shading((64, 48), np.random.default_rng(i)) for i in range(20)]
  assert all(field.shape == (64, 48) for field in fields)
  assert max(np.abs(field).max() for field in fields) < 0.35
  assert max(np.abs(np.diff(field, axis=0)).max() for field in fields) < 0.08
  assert min(np.ptp(field) for field in fields) > 0.002   # none is flat


@pytest.mark.parametrize('dtype, raw_range', [
    (np.uint8, (0, 255)), (np.uint16, (7000, 9500)), (np.uint16, (0, 80000))])
def test_values_stay_in_range_and_frames_of_a_window_alike(dtype, raw_range, rng):
  high = min(raw_range[1], np.iinfo(dtype).max)   # a range may be wider than what files hold
  frame = rng.uniform(raw_range[0], high, (32, 40, 3)).astype(dtype)
  out = tone_jitter.jitter(np.stack([frame, frame]), np.float32(raw_range), rng)
  assert out.dtype == dtype and out.shape == (2, 32, 40, 3)
  assert raw_range[0] <= out.min() and out.max() <= raw_range[1]
  bright = frame > np.percentile(frame, 90)   # nothing wraps round from white to black
  assert out[0][bright].mean() > out[0][~bright].mean()
  np.testing.assert_array_equal(out[0], out[1])
  assert np.abs(out[0].astype(float) - frame).mean() > 0.01 * (raw_range[1] - raw_range[0])


def test_warmer_stays_brighter_far_from_edges(rng):
  """A cold and a warm half keep their order under every draw: tones change, not the scene."""
  frames = np.repeat(np.uint8([40, 120]), 32)[None, None, :, None].repeat(64, 1)
  for _ in range(20):
    out = tone_jitter.jitter(frames, RANGE, rng).astype(float)
    assert out[..., 48:, :].mean() > out[..., :16, :].mean()


def test_daylight_and_maps_stay_as_they_are(frames, rng):
  labels = np.ones(frames.shape[:3], np.uint8)
  window = {'frames': frames, 'range': RANGE, 'labels': labels}
  a, b = tone_jitter.ToneJitter(1.0).random_map((window, window), rng)
  assert b is window
  assert a['labels'] is labels and not np.array_equal(a['frames'], frames)


def test_its_share_of_windows_changes(frames, rng):
  pair = ({'frames': frames, 'range': RANGE},) * 2
  jitter = tone_jitter.ToneJitter(0.25)
  changed = sum(jitter.random_map(pair, rng) is not pair for _ in range(200))
  assert 30 < changed < 70


def _batches(tmp_path, **fields):
  config = folders_config(tmp_path)
  config.data.update(fields)
  return take(batches.train_iterator(config, 2), 3)


def test_batches_repeat_and_daylight_is_untouched(tmp_path):
  plain, once, again = (_batches(tmp_path / str(i), tone_jitter=share)
                        for i, share in enumerate((0.0, 1.0, 1.0)))
  for x, y, z in zip(plain, once, again, strict=True):
    np.testing.assert_array_equal(y['a'], z['a'])
    np.testing.assert_array_equal(x['b'], y['b'])
    assert not np.array_equal(x['a'], y['a'])


@pytest.mark.parametrize('paired', [False, True])
def test_paired_windows_too_and_a_stream_goes_on_where_it_was(tmp_path, paired):
  config = folders_config(tmp_path)
  config.data.update(tone_jitter=1.0, paired=paired, train_b=str(tmp_path / 'trainA'))
  iterator = batches.train_iterator(config, 2)
  next(iterator)
  state = iterator.get_state()
  second = next(iterator)
  other = batches.train_iterator(config, 2)
  other.set_state(state)
  assert equal(next(other), second)


@pytest.mark.parametrize('changes', [{'direction': 'b2a'}, {'task': 'color'}])
def test_where_no_infrared_is_translated_it_is_refused(tmp_path, changes):
  config = folders_config(tmp_path)
  with config.data.unlocked():
    config.data.update(tone_jitter=0.5, **changes)
  with pytest.raises(UserError, match='tone_jitter=0.5 is for infrared frames'):
    batches.train_windows(config.data)

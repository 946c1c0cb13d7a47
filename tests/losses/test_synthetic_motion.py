"""Motions made up for single frames (CPTrans, Unsupervised Recycle-GAN), and the distance."""

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from i2vjax.core import ops, state
from i2vjax.losses import synthetic_motion

KEY = jax.random.key(0)
WEIGHTS = jnp.ones((1, 6, 6)).at[:, 2:4, 2:4].set(2.5)


# ---- The motion of what has content


def test_minmax_spans_zero_to_one_per_image():
  w = jnp.stack([WEIGHTS[0], 2 * WEIGHTS[0]])[..., None]
  n = synthetic_motion.normalize_weights(w)
  np.testing.assert_allclose(n.min((1, 2, 3)), 0, atol=1e-6)
  np.testing.assert_allclose(n.max((1, 2, 3)), 1, atol=1e-6)


def test_max_leaves_poor_patches_some_motion():
  np.testing.assert_allclose(
    synthetic_motion.normalize_weights(WEIGHTS[..., None], 'max').min(), 0.4, rtol=1e-6
  )


def test_constant_weights_do_not_move():
  np.testing.assert_array_equal(
    synthetic_motion.content_flow(KEY, jnp.ones((2, 6, 6)), (64, 64)), 0
  )


def test_gamma_0_does_not_move():
  np.testing.assert_array_equal(synthetic_motion.content_flow(KEY, WEIGHTS, (64, 64), gamma=0.0), 0)


@pytest.mark.parametrize('kind', ['gaussian', 'box'])
def test_rms_motion_is_gamma_where_the_weight_is_one(kind):
  """Unit gain undoes what smoothing takes: white noise keeps its size."""
  noise = jax.random.normal(KEY, (8, 64, 64, 2))
  smooth = synthetic_motion.smooth_noise(noise, 2.0, kind)
  assert float(jnp.std(smooth[:, 16:48, 16:48])) == pytest.approx(1.0, abs=0.08)


@pytest.mark.parametrize('kind', ['gaussian', 'box'])
def test_the_motion_is_as_large_at_edges_and_in_corners(kind):
  """Mirrored taps fall on the same noise twice, so a pixel's gain is that of its own taps."""
  smooth = synthetic_motion.smooth_noise(jax.random.normal(KEY, (400, 24, 24, 2)), 4.0, kind)
  rms = jnp.std(smooth, axis=(0, 3))
  np.testing.assert_allclose(rms, 1, atol=0.12)
  taps = ops.gaussian_taps(4.0)
  gain = 1 / ops.blur_deviation((64, 64), taps)[..., 0]
  assert gain[32, 32] == pytest.approx(2 * 4.0 * np.sqrt(np.pi), rel=0.01)
  assert gain[32, 32] / gain[32, 0] == pytest.approx(np.sqrt(2), rel=0.15)
  assert gain[32, 32] / gain[0, 0] == pytest.approx(2, rel=0.15)


def test_without_unit_gain_the_motion_all_but_vanishes():
  noise = jax.random.normal(KEY, (4, 64, 64, 2))
  assert float(jnp.std(synthetic_motion.smooth_noise(noise, 4.0, unit_gain=False))) < 0.1


def test_box_blur_keeps_a_ramp_and_has_the_right_spread():
  ramp = jnp.broadcast_to(jnp.arange(40.0)[None, :, None, None], (1, 40, 40, 1))
  np.testing.assert_allclose(synthetic_motion.box_blur(ramp, 7)[:, 5:35], ramp[:, 5:35], rtol=1e-5)
  width = synthetic_motion.box_width(4.0)
  assert width % 2 and np.sqrt((width**2 - 1) / 12) == pytest.approx(4.0, abs=0.3)


def test_sizes_scale_with_the_height():
  """The same weights move half as far on frames of half the height."""
  w = jnp.zeros((8, 4, 4)).at[:, :, 2:].set(1.0)
  large, small = (jnp.std(synthetic_motion.content_flow(KEY, w, (size, size))[:, :, -size // 8:])
                  for size in (128, 64))
  assert float(large / small) == pytest.approx(2.0, rel=0.3)


def test_still_where_there_is_no_content():
  w = jnp.zeros((1, 8, 8)).at[:, :, 6:].set(1.0)
  length = jnp.linalg.norm(synthetic_motion.content_flow(KEY, w, (64, 64))[0], axis=-1)
  assert length[:, :24].max() == 0 and length[:, 56:].mean() > 0.3


def test_samples_move_differently_and_by_key():
  w = jnp.concatenate([WEIGHTS, WEIGHTS])
  flow = synthetic_motion.content_flow(KEY, w, (32, 32))
  assert not np.allclose(flow[0], flow[1])
  np.testing.assert_array_equal(flow, synthetic_motion.content_flow(KEY, w, (32, 32)))


def test_motion_carries_no_gradient():
  grad = jax.grad(lambda w: jnp.sum(jnp.square(synthetic_motion.content_flow(KEY, w, (32, 32)))))(
    WEIGHTS
  )
  np.testing.assert_array_equal(grad, 0)


def test_identity_generator_commutes_exactly():
  """G = identity: W(G(x), F) = G(W(x, F)), L_ctn = 0."""
  x = jax.random.normal(KEY, (1, 32, 32, 3))
  flow = synthetic_motion.content_flow(KEY, WEIGHTS, (32, 32))
  moved = synthetic_motion.move(x, flow)
  assert float(jnp.abs(moved - x).max()) > 0.1
  for norm in synthetic_motion.NORMS:
    assert synthetic_motion.distance(ops.warp(x, -flow), moved, norm) == 0


def test_a_whole_pixel_motion_is_a_slice():
  """W(I, F)(p) = I(p - F(p)): content moves along F."""
  x = jax.random.normal(KEY, (1, 8, 8, 3))
  flow = jnp.zeros((1, 8, 8, 2)).at[..., 0].set(2.0)
  np.testing.assert_array_equal(synthetic_motion.move(x, flow)[:, :, 2:], x[:, :, :-2])


def test_distances_by_hand():
  x, y = jnp.zeros((1, 1, 2, 2)), jnp.array([[[[3.0, 4.0], [0.0, 0.0]]]])
  expected = {'mse': 25 / 4, 'l1': 7 / 4, 'pixel_l2': 5 / 2, 'frobenius': 5.0}
  for norm, value in expected.items():
    assert synthetic_motion.distance(x, y, norm) == pytest.approx(value)


@pytest.mark.parametrize('norm', synthetic_motion.NORMS)
def test_gradient_is_finite_where_frames_agree(norm):
  grad = jax.grad(lambda x: synthetic_motion.distance(x, jnp.ones((1, 2, 2, 3)), norm))(
      jnp.ones((1, 2, 2, 3)))
  assert np.all(np.isfinite(grad))


@pytest.mark.parametrize(('call', 'field'), [
    (lambda: synthetic_motion.normalize_weights(WEIGHTS[..., None], 'sum'), 'ctn.normalize'),
    (lambda: synthetic_motion.smooth_noise(WEIGHTS[..., None], 1.0, 'median'), 'ctn.smooth'),
    (lambda: synthetic_motion.distance(WEIGHTS, WEIGHTS, 'l3'), 'ctn.norm')])
def test_unknown_choices_name_the_field(call, field):
  with pytest.raises(ValueError, match=field):
    call()


# ---- The motion of everything


def drift(key, count, size, **sizes):
  """`synthetic_motion.drift` compiled fast, as each size is drawn once."""
  return jax.jit(lambda key: synthetic_motion.drift(key, count, size, **sizes), compiler_options={
      'xla_backend_optimization_level': 0, 'xla_llvm_disable_expensive_passes': True})(key)


def test_drift_is_a_shift_of_whole_pixels_and_a_slow_noise():
  """|mean| stays below the shift plus what is left of the noise, whose deviation is below mu."""
  flow = drift(KEY, 64, (64, 64))   # mu = 2, s = round(2.5) = 2 on a quarter of 256 rows
  assert float(jnp.std(flow.mean((1, 2)))) < 2 + 2
  inner = flow - flow.mean((1, 2), keepdims=True)
  assert 0.1 < float(jnp.std(inner)) < 2
  rows, cols = jnp.abs(jnp.diff(flow, axis=1)), jnp.abs(jnp.diff(flow, axis=2))
  assert max(float(rows.max()), float(cols.max())) < 0.6   # no tears
  np.testing.assert_array_equal(flow, drift(KEY, 64, (64, 64)))


def test_drift_as_the_public_code_draws_it():
  """A grid of H // 100 x W // 100 enlarged, a shift, a box blur of 100 with OpenCV's anchor."""
  flow = drift(KEY, 1, (256, 512))
  noise_key, shift_key = jax.random.split(KEY)
  grid = np.array(jax.random.normal(state.sample_keys(noise_key, 1)[0], (2, 5, 2)))
  shift = np.array(jax.random.randint(state.sample_keys(shift_key, 1)[0], (1, 1, 2), -10, 11))
  large = cv2.resize(8 * grid, (512, 256), interpolation=cv2.INTER_LINEAR) + shift
  smooth = cv2.blur(large.astype(np.float32), (100, 100), borderType=cv2.BORDER_REFLECT_101)
  np.testing.assert_allclose(flow[0], smooth, atol=1e-4)


def test_without_noise_a_drift_is_one_whole_shift_per_frame():
  flow = drift(KEY, 200, (256, 8), motion=0.0)
  np.testing.assert_allclose(flow, jnp.broadcast_to(jnp.round(flow[:, :1, :1]), flow.shape),
                             atol=1e-4)
  shifts = np.unique(np.round(flow[:, 0, 0, 0]))
  assert set(shifts) == set(range(-10, 11))


@pytest.mark.parametrize('size', [(8, 8), (64, 40), (300, 260)])
def test_drift_of_any_size_is_finite(size):
  flow = drift(KEY, 2, size)
  assert flow.shape == (2, *size, 2) and np.isfinite(flow).all()


def test_zoom_is_linear_with_one_slope_for_both_axes():
  """F_x = c a[x0 + x]: a grows by 0.01 a pixel, on frames of any height up to 600 columns."""
  for size in ((256, 256), (64, 128)):
    flow = drift(KEY, 50, size, scale=2.0)
    x, y = jnp.diff(flow[..., 0], axis=2), jnp.diff(flow[..., 1], axis=1)
    slope = x[:, :1, :1]
    np.testing.assert_allclose(x, jnp.broadcast_to(slope, x.shape), atol=1e-5)
    np.testing.assert_allclose(y, jnp.broadcast_to(slope, y.shape), atol=1e-5)
    assert 0.01 < float(jnp.abs(slope).max()) <= 0.02
    assert float(jnp.abs(flow).max()) <= 6 * size[0] / 256


def test_a_wide_frame_takes_the_whole_table():
  flow = synthetic_motion.zoom(KEY, 1, (256, 1000), scale=1.0)[0, :, :, 0]
  np.testing.assert_allclose(flow[0, 0] / flow[0, -1], -3 / 2.99, rtol=1e-3)


def test_noise_has_a_size_per_frame_between_once_and_twice():
  frames = jnp.zeros((40, 32, 32, 3))
  sizes = jnp.std(synthetic_motion.add_noise(KEY, frames, 0.1, spread=1.0), axis=(1, 2, 3))
  assert 0.095 < float(sizes.min()) < 0.12 and 0.18 < float(sizes.max()) < 0.21
  np.testing.assert_allclose(jnp.std(synthetic_motion.add_noise(KEY, frames, 0.1)), 0.1, rtol=0.02)
  assert synthetic_motion.add_noise(KEY, frames, 0.0) is frames


def test_noise_of_columns_is_one_offset_for_each():
  frames = jnp.zeros((40, 8, 64, 1))
  noisy = synthetic_motion.add_column_noise(KEY, frames, 0.1)
  np.testing.assert_array_equal(noisy, jnp.broadcast_to(noisy[:, :1], frames.shape))
  np.testing.assert_allclose(jnp.std(noisy), 0.1, rtol=0.05)
  assert float(jnp.abs(noisy[0] - noisy[1]).max()) > 0.05   # each sample has its own
  assert synthetic_motion.add_column_noise(KEY, frames, 0.0) is frames


def test_an_even_box_reaches_further_up_and_left():
  x = jnp.zeros((1, 5, 5, 1)).at[0, 2, 2].set(4.0)
  np.testing.assert_allclose(synthetic_motion.box_blur(x, 2)[0, 2:4, 2:4, 0], 1)

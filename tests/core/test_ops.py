"""Shared array functions against scipy, OpenCV and plain slices."""

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage

from i2vjax.core import ops
from i2vjax.flow import visibility

RNG = np.random.default_rng(0)
IMAGE = RNG.standard_normal((2, 12, 15, 3)).astype(np.float32)


def test_fold_and_unfold_are_inverse():
  clips = RNG.standard_normal((2, 3, 4, 5, 1))
  np.testing.assert_array_equal(ops.unfold(ops.fold(clips), 3), clips)
  np.testing.assert_array_equal(ops.fold(clips)[4], clips[1, 1])


def test_sizes_are_written_width_first():
  assert ops.size_text((480, 640)) == ops.size_text((480, 640, 3)) == '640x480'


def test_to_float_maps_limits_to_minus_one_and_one_and_clips():
  raw = np.array([0, 100, 200, 400], np.uint16).reshape(1, 1, 2, 2, 1)
  out = ops.to_float(raw, np.array([[100, 200]], np.float32), 3)
  assert out.shape == (1, 1, 2, 2, 3)
  np.testing.assert_allclose(out[0, 0, ..., 0], [[-1, -1], [1, 1]])


def test_to_float_and_to_uint8_are_inverse_on_8_bits():
  raw = np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16, 1)
  back = ops.to_uint8(ops.to_float(raw, np.array([[0, 255]], np.float32), 1))
  np.testing.assert_array_equal(back, raw)


def test_luma_of_white_is_white_and_green_weighs_most():
  assert float(ops.luma(jnp.ones((1, 1, 1, 3)))[0, 0, 0, 0]) == pytest.approx(1)
  np.testing.assert_allclose(ops.luma(np.eye(3))[:, 0], ops.LUMA, atol=1e-7)


@pytest.mark.parametrize(('mode', 'scipy_mode'), [('reflect', 'mirror'), ('edge', 'nearest')])
def test_gaussian_blur_equals_scipy(mode, scipy_mode):
  ours = ops.gaussian_blur(IMAGE, 1.5, mode=mode)
  theirs = scipy.ndimage.gaussian_filter(IMAGE, (0, 1.5, 1.5, 0), mode=scipy_mode, truncate=3.0)
  np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_gaussian_blur_of_sigma_0_is_the_input():
  assert ops.gaussian_blur(IMAGE, 0) is IMAGE


def test_shift_repeats_the_edge():
  out = np.asarray(ops.shift(IMAGE, 2, -1))
  np.testing.assert_array_equal(out[:, :-2, 1:], IMAGE[:, 2:, :-1])
  np.testing.assert_array_equal(out[:, -1, 1:], IMAGE[:, -1, :-1])


def test_warp_by_zero_is_bitwise_identity():
  np.testing.assert_array_equal(ops.warp(IMAGE, jnp.zeros((2, 12, 15, 2))), IMAGE)


def test_warp_by_an_integer_is_a_slice():
  out = ops.warp(IMAGE, jnp.broadcast_to(jnp.array([3.0, -2.0]), (2, 12, 15, 2)))
  np.testing.assert_allclose(out[:, 2:, :-3], IMAGE[:, :-2, 3:], atol=1e-6)


def test_warp_equals_scipy_far_outside_too():
  flow = 6 * RNG.standard_normal((2, 12, 15, 2)).astype(np.float32)
  grid = np.mgrid[:12, :15].astype(np.float32)
  for i in range(2):
    coordinates = grid + flow[i, ..., ::-1].transpose(2, 0, 1)
    for c in range(3):
      expected = scipy.ndimage.map_coordinates(IMAGE[i, ..., c], coordinates, order=1,
                                               mode='nearest')
      np.testing.assert_allclose(ops.warp(IMAGE, flow)[i, ..., c], expected, atol=1e-5)


def test_warp_equals_opencv_remap():
  flow = 2 * RNG.standard_normal((2, 12, 15, 2)).astype(np.float32)
  x, y = np.meshgrid(np.arange(15, dtype=np.float32), np.arange(12, dtype=np.float32))
  expected = cv2.remap(IMAGE[0], x + flow[0, ..., 0], y + flow[0, ..., 1], cv2.INTER_LINEAR,
                       borderMode=cv2.BORDER_REPLICATE)
  # OpenCV rounds coordinates to 1/32 pixel
  np.testing.assert_allclose(ops.warp(IMAGE, flow)[0], expected, atol=0.2)


def test_warp_gradient_in_the_flow_is_the_slope():
  ramp = jnp.broadcast_to(jnp.arange(15.0)[None, None, :, None], (1, 12, 15, 1))
  flow = jnp.full((1, 12, 15, 2), 0.3)
  grad = jax.grad(lambda f: ops.warp(ramp, f)[:, :, 2:-2].sum())(flow)
  np.testing.assert_allclose(grad[:, :, 2:-2, 0], 1, atol=1e-5)
  np.testing.assert_allclose(grad[..., 1], 0, atol=1e-5)


def test_inside_marks_targets_in_the_frame():
  flow = jnp.broadcast_to(jnp.array([1.0, 0.0]), (1, 4, 5, 2))
  assert np.asarray(visibility.inside(flow)).sum() == 4 * 4


def test_resize_doubles_with_half_pixel_centers():
  out = ops.resize(jnp.array([0.0, 4.0]).reshape(1, 1, 2, 1), (1, 4))
  np.testing.assert_allclose(out.ravel(), [0, 1, 3, 4], atol=1e-6)


def test_flow_colors_white_at_rest_and_two_opposite_hues():
  flow = jnp.array([[0.0, 0.0], [2.0, 0.0], [-2.0, 0.0]]).reshape(1, 1, 3, 2)
  rest, right, left = ops.flow_colors(flow)[0, 0]
  np.testing.assert_allclose(rest, 1)
  assert float(jnp.abs(right - left).max()) > 1 and float(ops.flow_colors(flow).min()) >= -1


def test_windows_at_all_corners_are_whole():
  rows, cols = 5, 8
  ids = jnp.array([0, 7, 32, 39, 2 * 8 + 4])
  places = np.asarray(ops.window_places(ids, (rows, cols), 3))
  assert places.shape == (5, 9)
  starts = [(0, 0), (0, 5), (2, 0), (2, 5), (1, 3)]
  for place, (top, left) in zip(places, starts, strict=True):
    expected = [(top + i) * cols + left + j for i in range(3) for j in range(3)]
    np.testing.assert_array_equal(place, expected)

"""Warping error: its warp against SciPy and OpenCV, its masks and its limits."""

import cv2
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from i2vjax.core import ops
from i2vjax.flow import visibility
from i2vjax.metrics import warping


def random_clip(length=3, height=20, width=24, channels=3):
  return np.random.default_rng(0).random((length, height, width, channels)).astype(np.float32)


def random_flow(count=1, height=20, width=24, reach=8.0):
  return np.random.default_rng(1).uniform(-reach, reach, (count, height, width, 2)).astype('f4')


def test_warp_equals_scipy_also_outside_the_frame():
  image, flow = random_clip(1)[0], random_flow()[0]
  y, x = np.mgrid[:20, :24].astype(np.float64)
  expected = np.stack([ndimage.map_coordinates(
      image[..., c], [y + flow[..., 1], x + flow[..., 0]], order=1, mode='nearest')
      for c in range(3)], axis=-1)
  np.testing.assert_allclose(ops.warp(image[None], flow[None])[0], expected, atol=1e-5)


def test_warp_equals_opencv():
  image, flow = random_clip(1)[0], random_flow()[0]
  y, x = np.mgrid[:20, :24].astype(np.float32)
  expected = cv2.remap(image, x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR,
                       borderMode=cv2.BORDER_REPLICATE)
  np.testing.assert_allclose(ops.warp(image[None], flow[None])[0], expected, atol=0.02)


def test_still_video_without_motion_has_no_error():
  frames = np.repeat(random_clip(1), 4, axis=0)
  flow = np.zeros((3, 20, 24, 2), np.float32)
  result = warping.clip_error(frames, flow, warping.valid_mask(flow))
  assert result['warping_mse'] == 0
  assert result['num_empty_pairs'] == 0


def test_shifted_video_with_exact_flow_has_no_error_where_valid():
  base = random_clip(1, 20, 40)[0]
  frames = np.stack([base[:, 2 * t:2 * t + 24] for t in range(4)])   # content moves left by 2
  flow = np.zeros((3, 20, 24, 2), np.float32)
  flow[..., 0] = -2
  visible = np.ones((3, 20, 24))
  visible[:, :, :2] = 0
  mask = warping.valid_mask(flow, visible=visible)
  assert warping.clip_error(frames, flow, mask)['warping_mse'] == 0
  assert warping.clip_error(frames, flow, jnp.ones_like(mask))['warping_mse'] > 0.01


def test_error_is_the_mean_square_over_valid_pixels_and_channels():
  frame = np.zeros((1, 12, 12, 3), np.float32)
  following = np.full((1, 12, 12, 3), (0.1, 0.2, 0.0), np.float32)
  mask = np.zeros((1, 12, 12, 1), np.float32)
  mask[:, :4] = 1
  flow = np.zeros((1, 12, 12, 2), np.float32)
  mse = warping.pair_errors(frame, following, flow, mask)
  distance = warping.pair_errors(frame, following, flow, mask, kind='euclidean')
  np.testing.assert_allclose(mse, [0.05 / 3], rtol=1e-5)
  np.testing.assert_allclose(distance, [np.sqrt(0.05)], rtol=1e-5)


def test_pair_without_valid_pixel_counts_zero_and_is_reported():
  frames, flow = random_clip(3), np.zeros((2, 20, 24, 2), np.float32)
  mask = np.zeros((2, 20, 24, 1), np.float32)
  mask[1] = 1
  result = warping.clip_error(frames, flow, mask)
  assert result['num_empty_pairs'] == 1
  assert result['pairs'][0] == 0
  assert result['warping_mse'] == result['pairs'][1] / 2


def test_missing_flow_is_masked_and_does_not_spread():
  frames, flow = random_clip(2), np.zeros((1, 20, 24, 2), np.float32)
  flow[0, :3] = np.nan
  flow[0, 3, 0, 1] = np.inf
  mask = warping.valid_mask(flow)
  assert not mask[0, :3].any()
  assert mask[0, 3, 0, 0] == 0
  assert np.isfinite(warping.clip_error(frames, flow, mask)['warping_mse'])


def test_occlusion_where_there_and_back_disagree():
  """A square moves right by 4 over a still background: what it covers does not come back."""
  forward, backward = np.zeros((2, 1, 32, 32, 2), np.float32)
  forward[0, 8:16, 8:16, 0] = 4
  backward[0, 8:16, 12:20, 0] = -4
  hidden = np.zeros((32, 32), bool)
  hidden[8:16, 16:20] = True
  np.testing.assert_array_equal(visibility.occlusion(forward, backward)[0, ..., 0], hidden)


def test_motion_boundary_is_the_last_pixel_before_the_jump():
  flow = np.zeros((1, 8, 8, 2), np.float32)
  flow[:, :, 4:, 0] = 1
  expected = np.zeros((8, 8), bool)
  expected[:, 3] = True
  np.testing.assert_array_equal(visibility.motion_boundary(flow)[0, ..., 0], expected)


def test_known_visibility_replaces_the_estimating_tests():
  flow = np.zeros((1, 8, 8, 2), np.float32)
  flow[:, :, 4:, 0] = 1
  visible = np.ones((1, 8, 8), np.uint8)
  visible[0, 0, 0] = 0
  mask = warping.valid_mask(flow, visible=visible)
  assert mask.sum() == 63
  assert warping.valid_mask(flow, visible=visible, boundaries=True).sum() == 55


def test_resized_flow_still_explains_the_resized_video():
  """Half the size, half the vectors; a pixel averaged with a hidden one is hidden."""
  flow = np.full((1, 16, 20, 2), (6.0, -3.0), np.float32)
  visible = np.ones((1, 16, 20))
  visible[0, :, :7] = 0
  small, seen = warping.resize_flow(flow, visible, (8, 5))
  np.testing.assert_allclose(small, np.broadcast_to([1.5, -1.5], (1, 8, 5, 2)), atol=1e-5)
  assert not seen[0, :, :2].any()
  assert seen[0, :, 3:].all()


def test_flow_of_the_same_size_is_untouched():
  flow = random_flow()
  same, _ = warping.resize_flow(flow, np.ones((1, 20, 24)), (20, 24))
  np.testing.assert_array_equal(same, flow)


def test_batches_do_not_change_the_value():
  frames, flow = random_clip(6), random_flow(5)
  mask = warping.valid_mask(flow, boundaries=False)
  one, many = (warping.clip_error(frames, flow, mask, batch=batch) for batch in (16, 2))
  np.testing.assert_allclose(one['pairs'], many['pairs'], rtol=1e-6)


def test_a_single_frame_is_refused():
  with pytest.raises(ValueError, match='at least 2 frames'):
    warping.clip_error(random_clip(1), np.zeros((0, 20, 24, 2)), np.zeros((0, 20, 24, 1)))


def test_wrong_number_of_flow_fields_is_refused():
  with pytest.raises(ValueError, match='3 frames have 2 pairs'):
    warping.clip_error(random_clip(3), np.zeros((3, 20, 24, 2)), np.zeros((2, 20, 24, 1)))


def test_unknown_kind_is_named():
  with pytest.raises(ValueError, match="warp_kind='rms'"):
    warping.pair_errors(random_clip(1), random_clip(1), random_flow(), np.ones((1, 20, 24, 1)),
                        kind='rms')

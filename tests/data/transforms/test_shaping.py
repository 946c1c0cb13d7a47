"""Frames, boxes and motion of published sets at another size, and cut."""

import io

import numpy as np
from PIL import Image

from i2vjax.data.prepare.published import night_lists
from i2vjax.data.transforms import resize, shaping

RNG = np.random.default_rng(0)


# ---- boxes


def boxes_after(boxes, resize, crop):
  """[N, 5] of (x, y, w, h), each its own class, in 640x512 -> the boxes that are left."""
  corners = [(x, y, x + w, y + h, k) for k, (x, y, w, h) in enumerate(boxes)]
  record = {'frame': np.zeros((512, 640, 1), np.uint8), 'boxes': np.array(corners, np.float32)}
  return shaping.resize_and_crop(record, resize, crop)['boxes']


def test_flir_boxes_in_the_cropped_frame():
  """640x512 to 500x400, then the middle 360x288: x' = 0.78125 x - 70, y' = 0.78125 y - 56."""
  result = boxes_after([(128, 128, 64, 64), (0, 0, 80, 128), (80, 128, 64, 64)],
                      night_lists.RESIZE, night_lists.CROP)
  np.testing.assert_allclose(result, [[30, 44, 80, 94, 0], [0, 44, 42.5, 94, 2]])


def test_boxes_with_less_than_a_quarter_left_are_dropped():
  """KAIST's cut begins at (140, 112): 26 % of the first box are inside, 24 % of the second."""
  result = boxes_after([(140 - 74, 112, 100, 10), (140 - 76, 112, 100, 10), (500, 400, 9, 9)], None,
                      night_lists.MIDDLE)
  np.testing.assert_allclose(result, [[0, 0, 26, 10, 0]])


def test_a_box_of_12_pixels_with_2_left_is_dropped():
  result = boxes_after([(70 / 0.78125 - 12.8, 128, 15.36, 15.36)], night_lists.RESIZE,
                      night_lists.CROP)
  assert result.shape == (0, 5)


# ---- motion


def npz(flow):
  buffer = io.BytesIO()
  np.savez(buffer, u=flow[..., 0].astype(np.float16), v=flow[..., 1].astype(np.float16))
  return buffer.getvalue()


def test_unknown_motion_never_enters_what_is_known():
  """10 everywhere but in one column that nobody knows: 5 at half the size, or not known."""
  flow = np.full((8, 8, 2), 10.0)
  flow[:, 3] = np.nan
  small, known = shaping.read_flow(shaping._npz(npz(flow), (4, 4)), 'x')
  np.testing.assert_array_equal(known, (np.isfinite(small)).all(axis=-1))
  np.testing.assert_allclose(small[known > 0], 5)
  assert known[:, [0, 3]].all() and not known[:, [1, 2]].any()


def test_motion_without_gaps_is_resized_as_ever():
  flow = RNG.normal(0, 3, (8, 12, 2)).astype(np.float32)
  small = resize.resize_flow(flow, (4, 6))
  expected = np.asarray(Image.fromarray(flow[..., 0]).resize((6, 4), Image.Resampling.BILINEAR)) / 2
  np.testing.assert_array_equal(small[..., 0], expected)


def test_unknown_motion_spreads_when_frames_grow():
  flow = np.ones((4, 4, 2), np.float32)
  flow[0, 0] = np.nan
  large = resize.resize_flow(flow, (8, 8))
  lost = np.isnan(large).all(axis=-1)
  np.testing.assert_array_equal(lost, np.add.outer(np.arange(8) > 2, np.arange(8) > 2) == 0)
  np.testing.assert_allclose(large[~lost], 2)

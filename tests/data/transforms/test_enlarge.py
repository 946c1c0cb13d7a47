"""Small translations enlarged along the edges of their source."""

import cv2
import numpy as np
import pytest

from i2vjax.core import ops
from i2vjax.data.transforms import enlarge


def steps(height, width):
  """Gray source of rows and columns with sharp edges, [H, W, 1] uint8."""
  y, x = np.mgrid[:height, :width]
  return (40 + 60 * (x > width // 3) + 90 * (y > height // 2)).astype(np.uint8)[..., None]


def shrunk(frame, size):
  small = cv2.resize(frame, size[::-1], interpolation=cv2.INTER_AREA)
  return small[..., None] if small.ndim == 2 else small


def by_windows(result, source):
  """The same from the paper's words, window by window, in float64."""
  guide = source / 255.0
  if source.shape[2] == 3:
    guide = guide @ np.array(ops.LUMA)[:, None]
  h, w = result.shape[:2]
  small = cv2.resize(guide[..., 0].astype(np.float32), (w, h), interpolation=cv2.INTER_AREA)
  r = enlarge.RADIUS
  inputs, targets = (np.pad(x, ((r, r), (r, r), (0, 0))[:x.ndim], 'symmetric')
                     for x in (small.astype(float), result / 255.0))
  line = np.zeros((h, w, 2, result.shape[2]))   # slope and offset
  for y, x in np.ndindex(h, w):
    i = inputs[y:y + 2 * r + 1, x:x + 2 * r + 1].ravel()
    p = targets[y:y + 2 * r + 1, x:x + 2 * r + 1].reshape(i.size, -1)
    slope = (np.mean(i[:, None] * p, 0) - i.mean() * p.mean(0)) / (i.var() + enlarge.SMOOTH)
    line[y, x] = slope, p.mean(0) - slope * i.mean()
  around = np.pad(line, ((r, r), (r, r), (0, 0), (0, 0)), 'symmetric')
  line = np.mean([around[a:a + h, b:b + w] for a in range(2 * r + 1) for b in range(2 * r + 1)], 0)
  slope, offset = (cv2.resize(np.ascontiguousarray(line[:, :, k]), source.shape[1::-1],
                              interpolation=cv2.INTER_LINEAR) for k in (0, 1))
  return np.clip(slope * guide + offset, 0, 1) * 255


@pytest.mark.parametrize('channels', [1, 3])
def test_guided_filter_equals_the_windows_of_its_paper(channels):
  rng = np.random.default_rng(0)
  source = rng.integers(0, 256, (22, 37, channels), np.uint8)
  result = rng.integers(0, 256, (8, 13, 3), np.uint8)
  found = enlarge.along_edges(result, source)
  assert found.shape == (22, 37, 3) and found.dtype == np.uint8
  assert np.abs(found - by_windows(result, source)).max() < 0.51   # rounded, float32


def test_colors_that_follow_the_brightness_have_the_edges_of_the_large_source():
  """Limit case: where the result is a line over the source, the large one is that line too."""
  source = steps(96, 120)
  line = lambda gray: np.concatenate([gray * 0.9 + 10, 250 - gray, gray * 0.0 + 77], -1)  # noqa: E731
  result = np.rint(line(shrunk(source, (24, 30)).astype(float))).astype(np.uint8)
  error = np.abs(enlarge.along_edges(result, source) - line(source.astype(float)))
  plain = cv2.resize(result, (120, 96), interpolation=cv2.INTER_LINEAR)
  assert error.max() < 8 and np.abs(plain - line(source.astype(float))).max() > 30


def test_without_edges_in_the_source_colors_are_blurred_and_nothing_is_made_up():
  flat, result = np.full((40, 40, 1), 90, np.uint8), np.zeros((10, 10, 3), np.uint8)
  result[:, 5:] = 200
  found = enlarge.along_edges(result, flat)
  assert found[:, :8].max() == 0 and found[:, 32:].min() == 200
  assert (np.diff(found[20, :, 0].astype(int)) >= 0).all()


def test_a_result_larger_than_its_source_is_made_smaller_by_means():
  result = np.zeros((8, 8, 3), np.uint8)
  result[::2] = 200
  found = enlarge.along_edges(result, np.zeros((4, 4, 1), np.uint8))
  np.testing.assert_array_equal(found, np.full((4, 4, 3), 100))

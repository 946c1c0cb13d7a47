"""J, F and T of DAVIS: by hand, against scikit-image, and in limit cases."""

import numpy as np
import pytest

from i2vjax.metrics import davis, shapes


def square(top, left, side, size=(40, 48)):
  mask = np.zeros(size, bool)
  mask[top:top + side, left:left + side] = True
  return mask


def disk(row, column, radius, size=(64, 64)):
  y, x = np.mgrid[:size[0], :size[1]]
  return (y - row)**2 + (x - column)**2 <= radius**2


# ---- region -----------------------------------------------------------------------------------


def test_jaccard_by_hand():
  """4x4 moved by 1: 12 of 20. Empty beside empty: 1. Empty beside full: 0."""
  empty = np.zeros((40, 48), bool)
  masks = np.stack([square(5, 5, 4), empty, empty])
  truth = np.stack([square(5, 6, 4), empty, square(5, 5, 4)])
  np.testing.assert_allclose(davis.jaccard(masks, truth), [12 / 20, 1, 0])


def test_objects_merged_or_apart():
  ids, truth = np.array([[[0, 1, 2, 255]]]), np.array([[[1, 1, 2, 0]]])
  (merged,) = davis.objects(ids, truth)
  np.testing.assert_array_equal(merged[0], [[[0, 1, 1, 0]]])
  apart = davis.objects(ids, truth, single=False)
  assert len(apart) == 2
  np.testing.assert_array_equal(apart[1][1], [[[0, 0, 1, 0]]])
  with pytest.raises(ValueError, match='both the same'):
    davis.objects(ids, truth[..., :2])


# ---- contour ----------------------------------------------------------------------------------


def test_boundary_by_hand():
  mask = np.array([[0, 0, 0, 0], [0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]], bool)
  np.testing.assert_array_equal(davis.boundary(mask), [[1, 1, 1, 0], [1, 0, 1, 0], [1, 1, 1, 0],
                                                       [0, 0, 0, 0]])


def test_boundary_at_the_frame():
  """The last row looks right only, the last column down only, the corner nowhere."""
  mask = np.array([[0, 0, 1], [0, 0, 0], [1, 0, 1]], bool)
  np.testing.assert_array_equal(davis.boundary(mask), [[0, 1, 1], [1, 1, 1], [1, 1, 0]])


def test_contour_within_reach():
  """40x48: reach ceil(0.008 * 62.5) = 1 pixel."""
  truth = square(10, 10, 12)
  assert davis.contour(truth, truth) == 1
  assert davis.contour(square(10, 11, 12), truth) == 1
  assert 0 < davis.contour(square(10, 14, 12), truth) < 0.8
  assert davis.contour(square(28, 30, 6), square(2, 2, 6)) == 0


def test_contour_against_scikit_image():
  morphology = pytest.importorskip('skimage.morphology')
  rng = np.random.default_rng(0)
  mask, truth = (disk(80, 90, 40, (300, 350)) ^ (rng.random((300, 350)) < 0.001)
                 for _ in range(2))
  truth = np.roll(truth, 3, axis=1)
  reach = int(np.ceil(0.008 * np.hypot(300, 350)))
  assert reach == 4
  edges = [davis.boundary(x) for x in (mask, truth)]
  near = [morphology.dilation(x, morphology.disk(reach)) for x in edges]
  precision, recall = (np.sum(edges[k] & near[1 - k]) / np.sum(edges[k]) for k in (0, 1))
  np.testing.assert_allclose(davis.contour(mask, truth),
                             2 * precision * recall / (precision + recall))


def test_contour_of_empty_masks():
  empty, some = np.zeros((40, 48), bool), square(5, 5, 8)
  assert davis.contour(empty, empty) == 1
  assert davis.contour(some, empty) == davis.contour(empty, some) == 0


# ---- statistics -------------------------------------------------------------------------------


def test_statistics_by_hand():
  """8 frames: the quarters are frames 0 to 2 and 5 to 7."""
  found = davis.statistics([1, 0.8, 0.6, 0.5, 0.5, 0.4, 0.3, 0.2])
  np.testing.assert_allclose(found['mean'], 4.3 / 8)
  np.testing.assert_allclose(found['recall'], 3 / 8)
  np.testing.assert_allclose(found['decay'], 0.8 - 0.3)


def test_undefined_frames_are_left_out():
  np.testing.assert_allclose(davis.statistics([0.5, np.nan, 1, 1])['mean'], 2.5 / 3)
  with pytest.raises(ValueError, match='nothing to average'):
    davis.statistics([np.nan])


# ---- instability ------------------------------------------------------------------------------


def test_points_of_an_outline_are_near_each_other():
  points = shapes.outline(disk(32, 32, 20))
  gaps = np.hypot(*(points - np.roll(points, 1, axis=0)).T)
  assert gaps.max() <= shapes.SPACING + 1e-9
  assert 35 < len(points) < 90
  assert shapes.outline(np.zeros((9, 9), bool)) is None


def test_the_longest_outline_counts():
  mask = disk(40, 40, 14) | disk(8, 8, 3)
  assert shapes.outline(mask).min() > 20


def test_shape_context_by_hand():
  """Corners of a unit square: seen from (0, 0) at 1, 1 and sqrt 2 times; mean 0.8536 over all.

  1 / 0.8536 and 1.41 / 0.8536 both lie in the last ring, (1, 2); directions 0, 45 and 90 degrees
  are sectors 0, 1 and 3.
  """
  points = np.array([[0, 0], [1, 0], [1, 1], [0, 1.0]])
  found = shapes.shape_context(points)[0].reshape(12, 5)
  expected = np.zeros((12, 5))
  expected[[0, 1, 3], 4] = 1 / 3
  np.testing.assert_allclose(found, expected)


def test_costs_are_half_chi_square():
  a, b = np.array([[1.0, 0], [0.5, 0.5]]), np.array([[1.0, 0], [0, 1]])
  np.testing.assert_allclose(shapes.costs(a, b), [[0, 1], [1 / 6 + 0.0 + 1 / 6, 1 / 3]], atol=1e-9)


def test_cheapest_path_is_that_of_all_paths():
  rng = np.random.default_rng(0)
  cost = rng.random((4, 5))

  def best(row, column):
    if (row, column) == (3, 4):
      return 0.0
    steps = [(row + i, column + j) for i, j in ((0, 1), (1, 0), (1, 1))
             if row + i < 4 and column + j < 5]
    return min(cost[step] + best(*step) for step in steps)
  path = shapes.cheapest_path(cost)
  assert tuple(path[0]) == (0, 0)
  assert tuple(path[-1]) == (3, 4)
  assert (np.diff(path, axis=0) >= 0).all()
  np.testing.assert_allclose(sum(cost[tuple(cell)] for cell in path[1:]), best(0, 0))


def test_pairs_are_one_to_one():
  cost = np.array([[0.3, 0.1, 0.5], [0.9, 0.2, 0.4]])
  path = np.array([[0, 0], [0, 1], [1, 1], [1, 2]])
  np.testing.assert_array_equal(shapes.one_to_one(path, cost), [[0, 1]])


def test_steady_masks_have_no_instability():
  masks = np.stack([disk(20 + 3 * k, 24 + 2 * k, 14) for k in range(3)])
  np.testing.assert_allclose(shapes.instability(masks), 0, atol=1e-12)


def test_instability_grows_with_jitter():
  def jittered(amount):
    rng = np.random.default_rng(0)
    angle = np.linspace(-np.pi, np.pi, 16, endpoint=False)
    y, x = np.mgrid[:64, :64] - 32.0
    masks = []
    for _ in range(4):
      radius = np.interp(np.arctan2(y, x), angle, 18 + amount * rng.normal(size=16), period=2*np.pi)
      masks.append(np.hypot(y, x) <= radius)
    return np.mean(shapes.instability(np.stack(masks)))
  calm, rough = jittered(0.8), jittered(3)
  assert 0 < calm < rough < 1


def test_masks_without_an_outline_are_left_open():
  masks = np.stack([disk(32, 32, 9), np.zeros((64, 64), bool), disk(32, 32, 9), disk(32, 32, 9)])
  steps = shapes.instability(masks)
  assert np.isnan(steps[:2]).all()
  np.testing.assert_allclose(steps[2], 0, atol=1e-12)


# ---- a clip -----------------------------------------------------------------------------------


def test_clip_values():
  truth = np.stack([disk(32, 32, 12)] * 4)
  masks = truth.copy()
  masks[0] = False
  assert davis.clip_values(truth, truth) == pytest.approx(
      {'davis_j': 1, 'davis_j_recall': 1, 'davis_j_decay': 0, 'davis_f': 1, 'davis_f_recall': 1,
       'davis_f_decay': 0, 'davis_t': 0})
  found = davis.clip_values(masks, truth)
  np.testing.assert_allclose([found['davis_j'], found['davis_f']], 3 / 4)
  np.testing.assert_allclose([found['davis_j_recall'], found['davis_j_decay']], [3 / 4, -1 / 2])
  assert davis.clip_values(masks, truth, skip_ends=True)['davis_j'] == 1
  assert 'davis_t' not in davis.clip_values(masks, truth, with_t=False)
  with pytest.raises(ValueError, match='none between'):
    davis.clip_values(masks[:2], truth[:2], skip_ends=True)

"""IoU, frequency-weighted IoU and pixel accuracy by hand and against plain loops."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from i2vjax.core import class_names
from i2vjax.metrics import segmentation

# Rows: truth. 10 pixels of class 0, 6 of 1, 4 of 2.
BY_HAND = np.array([[8, 1, 1], [2, 4, 0], [0, 1, 3]])


@pytest.fixture(scope='module')
def maps():
  rng = np.random.default_rng(0)
  truth = rng.integers(0, 5, (7, 9, 11)).astype(np.uint8)
  truth[rng.random(truth.shape) < 0.1] = 255
  return truth, rng.integers(0, 5, truth.shape).astype(np.uint8)


@pytest.fixture(scope='module')
def total(maps):
  return segmentation.update(segmentation.init(5), *maps, batch=4)


def test_confusion_counts_each_pixel_once(maps, total):
  truth, predicted = maps
  expected = np.zeros((5, 5), int)
  for g, p in zip(truth.ravel(), predicted.ravel(), strict=True):
    if g != 255:
      expected[g, p] += 1
  np.testing.assert_array_equal(total, expected)
  assert total.dtype == np.int64


def test_iou_by_hand():
  """8 / (10 + 10 - 8), 4 / (6 + 6 - 4), 3 / (4 + 4 - 3)."""
  np.testing.assert_allclose(segmentation.class_iou(BY_HAND), [8 / 12, 4 / 8, 3 / 5])


def test_ratios_by_hand():
  found = segmentation.result(BY_HAND, names=('a', 'b', 'c'), small=('b', 'c'))
  np.testing.assert_allclose(found['miou'], (8 / 12 + 4 / 8 + 3 / 5) / 3)
  np.testing.assert_allclose(found['fwiou'], (10 * 8 / 12 + 6 * 4 / 8 + 4 * 3 / 5) / 20)
  np.testing.assert_allclose(found['pixel_accuracy'], 15 / 20)
  np.testing.assert_allclose(found['miou_small'], (4 / 8 + 3 / 5) / 2)
  np.testing.assert_allclose(found['iou[c]'], 3 / 5)
  assert found['num_absent_classes'] == 0


def test_iou_is_that_of_sets(maps, total):
  truth, predicted = maps
  counts = truth != 255
  for k, value in enumerate(segmentation.class_iou(total)):
    g, p = (truth == k) & counts, (predicted == k) & counts
    np.testing.assert_allclose(value, (g & p).sum() / (g | p).sum())


def test_perfect_and_disjoint():
  perfect = segmentation.result(np.diag([3, 2, 9]))
  assert perfect['miou'] == perfect['fwiou'] == perfect['pixel_accuracy'] == 1
  disjoint = segmentation.result(np.array([[0, 5], [7, 0]]))
  assert disjoint['miou'] == disjoint['fwiou'] == disjoint['pixel_accuracy'] == 0


def test_absent_classes_are_left_out_or_count_zero():
  lacking = np.zeros((4, 4), int)
  lacking[:3, :3] = BY_HAND
  mean = np.mean([8 / 12, 4 / 8, 3 / 5])
  ignored = segmentation.result(lacking, small=('2', '3'))
  np.testing.assert_allclose(ignored['miou'], mean)
  np.testing.assert_allclose(ignored['miou_small'], 3 / 5)
  assert ignored['num_absent_classes'] == 1
  assert 'iou[3]' not in ignored
  zero = segmentation.result(lacking, small=('2', '3'), absent='zero')
  np.testing.assert_allclose(zero['miou'], mean * 3 / 4)
  np.testing.assert_allclose(zero['miou_small'], 3 / 10)
  assert zero['fwiou'] == ignored['fwiou']


def test_a_class_only_predicted_is_present_with_iou_zero():
  found = segmentation.result(np.array([[4, 1], [0, 0]]))
  assert found['iou[1]'] == 0
  assert found['num_absent_classes'] == 0


def test_class_list_decides_the_denominator():
  """Calling a left-out class by a listed name still costs the listed one."""
  found = segmentation.result(BY_HAND, names=('a', 'b', 'c'), classes=('a', 'c'))
  np.testing.assert_allclose(found['miou'], (8 / 12 + 3 / 5) / 2)
  np.testing.assert_allclose(found['pixel_accuracy'], 11 / 14)
  np.testing.assert_allclose(found['fwiou'], (10 * 8 / 12 + 4 * 3 / 5) / 14)
  assert 'iou[b]' not in found


def test_published_means_are_over_the_listed_classes():
  """MornGAN's FLIR table has 9 classes, KAIST's 8; its small classes are five."""
  assert len(class_names.LISTS['flir']) == 9
  assert len(class_names.LISTS['kaist']) == 8
  assert len(class_names.LISTS['small']) == 5
  assert len(class_names.LISTS['viper']) == 17


def test_order_and_merging_do_not_matter(maps, total):
  truth, predicted = maps
  back = segmentation.update(segmentation.init(5), truth[::-1], predicted[::-1])
  np.testing.assert_array_equal(back, total)
  parts = [segmentation.update(segmentation.init(5), truth[s], predicted[s])
           for s in (slice(3), slice(3, None))]
  np.testing.assert_array_equal(segmentation.merge(*parts), total)


def test_masked_items_add_nothing(maps):
  truth, predicted = maps
  mask = np.arange(7) < 4
  masked = segmentation.update(segmentation.init(5), truth, predicted, mask)
  kept = segmentation.update(segmentation.init(5), truth[:4], predicted[:4])
  np.testing.assert_array_equal(masked, kept)


def test_jit_and_sums_over_devices(maps, total):
  """The same matrix without jit, and as a psum over a mapped axis."""
  truth, predicted = (jnp.asarray(x) for x in maps)
  with jax.disable_jit():
    plain = segmentation.confusion(truth, predicted, 5)
  np.testing.assert_array_equal(plain[:5, :5], total)

  def device(g, p):
    return jax.lax.psum(segmentation.confusion(g[None], p[None], 5), 'data')
  summed = jax.vmap(device, axis_name='data')(truth, predicted)
  np.testing.assert_array_equal(summed[0, :5, :5], total)


def test_ids_that_are_no_class_are_refused():
  good, bad = np.zeros((1, 2, 2), np.uint8), np.full((1, 2, 2), 5, np.uint8)
  with pytest.raises(ValueError, match='predictions: 4 pixels hold ids outside 0 to 4'):
    segmentation.update(segmentation.init(5), good, bad)
  with pytest.raises(ValueError, match='labels: 4 pixels .* 255, no class'):
    segmentation.update(segmentation.init(5), bad, good)
  with pytest.raises(ValueError, match='predictions'):
    segmentation.update(segmentation.init(5), good, np.full((1, 2, 2), 255, np.uint8))


def test_an_invalid_prediction_on_an_ignored_pixel_is_no_matter():
  ignored = np.full((1, 2, 2), 255, np.uint8)
  assert segmentation.update(segmentation.init(5), ignored, ignored).sum() == 0


def test_nothing_to_score_is_refused():
  with pytest.raises(ValueError, match='no labeled pixels'):
    segmentation.result(segmentation.init(3))
  with pytest.raises(ValueError, match="class 'cat' is unknown"):
    segmentation.result(BY_HAND, names=('a', 'b', 'c'), classes=('cat',))
  with pytest.raises(ValueError, match='eval.absent'):
    segmentation.result(BY_HAND, absent='maybe')
  with pytest.raises(ValueError, match='both the same'):
    segmentation.update(segmentation.init(3), np.zeros((1, 4, 4), int), np.zeros((1, 4, 5), int))

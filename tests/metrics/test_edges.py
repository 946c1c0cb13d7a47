"""APCE: Canny edges by hand and against scikit-image, and what the score must be in limit cases."""

import numpy as np
import pytest
from scipy import ndimage

from i2vjax import defaults
from i2vjax.data import scenes
from i2vjax.metrics import edges


@pytest.fixture(scope='module')
def frames():
  """(thermal, visible) frames of the same moment."""
  data = defaults.data()
  data.load_size = 64
  return tuple(scenes.open_split(data, 'test', domain).read(5)['frame'] for domain in 'ab')


@pytest.fixture(scope='module')
def maps(frames):
  return tuple(edges.edge_maps(frame) for frame in frames)


def apce(ratios):
  return edges.result(edges.update(edges.init(), ratios))['apce']


def test_gray_is_rounded_to_eight_bits():
  """.2989 * 10 + .5870 * 20 + .1140 * 31 = 18.263."""
  assert edges.gray(np.array([[[10, 20, 31]]], np.uint8))[0, 0] == 18 / 255
  with pytest.raises(ValueError, match='uint8'):
    edges.gray(np.zeros((4, 4, 3)))


def test_halves_of_the_derivative_sum_to_one():
  gauss, slope = edges._taps()
  assert len(gauss) == 13
  np.testing.assert_allclose(gauss.sum(), 1)
  np.testing.assert_allclose([slope[:6].sum(), slope[6], slope[7:].sum()], [1, 0, -1], atol=1e-12)


def test_a_step_has_one_ridge_line():
  plane = np.zeros((20, 24))
  plane[:, 12:] = 1
  found = edges.ridges(plane)
  assert set(np.nonzero(found)[1]) <= {11, 12}
  np.testing.assert_allclose(found.max(), 1)
  assert not found[[0, -1]].any()


def test_gradient_scale_does_not_matter(frames):
  plane = edges.gray(frames[0])
  np.testing.assert_allclose(edges.ridges(plane / 3 + 0.2), edges.ridges(plane), atol=1e-9)


def test_hysteresis_by_hand():
  """Weak pixels stay where a corner leads to a strong one."""
  ridge = np.array([[0.3, 0, 0, 0.3], [0, 0.6, 0, 0], [0, 0, 0.2, 0.3]])
  found = edges.hysteresis(ridge, 0.5)
  np.testing.assert_array_equal(found, [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]])


def test_hysteresis_is_reconstruction_under_the_weak_mask():
  """scikit-image grows the strong pixels within the weak ones, corners included."""
  morphology = pytest.importorskip('skimage.morphology')
  ridge = ndimage.gaussian_filter(np.random.default_rng(0).random((40, 50)), 1)
  ridge = (ridge - ridge.min()) / np.ptp(ridge)
  for high in (0.3, 0.6, 0.9):
    grown = morphology.reconstruction(ridge > high, ridge > high / 2, footprint=np.ones((3, 3)))
    np.testing.assert_array_equal(edges.hysteresis(ridge, high), grown.astype(bool))


def test_thinning_is_that_of_scikit_image():
  """One pass of Guo and Hall's parallel thinning."""
  morphology = pytest.importorskip('skimage.morphology')
  rng = np.random.default_rng(0)
  thick = ndimage.binary_dilation(rng.random((3, 40, 50)) < 0.04, np.ones((1, 3, 3)))
  found = edges.thin(thick)
  for ours, before in zip(found, thick, strict=True):
    np.testing.assert_array_equal(ours, morphology.thin(before, max_num_iter=1))


def test_edges_resemble_those_of_scikit_image(frames):
  """Its gradients are Sobel's and it does not thin: F1 of 0.85 to 0.9 seen."""
  feature = pytest.importorskip('skimage.feature')
  data = defaults.data()
  data.load_size = 256
  frame = scenes.open_split(data, 'test', 'b').read(5)['frame']
  plane = edges.gray(frame)
  smooth = ndimage.gaussian_filter(plane, edges.SIGMA, mode='nearest')
  largest = np.hypot(ndimage.sobel(smooth, 0), ndimage.sobel(smooth, 1)).max()
  for high in (0.2, 0.4):
    theirs = feature.canny(plane, sigma=edges.SIGMA, low_threshold=high / 2 * largest,
                           high_threshold=high * largest, mode='nearest')
    ours = edges.edge_maps(frame, [high])[0]
    assert 2 * (ours & theirs).sum() / (ours.sum() + theirs.sum()) > 0.8


def test_fewer_edges_at_higher_thresholds(maps):
  counts = maps[1].sum(axis=(1, 2))
  assert counts[0] > 4 * counts[60] > 0
  assert np.mean(np.diff(counts) <= 0) > 0.9


def test_same_frame_scores_one_and_so_does_its_negative(frames, maps):
  assert apce(edges.share_of_edges_kept(maps[0], maps[0])) == 1
  negative = edges.edge_maps(255 - frames[0])
  assert apce(edges.share_of_edges_kept(maps[0], negative)) > 0.99


def test_blank_translation_scores_zero(frames, maps):
  blank = edges.edge_maps(np.full_like(frames[0], 90))
  assert not blank.any()
  assert apce(edges.share_of_edges_kept(maps[0], blank)) == 0


def test_true_translation_lies_between(maps):
  assert 0.2 < apce(edges.share_of_edges_kept(*maps)) < 0.9


def test_share_by_hand():
  source = np.zeros((2, 2, 3), bool)
  source[0, 0] = True
  frame = np.zeros_like(source)
  frame[0, :, 0] = True
  np.testing.assert_array_equal(edges.share_of_edges_kept(source, frame), [1 / 3, np.nan])
  with pytest.raises(ValueError, match='one size'):
    edges.share_of_edges_kept(source, frame[:, :, :2])


def test_mean_over_frames_comes_before_the_mean_over_thresholds():
  """P = (0.5, 0.2, none): APCE 0.35, not the plain mean 0.4."""
  ratios = np.array([[0.4, 0.2, np.nan], [0.6, np.nan, np.nan]])
  found = edges.result(edges.update(edges.init([0, 0, 0]), ratios))
  np.testing.assert_allclose(found['apce'], 0.35)
  np.testing.assert_allclose(edges.by_threshold(edges.update(edges.init([0, 0, 0]), ratios)),
                             [0.5, 0.2, np.nan])
  assert found['num_empty_thresholds'] == 1
  with pytest.raises(ValueError, match='blank'):
    edges.result(edges.init())


def test_merged_parts_equal_the_whole():
  ratios = np.random.default_rng(0).random((5, 99))
  ratios[ratios < 0.1] = np.nan
  parts = [edges.update(edges.init(), ratios[s]) for s in (slice(2), slice(2, None))]
  whole, merged = edges.update(edges.init(), ratios), edges.merge(*parts)
  np.testing.assert_allclose(merged['sum'], whole['sum'])
  np.testing.assert_array_equal(merged['count'], whole['count'])

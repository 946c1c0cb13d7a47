"""Weights of rare classes and the boundary loss, against NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from i2vjax.core import state
from i2vjax.losses import segmentation as seg_losses


def labels_of(seed, holes=0.2):
  rng = np.random.default_rng(seed)
  labels = np.kron(rng.integers(0, 4, (2, 4, 4)), np.ones((1, 3, 3), int))
  return np.where(rng.random(labels.shape) < holes, 255, labels)


def logits_of(seed):
  return np.random.default_rng(seed + 50).normal(size=(2, 12, 12, 5)).astype(np.float32)


def numpy_boundary(logits, labels):
  def edges(x):
    around = np.stack([ndimage.uniform_filter(x[n, ..., k], 3, mode='constant')
                       for n in range(len(x)) for k in range(x.shape[-1])])
    around = around.reshape(len(x), x.shape[-1], *x.shape[1:3]).transpose(0, 2, 3, 1)
    return np.abs(x - around)
  p = np.exp(logits.astype(np.float64))
  truth = edges((labels[..., None] == np.arange(5)).astype(float))
  return np.abs(truth - edges(p / p.sum(-1, keepdims=True))).sum() / truth.sum()


boundary = jax.jit(jax.value_and_grad(seg_losses.boundary))


@pytest.mark.parametrize('seed', range(3))
def test_boundary_equals_numpy(seed):
  logits, labels = logits_of(seed), labels_of(seed)
  value, grad = boundary(logits, labels)
  assert float(value) == pytest.approx(numpy_boundary(logits, labels), rel=1e-5)
  assert np.isfinite(grad).all() and grad.any()


def test_few_labels_explode_unless_the_denominator_has_a_floor():
  """One labeled pixel: the sum of its edges is 8/9 + 8/9; 5 % of 288 pixels are 14.4."""
  logits, labels = logits_of(0), np.full((2, 12, 12), 255)
  labels[0, 5, 5] = 2
  plain = float(seg_losses.boundary(logits, labels))
  bounded = float(seg_losses.boundary(logits, labels, floor=0.05))
  assert plain > 20 and bounded == pytest.approx(plain * (16 / 9) / 14.4, rel=1e-5)
  full = labels_of(1, holes=0)   # enough edges: the floor does nothing
  assert seg_losses.boundary(logits, full, floor=0.05) == seg_losses.boundary(logits, full)


@pytest.mark.parametrize('hole', [0, 1])
def test_two_devices_have_the_ratios_of_the_whole_batch(hole):
  """One image a device, one of them without any label."""
  logits, labels = logits_of(0), labels_of(1)
  labels[hole] = 255

  def losses(logits):
    def both(logits, labels):
      weights = seg_losses.rare_weights(labels, 5, 30)
      return jnp.stack([seg_losses.cross_entropy(logits, labels, weights),
                        seg_losses.boundary(logits, labels), weights.sum()])
    parts = jax.vmap(both, axis_name=state.AXIS)(logits[:, None], labels[:, None])
    return both(logits, labels), parts.mean(0)
  whole, parts = losses(logits)
  np.testing.assert_allclose(parts, whole, rtol=1e-5)
  slopes = jax.jacobian(losses)(logits)
  np.testing.assert_allclose(slopes[1], slopes[0], atol=1e-6)
  assert whole[0] > 0 and whole[1] > 0


def test_boundary_of_unlabeled_images_is_0_with_finite_gradient():
  value, grad = boundary(logits_of(0), np.full((2, 12, 12), 255))
  assert value == 0
  np.testing.assert_array_equal(grad, 0)


def test_boundary_of_a_perfect_prediction_is_0():
  labels = labels_of(1, holes=0)
  value, _ = boundary(1e3 * jax.nn.one_hot(labels, 5), labels)
  assert float(value) == pytest.approx(0, abs=1e-6)


def test_rare_classes_weigh_7_counted_per_image():
  """Limit 20 for each of 2 images: classes 0 and 1 have 40 and 39 pixels."""
  labels = np.full((2, 10, 10), 255)
  labels.ravel()[:40] = 0
  labels.ravel()[40:79] = 1
  found = seg_losses.rare_weights(labels, 3, pixels=20, weight=7)
  np.testing.assert_array_equal(found, [1, 7, 7])


def test_cross_entropy_is_the_weighted_mean_over_labeled_pixels():
  logits, labels = logits_of(3), labels_of(3)
  weights = np.asarray(seg_losses.rare_weights(labels, 5, pixels=32))
  assert set(weights[:4]) == {1.0, 7.0}
  p = np.exp(logits.astype(np.float64))
  nll = -np.log(p / p.sum(-1, keepdims=True))
  total = below = 0
  for place in np.argwhere(labels != 255):
    k = labels[tuple(place)]
    total += weights[k] * nll[tuple(place)][k]
    below += weights[k]
  found = seg_losses.cross_entropy(logits, labels, weights)
  assert float(found) == pytest.approx(total / below, rel=1e-5)


def test_cross_entropy_without_labels_is_0_with_finite_gradient():
  labels = np.full((2, 12, 12), 255)
  value, grad = jax.value_and_grad(seg_losses.cross_entropy)(
      jnp.asarray(logits_of(0)), labels, seg_losses.rare_weights(labels, 5))
  assert value == 0
  np.testing.assert_array_equal(grad, 0)

"""Adaptive collaborative attention."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from i2vjax.losses import feature_clusters, feature_coverage

GROUPS = ((0,), (1,), (2, 3))


def pair(seed):
  """Features and labels of a real image and of another, translated one; class 1 has 4 places."""
  rng = np.random.default_rng(seed)
  labels = rng.choice([0, 2, 3, 255], size=(2, 8, 8))
  labels[:, 3:5, 3:5] = 1
  features = rng.normal(size=(2, 8, 8, 5)).astype(np.float32)
  return *features, *labels


@functools.partial(jax.jit, static_argnames='groups')
def graded(real, fake, labels_real, labels_fake, groups=GROUPS):
  return jax.value_and_grad(feature_coverage.collaborative, (0, 1))(
      real, fake, labels_real, labels_fake, groups, jax.random.key(3), clusters=4)


def numpy_loss(real, fake, labels_real, labels_fake):
  """Eq. 12 to 16 on the rows of each group alone, with the centers of the k-means under test."""
  real, fake = real.reshape(-1, 5), fake.reshape(-1, 5)
  losses = []
  for ids, key in zip(GROUPS, jax.random.split(jax.random.key(3), 3), strict=True):
    masks = [np.isin(x.ravel(), ids) for x in (labels_real, labels_fake)]
    if min(mask.sum() for mask in masks) <= 4:
      continue
    center = np.asarray(feature_clusters.centroids(real, masks[0], key, 4))
    u = center / np.linalg.norm(center, axis=1, keepdims=True)
    (mu, tau), (mu_fake, tau_fake) = (
        (c.max(axis=1).mean(), c.max(axis=0).mean()) for c in (
            x[mask] / np.linalg.norm(x[mask], axis=1, keepdims=True) @ u.T
            for x, mask in zip((real, fake), masks, strict=True)))
    losses.append(max(0.9 * mu - mu_fake, 0) + max(0.9 * tau - tau_fake, 0))
  return np.mean(losses), len(losses)


@pytest.mark.parametrize('seed', range(3))
def test_loss_equals_numpy_over_the_groups_with_more_than_4_places(seed):
  data = pair(seed)
  value, (on_real, on_fake) = graded(*data)
  expected, groups = numpy_loss(*data)
  assert groups == 2
  assert float(value) == pytest.approx(expected, abs=1e-5)
  np.testing.assert_array_equal(on_real, 0)
  assert np.isfinite(on_fake).all() and on_fake.any()
  ignored = data[3] == 1
  np.testing.assert_array_equal(on_fake[ignored], 0)


def test_print_divides_by_all_groups():
  data = [jnp.asarray(x) for x in pair(0)]
  every = jax.jit(lambda *data: feature_coverage.collaborative(*data, GROUPS, jax.random.key(3),
                                                        every=True))(*data)
  assert float(every) == pytest.approx(float(graded(*data)[0]) * 2 / 3)


def test_the_same_image_twice_costs_nothing():
  real, _, labels, _ = pair(0)
  assert float(graded(real, real, labels, labels)[0]) == 0


@pytest.mark.parametrize('labels', [255, 9])
def test_images_without_the_classes_give_0_and_finite_gradients(labels):
  real, fake, _, _ = pair(1)
  none = np.full((8, 8), labels)
  value, grads = graded(real, fake, none, none)
  assert value == 0
  np.testing.assert_array_equal(np.stack(grads), 0)


def test_zero_features_give_finite_gradients():
  _, _, *labels = pair(2)
  value, grads = graded(np.zeros((8, 8, 5), np.float32), np.zeros((8, 8, 5), np.float32), *labels)
  assert np.isfinite(value) and all(np.isfinite(grad).all() for grad in grads)


def test_labels_are_reduced_by_floor():
  labels = np.arange(2 * 5 * 7).reshape(2, 5, 7)
  found = feature_coverage.reduced(jnp.asarray(labels), (2, 3))
  np.testing.assert_array_equal(found, labels[:, [0, 2]][:, :, [0, 2, 4]])

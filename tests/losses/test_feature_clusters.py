"""k-means of some rows, and how rows and centers find each other."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from i2vjax.losses import feature_clusters

centroids = jax.jit(feature_clusters.centroids, static_argnums=(3, 4))


def planted(seed, count=120, channels=8):
  """Rows around 3 orthogonal directions, and rows elsewhere that a mask leaves out."""
  rng = np.random.default_rng(seed)
  group = rng.integers(0, 3, count)
  x = np.eye(channels)[group] * rng.uniform(0.5, 2, (count, 1)) + 0.02 * rng.normal(
      size=(count, channels))
  mask = rng.random(count) < 0.6
  x[~mask] = np.eye(channels)[4] + rng.normal(size=((~mask).sum(), channels))
  return x.astype(np.float32), mask, group


def lloyd(x, mask, start, rounds=20):
  """The same rounds in NumPy, on the rows that count alone."""
  rows, center = x[mask].astype(np.float64), start.astype(np.float64)
  for _ in range(rounds):
    unit = [v / np.sqrt((v ** 2).sum(-1, keepdims=True) + 1e-6) for v in (rows, center)]
    nearest = (unit[0] @ unit[1].T).argmax(axis=1)
    center = np.stack([rows[nearest == k].mean(axis=0) if (nearest == k).any() else center[k]
                       for k in range(len(center))])
  return center


@pytest.mark.parametrize('seed', range(3))
def test_rounds_equal_numpy_from_the_same_start(seed):
  x, mask, _ = planted(seed)
  key = jax.random.key(seed)
  start = np.asarray(centroids(x, mask, key, 4, 0))
  assert all(any(np.array_equal(row, other) for other in x[mask]) for row in start)
  assert len(np.unique(start, axis=0)) == 4
  np.testing.assert_allclose(centroids(x, mask, key, 4, 20), lloyd(x, mask, start), atol=1e-5)


def test_planted_directions_are_found_whatever_the_masked_rows_are():
  x, mask, group = planted(0)
  begin = next(k for k in range(50) if len({group[np.argmax((x == row).all(1))] for row in
               np.asarray(centroids(x, mask, jax.random.key(k), 3, 0))}) == 3)
  found = np.asarray(centroids(x, mask, jax.random.key(begin), 3, 20))
  cosine = found @ np.eye(8)[:3].T / np.linalg.norm(found, axis=1, keepdims=True)
  np.testing.assert_array_equal(np.sort(cosine.argmax(axis=1)), [0, 1, 2])
  assert cosine.max(axis=1).min() > 0.999
  x[~mask] = 77
  np.testing.assert_array_equal(centroids(x, mask, jax.random.key(begin), 3, 20), found)


def test_a_center_without_rows_stays():
  """Two rows alike and one other, three centers: one of the twins gets nothing."""
  x = np.float32([[1, 0], [1, 0], [0, 1]])
  found = np.asarray(centroids(x, np.ones(3, bool), jax.random.key(0), 3, 20))
  np.testing.assert_allclose(np.sort(found[:, 0]), [0, 1, 1])


def test_empty_mask_gives_finite_centers():
  x, mask, _ = planted(1)
  assert np.isfinite(centroids(x, np.zeros_like(mask), jax.random.key(0), 4, 20)).all()


def test_coverage_equals_numpy_and_skips_masked_rows():
  x, mask, _ = planted(2)
  center = x[mask][:4] + 0.1
  unit = [v / np.linalg.norm(v, axis=-1, keepdims=True) for v in (x[mask], center)]
  cosine = unit[0] @ unit[1].T
  mu, tau = feature_clusters.coverage(center, x, mask)
  assert float(mu) == pytest.approx(cosine.max(axis=1).mean(), abs=1e-5)
  assert float(tau) == pytest.approx(cosine.max(axis=0).mean(), abs=1e-5)


def test_unit_has_a_finite_gradient_at_0():
  grad = jax.grad(lambda x: jnp.sum(feature_clusters.unit(x)))(jnp.zeros((2, 3)))
  assert np.isfinite(grad).all()

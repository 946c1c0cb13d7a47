"""Total variation, gradient magnitude, structured gradient alignment."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from i2vjax.losses import gradients

KEY = jax.random.key(0)
align = jax.jit(gradients.alignment, static_argnames='grid')


def frames(seed=0, shape=(2, 16, 12, 3)):
  return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


def test_total_variation_by_hand():
  """2 [ sum dh^2 / (C (H-1) W) + sum dw^2 / (C H (W-1)) ] / N."""
  x = frames()
  N, H, W, C = x.shape
  rows, cols = (np.square(np.diff(x.astype(np.float64), axis=axis)).sum() for axis in (1, 2))
  expected = 2 * (rows / (C * (H - 1) * W) + cols / (C * H * (W - 1))) / N
  np.testing.assert_allclose(gradients.total_variation(x), expected, rtol=1e-5)
  assert gradients.total_variation(0 * x + 0.3) == 0


def test_magnitude_by_hand_with_zeros_outside():
  x = frames(shape=(1, 5, 6, 3))
  g = np.pad(((x[0].astype(np.float64) + 1) / 2) @ [0.299, 0.587, 0.114], 1)
  expected = [[np.sqrt((g[i + 2, j + 1] - g[i, j + 1]) ** 2 + (g[i + 1, j + 2] - g[i + 1, j]) ** 2
                       + 1e-6) for j in range(6)] for i in range(5)]
  np.testing.assert_allclose(gradients.magnitude(x)[0], expected, rtol=1e-4)


def test_magnitude_has_finite_gradients_on_flat_frames():
  slope = jax.jit(jax.grad(lambda x: gradients.magnitude(x).sum()))
  for level in (-1, 0, 1):
    assert np.isfinite(slope(jnp.full((1, 6, 6, 3), level, jnp.float32))).all()


def one_edge(row=9, col=5):
  """e with its only edge in one patch, and a random GM."""
  e = np.zeros((1, 16, 16), np.float32)
  e[0, row, col:col + 2] = 1.0, 0.5
  return e, np.random.default_rng(1).uniform(0.1, 1, (1, 16, 16)).astype(np.float32)


def test_alignment_by_hand():
  """sum relu(0.8 e - GM / max GM) / (sum e + 1) on rows 8 to 11, columns 4 to 7 of a grid of 4."""
  e, steep = one_edge()
  patch = steep[0, 8:12, 4:8] / steep[0, 8:12, 4:8].max()
  missing = max(0.8 - patch[1, 1], 0) + max(0.4 - patch[1, 2], 0)
  found = align(KEY, e, steep, grid=4)
  assert missing > 0
  np.testing.assert_allclose(found, missing / 2.5, rtol=1e-5)


def test_alignment_is_0_without_edges_and_where_they_are_steep_enough():
  e, steep = one_edge()
  assert float(align(KEY, 0 * e, steep, grid=4)) == 0
  assert float(align(KEY, e, np.where(e > 0, 0.8, 0.5).astype(np.float32), grid=4)) == 0
  slope = jax.jit(jax.grad(lambda g: gradients.alignment(KEY, 0 * e, g, 4)))(steep)
  assert not slope.any()


def test_one_patch_with_an_edge_is_drawn_for_each_sample():
  """All of them sooner or later, another for each sample, and only that one has a gradient."""
  steep = frames(shape=(2, 16, 16)) + 2
  e = np.zeros((2, 16, 16), np.float32)
  e[:, :8, 8:] = 1.0                      # 4 of the 16 patches
  slope = jax.jit(jax.grad(lambda key, g: gradients.alignment(key, e, g, 4), 1))
  seen = set()
  for seed in range(12):
    touched = np.abs(slope(jax.random.key(seed), steep)).reshape(2, 4, 4, 4, 4).sum((2, 4)) > 0
    assert touched.sum((1, 2)).tolist() == [1, 1] and not touched[:, 2:].any()
    assert not touched[:, :, :2].any()
    seen |= {tuple(map(int, place)) for place in np.argwhere(touched)}
  assert len(seen) == 8


def test_maximum_of_the_patch_has_a_gradient():
  """GM falls short of 0.8 max GM by less if that maximum falls."""
  e, steep = one_edge()
  steep[0, 10, 6] = 3.0
  slope = jax.jit(jax.grad(lambda g: gradients.alignment(KEY, e, g, 4)))(steep)
  assert slope[0, 9, 5] < 0 < slope[0, 10, 6]


def test_grid_that_does_not_divide_is_refused():
  with pytest.raises(ValueError, match='sga.grid=8'):
    gradients.alignment(KEY, np.zeros((1, 16, 12)), np.ones((1, 16, 12)))

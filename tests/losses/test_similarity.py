"""Cross-similarity (CPTrans, L_cs; ROMA) by hand and by its invariances."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from i2vjax.losses import similarity

S = jax.random.normal(jax.random.key(0), (2, 9, 5))
T = jax.random.normal(jax.random.key(1), (2, 9, 5))


def test_by_hand():
  """A = S T^T with S = 1: rows against columns of T^T."""
  target = jnp.array([[1.0, 0.0], [1.0, 1.0]])   # A = T^T = [[1, 1], [0, 1]]
  value = similarity.cross_similarity(jnp.eye(2), target)
  assert value == pytest.approx(1 - 1 / np.sqrt(2), abs=1e-6)


def test_rows_of_two_products():
  """cos(A[i, :], A[:, i]) is the cosine between S T^T and T S^T, row by row."""
  rows = similarity.row_cosine(similarity.products(S, T), similarity.products(T, S))
  assert similarity.cross_similarity(S, T) == pytest.approx(float(jnp.mean(1 - rows)), abs=1e-6)


@pytest.mark.parametrize('factor', [1.0, 0.3, 20.0])
def test_zero_for_equal_and_scaled_tokens(factor):
  assert similarity.cross_similarity(S, factor * S) < 1e-6


def test_mean_over_layers_and_images():
  both = similarity.cross_similarity([S, S], [T, S])
  each = [similarity.cross_similarity(S[i], T[i]) for i in range(2)]
  assert both == pytest.approx(float(sum(each)) / 4, abs=1e-6)


def test_finite_gradient_of_tokens_that_are_zero():
  grad = jax.grad(lambda t: similarity.cross_similarity(S, t))(jnp.zeros_like(T))
  assert np.all(np.isfinite(grad))


def test_motion_of_equal_sequences_is_zero_and_layers_add_up():
  assert similarity.motion_similarity(S, T, S, T) < 1e-6
  one = similarity.motion_similarity(S, T, T, S)
  two = similarity.motion_similarity([S, S], [T, T], [T, T], [S, S])
  assert two == pytest.approx(2 * float(one), rel=1e-6)


def test_random_windows_shrink_with_the_grid():
  assert similarity.random_windows(jax.random.key(0), (4, 6), 64, 7).shape == (24, 16)


def test_random_ids_are_different():
  assert len(set(np.asarray(similarity.random_ids(jax.random.key(0), 49, 40)))) == 40

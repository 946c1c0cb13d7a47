"""Attentional diversity and conditional similarity (PearlGAN)."""

import jax
import numpy as np

from i2vjax.losses import attention_maps

similarity = jax.jit(attention_maps.conditional_similarity)


def drawn(seed, *shape):
  return np.random.default_rng(seed).uniform(0, 1, shape).astype(np.float32)


def test_diversity_by_hand():
  """Two places: maps (1, 0, 0) and (0.5, 0.5, 0.5): [0.25 (0 + 0.25) / 2 + 1 - 0.75] / 2."""
  W = np.float32([[1, 0, 0], [0.5, 0.5, 0.5]]).reshape(1, 1, 2, 3)
  np.testing.assert_allclose(attention_maps.diversity(W), 0.5 * (0.25 * 0.125 + 0.25))
  assert float(attention_maps.diversity(np.eye(3, dtype=np.float32).reshape(1, 1, 3, 3))) == 0


def by_hand(Z1, W1, Z2, W2):
  """One sample, in loops."""
  q, k = [], []
  for Z, W in ((Z1, W1), (Z2, W2)):
    means = [(W[..., c, None] * Z).sum((0, 1)) / W[..., c].sum() for c in range(3)]
    q.append(np.array([m / np.linalg.norm(m) for m in means]))
    k.append(W.max((0, 1)))
  S, w = q[0] @ q[1].T, np.minimum(*k)
  align = sum(w[c] * (S[c].max() - S[c, c]) for c in range(3)) / (w.sum() + 1e-6)
  spread = [max(sum((p @ p.T)[i, j] for i in range(3) for j in range(3) if i != j) / 9, 0)
            for p in q]
  return align + 0.25 * sum(spread), align


def test_conditional_similarity_by_hand():
  Z1, Z2 = drawn(0, 2, 4, 5, 6) - 0.5, drawn(1, 2, 4, 5, 6) - 0.5
  W1, W2 = drawn(2, 2, 4, 5, 3), drawn(3, 2, 4, 5, 3)
  each = [by_hand(*(x[n] for x in (Z1, W1, Z2, W2))) for n in range(2)]
  assert max(align for _, align in each) > 0.01
  expected = np.mean([total for total, _ in each])
  np.testing.assert_allclose(similarity(Z1, W1, Z2, W2), expected, rtol=1e-3)


def test_maps_that_look_at_the_same_three_things_cost_nothing():
  """Features at right angles under each map, the same in both domains."""
  Z = np.eye(3, dtype=np.float32).reshape(1, 1, 3, 3)
  assert abs(float(similarity(Z, Z, Z, Z))) < 1e-6
  turned = Z[..., [1, 2, 0]]
  np.testing.assert_allclose(similarity(Z, Z, Z, turned), 1, rtol=1e-4)   # each at another's


def test_gradient_reaches_the_maps_alone():
  arguments = drawn(0, 1, 3, 3, 4) - 0.5, drawn(1, 1, 3, 3, 3), drawn(2, 1, 3, 3, 4), drawn(
      3, 1, 3, 3, 3)
  slopes = jax.jit(jax.grad(attention_maps.conditional_similarity, (0, 1, 2, 3)))(*arguments)
  assert [bool(np.any(slope)) for slope in slopes] == [False, True, False, True]


def test_features_of_nothing_have_finite_gradients():
  Z, W = np.zeros((1, 3, 3, 4), np.float32), np.full((1, 3, 3, 3), 0.5, np.float32)
  slopes = jax.jit(jax.grad(attention_maps.conditional_similarity, (1, 3)))(Z, W, Z, W)
  assert np.isfinite(np.stack(slopes)).all()

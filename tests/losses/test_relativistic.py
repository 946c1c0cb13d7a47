"""Relativistic least squares on maps of several scales."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from i2vjax.losses import relativistic


def maps(seed, sides=(5, 3, 4)):
  rng = np.random.default_rng(seed)
  return [rng.normal(size=(2, side, side)).astype(np.float32) for side in sides]


def test_multipliers_skip_one_before_the_head():
  assert relativistic.multipliers(4) == (1, 2, 3, 5)
  assert relativistic.multipliers(3) == (1, 2, 4)


def test_by_hand():
  """(1 m_1 + 2 m_2 + 4 m_3) / (3 * 7), the second mean over the maps included."""
  r, f = maps(0), maps(1)
  for t in (-1, 1):
    squares = [((a - b + t) ** 2).mean() for a, b in zip(r, f, strict=True)]
    expected = (squares[0] + 2 * squares[1] + 4 * squares[2]) / 21
    np.testing.assert_allclose(relativistic.least_squares(r, f, t), expected, rtol=1e-5)


def test_critic_is_content_when_real_scores_1_more():
  f = maps(1)
  r = [x + 1 for x in f]
  assert float(relativistic.least_squares(r, f, -1)) < 1e-12
  np.testing.assert_allclose(relativistic.least_squares(f, r, -1), 4 / 3, rtol=1e-5)


def test_frames_are_paired_before_the_mean():
  """r = (1, -1), f = (0, 0): no difference of means, yet each pair differs."""
  r, f = [np.float32([1, -1]).reshape(2, 1, 1)], [np.zeros((2, 1, 1), np.float32)]
  np.testing.assert_allclose(relativistic.least_squares(r, f, 0), 1.0)


def test_gradient_flows_through_both_sides():
  loss = jax.jit(jax.grad(lambda r, f: relativistic.least_squares(r, f, -1), (0, 1)))
  slopes = loss(maps(0), maps(1))
  for a, b in zip(*slopes, strict=True):
    np.testing.assert_allclose(a, -b)
    assert jnp.abs(a).max() > 0


def test_mean_over_branches():
  real = {'rgb': maps(0), 'grad': maps(2, (3, 4))}
  fake = {'rgb': maps(1), 'grad': maps(3, (3, 4))}
  each = [relativistic.least_squares(real[name], fake[name], 1) for name in real]
  np.testing.assert_allclose(relativistic.over_branches(real, fake, 1), sum(each) / 2, rtol=1e-6)


def test_unequal_numbers_of_frames_are_refused():
  with pytest.raises(ValueError, match='as many real as translated'):
    relativistic.least_squares([np.zeros((2, 3, 3))], [np.zeros((1, 3, 3))], 1)

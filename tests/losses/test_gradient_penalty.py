"""R1 by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from i2vjax.losses import gradient_penalty

X = jax.random.normal(jax.random.key(0), (2, 4, 4, 3))


def test_a_linear_critic_has_its_weights_for_a_slope():
  """D = 3 sum x: |grad|^2 / 2 = 9 * 48 / 2."""
  assert float(gradient_penalty.r1(lambda x: 3 * x, X)) == pytest.approx(9 * 48 / 2)


def test_a_square_critic_has_twice_the_frame():
  """D = sum x^2: |grad|^2 / 2 = 2 |x|^2, mean over frames."""
  expected = 2 * float(jnp.mean(jnp.sum(X ** 2, axis=(1, 2, 3))))
  assert float(gradient_penalty.r1(lambda x: x ** 2, X)) == pytest.approx(expected, rel=1e-6)


def test_its_gradient_flattens_the_critic():
  slope = jax.grad(lambda w: gradient_penalty.r1(lambda x: w * x, X))(2.0)
  np.testing.assert_allclose(slope, 2.0 * 48, rtol=1e-6)
  assert float(gradient_penalty.r1(lambda x: 0 * x, X)) == 0

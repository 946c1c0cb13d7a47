"""End-point error by hand."""

import jax.numpy as jnp
import numpy as np
import pytest

from i2vjax.metrics import motion


def test_end_point_error_by_hand():
  """Errors of 5, 0, 4 of 100, and 4 pixels: the third is below 5 % of its motion."""
  truth = jnp.array([[0.0, 0.0], [9.0, 9.0], [100.0, 0.0], [10.0, 0.0]]).reshape(1, 2, 2, 2)
  flow = truth + jnp.array([[3.0, 4.0], [0.0, 0.0], [0.0, 4.0], [0.0, 4.0]]).reshape(1, 2, 2, 2)
  found = motion.end_point(flow, truth)
  np.testing.assert_allclose(found['epe'], 13 / 4)
  np.testing.assert_allclose(found['fl'], 2 / 4)


def test_masked_pixels_do_not_count():
  truth = jnp.zeros((2, 2, 2, 2))
  flow = truth.at[:, 0, 0].set(jnp.array([6.0, 8.0]))
  mask = jnp.ones((2, 2, 2)).at[1, 0, 0].set(0)
  found = motion.end_point(flow, truth, mask)
  np.testing.assert_allclose(found['epe'], [10 / 4, 0])
  np.testing.assert_allclose(found['fl'], [1 / 4, 0])
  assert np.isnan(motion.end_point(flow, truth, 0 * mask)['epe']).all()


def test_shapes_must_agree():
  with pytest.raises(ValueError, match='differ in shape'):
    motion.end_point(jnp.zeros((1, 2, 2, 2)), jnp.zeros((2, 2, 2, 2)))

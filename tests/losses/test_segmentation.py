"""Weighted cross-entropy of class maps by hand."""

import jax
import jax.numpy as jnp
import numpy as np

from i2vjax.losses import segmentation as seg_losses


def test_weights_are_share_to_minus_half_of_mean_one():
  """Shares 9/16, 1/16, 6/16, none: the mean weight over the pixels is 1."""
  truth = np.array([0] * 9 + [1] + [2] * 6 + [255] * 3, np.uint8)
  weights = seg_losses.class_weights(truth, 4)
  raw = np.array([4 / 3, 4, 4 / 6**0.5, 0])
  np.testing.assert_allclose(weights, raw / (9 * raw[0] + raw[1] + 6 * raw[2]) * 16, rtol=1e-6)
  np.testing.assert_allclose(weights[truth[truth != 255]].mean(), 1, rtol=1e-6)


def test_cross_entropy_is_the_weighted_mean_over_labeled_pixels():
  rng = np.random.default_rng(0)
  logits, weights = rng.normal(size=(2, 3, 4, 5)), np.array([1, 2, 0.5, 3, 0.1])
  truth = rng.integers(0, 5, (2, 3, 4))
  truth[0, 0] = 255
  above = below = 0
  for place in np.ndindex(truth.shape):
    if truth[place] != 255:
      row, weight = logits[place], weights[truth[place]]
      above -= weight * (row[truth[place]] - np.log(np.exp(row).sum()))
      below += weight
  found = seg_losses.cross_entropy(jnp.asarray(logits), jnp.asarray(truth), weights)
  np.testing.assert_allclose(found, above / below, rtol=1e-5)


def test_no_labeled_pixel_costs_nothing_and_moves_nothing():
  truth = jnp.full((1, 2, 2), 255)
  value, slope = jax.value_and_grad(
      lambda x: seg_losses.cross_entropy(x, truth, np.ones(3)))(jnp.ones((1, 2, 2, 3)))
  assert value == 0
  assert not np.any(slope)

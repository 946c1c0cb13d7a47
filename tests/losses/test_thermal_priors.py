"""Gradients that must not be lost, and what is known of heat."""

import jax
import numpy as np
import pytest

from i2vjax.losses import thermal_priors

repaired = jax.jit(jax.value_and_grad(thermal_priors.conditional_gradient, (0, 1)))


def gradients(seed):
  rng = np.random.default_rng(seed)
  return rng.random((2, 3, 6, 6)).astype(np.float32)


def numpy_repair(source, fake, background):
  losses = []
  for g, f, b in zip(source, fake, background, strict=True):
    g, f = g[b], f[b]
    strong = g > g.mean()
    losses.append(np.maximum(g - f, 0)[strong].sum() / g[strong].sum())
  return np.mean(losses)


@pytest.mark.parametrize('seed', range(3))
def test_repair_equals_numpy(seed):
  source, fake = gradients(seed)
  background = np.random.default_rng(seed).random((3, 6, 6)) < 0.7
  value, (on_source, on_fake) = repaired(source, fake, background)
  assert float(value) == pytest.approx(numpy_repair(source, fake, background), rel=1e-5)
  np.testing.assert_array_equal(on_source, 0)
  np.testing.assert_array_equal(on_fake[~background], 0)
  assert on_fake.any()


def test_equal_or_stronger_gradients_cost_nothing_and_half_of_them_half():
  source, _ = gradients(0)
  everywhere = np.ones(source.shape, bool)
  assert repaired(source, source, everywhere)[0] == 0
  assert repaired(source, 2 * source, everywhere)[0] == 0
  assert float(repaired(source, source / 2, everywhere)[0]) == pytest.approx(0.5, rel=1e-5)


def test_no_background_and_flat_images_give_0_and_finite_gradients():
  source, fake = gradients(1)
  empty = np.zeros(source.shape, bool)
  for args in ((source, fake, empty), (np.ones_like(source), fake, ~empty)):
    value, grads = repaired(*args)
    assert value == 0
    np.testing.assert_array_equal(np.stack(grads), 0)


# ---- Heat

ROAD, PERSON = 0, 11
warmth = jax.jit(jax.value_and_grad(thermal_priors.warmth), static_argnums=(2, 3))


def thermal(seed):
  """(frames, labels): two images with persons and road, one without persons, one without road."""
  rng = np.random.default_rng(seed)
  labels = rng.choice([ROAD, PERSON, 255], size=(4, 5, 5))
  labels[2][labels[2] == PERSON] = 255
  labels[3][labels[3] == ROAD] = 255
  return rng.uniform(-1, 1, (4, 5, 5, 3)).astype(np.float32), labels


def test_warmth_equals_numpy_and_needs_both_classes():
  frames, labels = thermal(0)
  q = (frames @ [0.299, 0.587, 0.114] + 1) / 2
  expected = []
  for x, y in zip(q[:2], labels[:2], strict=True):
    r, p = x[y == ROAD].mean(), x[y == PERSON].min()
    expected.append(max(r - p, 0) / (r + 1e-4))
  value, grad = warmth(frames, labels, ROAD, PERSON)
  assert float(value) == pytest.approx(np.sum(expected) / 4, rel=1e-4)
  assert np.isfinite(grad).all()
  assert not grad[labels != PERSON].any()      # the road's mean is a constant
  assert not grad[2:].any()


def test_warm_persons_cost_nothing():
  frames, labels = thermal(1)
  frames = np.where((labels == PERSON)[..., None], 0.9, np.minimum(frames, 0.5))
  assert warmth(frames, labels, ROAD, PERSON)[0] == 0


def test_monochrome_is_the_largest_difference_of_channels():
  frames, _ = thermal(2)
  expected = (frames.max(-1) - frames.min(-1)).max(axis=(1, 2)).mean()
  assert float(thermal_priors.monochrome(frames)) == pytest.approx(expected, rel=1e-6)
  assert thermal_priors.monochrome(frames[..., :1].repeat(3, -1)) == 0

"""Smooth L1 and structural dissimilarity."""

import jax
import numpy as np
import pytest

from i2vjax.losses import reconstruction
from i2vjax.metrics import psnr_ssim

dissimilarity = jax.jit(reconstruction.dissimilarity, static_argnames='window')


def frames(seed=0, size=16):
  rng = np.random.default_rng(seed)
  x = rng.uniform(-1, 1, (2, size, size, 3)).astype(np.float32)
  return x, np.clip(x + rng.normal(size=x.shape) * 0.3, -1, 1).astype(np.float32)


def test_smooth_l1_is_square_up_to_1_then_straight():
  x = np.float32([0, 0.5, 1, -2])
  np.testing.assert_allclose(reconstruction.smooth_l1(x, 0 * x),
                             (0 + 0.125 + 0.5 + 1.5) / 4, rtol=1e-6)
  slope = jax.jit(jax.grad(lambda x: reconstruction.smooth_l1(x, 0 * x)))(x)
  np.testing.assert_allclose(4 * slope, [0, 0.5, 1, -1], rtol=1e-6)
  with pytest.raises(ValueError, match='must be equal'):
    reconstruction.smooth_l1(x, x[:3])


def test_window_of_3_by_hand():
  """One window of a 3 x 3 frame, weights g g^T, g = (0.30780, 0.38440, 0.30780)."""
  x, y = (z[:1, :3, :3, :1] for z in frames())
  g = np.array([0.30780, 0.38440, 0.30780])
  w, (p, q) = np.outer(g, g), ((z[0, ..., 0] + 1) / 2 for z in (x, y))
  mean = [(w * z).sum() for z in (p, q)]
  both = (w * p * q).sum() - mean[0] * mean[1]
  var = [(w * z * z).sum() - m * m for z, m in zip((p, q), mean, strict=True)]
  value = ((2 * mean[0] * mean[1] + 1e-4) * (2 * both + 9e-4)
           / ((mean[0] ** 2 + mean[1] ** 2 + 1e-4) * (sum(var) + 9e-4)))
  np.testing.assert_allclose(dissimilarity(x, y), 1 - value, atol=2e-5)


def test_window_of_11_is_the_metric():
  x, y = frames()
  metric = psnr_ssim.ssim((x + 1) / 2, (y + 1) / 2)
  np.testing.assert_allclose(dissimilarity(x, y, window=11), 1 - metric.mean(), atol=1e-5)


def test_equal_frames_differ_by_nothing_and_gradients_are_finite_on_flat_ones():
  x, _ = frames()
  assert abs(float(dissimilarity(x, x))) < 1e-5
  slope = jax.jit(jax.grad(reconstruction.dissimilarity))
  for level in (-1, 0, 1):
    flat = np.full_like(x, level)
    assert np.isfinite(slope(flat, flat)).all() and np.isfinite(slope(flat, x)).all()

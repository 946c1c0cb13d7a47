"""Reconstruction losses: smooth L1 and structural similarity (SSIM)."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

WINDOW, SIGMA = 3, 1.5    # public PearlGAN code; the metric of that name has a window of 11
K1, K2 = 0.01, 0.03


def smooth_l1(x: jax.Array, y: jax.Array) -> jax.Array:
  """Mean over all elements of d^2 / 2 where |d| < 1, else |d| - 1/2, d = x - y; in float32.

  Args:
    x, y: arrays of equal shape.

  Returns:
    Scalar.

  Raises:
    ValueError: the shapes differ.
  """
  if x.shape != y.shape:
    raise ValueError(f'smooth_l1 of shapes {x.shape} and {y.shape}: they must be equal')
  return jnp.mean(optax.huber_loss(x.astype(jnp.float32), y.astype(jnp.float32)))


def dissimilarity(x: jax.Array, y: jax.Array, window: int = WINDOW,
                  sigma: float = SIGMA) -> jax.Array:
  """1 - SSIM of frames in [-1, 1] (public PearlGAN code: pytorch-msssim, window 3).

  Of (x + 1) / 2, each channel separately, local moments by a Gaussian without border, K1 = 0.01,
  K2 = 0.03. Differentiable everywhere, on flat frames too; 0 for equal frames.

  Args:
    x, y: [B, H, W, C] in [-1, 1], H and W at least `window`.
    window: odd.
    sigma: of the Gaussian, in pixels.

  Returns:
    Scalar: mean over samples, places and channels.
  """
  if x.shape != y.shape:
    raise ValueError(f'SSIM of shapes {x.shape} and {y.shape}: they must be equal')
  x, y = (x.astype(jnp.float32) + 1) / 2, (y.astype(jnp.float32) + 1) / 2
  taps = np.exp(-0.5 * ((np.arange(window) - window // 2) / sigma) ** 2)
  taps = taps / taps.sum()

  def local_mean(z):
    return _filtered(_filtered(z, taps, 1), taps, 2)
  mean_x, mean_y = local_mean(x), local_mean(y)
  # E[x^2] - E[x]^2, as moments of x - mean would not be separable. Values up to 1 lose some 1e-7,
  # which is small against K2^2 = 9e-4.
  var_x, var_y = local_mean(x * x) - mean_x ** 2, local_mean(y * y) - mean_y ** 2
  covariance = local_mean(x * y) - mean_x * mean_y
  luminance = (2 * mean_x * mean_y + K1 ** 2) / (mean_x ** 2 + mean_y ** 2 + K1 ** 2)
  return 1 - jnp.mean(luminance * (2 * covariance + K2 ** 2) / (var_x + var_y + K2 ** 2))


def _filtered(x, taps, axis):
  """Valid correlation of [B, H, W, C] with 1-D taps along `axis`."""
  size = x.shape[axis] - len(taps) + 1
  index = [slice(None)] * 4

  def part(i):
    return x[(*index[:axis], slice(i, i + size))]
  return sum(float(tap) * part(i) for i, tap in enumerate(taps))

"""How far a frame is from what it should have come back to: smooth L1, structural similarity."""

import jax.numpy as jnp
import numpy as np

from i2vjax.core.errors import UserError

WINDOW, SIGMA = 3, 1.5    # public PearlGAN code; the metric of that name has a window of 11
K1, K2 = 0.01, 0.03


def smooth_l1(x, y):
  """Mean over all elements of d^2 / 2 where |d| < 1, else |d| - 1/2, d = x - y; in float32.

  Args:
    x, y: arrays of equal shape.

  Returns:
    Scalar.

  Raises:
    ValueError: the shapes differ.
  """
  if x.shape != y.shape:
    raise UserError(f'smooth_l1 of shapes {x.shape} and {y.shape}: they must be equal')
  d = jnp.abs(x.astype(jnp.float32) - y.astype(jnp.float32))
  return jnp.mean(jnp.where(d < 1, 0.5 * d * d, d - 0.5))


def dissimilarity(x, y, window=WINDOW, sigma=SIGMA):
  """1 - SSIM of frames in [-1, 1] (public PearlGAN code: pytorch-msssim, window 3).

  On (x + 1) / 2, each channel by itself, local moments by a Gaussian without border, K1 = 0.01,
  K2 = 0.03. Differentiable everywhere, on flat frames too; 0 for equal frames.

  Args:
    x, y: [B, H, W, C] in [-1, 1], H and W at least `window`.
    window: odd. sigma: of the Gaussian, in pixels.

  Returns:
    Scalar: mean over samples, places and channels.
  """
  if x.shape != y.shape:
    raise UserError(f'SSIM of shapes {x.shape} and {y.shape}: they must be equal')
  x, y = ((z.astype(jnp.float32) + 1) / 2 for z in (x, y))
  taps = np.exp(-0.5 * ((np.arange(window) - window // 2) / sigma) ** 2)

  def local(z):
    return _filtered(_filtered(z, taps / taps.sum(), 1), taps / taps.sum(), 2)
  mean_x, mean_y = local(x), local(y)
  # Moments of x - mean and y - mean would not be separable; the windows' are near 1, so this loses
  # some 1e-7, where K2^2 is 9e-4.
  var_x, var_y = local(x * x) - mean_x ** 2, local(y * y) - mean_y ** 2
  both = local(x * y) - mean_x * mean_y
  light = (2 * mean_x * mean_y + K1 ** 2) / (mean_x ** 2 + mean_y ** 2 + K1 ** 2)
  return 1 - jnp.mean(light * (2 * both + K2 ** 2) / (var_x + var_y + K2 ** 2))


def _filtered(x, taps, axis):
  """Valid correlation of [B, H, W, C] with 1-D taps along `axis`."""
  size = x.shape[axis] - len(taps) + 1
  index = [slice(None)] * 4

  def part(i):
    return x[(*index[:axis], slice(i, i + size))]
  return sum(float(tap) * part(i) for i, tap in enumerate(taps))

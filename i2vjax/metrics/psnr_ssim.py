"""PSNR and SSIM of frames against their aligned targets."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from i2vjax import metrics
from i2vjax.core import ops

WINDOW, SIGMA = 11, 1.5   # Wang et al., IEEE Transactions on Image Processing 13(4), 2004
K1, K2 = 0.01, 0.03


def psnr(frames: jax.Array, targets: jax.Array, data_range: float = 1.0) -> jax.Array:
  """Peak signal-to-noise ratio of each frame, 10 log10(L^2 / MSE), MSE over pixels and channels.

  Args:
    frames, targets: [N, H, W, C].
    data_range: L, 1 for [0, 1], 255 for 8-bit values.

  Returns:
    [N] decibel; identical frames give infinity.
  """
  metrics.same_shape(frames, targets)
  difference = frames.astype(jnp.float32) - targets.astype(jnp.float32)
  return 10 * jnp.log10(data_range ** 2 / jnp.mean(difference ** 2, axis=(1, 2, 3)))


@functools.lru_cache(maxsize=64)
def _window_matrix(size):
  """[size - 10, size]: each row holds the Gaussian window of one output pixel."""
  taps = np.exp(-0.5 * ((np.arange(WINDOW) - WINDOW // 2) / SIGMA) ** 2)
  matrix = np.zeros((size - WINDOW + 1, size))
  for row in range(len(matrix)):
    matrix[row, row:row + WINDOW] = taps / taps.sum()
  return matrix.astype(np.float32)


def _local_mean(x):
  """Windowed mean of [..., H, W], valid region: two matrix products, fast on every device."""
  rows, cols = _window_matrix(x.shape[-2]), _window_matrix(x.shape[-1])
  return jnp.einsum('ih,...hw,jw->...ij', rows, x, cols, precision=jax.lax.Precision.HIGHEST)


def ssim_map(frames: jax.Array, targets: jax.Array, data_range: float = 1.0) -> jax.Array:
  """SSIM at every place of the valid region.

  With d = x - y the published ratio is, factor by factor, the same as
  (1 - m_d^2 / (m_x^2 + m_y^2 + C1)) (1 - s_d / (s_x + s_y + C2)), which is exactly 1 for identical
  frames in any precision. Variances do not depend on the level of a frame, so its mean is taken
  off before they are formed.

  Args:
    frames, targets: [N, H, W, C], H and W at least 11.
    data_range: L of C1 = (0.01 L)^2 and C2 = (0.03 L)^2.

  Returns:
    [N, C, H - 10, W - 10].
  """
  metrics.same_shape(frames, targets, least=WINDOW)
  x = jnp.moveaxis(frames.astype(jnp.float32), -1, 1) / data_range
  y = jnp.moveaxis(targets.astype(jnp.float32), -1, 1) / data_range
  level_x = jnp.mean(x, axis=(2, 3), keepdims=True)
  level_y = jnp.mean(y, axis=(2, 3), keepdims=True)
  x, d, y = x - level_x, (x - y) - (level_x - level_y), y - level_y   # float32 keeps its digits
  mean_x, mean_y, mean_d, squares, difference = _local_mean(
      jnp.stack([x, y, d, x * x + y * y, d * d]))
  variances = squares - mean_x ** 2 - mean_y ** 2
  gap = mean_d + level_x - level_y
  power = (mean_x + level_x) ** 2 + (mean_y + level_y) ** 2
  luminance = 1 - gap ** 2 / (power + K1 ** 2)
  structure = 1 - (difference - mean_d ** 2) / (variances + K2 ** 2)
  return luminance * structure


def ssim(frames: jax.Array, targets: jax.Array, data_range: float = 1.0, *,
         gray: bool = False) -> jax.Array:
  """Structural similarity of each frame (Wang et al. 2004), mean over places, then over channels.

  Gaussian window 11 x 11, sigma 1.5, local moments without the N / (N - 1) correction, valid region
  only; equals scikit-image with `gaussian_weights=True, sigma=1.5, use_sample_covariance=False`.

  Args:
    frames, targets: [N, H, W, C], H and W at least 11.
    data_range: L.
    gray: on BT.601 luma as in the paper, instead of per channel as public tools do.

  Returns:
    [N]; identical frames give exactly 1.
  """
  if gray:
    frames, targets = ops.luma(frames), ops.luma(targets)
  return jnp.mean(ssim_map(frames, targets, data_range), axis=(1, 2, 3))



@functools.partial(jax.jit, static_argnames=('names', 'gray'))
def _values(frames, targets, names, gray):
  compute = {'psnr': lambda: psnr(frames, targets),
             'ssim': lambda: ssim(frames, targets, gray=gray)}
  return {name: compute[name]() for name in names}


def update(total: dict, frames: jax.Array, targets: jax.Array, mask: np.ndarray | None = None, *,
           names: tuple[str, ...] = ('psnr', 'ssim'), psnr_cap: float = 100.0,
           gray: bool = False) -> tuple[dict, dict]:
  """Add a batch of frames to a total (`i2vjax.metrics`).

  Args:
    total: from `metrics.init` or an earlier update.
    frames, targets: [N, H, W, C] in [0, 1].
    mask: [N], 0 for frames that only fill up the batch.
    names: which of 'psnr', 'ssim'.
    psnr_cap: decibel; a frame equal to its target has infinite PSNR, and one of those would make
      the mean infinite. Capped frames that are identical are counted as 'num_identical'.
    gray: SSIM on luma.

  Returns:
    (total, {name: [N] values of this batch, PSNR capped}).
  """
  metrics.same_shape(frames, targets)
  values = {name: np.asarray(value)
            for name, value in _values(frames, targets, tuple(names), gray).items()}
  counted = dict(values)
  if 'psnr' in values:
    counted['num_identical'] = np.isposinf(values['psnr'])
    values['psnr'] = counted['psnr'] = np.minimum(values['psnr'], psnr_cap)
  return metrics.update(total, counted, mask), values

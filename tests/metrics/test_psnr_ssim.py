"""PSNR and SSIM against their formulas and scikit-image."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from skimage import metrics as skimage_metrics

from i2vjax import metrics
from i2vjax.metrics import psnr_ssim


def pair(height=32, width=40, channels=3, count=2, noise=20):
  rng = np.random.default_rng(1)
  x = rng.integers(0, 256, (count, height, width, channels))
  y = np.clip(x + rng.integers(-noise, noise + 1, x.shape), 0, 255)
  return x.astype(np.uint8), y.astype(np.uint8)


@pytest.fixture(scope='module')
def ssim():
  return jax.jit(psnr_ssim.ssim, static_argnames=('data_range', 'gray'))


def test_psnr_by_hand():
  x = jnp.zeros((1, 4, 4, 3))
  np.testing.assert_allclose(psnr_ssim.psnr(x, x + 0.1), [20.0], rtol=1e-5)


def test_psnr_equals_scikit_image():
  x, y = pair()
  expected = [skimage_metrics.peak_signal_noise_ratio(a, b, data_range=255)
              for a, b in zip(x, y, strict=True)]
  np.testing.assert_allclose(psnr_ssim.psnr(x, y, data_range=255), expected, atol=1e-4)
  np.testing.assert_allclose(psnr_ssim.psnr(x / 255, y / 255), expected, atol=1e-4)


@pytest.mark.parametrize('noise', [3, 60])
def test_ssim_equals_scikit_image(ssim, noise):
  x, y = pair(noise=noise)
  expected = [skimage_metrics.structural_similarity(
      a, b, channel_axis=-1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
      data_range=255) for a, b in zip(x, y, strict=True)]
  np.testing.assert_allclose(ssim(x / 255, y / 255), expected, atol=1e-5)
  np.testing.assert_allclose(ssim(x, y, data_range=255), expected, atol=1e-5)


def test_ssim_of_smooth_bright_frames_keeps_its_digits(ssim):
  """The published form loses the small variances of bright, smooth frames in float32."""
  ramp = np.linspace(0.90, 0.95, 40)[None, None, :, None] * np.ones((1, 32, 1, 1))
  x, y = ramp, ramp + 1e-3 * np.random.default_rng(0).standard_normal(ramp.shape)
  expected = skimage_metrics.structural_similarity(
      x[0, ..., 0], y[0, ..., 0], gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
      data_range=1.0)
  np.testing.assert_allclose(ssim(x, y), [expected], atol=1e-5)


def test_ssim_of_identical_frames_is_exactly_one(ssim):
  x, _ = pair()
  assert np.all(np.asarray(ssim(x / 255, x / 255)) == 1.0)


def test_ssim_of_constant_frames_is_the_luminance_term(ssim):
  a, b = 0.2, 0.7
  x = jnp.ones((1, 16, 16, 1))
  expected = (2 * a * b + 1e-4) / (a * a + b * b + 1e-4)
  np.testing.assert_allclose(ssim(a * x, b * x), [expected], atol=1e-5)


def test_ssim_gray_is_ssim_of_luma(ssim):
  x, y = (z / 255 for z in pair())
  luma = [z @ np.array([0.299, 0.587, 0.114]) for z in (x, y)]
  np.testing.assert_allclose(ssim(x, y, gray=True), ssim(luma[0][..., None], luma[1][..., None]),
                             atol=1e-6)


def test_sizes_are_never_made_equal_silently():
  with pytest.raises(ValueError, match='differ in shape'):
    psnr_ssim.psnr(jnp.zeros((1, 16, 16, 3)), jnp.zeros((1, 16, 18, 3)))
  with pytest.raises(ValueError, match='at least 11'):
    psnr_ssim.ssim(jnp.zeros((1, 10, 16, 3)), jnp.zeros((1, 10, 16, 3)))


def test_identical_frames_are_capped_and_counted():
  x, y = (z / 255 for z in pair())
  total, values = psnr_ssim.update(metrics.init(), np.stack([x[0], x[1]]), np.stack([x[0], y[1]]))
  result = metrics.result(total)
  assert values['psnr'][0] == 100
  assert result['num_identical'] == 1
  np.testing.assert_allclose(result['psnr'], (100 + values['psnr'][1]) / 2, rtol=1e-6)


def test_nan_pixel_makes_the_mean_nan_and_is_counted():
  x, y = (z / 255 for z in pair())
  x[0, 3, 3, 0] = np.nan
  result = metrics.result(psnr_ssim.update(metrics.init(), x, y)[0])
  assert np.isnan(result['psnr'])
  assert np.isnan(result['ssim'])
  assert result['num_nonfinite'] == 2


def test_padded_batch_equals_unpadded():
  x, y = (z / 255 for z in pair())
  padded = [np.concatenate([z, z[:1]]) for z in (x, y)]
  plain, _ = psnr_ssim.update(metrics.init(), x, y)
  masked, _ = psnr_ssim.update(metrics.init(), *padded, mask=[1, 1, 0])
  for name in ('psnr', 'ssim'):
    np.testing.assert_allclose(metrics.result(masked)[name], metrics.result(plain)[name], rtol=1e-6)

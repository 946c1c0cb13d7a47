"""Layers shared by all networks, by hand and in their limits."""

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest

from i2vjax.core.state import AXIS
from i2vjax.networks import layers


def draw(*shape):
  return jnp.asarray(np.random.default_rng(0).normal(size=shape), jnp.float32)


def test_instance_norm_by_hand():
  """Values -1 and 3: mean 1, biased variance 4, so -+2 / sqrt(4 + 1e-5)."""
  x = jnp.array([-1.0, 3.0]).reshape(1, 1, 2, 1)
  y, variance = layers.normalize(x)
  np.testing.assert_allclose(y.ravel(), np.array([-2, 2]) / np.sqrt(4 + 1e-5), rtol=1e-6)
  np.testing.assert_allclose(variance, [[4.0]])


def test_instance_norm_keeps_its_digits_on_a_flat_map():
  """A level of 20 with ripples of 0.01: the one-pass variance is wrong by more than 1 here."""
  ripple = draw(1, 64, 64, 1)
  wanted = layers.instance_norm(ripple * 0.01)
  np.testing.assert_allclose(layers.instance_norm(20 + 0.01 * ripple), wanted, atol=2e-3)


def test_instance_norm_of_a_constant_is_zero():
  np.testing.assert_array_equal(layers.instance_norm(jnp.full((1, 4, 4, 2), 7.0)), 0)


def test_instance_norm_statistics_are_float32_under_bfloat16():
  x = draw(1, 32, 32, 2).astype(jnp.bfloat16)
  y, variance = layers.normalize(x)
  assert (y.dtype, variance.dtype) == (jnp.bfloat16, jnp.float32)
  np.testing.assert_allclose(variance, jnp.var(x.astype(jnp.float32), axis=(1, 2)), rtol=1e-5)


def test_blur_up_is_bilinear_with_half_pixel_centers():
  x = draw(2, 5, 3, 4)
  wanted = jax.image.resize(x, (2, 10, 6, 4), 'bilinear')
  np.testing.assert_allclose(layers.blur_up(x), wanted, atol=1e-6)


@pytest.mark.parametrize('shape', [(6, 8), (7, 5), (2, 3)])
def test_blur_down_is_the_binomial_filter_with_reflected_edges(shape):
  x = draw(1, *shape, 1)
  padded = np.pad(np.asarray(x)[0, :, :, 0], 1, mode='reflect')
  taps = np.outer([1, 2, 1], [1, 2, 1]) / 16
  wanted = [[np.sum(taps * padded[i:i + 3, j:j + 3]) for j in range(0, shape[1], 2)]
            for i in range(0, shape[0], 2)]
  np.testing.assert_allclose(layers.blur_down(x)[0, :, :, 0], wanted, atol=1e-6)


@pytest.mark.parametrize(('kind', 'std'), [
    ('normal', 0.02), ('xavier', 0.02 * np.sqrt(2 / (9 * 32 + 9 * 64))),
    ('kaiming', np.sqrt(2 / (9 * 32)))])
def test_initializers_have_their_spread(kind, std):
  init = layers.initializer(ml_collections.ConfigDict({'kind': kind, 'gain': 0.02}))
  kernel = init(jax.random.key(0), (3, 3, 32, 64), jnp.float32)
  np.testing.assert_allclose(jnp.std(kernel), std, rtol=0.03)
  assert jnp.max(jnp.abs(kernel)) > 3 * std   # not truncated


def test_orthogonal_initializer_has_orthogonal_columns():
  init = layers.initializer(ml_collections.ConfigDict({'kind': 'orthogonal', 'gain': 0.5}))
  kernel = init(jax.random.key(0), (3, 3, 4, 6), jnp.float32).reshape(36, 6)
  np.testing.assert_allclose(kernel.T @ kernel, 0.25 * np.eye(6), atol=1e-5)


def test_unknown_names_are_refused_with_the_known():
  with pytest.raises(ValueError, match='orthogonal'):
    layers.initializer(ml_collections.ConfigDict({'kind': 'he', 'gain': 1.0}))
  with pytest.raises(ValueError, match='bfloat16'):
    layers.compute_dtype(ml_collections.ConfigDict({'compute': 'float16'}))


def test_dropout_drops_in_each_sample_by_its_own_draw():
  x, key = jnp.ones((3, 4, 40, 5)), jax.random.key(0)
  y = np.asarray(layers.Dropout(0.25).apply({}, x, rngs={'dropout': key}))
  assert set(np.unique(y)) == {0.0, np.float32(1 / 0.75)}
  assert 0.2 < (y == 0).mean() < 0.3 and not np.array_equal(y[0], y[1])
  once = np.asarray(layers.Dropout(0.25, once=True).apply({}, x, rngs={'dropout': key}))
  np.testing.assert_array_equal(once, np.broadcast_to(once[:, :1], once.shape))
  assert layers.Dropout(0.25).apply({}, x) is x   # no rng: in use
  shared = jax.vmap(lambda x: layers.dropped(key, x, 0.25), axis_name=AXIS)(x[:, None])
  np.testing.assert_array_equal(shared[:, 0], layers.dropped(key, x, 0.25))

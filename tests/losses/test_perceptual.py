"""Gram matrices, content and style by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from i2vjax.losses import perceptual

VL = dict(content=1.0, content_taps=('deep',), style=100.0, style_taps=('flat', 'deep'),
          style_taps_weights=(0.25, 1.0))


def features(seed, batch=2):
  flat, deep = jax.random.split(jax.random.key(seed))
  return {'flat': jax.random.normal(flat, (batch, 4, 4, 3)),
          'deep': jax.random.normal(deep, (batch, 2, 2, 5))}


def test_content_as_published_and_as_printed():
  """'l2' is I2V-GAN's Eq. 5, |x - y|^2 / (C H W), mean over images."""
  x, y = ([f['deep']] for f in (features(0), features(1)))
  gap = np.asarray(x[0] - y[0])
  assert perceptual.content_distance(x, y) == pytest.approx(np.abs(gap).mean(), rel=1e-5)
  printed = np.mean([(g ** 2).sum() / (5 * 2 * 2) for g in gap])
  assert perceptual.content_distance(x, y, 'l2') == pytest.approx(printed, rel=1e-5)
  rest = {**VL, 'style': 0.0}
  whole = perceptual.distance(features(0), features(1), **rest, content_norm='l2')
  assert whole == pytest.approx(printed, rel=1e-5)
  with pytest.raises(ValueError, match="vgg.content_norm='mse'"):
    perceptual.content_distance(x, y, 'mse')


def test_gram_by_hand():
  x = jnp.array([[1.0, 2.0], [3.0, 4.0]]).reshape(1, 2, 1, 2)   # two pixels of two channels
  np.testing.assert_allclose(perceptual.gram(x)[0], np.array([[10, 14], [14, 20]]) / 4)


def test_gram_knows_nothing_of_places():
  x = features(0)['flat']
  np.testing.assert_allclose(perceptual.gram(x), perceptual.gram(x[:, ::-1, ::-1]), rtol=1e-5)


def test_style_is_the_weighted_mean_square_of_gram_differences():
  x, y = features(0), features(1)
  by_hand = sum(w * np.mean((perceptual.gram(x[tap]) - perceptual.gram(y[tap])) ** 2)
                for tap, w in zip(VL['style_taps'], VL['style_taps_weights'], strict=True))
  listed = [[f[tap] for tap in VL['style_taps']] for f in (x, y)]
  np.testing.assert_allclose(
      perceptual.style_distance(*listed, VL['style_taps_weights']), by_hand, rtol=1e-5)


def test_a_batch_costs_the_mean_of_its_images():
  """The public code multiplies the images of a batch into one matrix; ours keeps them apart."""
  x, y = features(0), features(1)
  one = [perceptual.distance({k: v[i:i + 1] for k, v in x.items()},
                             {k: v[i:i + 1] for k, v in y.items()}, **VL) for i in range(2)]
  np.testing.assert_allclose(perceptual.distance(x, y, **VL), np.mean(one), rtol=1e-5)


def test_distance_is_content_plus_a_hundred_times_style():
  x, y = features(0), features(1)
  content = jnp.mean(jnp.abs(x['deep'] - y['deep']))
  style = perceptual.style_distance([x['flat'], x['deep']], [y['flat'], y['deep']], (0.25, 1.0))
  np.testing.assert_allclose(perceptual.distance(x, y, **VL), content + 100 * style, rtol=1e-5)
  np.testing.assert_allclose(perceptual.distance(x, y, **{**VL, 'style': 0.0}), content, rtol=1e-5)


def test_equal_features_cost_nothing_with_a_finite_gradient():
  x = features(0)
  value, grads = jax.value_and_grad(lambda x: perceptual.distance(x, features(0), **VL))(x)
  assert abs(value) < 1e-12 and all(np.isfinite(g).all() for g in grads.values())


def test_standardized_features_have_mean_0_and_variance_1_per_channel_and_image():
  x = perceptual.standardize(3 + 5 * features(0)['flat'])
  np.testing.assert_allclose(x.mean((1, 2)), 0, atol=1e-5)
  np.testing.assert_allclose(x.var((1, 2)), 1, atol=1e-4)


def test_standardized_distance_does_not_see_how_strongly_a_channel_fires():
  x, other = features(0)['flat'], features(1)['flat']
  gain = jnp.array([2.0, 0.5, 7.0])
  np.testing.assert_allclose(perceptual.standardized_distance(x, gain * x + 1), 0, atol=1e-5)
  assert 0 < float(perceptual.standardized_distance(x, other)) <= 4


def test_standardized_distance_of_opposites_is_4_and_of_dead_channels_0():
  x = features(0)['flat']
  np.testing.assert_allclose(perceptual.standardized_distance(x, -x), 4, rtol=1e-3)
  dead = jnp.zeros((1, 4, 4, 2))
  value, grad = jax.value_and_grad(perceptual.standardized_distance)(dead, dead)
  assert value == 0 and np.isfinite(grad).all()

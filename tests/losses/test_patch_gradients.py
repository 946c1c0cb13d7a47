"""Content-aware weights (CPTrans): the cosine by hand, the selection, the weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from i2vjax.losses import patch_gradients, synthetic_motion


def linear(params, rows):
  """Critic whose patch gradients are the rows of its input."""
  return rows @ params


def dense(params, x):
  """Small coupled critic: logits [N, C] of x [N, D]."""
  h = jnp.tanh(x @ params['w'] + jnp.mean(x))
  return h @ params['v'] + params['c']


@pytest.fixture(scope='module')
def toy():
  keys = jax.random.split(jax.random.key(0), 4)
  params = {'w': jax.random.normal(keys[0], (5, 6)), 'v': jax.random.normal(keys[1], (6, 3)),
            'c': jax.random.normal(keys[2], (3,))}
  return params, jax.random.normal(keys[3], (11, 5))


def loss_of_patch(params, x, i, label, mode):
  s = dense(params, x)[i]
  losses = {'vanilla': -jnp.log(jax.nn.sigmoid(s) if label else 1 - jax.nn.sigmoid(s)),
            'lsgan': jnp.square(s - label)}
  losses['nonsaturating'] = losses['vanilla']
  return jnp.mean(losses[mode])


def test_cosine_by_hand():
  """Rows (1, 0), (1, 0), (0, 1): their mean points along (2, 1)."""
  rows = jnp.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
  delta = patch_gradients.patch_grad_cosine(linear, jnp.array([0.3, -0.7]), rows)
  np.testing.assert_allclose(delta, np.array([2, 2, 1]) / np.sqrt(5), atol=1e-6)


@pytest.mark.parametrize('mode', ['vanilla', 'nonsaturating', 'lsgan'])
@pytest.mark.parametrize('label', [0.0, 1.0])
def test_delta_is_the_cosine_of_the_loss_gradients(toy, mode, label):
  """delta_i = cos(grad l_i, mean grad l_j), with l itself, for several channels per patch."""
  params, x = toy
  gradients = np.stack([ravel_pytree(jax.grad(loss_of_patch)(params, x, i, label, mode))[0]
                        for i in range(len(x))])
  mean = gradients.mean(0)
  expected = gradients @ mean / (np.linalg.norm(gradients, axis=1) * np.linalg.norm(mean))
  delta = patch_gradients.patch_grad_cosine(dense, params, x, label, mode, chunk=4)
  np.testing.assert_allclose(delta, expected, atol=1e-5)


def test_chunks_do_not_matter(toy):
  params, x = toy
  one, many = (patch_gradients.patch_grad_cosine(dense, params, x, 1.0, 'vanilla', chunk)
               for chunk in (1, 32))
  np.testing.assert_allclose(one, many, atol=1e-6)


def test_a_saturated_critic_keeps_its_directions():
  """p = 1 to float32 on all patches: 1 - p underflows, the cosine does not."""
  rows = jnp.array([[1.0, 0.0], [1.0, 0.1], [0.9, 1.0]])
  delta = patch_gradients.patch_grad_cosine(linear, jnp.array([200.0, 0.0]), rows, 1.0, 'vanilla')
  assert np.all(np.isfinite(delta)) and delta[2] > 0.999   # the least sure patch rules the mean
  assert delta[0] < 0.8


def test_no_gradient_means_not_deviating():
  rows = jnp.array([[1.0, 0.0], [0.0, 0.0]])
  np.testing.assert_allclose(
    patch_gradients.patch_grad_cosine(linear, jnp.ones(2), rows), [1.0, 1.0]
  )
  np.testing.assert_allclose(
    patch_gradients.patch_grad_cosine(linear, jnp.ones(2), 0 * rows), [1.0, 1.0]
  )


@pytest.mark.parametrize(('side', 'count'), [(24, 230), (30, 360), (14, 78), (6, 14)])
def test_exactly_eta_n_patches_are_chosen(side, count):
  delta = jax.random.uniform(jax.random.key(0), (2, side, side), minval=-1)
  chosen = patch_gradients.selected(delta, 0.4)
  np.testing.assert_array_equal(chosen.sum((1, 2)), [count, count])
  for image, mask in zip(np.asarray(delta), np.asarray(chosen), strict=True):
    assert image[mask].max() < image[~mask].min()


def test_ties_are_broken_by_place():
  chosen = patch_gradients.selected(jnp.zeros((1, 2, 5)), 0.4)
  np.testing.assert_array_equal(chosen[0].ravel()[:5], [True] * 4 + [False])
  assert chosen.sum() == 4


def test_lowest_abs_prefers_orthogonal_to_opposite():
  delta = jnp.array([[[-0.9, 0.1, 0.5, 0.7]]])
  assert patch_gradients.selected(delta, 0.25)[0, 0, 0]
  assert patch_gradients.selected(delta, 0.25, 'lowest_abs')[0, 0, 1]


def test_border_rings_are_left_alone():
  delta = -jnp.ones((1, 6, 6)).at[0, 2:4, 2:4].set(0.5)
  chosen = patch_gradients.selected(delta, 0.4, border=1)
  assert chosen.sum() == 14 and not chosen[0, 0].any() and not chosen[0, :, 5].any()
  assert patch_gradients.selected(delta, 0.4, border=2).sum() == 4   # only so many are left


def test_unknown_order_names_the_field():
  with pytest.raises(ValueError, match="co.select='highest'"):
    patch_gradients.selected(jnp.zeros((1, 2, 2)), 0.5, 'highest')


def test_weights_by_hand():
  """w = lambda_inc / exp(|delta|) on the chosen, 1 on the others."""
  delta, chosen = jnp.array([[[-1.0, 0.0, 0.5]]]), jnp.array([[[True, True, False]]])
  np.testing.assert_allclose(
    patch_gradients.weights(delta, chosen, 3.0)[0, 0], [3 / np.e, 3.0, 1.0], rtol=1e-6
  )


def test_lambda_above_e_amplifies_every_chosen_patch():
  delta = jax.random.uniform(jax.random.key(1), (2, 14, 14), minval=-1)
  chosen = patch_gradients.selected(delta, 0.4)
  w = patch_gradients.weights(delta, chosen, 3.0)
  assert np.all(np.asarray(w)[np.asarray(chosen)] > 1)
  assert np.all(np.asarray(w)[~np.asarray(chosen)] == 1)


def test_a_small_lambda_never_turns_content_round():
  """lambda_inc <= e: w = lambda_inc / exp(|delta|) would fall below 1, that of all others."""
  delta = jax.random.uniform(jax.random.key(1), (2, 14, 14), minval=-1)
  chosen = np.asarray(patch_gradients.selected(delta, 0.4))
  for increase in (0.5, 1.0, 1.5, 2.0):
    w = patch_gradients.weights(delta, chosen, increase)
    assert np.asarray(w)[chosen].min() >= 1
    np.testing.assert_array_equal(
        np.asarray(synthetic_motion.normalize_weights(w[..., None]))[..., 0][~chosen], 0)


def test_eta_0_weighs_all_alike():
  delta = jnp.linspace(-1, 1, 9).reshape(1, 3, 3)
  np.testing.assert_array_equal(
    patch_gradients.weights(delta, patch_gradients.selected(delta, 0.0), 3.0), 1.0
  )


def test_weights_carry_no_gradient():
  grad = jax.grad(lambda d: jnp.sum(patch_gradients.weights(d, d < 0.5, 3.0)))(
    jnp.full((1, 2, 2), 0.2)
  )
  np.testing.assert_array_equal(grad, 0)


def test_weighted_mean_divides_by_n():
  weight = jnp.array([[[3.0, 1.0]]])
  losses = jnp.array([[[[1.0, 3.0], [4.0, 4.0]]]])   # two channels: patch losses 2 and 4
  assert patch_gradients.weighted_mean(weight, losses) == pytest.approx((3 * 2 + 4) / 2)
  assert patch_gradients.weighted_mean(None, losses) == pytest.approx(3.0)


def test_weighted_mean_refuses_another_grid():
  with pytest.raises(ValueError, match=r'\(1, 2, 2\)'):
    patch_gradients.weighted_mean(jnp.ones((1, 2, 2)), jnp.ones((1, 3, 3, 1)))

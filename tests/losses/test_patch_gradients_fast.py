"""The cheaper ways to delta against its definition."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from i2vjax.losses import patch_gradients, patch_gradients_fast
from i2vjax.networks.patchgan import PatchDiscriminator
from i2vjax.networks.vit import TokenCritic

NET = PatchDiscriminator(width=6, layers=1, down='blur', impl='matmul')
MODES = ('vanilla', 'lsgan')


def apply(theta, x):
  s, parts = NET.apply({'params': theta}, x[None], intermediates=True)
  return s.reshape(-1, 1), {name: part[0] for name, part in parts.items()}


def rows(tree):
  """Per-patch trees as one matrix [N, all parameters]."""
  leaves = jax.tree.leaves(tree)
  return np.concatenate([np.asarray(leaf).reshape(len(leaf), -1) for leaf in leaves], 1)


@pytest.fixture(scope='module')
def critic():
  """theta, a frame with a flat and a textured half, its slopes and what the critic saw of it."""
  x = jax.random.normal(jax.random.key(0), (20, 20, 3)).at[:, :10].multiply(0.05)
  theta = NET.init(jax.random.key(1), x[None])['params']
  s, parts = apply(theta, x)
  return theta, x, patch_gradients.slopes(s, 0.0, 'lsgan'), parts


@pytest.fixture(scope='module')
def exact(critic):
  """Gradients of every patch by the Jacobian: {'v': [N, P], 'V': [P], 'delta': [N], by layer}."""
  theta, x, (direction, amplitude), _ = critic
  tree = jax.jit(jax.jacrev(lambda p: jnp.sum(direction * apply(p, x)[0], -1)))(theta)
  v = rows(tree)
  V = np.asarray(amplitude) @ v
  delta = v @ V / (np.linalg.norm(v, axis=1) * np.linalg.norm(V))
  return {'tree': tree, 'v': v, 'V': V, 'delta': delta}


@pytest.fixture(scope='module')
def ways(critic):
  """delta by every way that a PatchGAN has, in one compiled program."""
  theta, x, _, _ = critic

  @functools.partial(jax.jit, compiler_options={'xla_backend_optimization_level': 0})
  def compute(theta):   # runs once: compile fast, run slow
    def by(method, grad_params, **options):
      return patch_gradients_fast.patch_critic(
        apply,
        theta,
        x,
        0.0,
        'lsgan',
        jax.random.key(3),
        method=method,
        grad_params=grad_params,
        **options,
      )
    return {'definition': by('vmap_grad', 'all'), 'jvp_last': by('auto', 'all', calibrate=999),
            'jvp_probe': by('jvp_probe', 'all', probes=256),
            'last': by('jvp_last', 'last'), 'last, definition': by('vmap_grad', 'last')}
  return compute(theta)


def test_definition_equals_the_jacobian(ways, exact):
  np.testing.assert_allclose(ways['definition'][0], exact['delta'], atol=1e-5)


def test_forward_mode_gives_all_products(critic, exact):
  theta, x, (direction, amplitude), _ = critic

  @jax.jit
  def products(theta):
    V = patch_gradients.mean_gradient(lambda p, x: apply(p, x)[0], theta, x, direction, amplitude)
    return patch_gradients_fast.forward_products(
      lambda p, x: apply(p, x)[0], theta, x, direction, V
    )

  expected = exact['v'] @ exact['V']
  np.testing.assert_allclose(products(theta), expected, atol=1e-5 * np.abs(expected).max())


def test_head_norm_is_its_window(critic, exact):
  _, _, (direction, _), parts = critic
  squares = patch_gradients_fast.head_squares(parts['conv_in_last'], direction)
  np.testing.assert_allclose(squares, np.square(rows(exact['tree']['head'])).sum(1), rtol=1e-5)


def test_norm_through_the_instance_norm_is_exact(critic, exact):
  """The Gram-matrix formula equals the Jacobian of the convolution before the last."""
  theta, _, (direction, _), parts = critic
  squares = patch_gradients_fast.normed_squares(parts['conv_in_prev'], parts['norm'], parts['var'],
                                   theta['head']['kernel'], direction, chunk=7)
  np.testing.assert_allclose(squares, np.square(rows(exact['tree']['conv_1'])).sum(1), rtol=1e-5)


def test_calibration_brings_partial_norms_to_the_mean_ratio(ways, exact):
  """With every patch taken in full the factor is the mean of full over partial norm."""
  delta, error = ways['jvp_last']
  full = np.linalg.norm(exact['v'], axis=1)
  partial = np.linalg.norm(np.concatenate([rows(exact['tree'][name]) for name in
                                           ('head', 'conv_1')], 1), axis=1)
  expected = exact['v'] @ exact['V'] / (partial * np.mean(full / partial)
                                        * np.linalg.norm(exact['V']))
  np.testing.assert_allclose(delta, np.clip(expected, -1, 1), atol=1e-4)
  assert error == pytest.approx(np.abs(delta - exact['delta']).mean(), abs=1e-4)


def test_last_two_layers_choose_nearly_the_same_patches(ways):
  chosen, wanted = (np.asarray(patch_gradients.selected(ways[way][0].reshape(1, 8, 8), 0.4))
                    for way in ('jvp_last', 'definition'))
  assert (chosen & wanted).sum() >= 0.85 * wanted.sum()


def test_last_layer_alone_is_exact(ways):
  np.testing.assert_allclose(ways['last'][0], ways['last, definition'][0], atol=1e-5)


def test_probes_estimate_the_norms(ways, exact):
  assert np.abs(ways['jvp_probe'][0] / exact['delta'] - 1).mean() < 0.15


@pytest.mark.parametrize('channels', [1, 3])
@pytest.mark.parametrize('mode', MODES)
@pytest.mark.parametrize('grad_params', ['all', 'last'])
def test_closed_form_of_the_token_critic_is_exact(channels, mode, grad_params):
  net = TokenCritic(12, channels)
  x = jax.random.normal(jax.random.key(0), (9, 7))
  theta = net.init(jax.random.key(1), x[None])['params']

  @jax.jit
  def both(theta, label):
    return [
      patch_gradients_fast.token_critic(
        lambda t, x: net.apply({'params': t}, x),
        theta,
        x,
        label,
        mode,
        method=method,
        grad_params=grad_params,
      )
      for method in ('closed_form', 'vmap_grad')
    ]
  for label in (0.0, 1.0):
    exact, definition = both(theta, label)
    np.testing.assert_allclose(exact, definition, atol=1e-5)


def test_a_way_the_critic_does_not_have_is_refused(critic):
  theta, x, _, _ = critic
  with pytest.raises(ValueError, match="co.method='closed_form'.*jvp_last"):
    patch_gradients_fast.patch_critic(
      apply, theta, x, 1.0, 'lsgan', jax.random.key(0), method='closed_form'
    )
  with pytest.raises(ValueError, match="co.grad_params='first'"):
    patch_gradients_fast.patch_critic(
      apply, theta, x, 1.0, 'lsgan', jax.random.key(0), grad_params='first'
    )

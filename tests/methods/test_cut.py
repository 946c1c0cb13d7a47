"""CUT and FastCUT: one forward pass in exact gradients, mirroring, players."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from method_tools import (
  clips,
  config_of,
  moved,
  one_step,
  parameter_counts,
  passes,
  toy_setup,
  with_resnet,
)

from i2vjax.core.model import Model
from i2vjax.core.state import name_key
from i2vjax.losses import adversarial, contrastive
from i2vjax.methods import cut
from i2vjax.networks import projector


def tiny(variant='demo'):
  config = with_resnet(config_of('cut', variant))
  config.data.update(load_size=8, crop_size=8)
  config.gen.blocks = 2
  config.nce.update(width=8, patches=32)
  return config


@pytest.fixture(scope='module')
def stepped():
  """Config, set-up, batch of two, state and terms after one step."""
  config = tiny()
  setup, batch = toy_setup(cut, config), clips(1, batch=2)
  return config, setup, batch, *one_step(cut, *setup, batch)


def test_trainable_parameters_of_the_paper():
  counts = parameter_counts(cut, config_of('cut', 'paper'))
  assert counts == {'gen': 11_378_179, 'disc_b': 2_764_737, 'proj_ab': 560_384}


def test_every_network_moves_the_projection_too(stepped):
  _, (_, before), _, after, terms = stepped
  assert moved(before, after) == {'gen', 'disc_b', 'proj_ab'}
  assert set(terms) == {'adversarial', 'nce', 'nce_identity', 'disc_b'}


@pytest.fixture(scope='module')
def mirrored():
  """The same of FastCUT, in a step whose coin says that it mirrors."""
  assert jax.random.bernoulli(name_key(jax.random.key(0), 'mirror'))
  config = tiny('fastcut')
  setup, batch = toy_setup(cut, config), clips(1, batch=2)
  return config, setup, batch, *one_step(cut, *setup, batch)


def plain_loss(model, batch, critic, params):
  """L_G written without any saving: G(a) and G(b) as functions of its parameters.

  FastCUT: 10 times the contrast of a with G(mirrored a), whose features are mirrored back.
  """
  config, taps = model.config, projector.taps(model.config)
  fast = config.variant == 'fastcut'
  a, b = batch['a'][:, 0], batch['b'][:, 0]

  def turn(x):
    return x[:, :, ::-1] if fast else x

  def nce(x, purpose):
    y = model.apply(params, 'gen', turn(x))
    maps = [model.apply(params, 'gen', v, taps, method='encode')[1] for v in (x, y)]
    keys, queries = [maps[0][tap] for tap in taps], [turn(maps[1][tap]) for tap in taps]
    ids = projector.places(name_key(jax.random.key(0), purpose), keys, config.nce.patches)
    z = model.apply(params, 'proj_ab', projector.patches(jax.lax.stop_gradient(keys), ids))
    z_fake = model.apply(params, 'proj_ab', projector.patches(queries, ids))
    return contrastive.external_similarity(z_fake, z, config.nce.tau)
  score = model.apply({'disc_b': critic}, 'disc_b', model.apply(params, 'gen', turn(a)))
  contrast = 10 * nce(a, 'nce') if fast else 0.5 * nce(a, 'nce') + 0.5 * nce(b, 'nce_identity')
  return adversarial.generator_loss(score, 'lsgan') + contrast


@pytest.mark.parametrize('which', ['stepped', 'mirrored'])
def test_gradients_through_one_forward_pass_are_those_of_the_plain_loss(which, request):
  """Generator and projection, against the critic after its own update."""
  _, (model, before), batch, after, _ = request.getfixturevalue(which)
  params = {name: before.params[name] for name in ('gen', 'proj_ab')}
  grads = jax.jit(jax.grad(lambda p: plain_loss(model, batch, after.params['disc_b'], p)))(params)
  expected = jax.tree.map(lambda p, g: p - 0.01 * g, params, grads)   # toys take steps of 0.01
  jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-4, atol=3e-6), expected,
               {name: after.params[name] for name in params})


def test_critic_moves_first_and_is_halved(stepped):
  _, (model, before), batch, after, terms = stepped
  a, b = batch['a'][:, 0], batch['b'][:, 0]

  def loss(critic):
    real = model.apply({'disc_b': critic}, 'disc_b', b)
    fake = model.apply({'disc_b': critic}, 'disc_b', model.apply(before.params, 'gen', a))
    return 0.5 * (jnp.mean((real - 1) ** 2) + jnp.mean(fake**2))
  value, grads = jax.value_and_grad(loss)(before.params['disc_b'])
  np.testing.assert_allclose(terms['disc_b'], value, rtol=1e-5)
  jax.tree.map(lambda p, g, q: np.testing.assert_allclose(p - 0.01 * g, q, atol=1e-6),
               before.params['disc_b'], grads, after.params['disc_b'])


def test_generator_faces_the_critic_just_moved(stepped):
  _, (model, before), batch, after, terms = stepped
  fake = model.apply(before.params, 'gen', batch['a'][:, 0])
  score = model.apply({'disc_b': after.params['disc_b']}, 'disc_b', fake)
  np.testing.assert_allclose(terms['adversarial'], jnp.mean((score - 1) ** 2), rtol=1e-5)


def test_one_pass_of_the_generator_and_one_of_its_encoder():
  calls = passes(cut, tiny(), clips(1))
  assert calls['gen', 'encode'] == [2, 2] and calls['gen', 'decode'] == [2]
  assert calls['disc_b', 'whole'] == [2, 1]


def test_fastcut_makes_no_identity_images_but_unmirrored_keys():
  calls = passes(cut, tiny('fastcut'), clips(1))
  assert calls['gen', 'encode'] == [1, 1, 1] and calls['gen', 'decode'] == [1]


class Same(nn.Module):
  """A generator that changes nothing; every tap is the frame itself."""

  def encode(self, x, taps=()):
    return x, dict.fromkeys(taps, x)

  def decode(self, h):
    return h


def test_mirroring_does_not_matter_to_a_generator_that_keeps_its_place():
  """FastCUT's coin turns the frame, and the features of its translation back."""
  config = tiny('fastcut')
  a = clips(1, batch=2)['a'][:, 0]
  model = Model(config, {'gen': Same(), 'proj_ab': projector.PatchProjector(mlp=False)})

  def nce(coin):
    images = cut.translated(model, {}, cut.mirror(coin, [a])[0])[0]
    queries = cut.mirror(coin, cut.features(model, {}, images))
    keys = cut.features(model, {}, a)
    terms = cut.nce_terms(model, {}, keys, queries, 2, jax.random.key(0))
    return terms['nce'](), images
  (up, mirrored), (down, straight) = nce(jnp.array(True)), nce(jnp.array(False))
  np.testing.assert_array_equal(mirrored, straight[:, :, ::-1])
  np.testing.assert_allclose(up, down, rtol=1e-6)
  assert up < nce_of_wrong_places(model, a)


def nce_of_wrong_places(model, a):
  keys = cut.features(model, {}, a)
  queries = [x[:, :, ::-1] for x in keys]
  return cut.nce_terms(model, {}, keys, queries, 2, jax.random.key(0))['nce']()


def test_the_coin_falls_both_ways():
  config, a = tiny('fastcut'), clips(1)['a'][:, 0]
  coins = [bool(cut.mirror_at_random(config, a, jax.random.key(i))[1]) for i in range(20)]
  assert 4 < sum(coins) < 16
  assert cut.mirror_at_random(tiny(), a, jax.random.key(0)) == (a, None)


def test_fastcut_steps(mirrored):
  _, setup, _, after, terms = mirrored
  assert moved(setup[1], after) == {'gen', 'disc_b', 'proj_ab'}
  assert set(terms) == {'adversarial', 'nce', 'disc_b'}
  assert all(np.isfinite(value) for value in terms.values())


def test_contrast_without_projection():
  config = tiny()
  config.nce.mlp = False
  setup = toy_setup(cut, config)
  after, terms = one_step(cut, *setup, clips(1))
  assert moved(setup[1], after) == {'gen', 'disc_b'} and np.isfinite(terms['nce'])


def test_unequal_channels_are_refused():
  config = tiny()
  config.data.channels_a = 1
  with pytest.raises(ValueError, match='data.channels_a=1 must equal'):
    cut.networks(config)


def test_translates_frame_by_frame():
  config = tiny()
  model, fresh = toy_setup(cut, config)
  frames = clips(3, batch=2)['a']
  carry, out = cut.translate(model, fresh.params, {}, None, frames)
  assert carry is None and out.shape == frames.shape
  np.testing.assert_allclose(out[:, 1], model.apply(fresh.params, 'gen', frames[:, 1]), atol=1e-6)


def test_samples_show_source_translation_and_target():
  config = tiny()
  model, fresh = toy_setup(cut, config)
  rows = cut.sample_rows(model, fresh.params, {}, clips(1, batch=2), jax.random.key(0))
  assert list(rows) == ['a', 'a to b', 'b', 'b translated']

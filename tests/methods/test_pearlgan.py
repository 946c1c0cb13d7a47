"""PearlGAN: passes, terms, who moves by what, spectral norm."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from method_tools import clips, moved, on_devices, one_step, passes
from pearlgan_toys import (
  BATCH,
  EDGES,
  FRAMES,
  KEY,
  RATE,
  REAL,
  ToyCritics,
  ToyGenerator,
  setup_of,
  tiny,
)

from i2vjax.core.state import name_key
from i2vjax.losses import attention_maps, gradients, reconstruction, relativistic
from i2vjax.methods import pearlgan
from i2vjax.networks import spectral


@pytest.fixture(autouse=True, scope='module')
def toys():
  """Networks that compile in no time, in the method itself."""
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(pearlgan.combogan, 'generator', lambda *_: ToyGenerator())
    patch.setattr(pearlgan.multi_view_critic, 'critics', lambda *_: ToyCritics())
    yield


@pytest.fixture(scope='module')
def stepped():
  """(config, model, state before, state after, terms) with all losses."""
  config = tiny()
  model, before = setup_of(config)
  return config, model, before, *one_step(pearlgan, model, before, BATCH)


@pytest.fixture(scope='module')
def again(stepped):
  """Loss, terms and gradient of both players, written out without sharing anything."""
  _, model, before, _, _ = stepped
  edges = {'a': EDGES[0, :, 0] / 255.0, 'b': EDGES[1, :, 0] / 255.0}

  def scores(params, x, frames):
    name = f'disc_{x}'
    weights, _ = spectral.normalize(params[name], before.model_state['spectral'][name])
    return model.apply({name: weights}, name, frames)

  def translated(params):
    ab, ba = (functools.partial(model.apply, params, name) for name in ('gen_ab', 'gen_ba'))
    return ab, ba, {'b': ab(REAL['a']), 'a': ba(REAL['b'])}

  def generators(own):
    params = {**before.params, **own}
    ab, ba, fake = translated(params)
    back = {'a': ba(fake['b']), 'b': ab(fake['a'])}
    E = {'a': functools.partial(ab, method='encode'), 'b': functools.partial(ba, method='encode')}
    W = {x: E[x](REAL[x])[1][..., 1:] for x in 'ab'}
    parts = {
        'adversarial': sum(relativistic.over_branches(
            scores(before.params, x, REAL[x]), scores(before.params, x, fake[x]), 1)
                           for x in 'ab'),
        'cycle': sum(reconstruction.smooth_l1(back[x], REAL[x]) for x in 'ab'),
        'cycle_ssim': sum(reconstruction.dissimilarity(back[x], REAL[x]) for x in 'ab'),
        'tv': sum(gradients.total_variation(fake[x]) for x in 'ab'),
        'sga': sum(gradients.alignment(
            name_key(KEY, f'patch_{x}'), edges[x], gradients.magnitude(fake[y]), 4, 0.8)
                   for x, y in ('ab', 'ba')),
        'ad': sum(attention_maps.diversity(W[x]) for x in 'ab'),
        'accs': sum(attention_maps.conditional_similarity(
            E[x](REAL[x])[0], W[x], E[x](fake[x])[0], W[y]) for x, y in ('ab', 'ba'))}
    total = (parts['adversarial'] + 10 * parts['cycle'] + parts['cycle_ssim'] + 5 * parts['tv']
             + 0.5 * parts['sga'] + parts['ad'] + parts['accs'])
    return total, parts

  def critics(own):
    _, _, fake = translated(before.params)
    return 0.5 * sum(relativistic.over_branches(
        scores(own, x, REAL[x]), scores(own, x, fake[x]), -1) for x in 'ab')
  gen, disc = ({name: before.params[name] for name in names}
               for names in pearlgan.PLAYERS.values())
  return jax.jit(lambda: (jax.value_and_grad(generators, has_aux=True)(gen),
                          jax.value_and_grad(critics)(disc)))()


# ---- The step


def test_terms_by_hand(stepped, again):
  terms = dict(stepped[4])
  ((_, parts), _), (disc, _) = again
  np.testing.assert_allclose(terms.pop('disc'), disc, rtol=1e-4)
  assert set(terms) == set(parts) == set(stepped[0].weights)
  for name, value in parts.items():
    np.testing.assert_allclose(terms[name], value, rtol=1e-4, err_msg=name)
    assert float(value) > 0, name


def test_each_player_moves_by_its_own_loss_alone(stepped, again):
  """The weighted sum; scores shared by both moves and the pull-back give the plain gradients."""
  _, _, before, after, _ = stepped
  (_, gen), (_, disc) = again
  for name, grads in {**gen, **disc}.items():
    triples = map(jax.tree.leaves, (before.params[name], after.params[name], grads))
    for old, new, grad in zip(*triples, strict=True):
      np.testing.assert_allclose((old - new) / RATE, grad, rtol=2e-3,
                                 atol=1e-4 * max(1, float(jnp.abs(grad).max())))
  assert moved(before, after) == {'gen_ab', 'gen_ba', 'disc_a', 'disc_b'}


def test_step_takes_each_pass_once():
  """gen_ab reads x_a and y_a at once; critics see real frames, fakes, and fakes of the pool."""
  calls = passes_of(tiny())
  assert calls.pop(('disc_a', 'whole')) == calls.pop(('disc_b', 'whole')) == [2, 2, 2]
  assert calls == {('gen_ab', 'encode'): [4], ('gen_ab', 'decode'): [4],
                   ('gen_ba', 'encode'): [2, 2], ('gen_ba', 'decode'): [2, 2]}


def passes_of(config):
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr('method_tools.toy_networks', lambda method, config: method.networks(config))
    return passes(pearlgan, config, BATCH)


def test_fakes_of_the_pools_are_those_before_the_move(stepped):
  _, model, before, after, _ = stepped
  fake = model.apply(before.params, 'gen_ab', REAL['a'])
  pool = after.device_state['pool_b']
  assert int(pool['count']) == 2
  np.testing.assert_allclose(pool['buf'][:2], fake, atol=1e-6)


# ---- Spectral norm


def test_vectors_move_one_step_of_the_power_method(stepped):
  _, _, before, after, _ = stepped
  for name in ('disc_a', 'disc_b'):
    _, u = spectral.normalize(before.params[name], before.model_state['spectral'][name])
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-5),
                 after.model_state['spectral'][name], u)
  assert jax.tree.structure(before.model_state) == jax.tree.structure(after.model_state)


def test_two_devices_move_like_one():
  """Half of the batch on each: equal on both to the last bit, and to one device that has all.

  What is drawn at random, for each device by itself, is off: the pool and the patches.
  """
  config = tiny(sga=0.0, accs=0.0, ad=0.0, cycle_ssim=0.0)
  config.gan.pool = 0
  setup = setup_of(config)
  halves = [jax.tree.map(lambda x, i=i: x[i:i + 1], FRAMES) for i in (0, 1)]
  both, _ = on_devices(pearlgan, *setup, halves, KEY)
  whole, _ = on_devices(pearlgan, *setup, [FRAMES], KEY)
  for part in ('model_state', 'params'):
    for x, y in zip(*(jax.tree.leaves(getattr(s, part)) for s in (whole, both)), strict=True):
      np.testing.assert_array_equal(y[0], y[1])
      np.testing.assert_allclose(x[0], y[0], atol=1e-6)


def test_the_same_seed_draws_the_same_vectors():
  first, second = (pearlgan.model_state(tiny())['spectral'] for _ in range(2))
  np.testing.assert_array_equal(first['disc_a']['rgb'], second['disc_a']['rgb'])
  assert not np.array_equal(first['disc_a']['rgb'], first['disc_b']['rgb'])


# ---- What a config switches


def terms_of(config, batch=FRAMES):
  """Terms of a step, by tracing."""
  setup = setup_of(config)
  return set(jax.eval_shape(lambda: one_step(pearlgan, *setup, batch))[1])


def test_ancestors_have_fewer_terms():
  assert terms_of(tiny('demo-todaygan')) == {'adversarial', 'cycle', 'disc'}
  assert terms_of(tiny('demo-todaygan_tir')) == {'adversarial', 'cycle', 'cycle_ssim', 'tv', 'disc'}
  assert pearlgan.model_state(tiny('demo-todaygan')) == {}


def test_terms_that_have_not_begun_have_no_gradient(stepped):
  config, model, before, _, _ = stepped
  config = config.copy_and_resolve_references()
  config.train.per_epoch, config.start.accs = 5, 2

  def accs(params, step):
    outputs = pearlgan.translations(model, params, REAL)
    return pearlgan.attention_terms(config, step, outputs)['accs']()
  slope = jax.jit(jax.grad(accs))
  size = [sum(float(jnp.abs(g).sum()) for g in jax.tree.leaves(slope(before.params, step)))
          for step in (4, 5)]
  assert size[0] == 0 < size[1]


# ---- In use


def test_stretched_frames_fill_the_range_each_by_itself(stepped):
  config, model, _, after, _ = stepped
  config = config.copy_and_resolve_references()
  model, frames, results = model.replace(config=config), clips(2, size=8)['a'], {}
  for config.eval.stretch in ('none', 'minmax'):
    carry, fake = pearlgan.translate(model, after.params, {}, None, frames)
    results[config.eval.stretch] = np.asarray(fake[0])
    assert carry is None and fake.shape == frames.shape
  for plain, wide in zip(results['none'], results['minmax'], strict=True):
    assert np.ptp(plain) < 1.9
    np.testing.assert_allclose(wide, 2 * (plain - plain.min()) / np.ptp(plain) - 1, atol=1e-5)


def test_samples_show_edges_and_attention(stepped):
  _, model, _, after, _ = stepped
  rows = pearlgan.sample_rows(model, after.params, after.model_state, BATCH, KEY)
  assert {'a to b', 'back to b', 'edges of a', 'attention of b'} <= set(rows)
  assert {x.shape for x in rows.values()} == {(2, 16, 16, 3)}
  assert all(-1 <= float(x.min()) <= float(x.max()) <= 1 for x in rows.values())

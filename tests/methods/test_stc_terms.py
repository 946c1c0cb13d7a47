"""STC-V2V: its terms by hand, passes, gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from method_tools import config_of, drift, moved, one_step, passes, toy_setup
from stc_toys import BATCH, KEY, SIZE, B, K, linear, tiny, toys_of, translation_of

from i2vjax.core import ops
from i2vjax.core.model import Model
from i2vjax.flow import visibility
from i2vjax.losses import perceptual
from i2vjax.methods import stc

# ---- The terms


@pytest.fixture(scope='module')
def toys():
  config = tiny()
  config.perceptual = 'random'
  return config, toys_of(config)


@pytest.fixture(scope='module')
def stepped(toys):
  _, setup = toys
  return one_step(stc, *setup, BATCH)


def test_terms_by_hand(toys, stepped):
  """Means over all elements; gan and content of t = 1 and of the mean over t > 1, 7 summed over t.
  """
  config, (model, fresh) = toys
  params, expected = fresh.params, dict.fromkeys(config.weights, 0.0)
  motions = stc.motions(model, BATCH)

  def mean(x):
    return float(jnp.mean(x))
  for x, y in (('a', 'b'), ('b', 'a')):
    clips = stc.translation(model, params, x, y, BATCH[x], motions[x])
    real, fake, f = BATCH[x], clips['fake'], BATCH[f'flow_{x}'][:, 0]
    back = model.apply(params, f'gen_{y}{x}', fake)
    expected['cycle_2d'] += mean(jnp.abs(back[:, 0] - real[:, 0]))
    for t in range(K):
      share = 1 if t == 0 else 1 / (K - 1)
      score = model.apply(params, f'disc_{y}', fake[:, t])
      expected['adversarial'] += share * mean((score - 1) ** 2)
      of_fake, of_real = (perceptual.standardize(model.apply(
          model.frozen, 'vgg', clip[:, t])['relu5_3']) for clip in (fake, real))
      expected['content'] += share * mean(jnp.square(of_fake - of_real))
      if t:
        expected['cycle_3d'] += share * mean(jnp.abs(clips['again'][:, t - 1] - real[:, t]))
        e = jnp.linalg.norm((real[:, t] - ops.warp(real[:, t - 1], f)) / 2, axis=-1, keepdims=True)
        mask = jnp.exp(-2 * e) * visibility.inside(f)
        expected['temporal'] += mean(mask * jnp.abs(fake[:, t] - ops.warp(fake[:, t - 1], f)))
  _, terms = stepped
  for name, value in expected.items():
    np.testing.assert_allclose(terms[name], value, rtol=2e-5, err_msg=name)


def test_critics_loss_by_hand(toys, stepped):
  """Half of mean (D(x) - 1)^2 + mean D(y)^2 over all K frames, before either player moved."""
  _, (model, fresh) = toys
  clips, _ = translation_of(model, fresh.params)
  on_real = model.apply(fresh.params, 'disc_b', BATCH['b'])
  on_fake = model.apply(fresh.params, 'disc_b', clips['fake'])
  expected = 0.5 * (jnp.mean((on_real - 1) ** 2) + jnp.mean(on_fake ** 2))
  np.testing.assert_allclose(stepped[1]['disc_b'], expected, rtol=1e-5)


def test_all_networks_move(toys, stepped):
  _, (_, before) = toys
  assert moved(before, stepped[0]) == set(before.params)


@pytest.mark.parametrize(('kind', 'used'), [('learned', True), ('average', False), ('mask', False)])
def test_an_ablation_leaves_the_blocks_alone(kind, used):
  model, params = linear(tiny(kind=kind))

  def total(params):
    clips, _ = translation_of(model, params)
    return jnp.sum(clips['fake']) + jnp.sum(clips['again'])
  grads = jax.grad(total)(params)
  for name in ('fuse_ab', 'fuse_ba'):
    assert bool(jnp.any(grads[name]['bias'] != 0)) is used
  assert jnp.any(grads['gen_ab']['gain'] != 0)


def test_a_term_of_weight_0_is_not_computed():
  config = tiny()
  config.perceptual = 'random'
  config.weights.update(content=0.0, temporal=0.0)
  assert not stc.uses_vgg(config) and 'vgg' not in stc.frozen_networks(config)
  _, terms = jax.eval_shape(lambda: one_step(stc, *toy_setup(stc, config), BATCH))
  assert {'content', 'temporal'} & set(terms) == set() and 'cycle_3d' in terms


def test_passes_of_a_step(toys):
  """Generators twice with all frames; a block frame by frame there, all at once back."""
  config, _ = toys
  calls = passes(stc, config, BATCH)
  for side in ('ab', 'ba'):
    assert calls[f'gen_{side}', 'whole'] == [B * K] * 2
    assert sorted(calls[f'fuse_{side}', 'whole']) == [B] * (K - 1) + [B * (K - 1)]
  assert calls['vgg', 'whole'] == [2 * B * K] * 2
  assert calls['disc_a', 'whole'] == [B * K, 2 * B * K]


@pytest.mark.parametrize(('weights', 'back'), [
    (dict(cycle_2d=0.0, cycle_3d=0.0), False), (dict(cycle_3d=0.0), True)])
def test_no_way_back_without_a_cycle_term(weights, back):
  """The block there is needed by the 3D cycle alone, the generator by both."""
  config = tiny()
  config.weights.update(weights)
  calls = passes(stc, config, BATCH)
  assert calls['gen_ab', 'whole'] == calls['gen_ba', 'whole'] == [B * K] * (1 + back)
  assert calls['fuse_ab', 'whole'] == calls['fuse_ba', 'whole'] == [B] * (K - 1)
  _, terms = jax.eval_shape(lambda: one_step(stc, *toy_setup(stc, config), BATCH))
  assert 'mask/kept' in terms and 'mask/kept_back' not in terms
  assert ('cycle_2d' in terms) is back


# ---- Gradients


def test_gradient_reaches_the_frame_before_unless_detached():
  """d y_3 / d g_1 through p_3 and p_2, and through the masks."""
  def last(new, model, params, motion):
    return jnp.sum(stc.recurrence(model, params, 'fuse_ab', new, motion)[0][:, 2])
  for detach, reached in ((False, True), (True, False)):
    model, params = linear(tiny(detach=detach))
    motion = stc.motions(model, BATCH)['a']
    grad = jax.grad(last)(0.5 * BATCH['a'], model, params, motion)
    assert bool(jnp.any(grad[:, 0] != 0)) is reached
    assert bool(jnp.any(grad[:, 2] != 0))


def test_temporal_term_moves_both_frames():
  motion = stc.motions(Model(tiny(), {}), BATCH)['a']
  fake = 0.5 * BATCH['a']

  def term(fake):
    f = motion['flow'][:, 0]
    warped = jnp.stack([ops.warp(fake[:, t], f) for t in range(K - 1)], 1)
    return stc.temporal_term({'fake': fake, 'moved': warped}, motion)
  grad = jax.grad(term)(fake)
  assert all(bool(jnp.any(grad[:, t] != 0)) for t in range(K))


def test_flow_and_visibility_are_constants_of_the_real_frames():
  config = tiny()
  config.flow.update(name='lk', levels=1, warps=1)

  def total(a):
    return sum(jnp.sum(x) for x in jax.tree.leaves(
        stc.motions(Model(config, {}), {**BATCH, 'a': a})))
  assert not jnp.any(jax.grad(total)(BATCH['a']))


def test_frozen_networks_belong_to_no_player():
  config = config_of('stc', 'paper')
  trained = {name for names in stc.PLAYERS.values() for name in names}
  assert set(stc.frozen_networks(config)) == {'flow', 'vgg'} and not trained & {'flow', 'vgg'}
  assert set(stc.networks(config)) == trained
  assert set(stc.INFERENCE_NETWORKS) == {*stc.PLAYERS['gen'], 'flow'}


def test_temporal_term_falls_on_a_static_clip():
  """The same frame under other noise, no motion: 50 steps on the term alone."""
  config = tiny()
  config.weights.update(adversarial=0.0, cycle_2d=0.0, cycle_3d=0.0)
  frames = BATCH['a'][:, :1] + 0.1 * jax.random.normal(KEY, BATCH['a'].shape)
  flow = drift((0, 0), SIZE, B, K - 1)
  batch = {'a': frames, 'b': frames, 'flow_a': flow, 'flow_b': flow}
  model, fresh = toys_of(config)
  model = model.replace(optimizers=dict.fromkeys(stc.PLAYERS, optax.sgd(0.02)))

  def one(state, _):
    return stc.step(model, state, batch, KEY)

  run_all = jax.vmap(lambda _: jax.lax.scan(one, fresh, None, 50)[1], axis_name='data')
  values = jax.jit(run_all)(jnp.arange(1))['temporal'][0]
  assert float(values[-1]) < 0.8 * float(values[0])


def test_samples_show_every_stage(toys):
  _, (model, fresh) = toys
  rows = jax.eval_shape(lambda: stc.sample_rows(model, fresh.params, {}, BATCH, KEY))
  assert {'a', 'a to b', 'kept in b', 'flow of a', 'visible in a', 'back to a'} < set(rows)
  assert all(row.shape == (B, SIZE, SIZE, 3) for row in rows.values())


def test_the_temporal_term_in_one_direction_or_in_both(toys):
  """The paper prints Eq. 7 for a to b; both is the default, as the other terms have it."""
  _, (model, fresh) = toys
  config = tiny()
  assert config.temporal.directions == 'both' and stc.temporal_directions(config) == 'ab'
  motion = stc.motions(model, BATCH)
  each = {x: stc.temporal_term(stc.translation(model, fresh.params, x, y, BATCH[x], motion[x], ()),
                               motion[x]) for x, y in (('a', 'b'), ('b', 'a'))}
  config.temporal.directions = 'forward'
  config.weights.update(cycle_2d=0.0, cycle_3d=0.0, content=0.0)
  _, terms = one_step(stc, model.replace(config=config), fresh, BATCH)
  assert terms['temporal'] == pytest.approx(float(each['a']), rel=1e-4) and each['b'] > 0.01
  config.temporal.directions = 'back'
  with pytest.raises(ValueError, match="temporal.directions='back'"):
    stc.networks(config)

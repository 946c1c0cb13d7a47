"""Mocycle-GAN, as reconstructed: its terms by hand, what is traced, where gradients go."""

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from method_tools import clips, config_of, drifting, moved, one_step, passes, toy_setup

from i2vjax import checkpoint, ops
from i2vjax.methods import mocyclegan
from i2vjax.state import run

KEY = jax.random.key(0)
B, SIZE = 2, 16


def batch_with(shift=(1.5, -0.5)):
  return drifting(2, B, SIZE, shift, signs=(1, -1))


BATCH = batch_with()


def tiny(variant='demo', **weights):
  config = config_of('mocyclegan', variant)
  config.data.update(load_size=SIZE, crop_size=SIZE)
  config.flow.name = 'gt+zero'
  config.motion.update(width=2, blocks=1)
  config.weights.update(weights)
  return config


@pytest.fixture(scope='module')
def toys():
  """As if some way into the training: M, here pixel by pixel, adds something."""
  config = tiny()
  nets, tx, fresh, fixed = toy_setup(mocyclegan, config)
  nets |= {'motion_ab': nn.Dense(2), 'motion_ba': nn.Dense(2)}
  params = {name: nets[name].init(jax.random.key(k), BATCH['flow_a'][:, 0])['params']
            for k, name in enumerate(('motion_ab', 'motion_ba'))}
  opt = {player: tx[player].init({name: {**fresh.params, **params}[name] for name in names})
         for player, names in mocyclegan.PLAYERS.items()}
  return config, (nets, tx, fresh.replace(params={**fresh.params, **params}, opt=opt), fixed)


@pytest.fixture(scope='module')
def stepped(toys):
  return one_step(mocyclegan, *toys, BATCH)


def terms_of(config, nets, params, batch=BATCH, fixed=None, fake=None, back=None):
  """{motion term: value}; translations that are not given are the frames themselves."""
  real = {x: ops.fold(batch[x]) for x in 'ab'}
  flows = mocyclegan.motions(nets, config, fixed or {}, batch)
  terms = mocyclegan.motion_terms(nets, config, params, fixed, flows, fake or real, back or real)
  return {name: term() for name, term in terms.items()}


# ---- The terms


def test_terms_by_hand(toys, stepped):
  """Means over both frames; c over all elements, so that what is hidden counts as 0."""
  config, (nets, _, fresh, _) = toys
  params, expected = fresh.params, dict.fromkeys(config.weights, 0.0)
  del expected['motion_cycle']

  def mean(x):
    return float(jnp.mean(x))
  for x, y in (('a', 'b'), ('b', 'a')):
    f = BATCH[f'flow_{x}'][:, 0]
    traced = ops.inside(f)
    assert 0.5 < mean(traced) < 1
    fake = [run(nets, params, f'gen_{x}{y}', BATCH[x][:, k]) for k in (0, 1)]
    back = [run(nets, params, f'gen_{y}{x}', frame) for frame in fake]
    added = run(nets, params, f'motion_{x}{y}', f)
    for k in (0, 1):
      expected['gan'] += 0.5 * mean((run(nets, params, f'disc_{y}', fake[k]) - 1) ** 2)
      expected['cycle'] += 0.5 * mean(jnp.abs(back[k] - BATCH[x][:, k]))
    expected['motion_cycle_warp'] += mean(traced * jnp.abs(back[1] - ops.warp(back[0], f)))
    expected['motion_transfer'] += mean(traced * jnp.abs(fake[1] - ops.warp(fake[0], f + added)))
    expected['motion_anchor'] += mean(jnp.abs(added))
  _, terms = stepped
  assert expected['motion_anchor'] > 0
  for name, value in expected.items():
    np.testing.assert_allclose(terms[name], value, rtol=2e-5, err_msg=name)


def test_nothing_moves_so_transfer_is_the_difference_of_the_two_fakes(toys):
  config, (nets, _, fresh, _) = toys
  still = batch_with((0.0, 0.0))
  zero = {name: jax.tree.map(jnp.zeros_like, fresh.params[name])
          for name in ('motion_ab', 'motion_ba')}
  expected = sum(float(jnp.mean(jnp.abs(still[x][:, 1] - still[x][:, 0]))) for x in 'ab')
  terms = terms_of(config, nets, zero, still)
  np.testing.assert_allclose(terms['motion_transfer'], expected, rtol=1e-5)
  assert terms['motion_anchor'] == 0


def test_translators_that_undo_each_other_cost_nothing_on_a_clip_that_follows_its_flow(toys):
  """x_2 = W(x_1, f) and x' = x: motion_cycle_warp is 0; with the flow turned round it is not."""
  config, (nets, _, fresh, _) = toys
  batch = dict(BATCH)
  for x in 'ab':
    first = batch[x][:, 0]
    batch[x] = jnp.stack([first, ops.warp(first, batch[f'flow_{x}'][:, 0])], 1)
  assert terms_of(config, nets, fresh.params, batch)['motion_cycle_warp'] < 1e-6
  batch |= {name: -flow for name, flow in batch.items() if name.startswith('flow')}
  assert terms_of(config, nets, fresh.params, batch)['motion_cycle_warp'] > 0.1


def test_exchanged_domains_cost_the_same(toys, stepped):
  config, (nets, tx, fresh, fixed) = toys
  turned = {'ab': 'ba', 'ba': 'ab', 'a': 'b', 'b': 'a'}

  def other(name):
    stem, _, side = name.rpartition('_')
    return f'{stem}_{turned[side]}' if stem else turned[side]
  params = {other(name): value for name, value in fresh.params.items()}
  batch = {other(name): value for name, value in BATCH.items()}
  _, terms = one_step(mocyclegan, config, (nets, tx, fresh.replace(params=params), fixed), batch)
  for name in config.weights:
    if name in stepped[1]:
      np.testing.assert_allclose(terms[name], stepped[1][name], rtol=1e-5, err_msg=name)


def test_traced_where_the_way_there_and_back_agrees_inside_the_frame():
  config, batch = tiny(), batch_with((3.0, 0.0))
  forward = batch['flow_fwd_a'].at[:, :, 4:8].set(5.0)
  traced = mocyclegan.motions({}, config, {}, {**batch, 'flow_fwd_a': forward})['a'][1][..., 0]
  expected = np.ones((B, SIZE, SIZE))
  expected[:, :, -3:] = 0
  expected[:, 4:8] = 0
  np.testing.assert_array_equal(traced, expected)


# ---- Gradients


def test_hidden_pixels_carry_no_gradient(toys):
  config, (nets, _, fresh, _) = toys
  real = {x: ops.fold(BATCH[x]) for x in 'ab'}

  def total(fake):
    terms = terms_of(config, nets, fresh.params, fake={**real, 'b': fake}, back={**real, 'a': fake})
    return terms['motion_transfer'] + 2 * terms['motion_cycle_warp']   # 2: they must not cancel
  second = ops.unfold(jax.grad(total)(real['b']), 2)[:, 1]
  traced = ops.inside(BATCH['flow_a'][:, 0])
  np.testing.assert_array_equal(jnp.any(second != 0, -1, keepdims=True), traced)


class ToyFlow(nn.Module):
  """Flow from two frames, larger with every correction."""

  kind: Any = 'small'
  iterations: int = 1

  @nn.compact
  def __call__(self, a, b):
    flow = nn.Dense(2, use_bias=False)(jnp.concatenate([a, b], -1))
    return self.iterations * jnp.tanh(flow)


def learned():
  """(config, nets, parameters, frozen ones) with an estimator that has a gradient."""
  config = tiny(motion_cycle=1.0)
  config.flow.update(name='raft_small', stretch=False)
  nets = {'flow': ToyFlow(iterations=2), 'motion_ab': nn.Dense(2), 'motion_ba': nn.Dense(2)}
  frame = BATCH['a'][:, 0]
  frozen = {'flow': nets['flow'].init(KEY, frame, frame)['params']}
  params = {name: nets[name].init(KEY, BATCH['flow_a'][:, 0])['params']
            for name in ('motion_ab', 'motion_ba')}
  return config, nets, params, frozen


def test_motion_cycle_with_a_learned_estimator_by_hand():
  """c |Flow(x'_2, x'_1) - f|, the estimate with `motion.iters` corrections."""
  config, nets, params, frozen = learned()
  config.motion.iters = 3
  back = {x: ops.fold(BATCH[x]) * 0.5 for x in 'ab'}
  value = terms_of(config, nets, params, fixed=frozen, back=back)['motion_cycle']

  def flow(now, before, corrections):
    pair = jnp.concatenate([now, before], -1)
    return corrections * jnp.tanh(pair @ frozen['flow']['Dense_0']['kernel'])
  expected = 0.0
  for x in 'ab':
    first, second = BATCH[x][:, 0], BATCH[x][:, 1]
    f, forward = flow(second, first, 2), flow(first, second, 2)
    traced = ~ops.occlusion(f, forward) & ops.inside(f)
    expected += jnp.mean(traced * jnp.abs(flow(0.5 * second, 0.5 * first, 3) - f))
  np.testing.assert_allclose(value, expected, rtol=1e-5)
  assert expected > 0


def test_motion_cycle_moves_what_was_led_back_through_the_estimator_and_no_real_frame():
  config, nets, params, frozen = learned()

  def term(real_a, back_a):
    batch, back = {**BATCH, 'a': real_a}, {'a': back_a, 'b': ops.fold(BATCH['b'])}
    return terms_of(config, nets, params, batch, frozen, back=back)['motion_cycle']
  real, back = jax.grad(term, argnums=(0, 1))(BATCH['a'], 0.5 * ops.fold(BATCH['a']))
  assert not jnp.any(real) and jnp.any(back != 0)


def test_raft_has_the_gradient_that_the_paper_variant_takes():
  """By tracing: RAFT takes minutes to compile on a CPU."""
  config = config_of('mocyclegan', 'paper')
  net, _ = mocyclegan.fixed(config)['flow']
  pair = jnp.zeros((1, 2, 32, 32, 3))

  def length(pair):
    params = net.init(KEY, pair[:, 0], pair[:, 1])['params']
    return jnp.sum(mocyclegan.estimated({'flow': net}, config, {'flow': params}, 'a', pair))
  assert jax.eval_shape(jax.grad(length), pair).shape == pair.shape


def test_which_motion_cycle():
  config = tiny()
  assert mocyclegan.cycle_term(config) == 'motion_cycle_warp'
  config.flow.name = 'gt+raft_small'
  assert mocyclegan.cycle_term(config) == 'motion_cycle'
  config.motion.cycle = 'warp'
  assert mocyclegan.cycle_term(config) == 'motion_cycle_warp'
  config.motion.cycle, config.flow.name = 'flow', 'tvl1'
  with pytest.raises(ValueError, match='raft_small'):
    mocyclegan.cycle_term(config)
  config.motion.cycle = 'both'
  with pytest.raises(ValueError, match='motion.cycle'):
    mocyclegan.cycle_term(config)


def test_all_networks_move(toys, stepped):
  assert moved(toys[1][2], stepped[0]) == set(toys[1][2].params)


# ---- The step


def test_critics_loss_by_hand(toys, stepped):
  """Half of mean (D(y) - 1)^2 + mean D(fake)^2 over both frames; the pool is still empty."""
  config, (nets, _, fresh, _) = toys
  fake = run(nets, fresh.params, 'gen_ab', ops.fold(BATCH['a']))
  real, fake = (run(nets, fresh.params, 'disc_b', x) for x in (ops.fold(BATCH['b']), fake))
  expected = 0.5 * (jnp.mean((real - 1) ** 2) + jnp.mean(fake ** 2))
  np.testing.assert_allclose(stepped[1]['disc_b'], expected, rtol=1e-5)
  assert int(stepped[0].local['pool_a']['count']) == 2 * B


def test_passes_of_a_step():
  """Both frames of a domain pass each network in one call."""
  calls = passes(mocyclegan, tiny(), BATCH)
  for side in ('ab', 'ba'):
    assert calls[f'gen_{side}', 'whole'] == [2 * B] * 2
    assert calls[f'motion_{side}', 'whole'] == [B]
  assert calls['disc_b', 'whole'] == [2 * B, 4 * B]


def test_without_motion_terms_it_asks_for_no_flow():
  assert set(mocyclegan.fixed(config_of('mocyclegan', 'paper'))) == {'flow'}
  assert mocyclegan.batch_extras(tiny()) == ('flow',)
  config = tiny(**dict.fromkeys(mocyclegan.MOTION_TERMS, 0.0))
  assert mocyclegan.fixed(config) == {} and mocyclegan.batch_extras(config) == ()
  batch = {x: BATCH[x] for x in 'ab'}
  _, terms = jax.eval_shape(
      lambda: one_step(mocyclegan, config, toy_setup(mocyclegan, config), batch))
  assert set(terms) == {'gan', 'cycle', 'disc_a', 'disc_b'}


# ---- Use


def test_translates_frame_by_frame_and_shows_its_motion(toys):
  config, (nets, _, fresh, _) = toys
  frames = clips(3, size=SIZE)['a']
  _, shown = mocyclegan.translate(nets, config, fresh.params, {}, {}, None, frames)
  single = mocyclegan.translate(nets, config, fresh.params, {}, {}, None, frames[:, 1:2])[1]
  np.testing.assert_allclose(shown[:, 1:2], single, atol=1e-6)
  rows = jax.eval_shape(
      lambda: mocyclegan.samples(nets, config, fresh.params, {}, {}, BATCH, KEY))
  assert {'a to b', 'motion of a', 'motion of a to b', 'traced in a', 'back to a'} < set(rows)
  assert all(row.shape == (B, SIZE, SIZE, 3) for row in rows.values())


def test_trainable_parameters_and_the_estimator_of_the_paper_variant():
  config = config_of('mocyclegan', 'paper')
  nets = mocyclegan.networks(config)
  shapes = jax.eval_shape(lambda: checkpoint.fresh_params(config, mocyclegan, nets))
  expected = 2 * (11_378_179 + 1_076_418 + 2_764_737)
  assert sum(math.prod(x.shape) for x in jax.tree.leaves(shapes)) == expected
  assert [weights for _, weights in mocyclegan.fixed(config).values()] == ['raft_small']


def test_windows_of_two_frames_are_insisted_upon():
  config = tiny()
  config.data.frames = 3
  with pytest.raises(ValueError, match='data.frames=2'):
    mocyclegan.networks(config)

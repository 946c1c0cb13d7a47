"""Mocycle-GAN: terms by hand, traced pixels, gradients, translation."""

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
)
from mocyclegan_toys import BATCH, KEY, SIZE, B, batch_with, terms_of, tiny, toys_of

from i2vjax.core import ops
from i2vjax.core.model import Model
from i2vjax.flow import visibility
from i2vjax.methods import mocyclegan


@pytest.fixture(scope='module')
def toys():
  config = tiny()
  return config, toys_of(config)


@pytest.fixture(scope='module')
def stepped(toys):
  _, setup = toys
  return one_step(mocyclegan, *setup, BATCH)


# ---- The terms


def test_terms_by_hand(toys, stepped):
  """Means over both frames; c over all elements, so that what is hidden counts as 0."""
  config, (model, fresh) = toys
  params, expected = fresh.params, {name: 0.0 for name in stepped[1] if name in config.weights}

  def mean(x):
    return float(jnp.mean(x))
  for x, y in (('a', 'b'), ('b', 'a')):
    f = BATCH[f'flow_{x}'][:, 0]
    traced = visibility.inside(f)
    assert 0.5 < mean(traced) < 1
    fake = [model.apply(params, f'gen_{x}{y}', BATCH[x][:, k]) for k in (0, 1)]
    back = [model.apply(params, f'gen_{y}{x}', frame) for frame in fake]
    added = model.apply(params, f'motion_{x}{y}', f)
    for k in (0, 1):
      expected['adversarial'] += 0.5 * mean((model.apply(params, f'disc_{y}', fake[k]) - 1) ** 2)
      expected['cycle'] += 0.5 * mean(jnp.abs(back[k] - BATCH[x][:, k]))
    expected['motion_cycle_warp'] += mean(traced * jnp.abs(back[1] - ops.warp(back[0], f)))
    expected['motion_transfer'] += mean(traced * jnp.abs(fake[1] - ops.warp(fake[0], f + added)))
    expected['motion_anchor'] += mean(jnp.abs(added))
  _, terms = stepped
  assert expected['motion_anchor'] > 0
  for name, value in expected.items():
    np.testing.assert_allclose(terms[name], value, rtol=2e-5, err_msg=name)


def test_nothing_moves_so_transfer_is_the_difference_of_the_two_fakes(toys):
  _, (model, fresh) = toys
  still = batch_with((0.0, 0.0))
  zero = {name: jax.tree.map(jnp.zeros_like, fresh.params[name])
          for name in ('motion_ab', 'motion_ba')}
  expected = sum(float(jnp.mean(jnp.abs(still[x][:, 1] - still[x][:, 0]))) for x in 'ab')
  terms = terms_of(model, zero, still)
  np.testing.assert_allclose(terms['motion_transfer'], expected, rtol=1e-5)
  assert terms['motion_anchor'] == 0


def test_translators_that_undo_each_other_cost_nothing_on_a_clip_that_follows_its_flow(toys):
  """x_2 = W(x_1, f) and x' = x: motion_cycle_warp is 0; with the flow turned round it is not."""
  _, (model, fresh) = toys
  batch = dict(BATCH)
  for x in 'ab':
    first = batch[x][:, 0]
    batch[x] = jnp.stack([first, ops.warp(first, batch[f'flow_{x}'][:, 0])], 1)
  assert terms_of(model, fresh.params, batch)['motion_cycle_warp'] < 1e-6
  batch |= {name: -flow for name, flow in batch.items() if name.startswith('flow')}
  assert terms_of(model, fresh.params, batch)['motion_cycle_warp'] > 0.1


def test_exchanged_domains_cost_the_same(toys, stepped):
  config, (model, fresh) = toys
  turned = {'ab': 'ba', 'ba': 'ab', 'a': 'b', 'b': 'a'}

  def other(name):
    stem, _, side = name.rpartition('_')
    return f'{stem}_{turned[side]}' if stem else turned[side]
  params = {other(name): value for name, value in fresh.params.items()}
  batch = {other(name): value for name, value in BATCH.items()}
  _, terms = one_step(mocyclegan, model, fresh.replace(params=params), batch)
  for name in config.weights:
    if name in stepped[1]:
      np.testing.assert_allclose(terms[name], stepped[1][name], rtol=1e-5, err_msg=name)


def test_traced_where_the_way_there_and_back_agrees_inside_the_frame():
  config, batch = tiny(), batch_with((3.0, 0.0))
  forward = batch['flow_fwd_a'].at[:, :, 4:8].set(5.0)
  _, traced = mocyclegan.motions(Model(config, {}), {**batch, 'flow_fwd_a': forward})['a']
  expected = np.ones((B, SIZE, SIZE))
  expected[:, :, -3:] = 0
  expected[:, 4:8] = 0
  np.testing.assert_array_equal(traced[..., 0], expected)


# ---- Gradients


def test_hidden_pixels_carry_no_gradient(toys):
  _, (model, fresh) = toys
  real = {x: ops.fold(BATCH[x]) for x in 'ab'}

  def total(fake):
    terms = terms_of(model, fresh.params, fake={**real, 'b': fake}, back={**real, 'a': fake})
    return terms['motion_transfer'] + 2 * terms['motion_cycle_warp']   # 2: they must not cancel
  second = ops.unfold(jax.grad(total)(real['b']), 2)[:, 1]
  traced = visibility.inside(BATCH['flow_a'][:, 0])
  np.testing.assert_array_equal(jnp.any(second != 0, -1, keepdims=True), traced)


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
  _, (_, fresh) = toys
  assert moved(fresh, stepped[0]) == set(fresh.params)


# ---- The step


def test_critics_loss_by_hand(toys, stepped):
  """Half of mean (D(y) - 1)^2 + mean D(fake)^2 over both frames; the pool is still empty."""
  _, (model, fresh) = toys
  fake = model.apply(fresh.params, 'gen_ab', ops.fold(BATCH['a']))
  on_real = model.apply(fresh.params, 'disc_b', ops.fold(BATCH['b']))
  on_fake = model.apply(fresh.params, 'disc_b', fake)
  expected = 0.5 * (jnp.mean((on_real - 1) ** 2) + jnp.mean(on_fake ** 2))
  np.testing.assert_allclose(stepped[1]['disc_b'], expected, rtol=1e-5)
  assert int(stepped[0].device_state['pool_a']['count']) == 2 * B


def test_passes_of_a_step():
  """Both frames of a domain pass each network in one call."""
  calls = passes(mocyclegan, tiny(), BATCH)
  for side in ('ab', 'ba'):
    assert calls[f'gen_{side}', 'encode'] == calls[f'gen_{side}', 'decode'] == [2 * B] * 2
    assert calls[f'motion_{side}', 'whole'] == [B]
  assert calls['disc_b', 'whole'] == [2 * B, 4 * B]


def test_without_motion_terms_it_asks_for_no_flow():
  assert set(mocyclegan.frozen_networks(config_of('mocyclegan', 'paper'))) == {'flow'}
  assert mocyclegan.batch_fields(tiny()) == ('flow',)
  config = tiny(**dict.fromkeys(mocyclegan.MOTION_TERMS, 0.0))
  assert mocyclegan.frozen_networks(config) == {} and mocyclegan.batch_fields(config) == ()
  batch = {x: BATCH[x] for x in 'ab'}
  _, terms = jax.eval_shape(
      lambda: one_step(mocyclegan, *toy_setup(mocyclegan, config), batch))
  assert set(terms) == {'adversarial', 'cycle', 'disc_a', 'disc_b'}


# ---- Use


def test_translates_frame_by_frame_and_shows_its_motion(toys):
  _, (model, fresh) = toys
  frames = clips(3, size=SIZE)['a']
  _, shown = mocyclegan.translate(model, fresh.params, {}, None, frames)
  single = mocyclegan.translate(model, fresh.params, {}, None, frames[:, 1:2])[1]
  np.testing.assert_allclose(shown[:, 1:2], single, atol=1e-6)
  rows = jax.eval_shape(
      lambda: mocyclegan.sample_rows(model, fresh.params, {}, BATCH, KEY))
  assert {'a to b', 'motion of a', 'motion of a to b', 'traced in a', 'back to a'} < set(rows)
  assert all(row.shape == (B, SIZE, SIZE, 3) for row in rows.values())


def test_trainable_parameters_and_the_estimator_of_the_paper_variant():
  config = config_of('mocyclegan', 'paper')
  expected = 2 * (11_378_179 + 1_076_418 + 2_764_737)
  assert sum(parameter_counts(mocyclegan, config).values()) == expected
  assert [weights for _, weights in mocyclegan.frozen_networks(config).values()] == ['raft_small']


def test_windows_of_other_lengths_are_refused():
  config = tiny()
  config.data.frames = 4
  with pytest.raises(ValueError, match='data.frames=2'):
    mocyclegan.networks(config)

"""Mocycle-GAN's motion cycle by a learned estimator: value and gradient."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from method_tools import config_of
from mocyclegan_toys import BATCH, KEY, terms_of, tiny

from i2vjax.core import ops
from i2vjax.core.model import Model
from i2vjax.flow import visibility
from i2vjax.methods import mocyclegan


class ToyFlow(nn.Module):
  """Flow from two frames, larger with every correction."""

  kind: Any = 'small'
  iterations: int = 1

  @nn.compact
  def __call__(self, a, b):
    flow = nn.Dense(2, use_bias=False)(jnp.concatenate([a, b], -1))
    return self.iterations * jnp.tanh(flow)


def learned(known=False):
  """(model, parameters) with an estimator that has a gradient; `known`: flow of the batch first."""
  config = tiny(motion_cycle=1.0)
  config.flow.update(name='gt+raft_small' if known else 'raft_small', stretch=False)
  nets = {'flow': ToyFlow(iterations=2), 'motion_ab': nn.Dense(2), 'motion_ba': nn.Dense(2)}
  frame = BATCH['a'][:, 0]
  frozen = {'flow': nets['flow'].init(KEY, frame, frame)['params']}
  params = {name: nets[name].init(KEY, BATCH['flow_a'][:, 0])['params']
            for name in ('motion_ab', 'motion_ba')}
  return Model(config, nets, frozen=frozen), params


@pytest.mark.parametrize('known', [False, True])
def test_a_perfect_cycle_costs_no_motion_whatever_made_f(known):
  """x' = x: f by 2 corrections or by who drew the frames, both flows of the term by 3."""
  model, params = learned(known)
  model.config.motion.iters = 3
  assert terms_of(model, params)['motion_cycle'] == 0
  back = {x: ops.fold(BATCH[x]) * 0.5 for x in 'ab'}
  assert terms_of(model, params, back=back)['motion_cycle'] > 0


def test_motion_cycle_with_a_learned_estimator_by_hand():
  """c |Flow(x'_2, x'_1) - Flow(x_2, x_1)|, c from estimates with `flow.iters` corrections."""
  model, params = learned()
  model.config.motion.iters = 3
  back = {x: ops.fold(BATCH[x]) * 0.5 for x in 'ab'}
  value = terms_of(model, params, back=back)['motion_cycle']

  def flow(now, before, corrections):
    pair = jnp.concatenate([now, before], -1)
    return corrections * jnp.tanh(pair @ model.frozen['flow']['Dense_0']['kernel'])
  expected = 0.0
  for x in 'ab':
    first, second = BATCH[x][:, 0], BATCH[x][:, 1]
    f, forward = flow(second, first, 2), flow(first, second, 2)
    traced = ~visibility.occlusion(f, forward) & visibility.inside(f)
    change = flow(0.5 * second, 0.5 * first, 3) - flow(second, first, 3)
    expected += jnp.mean(traced * jnp.abs(change))
  np.testing.assert_allclose(value, expected, rtol=1e-5)
  assert expected > 0


def test_motion_cycle_moves_what_was_led_back_through_the_estimator_and_no_real_frame():
  model, params = learned()

  def term(real_a, back_a):
    batch, back = {**BATCH, 'a': real_a}, {'a': back_a, 'b': ops.fold(BATCH['b'])}
    return terms_of(model, params, batch, back=back)['motion_cycle']
  real, back = jax.grad(term, argnums=(0, 1))(BATCH['a'], 0.5 * ops.fold(BATCH['a']))
  assert not jnp.any(real) and jnp.any(back != 0)


@pytest.fixture(scope='module')
def raft():
  """(frames, corrections -> jitted frames -> (value, gradient)) of a sum over RAFT's flow.

  The estimator of the paper variant with random weights, halved: else its flow is chaos.
  """
  config = config_of('mocyclegan', 'paper')
  net, _ = mocyclegan.frozen_networks(config)['flow']
  frames = {x: jax.random.uniform(jax.random.key(k), (2, 64, 64, 3), minval=-1)
            for k, x in enumerate('ab')}
  params = net.init(KEY, frames['a'][:1], frames['a'][1:])['params']
  frozen = {'flow': jax.tree.map(lambda weight: 0.5 * weight, params)}
  model = Model(config, {'flow': net}, frozen=frozen)
  probe = jax.random.normal(KEY, (1, 64, 64, 2))

  def after(corrections):
    config.motion.iters = corrections

    def total(frames):
      flows = mocyclegan.estimated(model, frames)
      return sum(jnp.mean(probe * flows[x]) for x in 'ab')
    return jax.jit(jax.value_and_grad(total)).lower(frames).compile()
  return frames, after


@pytest.mark.slow
def test_gradient_of_one_correction_of_raft_is_its_slope(raft):
  """Against differences. Later corrections hold still where they look: no slope to compare."""
  frames, after = raft
  one, h = after(1), 5e-4
  slope = one(frames)[1]
  way = jax.tree.map(lambda g: g / jnp.max(jnp.abs(g)), slope)
  ahead, behind = (one(jax.tree.map(lambda x, g, s=s: x + s * g, frames, way))[0]
                   for s in (h, -h))
  expected = sum(float(jnp.vdot(slope[x], way[x])) for x in 'ab')
  assert expected > 0
  np.testing.assert_allclose((ahead - behind) / (2 * h), expected, rtol=0.05)


@pytest.mark.slow
def test_gradient_of_the_paper_variant_reaches_every_frame_through_raft(raft):
  frames, after = raft
  slope = after(config_of('mocyclegan', 'paper').motion.iters)(frames)[1]
  for gradient in slope.values():
    assert np.isfinite(gradient).all()
    assert [float(np.mean(frame != 0)) > 0.9 for frame in gradient] == [True, True]

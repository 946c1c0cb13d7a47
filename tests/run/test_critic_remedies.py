"""Remedies against a critic that wins: what they do to a step, and that off means off."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from method_tools import config_of, with_resnet

from i2vjax.core import state
from i2vjax.core.model import Model
from i2vjax.losses import gradient_penalty
from i2vjax.methods import cut
from i2vjax.networks import patchgan
from i2vjax.run import critic_remedies, schedules

X = jax.random.uniform(jax.random.key(0), (2, 1, 16, 16, 3), minval=-1)
BATCH = {'a': X, 'b': X}


def setting(**critic):
  """(model of one tiny critic, state, method)."""
  config = with_resnet(config_of('cut', 'demo'))
  config.critic.update(critic)
  config.disc.update(width=4, layers=1)
  net = patchgan.discriminator(config, 3)
  params = {'disc_b': net.init(jax.random.key(1), X[:, 0])['params']}
  model = Model(config, {'disc_b': net}, {'disc_b': optax.sgd(0.1)})
  opt = {'disc_b': model.optimizers['disc_b'].init(params)}
  return model, state.State(params, opt, {}, {}, jnp.int32(0), jax.random.key(2))


def penalized(model, s):
  step = jax.vmap(lambda _: critic_remedies.penalize(cut, model, s, BATCH), axis_name=state.AXIS)
  return jax.tree.map(lambda x: x[0], jax.jit(step)(jnp.arange(1)))


def test_off_changes_nothing():
  model, s = setting()
  assert critic_remedies.penalize(cut, model, s, BATCH) == (s, {})
  assert critic_remedies.with_views(model, jax.random.key(0)) is model


def test_r1_is_a_gradient_step_of_its_own_once_in_so_many_steps():
  model, s = setting(r1=0.5, r1_every=4)

  def penalty(params):
    net = model.networks['disc_b'].clone(impl='plain')
    return gradient_penalty.r1(lambda x: net.apply({'params': params}, x), X[:, 0])
  after, terms = penalized(model, s)
  expected = jax.tree.map(lambda p, g: p - 0.1 * 4 * 0.5 * g, s.params['disc_b'],
                          jax.grad(penalty)(s.params['disc_b']))
  jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, atol=1e-5),
               after.params['disc_b'], expected)
  assert float(terms['r1']) == pytest.approx(4 * float(penalty(s.params['disc_b'])), rel=1e-4)
  between, terms = penalized(model, s.replace(step=jnp.int32(3)))
  jax.tree.map(np.testing.assert_array_equal, between.params, s.params)
  assert terms['r1'] == 0


def test_r1_looks_at_critics_of_several_scales_and_refuses_others():
  model, s = setting(r1=0.5, scales=2)
  after, terms = penalized(model, s)
  assert terms['r1'] > 0 and not np.array_equal(
    after.params['disc_b']['scale_1']['head']['kernel'],
    s.params['disc_b']['scale_1']['head']['kernel'],
  )
  strange = model.replace(networks={'disc_b': object()})
  with pytest.raises(ValueError, match='critic.r1=0.5: disc_b of cut is no critic'):
    penalized(strange, s)


def test_the_penalty_does_not_hurry_the_rate_and_takes_no_step_of_an_average():
  """Its moves are the critic's own: at step 9 of 10 the rate is that of step 9 all the same."""
  model, s = setting(r1=0.5, r1_every=1)
  model.config.optim.update(lr=1.0, b1=0.0, b2=0.0, eps=1e-30, schedule='linear')
  model.config.train.update(steps=10, decay_fraction=1.0)
  model.config.critic.lr = 1.0
  optimizer = schedules.optimizers(model.config, ['disc_b'], 1)
  model = model.replace(optimizers=optimizer)
  s = s.replace(opt={'disc_b': optimizer['disc_b'].init({'disc_b': s.params['disc_b']})},
                step=jnp.int32(9))
  for _ in range(12):
    before, (s, _) = s, penalized(model, s)
  moved = np.abs(s.params['disc_b']['head']['kernel'] - before.params['disc_b']['head']['kernel'])
  np.testing.assert_allclose(moved.max(), 1 / 11, rtol=1e-4)   # Adam without memory: by the rate
  model.config.optim.accumulate = 2
  with pytest.raises(ValueError, match='critic.r1=0.5 with optim.accumulate=2'):
    penalized(model, s)


def test_views_change_what_critics_see_and_nothing_else():
  model, s = setting(augment='cutout')
  viewed = critic_remedies.with_views(model, jax.random.key(3))
  plain, seen = (m.apply(s.params, 'disc_b', X[:, 0]) for m in (model, viewed))
  assert not np.allclose(plain, seen)
  np.testing.assert_array_equal(seen, viewed.apply(s.params, 'disc_b', X[:, 0]))


def test_critics_may_learn_at_a_rate_of_their_own_and_rates_warm_up():
  config = config_of('cut', 'demo')
  config.optim.update(lr=0.1, schedule='constant', warmup=4)
  config.critic.lr = 0.5
  moved = {}
  for player, tx in schedules.optimizers(config, cut.PLAYERS, 10).items():
    delta, opt = tx.update(jnp.ones(()), tx.init(jnp.zeros(())))
    later, _ = tx.update(jnp.ones(()), opt)
    moved[player] = float(delta), float(later)
  assert moved['gen'] == pytest.approx((-0.1 / 4, -0.1 / 2), rel=1e-4)
  assert moved['disc_b'] == pytest.approx((-0.05 / 4, -0.05 / 2), rel=1e-4)


def test_scales_that_a_critic_does_not_have_are_told(caplog):
  model, _ = setting(scales=2)
  critic_remedies.tell_idle(model)
  assert not caplog.messages
  critic_remedies.tell_idle(model.replace(networks={'disc_b': model.networks['disc_b'].critic}))
  assert caplog.messages == [
      'critic.scales=2 does nothing here: no critic of this cut is a PatchGAN']


def test_views_of_critics_that_see_no_pictures_are_told(caplog):
  critic_remedies.tell_idle(setting(augment='color,shift')[0])
  assert not caplog.messages
  clips = config_of('gtc', 'demo')
  clips.disc.update(kind='clip')
  clips.critic.update(augment='shift,cutout', scales=1)
  critic_remedies.tell_idle(Model(clips, {}))
  assert caplog.messages == [
      f'critic.augment: {kind} does nothing to disc of this gtc, which sees no such pictures'
      for kind in ('shift', 'cutout')]
  caplog.clear()
  pairs = config_of('best', 'demo')   # whose critic sees two frames at once
  pairs.critic.update(augment='color,shift', scales=1)
  critic_remedies.tell_idle(Model(pairs, {}))
  assert caplog.messages == [
      'critic.augment: color does nothing to disc_b of this best, which sees no such pictures']

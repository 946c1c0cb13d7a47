"""Ours: what the critic sees, the motion, all terms by hand, and the one step."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from method_tools import ToyGenerator, clips, config_of, moved, recorded

from i2vjax.core import ops, state
from i2vjax.core.errors import UserError
from i2vjax.methods import best
from i2vjax.run import load

KEY = jax.random.key(7)
# Each program here runs once or twice on tiny frames: compile fast, run slow.
FAST_COMPILE = {'xla_backend_optimization_level': 0, 'xla_llvm_disable_expensive_passes': True}
compiled = functools.partial(jax.jit, compiler_options=FAST_COMPILE)
BATCH = clips(2, batch=2, size=32)   # two windows of two frames
WEIGHTS = dict(adversarial=1.0, cs_global=2.0, cs_local=1.0, ctn=3.0, identity=0.5)


def tiny(**weights):
  config = config_of('best', 'demo')
  config.data.update(load_size=32, crop_size=32)
  config.disc.update(width=4, layers=1)
  config.critic.scales = 1
  config.cs.update(side=3, local_nums=5)
  config.weights.update({**WEIGHTS, **weights})
  return config


def setup(config):
  """(model with a generator that compiles in no time, fresh state)."""
  _, model = load.assemble(config)
  model = model.replace(networks={**model.networks, 'gen': ToyGenerator()},
                        optimizers=dict.fromkeys(best.PLAYERS, optax.sgd(0.01)))
  return model, load.fresh_state(best, model)


def step_of(model):
  """Compiled (state, batch) -> (state, terms) of one device."""
  def step(s, batch):
    s, terms = jax.vmap(lambda batch: best.step(model, s, batch, KEY), axis_name=state.AXIS)(
        jax.tree.map(lambda x: x[None], batch))
    return jax.tree.map(lambda x: x[0], s), jax.tree.map(jnp.mean, terms)
  return compiled(step)


@pytest.fixture(scope='module')
def stepped():
  """Model, state before and after one step, terms."""
  model, before = setup(tiny())
  return model, before, *step_of(model)(before, BATCH)


def translations(stepped):
  """(y' [2, 2, H, W, C], G(y0)) before the step."""
  model, before = stepped[:2]
  generate = functools.partial(model.apply, before.params, 'gen')
  return (ops.unfold(generate(ops.fold(BATCH['a'])), 2), generate(BATCH['b'][:, 0]))


# ---- What the critic sees


def test_a_pair_is_two_frames_and_what_changes():
  clip = jnp.asarray([0.25, -0.5])[None, :, None, None, None] * jnp.ones((1, 2, 1, 1, 2))
  np.testing.assert_array_equal(best.pair(clip)[0, 0, 0], [0.25, 0.25, -0.5, -0.5, -0.75, -0.75])


def test_critic_loss_by_hand(stepped):
  """L_C = 1/2 [mean (C(y) - 1)^2 + mean C(y')^2] on pairs, the critic before its move."""
  model, before, _, terms = stepped

  def score(clip):
    return model.apply(before.params, 'disc_b', best.pair(clip))
  fake, _ = translations(stepped)
  expected = 0.5 * (jnp.mean((score(BATCH['b']) - 1)**2) + jnp.mean(score(fake)**2))
  assert terms['disc_b'] == pytest.approx(float(expected), rel=1e-4)


def test_generator_meets_the_critic_just_moved(stepped):
  model, before, after, terms = stepped
  fake, _ = translations(stepped)
  old, new = (float(jnp.mean((model.apply(s.params, 'disc_b', best.pair(fake)) - 1)**2))
              for s in (before, after))
  assert terms['adversarial'] == pytest.approx(new, rel=1e-4) and abs(old - new) > 1e-3 * new


# ---- The other terms


def test_motion_has_the_same_strength_everywhere():
  """rms gamma H / 256 pixels, far from the edges and at them."""
  config = tiny()
  frames = jnp.zeros((400, 32, 32, 3))
  flow = np.asarray(best.motion(config, frames, KEY))
  rms = np.sqrt((flow**2).mean(axis=(0, 3)))
  np.testing.assert_allclose(rms, config.ctn.gamma * 32 / 256, rtol=0.15)


def test_a_translator_of_single_pixels_commutes():
  """G(x) = x^2 commutes with a motion of whole pixels, and not with noise."""
  config = tiny()
  config.ctn.noise_std = config.ctn.column_std = 0.0
  x = BATCH['a'][:, 0]
  flow = jnp.ones((2, 32, 32, 2))

  def distance():
    return float(best.cptrans.commutation(config, jnp.square, x, jnp.square(x), flow, KEY))
  assert distance() == pytest.approx(0, abs=1e-10)
  config.ctn.noise_std = 0.05
  assert distance() > 1e-4
  config.ctn.noise_std, config.ctn.column_std = 0.0, 0.05
  assert distance() > 1e-4


def test_identity_by_hand(stepped):
  """mean | G(y0) - y0 |, of the first frame of each window."""
  _, same = translations(stepped)
  expected = np.abs(np.asarray(same) - np.asarray(BATCH['b'][:, 0])).mean()
  assert stepped[-1]['identity'] == pytest.approx(expected, rel=1e-4)


def test_structure_is_kept_where_nothing_is_translated(stepped):
  """L_cs of x with itself is 0, of x with y is not: both frames count."""
  model = stepped[0]

  def terms(fake):
    found = best.structure(model, BATCH['a'], fake, KEY)
    return [float(found[name]()) for name in ('cs_global', 'cs_local')]
  np.testing.assert_allclose(terms(BATCH['a']), 0, atol=1e-5)
  later = BATCH['a'].at[:, 1].set(BATCH['b'][:, 1])
  assert min(terms(later)) > 1e-3


# ---- The step


def test_gradient_through_one_pass_is_that_of_the_whole_loss(stepped):
  """Written as one function of G, with the weights of the config and the critic just moved."""
  model, before, after, _ = stepped
  config, x, y = model.config, BATCH['a'], BATCH['b']

  def loss(gen):
    generate = functools.partial(model.apply, {'gen': gen}, 'gen')
    fake = ops.unfold(generate(ops.fold(x)), 2)
    terms = best.structure(model, x, fake, KEY)
    flow = best.motion(config, x[:, 0], KEY)
    return (jnp.mean((model.apply(after.params, 'disc_b', best.pair(fake)) - 1)**2)
            + 2 * terms['cs_global']() + terms['cs_local']()
            + 3 * best.cptrans.commutation(config, generate, x[:, 0], fake[:, 0], flow, KEY)
            + 0.5 * jnp.mean(jnp.abs(generate(y[:, 0]) - y[:, 0])))
  gradient = compiled(jax.grad(loss))(before.params['gen'])
  moves = jax.tree.map(lambda old, new: (old - new) / 0.01, before.params['gen'],
                       after.params['gen'])
  for expected, value in zip(jax.tree.leaves(gradient), jax.tree.leaves(moves), strict=True):
    np.testing.assert_allclose(value, expected, atol=2e-3 * (1e-2 + np.abs(expected).max()))


def test_both_players_move_and_all_terms_are_logged(stepped):
  _, before, after, terms = stepped
  assert set(terms) == {*WEIGHTS, 'disc_b'} and all(np.isfinite(v) for v in terms.values())
  assert moved(before, after) == {'gen', 'disc_b'}


def test_stills_are_judged_one_by_one():
  """data.frames=1: the critic sees [y0]; every term is there."""
  config = tiny()
  config.data.frames = 1
  config.critic.augment = 'color'   # which pairs refuse
  model, before = setup(config)
  stills = {name: clip[:, :1] for name, clip in BATCH.items()}
  calls, (_, terms) = recorded(step_of(model), before, stills), step_of(model)(before, stills)
  assert [frames for name, _, frames in calls if name == 'disc_b'] == [4, 2]
  assert set(terms) == {*WEIGHTS, 'disc_b'} and all(np.isfinite(v) for v in terms.values())
  np.testing.assert_array_equal(best.pair(stills['b']), stills['b'][:, 0])


def test_a_weight_of_zero_takes_its_pass_away():
  """All terms: G of five frames in two passes a window; without ctn and identity, of two in one."""
  def passes(config):
    model, before = setup(config)
    return [frames for name, _, frames in recorded(step_of(model), before, BATCH) if name == 'gen']
  assert sorted(passes(tiny())) == [2, 6]
  assert passes(tiny(ctn=0.0, identity=0.0)) == [4]


@pytest.mark.parametrize(('change', 'remedy'), [
    ({'data.frames': 3}, '--config.data.frames=2'),
    ({'data.channels_a': 1}, 'weights.identity'),
    ({'critic.r1': 1.0}, '--config.critic.r1=0'),
    ({'critic.augment': 'shift, color'}, '--config.critic.augment=shift,cutout'),
])
def test_what_cannot_be_meant_is_refused(change, remedy):
  config = tiny()
  config.update_from_flattened_dict(change)
  with pytest.raises(UserError, match=remedy):
    best.networks(config)

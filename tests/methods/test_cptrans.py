"""CPTrans: the order of the step, what is weighed and what is constant."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from cptrans_toys import KEY, tiny
from method_tools import clips, moved, recorded

from i2vjax.core import model, state
from i2vjax.core.model import Model
from i2vjax.methods import cptrans
from i2vjax.run import load

# Each program here runs once or twice on tiny frames: compile fast, run slow.
FAST_COMPILE = {'xla_backend_optimization_level': 0, 'xla_llvm_disable_expensive_passes': True}
compiled = functools.partial(jax.jit, compiler_options=FAST_COMPILE)
BATCH = clips(1, batch=2, size=32)


def setup(config, rate=0.01):
  """(nets, tx, fresh state, parameters of frozen networks)."""
  _, model = load.assemble(config)
  nets, fixed = model.networks, model.frozen
  tx = dict.fromkeys(cptrans.PLAYERS, optax.sgd(rate))
  return nets, tx, load.fresh_state(cptrans, Model(config, nets, tx)), fixed


def step_on(devices, config, nets, tx, fixed):
  """Compiled (state, batch, key) -> (state, terms) on simulated devices that share the batch."""
  def one(s, batch, key):
    return cptrans.step(
      Model(config, nets, optimizers=tx, frozen=fixed, phase='train'), s, batch, key
    )

  def step(s, batch, key):
    parts = jax.tree.map(lambda x: x.reshape(devices, -1, *x.shape[1:]), batch)
    s, terms = jax.vmap(one, (None, 0, None), axis_name=state.AXIS)(s, parts, key)
    return jax.tree.map(lambda x: x[0], s), jax.tree.map(jnp.mean, terms)
  return compiled(step)


@pytest.fixture(scope='module')
def stepped():
  """A step without ViT: config, networks, state before and after, terms."""
  config = tiny()
  nets, tx, before, fixed = setup(config)
  after, terms = step_on(1, config, nets, tx, fixed)(before, BATCH, KEY)
  return config, nets, before, after, terms


@pytest.fixture(scope='module')
def translated(stepped):
  """What the step saw before it moved anything: (real, fake) as `see` returns them."""
  config, nets, before, _, _ = stepped
  fake = model.apply(nets, before.params, 'gen', BATCH['a'][:, 0])
  return (
    cptrans.features(Model(config, nets, frozen={}), BATCH['b'][:, 0]),
    cptrans.features(Model(config, nets, frozen={}), fake),
  )


@pytest.fixture(scope='module')
def weights(stepped, translated):
  """(w, w~) of the critic before its move."""
  config, nets, before, _, _ = stepped
  return compiled(lambda p: cptrans.content_weights(nets, config, p, *translated, KEY)[:2])(
      before.params)


# ---- The step


def test_all_terms_are_logged_and_finite(stepped):
  *_, terms = stepped
  assert set(terms) == {
      'adversarial', 'cs_global', 'cs_local', 'ctn', 'disc_b', 'co/delta_q10', 'co/delta_q50',
      'co/delta_q90', 'co/w_mean', 'co/share', 'co/delta_error', 'ctn/flow_mean', 'ctn/flow_max'}
  assert all(np.isfinite(value) for value in terms.values())
  assert terms['co/w_mean'] > 1 and 0.4 < terms['co/share'] < 1


def test_both_players_move(stepped):
  *_, before, after, _ = stepped
  assert moved(before, after) == {'gen', 'disc_b'}


def test_generator_and_vit_run_no_more_than_needed():
  """G(x) and G(W(x, F)); the ViT on x with y, and on y'."""
  config = tiny('random')
  nets, tx, before, fixed = setup(config)
  calls = recorded(lambda: step_on(1, config, nets, tx, fixed)(before, BATCH, KEY))
  assert [c for c in calls if c[0] == 'gen'] == [('gen', None, 2)] * 2
  assert [c for c in calls if c[1] == 'tokens'] == [('vit', 'tokens', 2), ('vit', 'tokens', 4)]
  assert [c for c in calls if c[1] == 'tokens_local'] == [('vit', 'tokens_local', 2)] * 2


def test_critic_loss_is_the_weighted_sum_of_both_kinds(stepped, translated, weights):
  """L_D = 1/2 [(1/N) sum w l(real) + (1/N) sum w~ l(fake)], with the critic before its move."""
  config, nets, before, _, terms = stepped
  value = 0.5 * sum(jnp.mean(weight * jnp.square(
      cptrans.scores(Model(config, nets), before.params, seen)[..., 0] - label))
                    for weight, seen, label in zip(weights, translated, (1, 0), strict=True))
  assert terms['disc_b'] == pytest.approx(float(value), rel=1e-3)


def test_generator_meets_the_moved_critic_with_the_weights_before(stepped, translated, weights):
  config, nets, before, after, terms = stepped
  values = [
    float(
      jnp.mean(
        weights[1]
        * jnp.square(cptrans.scores(Model(config, nets), s.params, translated[1])[..., 0] - 1)
      )
    )
    for s in (before, after)
  ]
  assert terms['adversarial'] == pytest.approx(values[1], rel=1e-4)
  assert abs(values[0] - values[1]) > 1e-3 * values[1]


def test_gradient_reaches_the_generator_through_both_passes(stepped, weights):
  """The step's gradient equals that of the whole loss written as one function of G."""
  config, nets, before, after, _ = stepped
  w_fake, x = weights[1], BATCH['a'][:, 0]
  flow, _ = cptrans.content_motion(config, w_fake, x, KEY)

  def loss(gen):
    def generate(frames):
      return model.apply(nets, {'gen': gen}, 'gen', frames)
    seen = cptrans.features(Model(config, nets, frozen={}), generate(x))
    scores = cptrans.scores(Model(config, nets), after.params, seen)
    terms = cptrans.structure(
      Model(config, nets, frozen={}), cptrans.features(Model(config, nets, frozen={}), x), seen, KEY
    )
    return (jnp.mean(w_fake * jnp.square(scores[..., 0] - 1))
            + 6 * terms['cs_global']() + 6 * terms['cs_local']()
            + 10 * cptrans.commutation(config, generate, x, seen['frames'], flow, KEY))
  gradient = compiled(jax.grad(loss))(before.params['gen'])
  made = jax.tree.map(lambda old, new: (old - new) / 0.01, before.params['gen'],
                      after.params['gen'])
  for expected, value in zip(jax.tree.leaves(gradient), jax.tree.leaves(made), strict=True):
    np.testing.assert_allclose(value, expected, atol=2e-3 * (1 + np.abs(expected).max()))


@pytest.mark.slow
def test_two_devices_equal_one():
  """Means over samples: two devices with a frame each move as one device with both."""
  config = tiny(cs_local=0.0, ctn=0.0)   # what draws at random differs by device
  config.co.grad_params = 'last'         # compiles faster
  nets, tx, before, fixed = setup(config)
  one, two = (step_on(n, config, nets, tx, fixed)(before, BATCH, KEY) for n in (1, 2))
  for name in ('adversarial', 'cs_global', 'disc_b', 'co/w_mean'):
    assert two[1][name] == pytest.approx(float(one[1][name]), rel=1e-4)
  for x, y in zip(jax.tree.leaves(one[0].params), jax.tree.leaves(two[0].params), strict=True):
    np.testing.assert_allclose(x, y, atol=1e-5)


def test_vit_run_takes_the_exact_weights_and_learns(stepped):
  """Token critic and ViT structure on random features: every term is there, both players move."""
  config = tiny('random')
  nets, tx, before, fixed = setup(config)
  after, terms = step_on(1, config, nets, tx, fixed)(before, BATCH, KEY)
  assert set(terms) == set(stepped[-1]) and terms['co/delta_error'] == 0
  assert all(np.isfinite(value) for value in terms.values())
  assert moved(before, after) == {'gen', 'disc_b'}


def test_training_lowers_structure_and_temporal_loss():
  config = tiny(adversarial=0.0)
  config.co.update(enabled=False, grad_params='last')
  nets, _, _, fixed = setup(config)
  tx = dict.fromkeys(cptrans.PLAYERS, optax.adam(2e-3))
  s = load.fresh_state(cptrans, Model(config, nets, tx))
  step, history = step_on(1, config, nets, tx, fixed), []
  for _ in range(25):
    s, terms = step(s, BATCH, KEY)
    history.append(terms)
  for name in ('cs_global', 'cs_local', 'ctn'):
    assert np.mean([h[name] for h in history[-5:]]) < 0.95 * history[0][name]


# ---- CO and CTN switched off


def test_without_co_the_losses_are_those_of_a_plain_gan(stepped, translated):
  config, nets, before, _, _ = stepped
  plain = config.copy_and_resolve_references()
  plain.co.enabled = False
  w, w_fake, _ = jax.eval_shape(functools.partial(cptrans.content_weights, Model(plain, nets)),
                                before.params, *translated, KEY)
  assert w is None and w_fake.shape == (2, 14, 14)   # the motion still asks for w~
  losses = jax.random.uniform(KEY, (2, 6, 6, 1))
  weight = jnp.full((2, 6, 6), 3.0)
  assert cptrans.patch_mean(plain, weight, losses) == pytest.approx(float(losses.mean()))
  assert cptrans.patch_mean(config, weight, losses) == pytest.approx(3 * float(losses.mean()))


def test_without_co_and_ctn_no_weights_are_computed(stepped, translated):
  config, nets, before, _, _ = stepped
  baseline = tiny(ctn=0.0)
  baseline.co.enabled = False
  made = cptrans.content_weights(nets, baseline, before.params, *translated, KEY)
  assert made == (None, None, {})
  assert cptrans.content_motion(baseline, None, BATCH['a'][:, 0], KEY) == (None, {})


def test_eta_0_weighs_nothing(stepped, translated):
  config, nets, before, _, _ = stepped
  none = config.copy_and_resolve_references()
  none.co.update(eta=0.0, grad_params='last')
  w, w_fake, figures = cptrans.content_weights(nets, none, before.params, *translated, KEY)
  assert np.all(w == 1) and np.all(w_fake == 1) and figures['co/share'] == 0


def test_gamma_0_costs_nothing(stepped):
  config = stepped[0]
  still = config.copy_and_resolve_references()
  still.ctn.gamma = 0.0
  x = BATCH['a'][:, 0]
  flow, _ = cptrans.content_motion(still, jnp.ones((2, 6, 6)).at[:, 2].set(2.0), x, KEY)
  generate = functools.partial(jnp.roll, shift=1, axis=1)
  assert cptrans.commutation(still, generate, x, generate(x), flow, KEY) == 0


# ---- Weights


def test_weights_of_a_batch_are_those_of_each_image(stepped, translated):
  config, nets, before, _, _ = stepped
  config = config.copy_and_resolve_references()
  config.co.grad_params = 'last'
  fake = translated[1]
  delta = compiled(
    lambda seen: cptrans.deviation(Model(config, nets), before.params, seen, 2, KEY)[0]
  )
  both = delta(fake)
  for i in range(2):
    alone = delta(jax.tree.map(lambda v, i=i: v[i:i + 1], fake))
    np.testing.assert_allclose(alone[0], both[i], atol=1e-4)


def test_weights_are_float32_under_bfloat16(stepped, translated):
  config, nets, before, _, _ = stepped
  half = config.copy_and_resolve_references()
  half.compute = 'bfloat16'
  low = {**nets, **cptrans.networks(half)}
  assert low['disc_b'].dtype == jnp.bfloat16
  made = []
  for some, its in ((low, half), (nets, config)):
    its = its.copy_and_resolve_references()
    its.co.grad_params = 'last'
    made.append(cptrans.deviation(Model(its, some), before.params, translated[1], 2, KEY)[0])
  np.testing.assert_array_equal(*made)


# ---- Use


def test_sample_rows_show_input_output_patches_and_motion(stepped):
  config, nets, before, _, _ = stepped
  config = config.copy_and_resolve_references()
  config.co.grad_params = 'last'
  rows = compiled(lambda p: cptrans.sample_rows(Model(config, nets, frozen={}), p, {}, BATCH, KEY))(
    before.params
  )
  assert set(rows) == {'infrared', 'translated', 'visible, not of this scene',
                       'content-rich patches', 'motion'}
  for images in rows.values():
    assert images.shape == (2, 32, 32, 3) and np.all(np.abs(images) <= 1 + 1e-6)
  dark = rows['content-rich patches'] < rows['translated'] - 1e-3
  assert 0.5 < float(jnp.mean(jnp.any(dark, -1))) < 0.7   # 40 % stay as they are

"""CPTrans: the order of the step, its weights, its gradients."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from cptrans_toys import KEY, tiny
from method_tools import clips, moved, recorded

from i2vjax.core import state
from i2vjax.methods import cptrans, shared_roma
from i2vjax.run import load

# Each program here runs once or twice on tiny frames: compile fast, run slow.
FAST_COMPILE = {'xla_backend_optimization_level': 0, 'xla_llvm_disable_expensive_passes': True}
compiled = functools.partial(jax.jit, compiler_options=FAST_COMPILE)
BATCH = clips(1, batch=2, size=32)


def setup(config, rate=0.01):
  """(model that learns by plain descent, fresh state)."""
  _, model = load.assemble(config)
  model = model.replace(optimizers=dict.fromkeys(cptrans.PLAYERS, optax.sgd(rate)))
  return model, load.fresh_state(cptrans, model)


def changed(model, **fields):
  """The model under a copy of its config with other fields, {'block__field': value}."""
  config = model.config.copy_and_resolve_references()
  config.update_from_flattened_dict({name.replace('__', '.'): x for name, x in fields.items()})
  return model.replace(config=config)


def step_on(devices, model):
  """Compiled (state, batch, key) -> (state, terms) on simulated devices that share the batch."""
  def one(s, batch, key):
    return cptrans.step(model, s, batch, key)

  def step(s, batch, key):
    parts = jax.tree.map(lambda x: x.reshape(devices, -1, *x.shape[1:]), batch)
    s, terms = jax.vmap(one, (None, 0, None), axis_name=state.AXIS)(s, parts, key)
    return jax.tree.map(lambda x: x[0], s), jax.tree.map(jnp.mean, terms)
  return compiled(step)


@pytest.fixture(scope='module')
def stepped():
  """A step without ViT: model, state before and after, terms."""
  model, before = setup(tiny())
  return model, before, *step_on(1, model)(before, BATCH, KEY)


@pytest.fixture(scope='module')
def translated(stepped):
  """Features of (y, y') before anything moved."""
  model, before, _, _ = stepped
  fake = model.apply(before.params, 'gen', BATCH['a'][:, 0])
  return shared_roma.features(model, BATCH['b'][:, 0]), shared_roma.features(model, fake)


@pytest.fixture(scope='module')
def weights(stepped, translated):
  """(w, w~) of the critic before its move."""
  model, before, _, _ = stepped
  return compiled(lambda p: cptrans.content_weights(model, p, *translated, KEY)[:2])(before.params)


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
  model, before = setup(config)
  calls = recorded(step_on(1, model), before, BATCH, KEY)
  assert [c for c in calls if c[0] == 'gen'] == [('gen', None, 2)] * 2
  assert [c for c in calls if c[1] == 'tokens'] == [('vit', 'tokens', 2), ('vit', 'tokens', 4)]
  assert [c for c in calls if c[1] == 'tokens_local'] == [('vit', 'tokens_local', 2)] * 2


def test_critic_loss_is_the_weighted_sum_of_both_kinds(stepped, translated, weights):
  """L_D = 1/2 [(1/N) sum w l(real) + (1/N) sum w~ l(fake)], with the critic before its move."""
  model, before, _, terms = stepped
  value = 0.0
  for weight, features, label in zip(weights, translated, (1, 0), strict=True):
    scores = cptrans.scores(model, before.params, features)[..., 0]
    value += 0.5 * jnp.mean(weight * jnp.square(scores - label))
  assert terms['disc_b'] == pytest.approx(float(value), rel=1e-3)


def test_generator_meets_the_moved_critic_with_the_weights_before(stepped, translated, weights):
  model, before, after, terms = stepped

  def loss(params):
    scores = cptrans.scores(model, params, translated[1])[..., 0]
    return float(jnp.mean(weights[1] * jnp.square(scores - 1)))
  values = loss(before.params), loss(after.params)
  assert terms['adversarial'] == pytest.approx(values[1], rel=1e-4)
  assert abs(values[0] - values[1]) > 1e-3 * values[1]


def test_gradient_reaches_the_generator_through_both_passes(stepped, weights):
  """The step's gradient equals that of the whole loss written as one function of G."""
  model, before, after, _ = stepped
  w_fake, x = weights[1], BATCH['a'][:, 0]
  flow, _ = cptrans.content_motion(model.config, w_fake, x, KEY)

  def loss(gen):
    def generate(frames):
      return model.apply({'gen': gen}, 'gen', frames)
    fake = shared_roma.features(model, generate(x))
    scores = cptrans.scores(model, after.params, fake)
    terms = shared_roma.structure(model, shared_roma.features(model, x), fake, KEY)
    return (jnp.mean(w_fake * jnp.square(scores[..., 0] - 1))
            + 6 * terms['cs_global']() + 6 * terms['cs_local']()
            + 10 * cptrans.commutation(model.config, generate, x, fake['frames'], flow, KEY))
  gradient = compiled(jax.grad(loss))(before.params['gen'])
  moves = jax.tree.map(lambda old, new: (old - new) / 0.01, before.params['gen'],
                       after.params['gen'])
  for expected, value in zip(jax.tree.leaves(gradient), jax.tree.leaves(moves), strict=True):
    np.testing.assert_allclose(value, expected, atol=2e-3 * (1 + np.abs(expected).max()))


def test_identity_term_shares_the_pass_of_the_frames():
  """Alone it moves G along the gradient of |G(y) - y|."""
  model, before = setup(changed(setup(tiny())[0], weights__identity=0.5, weights__adversarial=0.0,
                                weights__cs_global=0.0, weights__cs_local=0.0, weights__ctn=0.0,
                                co__enabled=False).config)
  after, terms = step_on(1, model)(before, BATCH, KEY)

  def loss(gen):
    y = BATCH['b'][:, 0]
    return 0.5 * jnp.mean(jnp.abs(model.apply({'gen': gen}, 'gen', y) - y))
  gradient = compiled(jax.grad(loss))(before.params['gen'])
  assert float(terms['identity']) > 0
  for old, new, expected in zip(*map(jax.tree.leaves, (
      before.params['gen'], after.params['gen'], gradient)), strict=True):
    np.testing.assert_allclose((old - new) / 0.01, expected,
                               atol=2e-3 * (1e-2 + np.abs(expected).max()))


def test_images_together_weigh_as_one_by_one(stepped, translated, monkeypatch):
  """As accelerators take them: several images, and all their patches."""
  model, before, *_ = stepped

  def delta():
    return compiled(lambda p, f: cptrans.gradient_cosine(model, p, f, 2, KEY)[0])(
        before.params, translated[1])
  one_by_one = delta()
  monkeypatch.setattr(cptrans, '_at_once', lambda chunk: (8, 1024))
  np.testing.assert_allclose(delta(), one_by_one, atol=2e-4)


def test_vit_run_takes_the_exact_weights_and_learns(stepped):
  """Token critic and ViT structure on random features: every term is there, both players move."""
  model, before = setup(tiny('random'))
  after, terms = step_on(1, model)(before, BATCH, KEY)
  assert set(terms) == set(stepped[-1]) and terms['co/delta_error'] == 0
  assert all(np.isfinite(value) for value in terms.values())
  assert moved(before, after) == {'gen', 'disc_b'}


def test_training_lowers_structure_and_temporal_loss():
  config = tiny(adversarial=0.0)
  config.co.update(enabled=False, grad_params='last')
  model, _ = setup(config)
  model = model.replace(optimizers=dict.fromkeys(cptrans.PLAYERS, optax.adam(2e-3)))
  s = load.fresh_state(cptrans, model)
  step, history = step_on(1, model), []
  for _ in range(25):
    s, terms = step(s, BATCH, KEY)
    history.append(terms)
  for name in ('cs_global', 'cs_local', 'ctn'):
    assert np.mean([h[name] for h in history[-5:]]) < 0.95 * history[0][name]


# ---- CO and CTN switched off


def test_without_co_the_losses_are_those_of_a_plain_gan(stepped, translated):
  model, before, _, _ = stepped
  plain = changed(model, co__enabled=False)
  w, w_fake, _ = jax.eval_shape(functools.partial(cptrans.content_weights, plain),
                                before.params, *translated, KEY)
  assert w is None and w_fake.shape == (2, 14, 14)   # the motion still asks for w~
  losses = jax.random.uniform(KEY, (2, 6, 6, 1))
  weight = jnp.full((2, 6, 6), 3.0)
  mean = float(losses.mean())
  assert cptrans.patch_mean(plain.config, weight, losses) == pytest.approx(mean)
  assert cptrans.patch_mean(model.config, weight, losses) == pytest.approx(3 * mean)


def test_without_co_and_ctn_no_weights_are_computed(stepped, translated):
  model, before, _, _ = stepped
  baseline = changed(model, weights__ctn=0.0, co__enabled=False)
  weights = cptrans.content_weights(baseline, before.params, *translated, KEY)
  assert weights == (None, None, {})
  assert cptrans.content_motion(baseline.config, None, BATCH['a'][:, 0], KEY) == (None, {})


def test_eta_0_weighs_nothing(stepped, translated):
  model, before, _, _ = stepped
  none = changed(model, co__eta=0.0, co__grad_params='last')
  w, w_fake, figures = cptrans.content_weights(none, before.params, *translated, KEY)
  assert np.all(w == 1) and np.all(w_fake == 1) and figures['co/share'] == 0


def test_gamma_0_costs_nothing(stepped):
  still = changed(stepped[0], ctn__gamma=0.0).config
  x = BATCH['a'][:, 0]
  flow, _ = cptrans.content_motion(still, jnp.ones((2, 6, 6)).at[:, 2].set(2.0), x, KEY)
  generate = functools.partial(jnp.roll, shift=1, axis=1)
  assert cptrans.commutation(still, generate, x, generate(x), flow, KEY) == 0


# ---- Weights


def test_weights_of_a_batch_are_those_of_each_image(stepped, translated):
  model, before, _, _ = stepped
  model, fake = changed(model, co__grad_params='last'), translated[1]
  delta = compiled(lambda features: cptrans.gradient_cosine(
      model, before.params, features, len(features['frames']), KEY)[0])
  both = delta(fake)
  for i in range(2):
    alone = delta(jax.tree.map(lambda v, i=i: v[i:i + 1], fake))
    np.testing.assert_allclose(alone[0], both[i], atol=1e-4)


def test_weights_are_float32_under_bfloat16(stepped, translated):
  model, before, _, _ = stepped
  full = changed(model, co__grad_params='last')
  half = changed(full, compute='bfloat16')
  half = half.replace(networks={**full.networks, **cptrans.networks(half.config)})
  assert half.networks['disc_b'].dtype == jnp.bfloat16
  deltas = [cptrans.gradient_cosine(m, before.params, translated[1], 2, KEY)[0]
            for m in (half, full)]
  np.testing.assert_array_equal(*deltas)


# ---- Use


@pytest.mark.parametrize('augment', ['shift', 'color,cutout'])
def test_views_that_move_patches_are_refused_where_patches_have_weights(augment):
  config = tiny()
  config.critic.augment = augment
  model, s = setup(config)             # runs of before translate as they did
  with pytest.raises(ValueError, match=f"critic.augment='{augment}' moves patches.*co.enabled=f"):
    cptrans.step(model, s, BATCH, KEY)
  config.co.enabled = False
  cptrans.check(config)


def test_sample_rows_show_input_output_patches_and_motion(stepped):
  model, before, _, _ = stepped
  model = changed(model, co__grad_params='last')
  rows = compiled(lambda p: cptrans.sample_rows(model, p, {}, BATCH, KEY))(before.params)
  assert set(rows) == {'infrared', 'translated', 'visible, not of this scene',
                       'content-rich patches', 'motion'}
  for images in rows.values():
    assert images.shape == (2, 32, 32, 3) and np.all(np.abs(images) <= 1 + 1e-6)
  dark = rows['content-rich patches'] < rows['translated'] - 1e-3
  assert 0.5 < float(jnp.mean(jnp.any(dark, -1))) < 0.7   # 40 % stay as they are

"""Unsupervised Recycle-GAN: its terms by hand, its passes, where gradients go."""

import functools

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
from i2vjax.losses import perceptual, synthetic_motion
from i2vjax.methods import unsup_recycle

KEY = jax.random.key(0)
# Each program here runs once on tiny frames: compile fast, run slow.
compiled = functools.partial(jax.jit, compiler_options={
    'xla_backend_optimization_level': 0, 'xla_llvm_disable_expensive_passes': True})
BATCH = clips(1, batch=2, size=32)
REAL = {x: BATCH[x][:, 0] for x in 'ab'}
ALL = dict(adversarial=1.0, cycle_a=10.0, cycle_b=10.0, urec_a=10.0, urec_b=10.0, uspa_a=10.0,
           uspa_b=10.0, content_a=1.0, content_b=1.0, identity=5.0)


def tiny(variant='demo', **weights):
  config = with_resnet(config_of('unsup_recycle', variant))
  config.data.update(load_size=32, crop_size=32, scenes=dict(size=32))
  config.weights.update(weights)
  return config


def terms_of(model, params, real=REAL):
  """{term: value} of all that moves and of the cycles."""
  @compiled
  def values(params, real):
    flows = unsup_recycle.motions(model.config, real, KEY)
    images = unsup_recycle.translations(model, params, real, flows, KEY)
    terms = unsup_recycle.commuting(model.config, images, real, flows)
    return {name: terms[name]() for name in terms if model.config.weights[name]}
  return {name: float(value) for name, value in values(params, real).items()}


class Same(nn.Module):
  """A translator that leaves everything as it is."""

  def __call__(self, x):
    return x


class Column(nn.Module):
  """A translator that knows where it is, so that it does not commute with motion."""

  @nn.compact
  def __call__(self, x):
    ramp = jnp.linspace(-1, 1, x.shape[2])[:, None]
    return x * self.param('gain', nn.initializers.ones, (1,)) + ramp


def both(config, module):
  """(model, parameters) with the same translator in both directions."""
  nets = {'gen_ab': module, 'gen_ba': module}
  params = {name: module.init(KEY, REAL['a']).get('params', {}) for name in nets}
  return Model(config, nets), params


# ---- The terms


def test_trainable_parameters_of_the_public_code():
  counts = parameter_counts(unsup_recycle, config_of('unsup_recycle', 'paper'))
  assert sum(counts.values()) == 2 * (7_837_699 + 2_764_737)


def test_without_motion_urec_is_the_cycle_loss_and_uspa_is_0():
  config = tiny(cycle_a=1.0, cycle_b=1.0)
  config.synth.update(motion=0.0, shift=0.0, noise=0.0)
  terms = terms_of(*both(config, Column()))
  assert terms['urec_a'] == terms['cycle_a'] > 0 and terms['urec_b'] == terms['cycle_b'] > 0
  assert terms['uspa_a'] == terms['uspa_b'] == 0


def test_translators_that_do_nothing_cost_the_noise_alone():
  """mean |eta|, eta normal with a deviation from nu to 2 nu: 0.8 * 1.5 nu."""
  config = tiny()
  terms = terms_of(*both(config, Same()))
  assert set(terms) == {'urec_a', 'urec_b', 'uspa_a', 'uspa_b'}
  np.testing.assert_allclose(list(terms.values()), 0.8 * 1.5 * 0.001, rtol=0.35)
  config.synth.noise = 0.0
  assert max(terms_of(*both(config, Same())).values()) == 0


def test_terms_by_hand():
  """|F(W(b', F1)) - W(a, F1)| and |G(W(a, F3)) - W(b', F3)|, F1 and F3 apart."""
  config = tiny()
  config.synth.noise = 0.0
  (model, params), a = both(config, Column()), REAL['a']
  flows = unsup_recycle.motions(config, REAL, KEY)
  assert len({float(jnp.sum(flow)) for flow in flows.values()}) == 4

  def translated(x):
    return model.apply(params, 'gen_ab', x)
  urec = jnp.mean(jnp.abs(translated(synthetic_motion.move(translated(a), flows['urec_a']))
                          - synthetic_motion.move(a, flows['urec_a'])))
  uspa = jnp.mean(jnp.abs(translated(synthetic_motion.move(a, flows['uspa_a']))
                          - synthetic_motion.move(translated(a), flows['uspa_a'])))
  terms = terms_of(model, params)
  np.testing.assert_allclose([terms['urec_a'], terms['uspa_a']], [urec, uspa], rtol=1e-5)


def test_masked_where_the_edge_was_repeated():
  """A shift of s columns repeats s of 32: there the ramp counts s + s - 1 + ... + 1 steps less."""
  config = tiny()
  config.synth.noise = 0.0
  model, params = both(config, Column())
  flow = jnp.zeros((2, 32, 32, 2)).at[..., 0].set(3.0)
  flows = dict.fromkeys(('urec_a', 'urec_b', 'uspa_a', 'uspa_b'), flow)
  images = unsup_recycle.translations(model, params, REAL, flows, KEY)
  free = unsup_recycle.commuting(config, images, REAL, flows)['uspa_a']()
  config.synth.mask_border = True
  masked = unsup_recycle.commuting(config, images, REAL, flows)['uspa_a']()
  step = 2 / 31
  np.testing.assert_allclose(masked, 3 * step * 29 / 32, rtol=1e-5)
  np.testing.assert_allclose(free - masked, (1 + 2) * step / 32, rtol=1e-4)


def test_gradient_of_uspa_reaches_the_generator_through_both_sides():
  """d/dg of |g W(a) + ramp - W(g a + ramp)| is 0: both sides move alike, neither is stopped."""
  config, real = tiny(), {x: jnp.abs(frames) for x, frames in REAL.items()}
  config.synth.update(motion=0.0, noise=0.0)
  model, params = both(config, Column())
  flows = unsup_recycle.motions(config, real, KEY)

  def uspa(params, stop):
    images = unsup_recycle.translations(model, params, real, flows, KEY)
    if stop:
      images['fake'] = jax.lax.stop_gradient(images['fake'])
    return unsup_recycle.commuting(config, images, real, flows)['uspa_a']()
  slope = compiled(jax.grad(uspa), static_argnums=1)
  through, one_sided = (float(slope(params, stop)['gen_ab']['gain'][0]) for stop in (False, True))
  assert abs(one_sided) > 1e-2 > 1e3 * abs(through)


def test_gradient_of_urec_reaches_the_first_translator():
  config = tiny()
  model, params = both(config, Column())
  flows = unsup_recycle.motions(config, REAL, KEY)

  def urec(params):
    images = unsup_recycle.translations(model, params, REAL, flows, KEY)
    return unsup_recycle.commuting(config, images, REAL, flows)['urec_a']()
  grads = compiled(jax.grad(urec))(params)
  assert float(jnp.abs(grads['gen_ab']['gain'][0])) > 0 < float(
      jnp.abs(grads['gen_ba']['gain'][0]))


def test_content_compares_each_translation_with_its_source():
  config = tiny()
  config.perceptual = 'random'
  (module, _), = unsup_recycle.frozen_networks(config).values()
  assert (module.depth, module.taps, module.input_norm) == (16, ('relu5_3',), 'imagenet')
  model, _ = toy_setup(unsup_recycle, config)
  fake = {'a': -REAL['a'], 'b': REAL['a']}   # a to b perfect, b to a not
  terms = unsup_recycle.content(model, fake, REAL)
  assert terms['content_a']() == 0
  features = [model.apply(model.frozen, 'vgg16', x)['relu5_3'] for x in (fake['a'], REAL['b'])]
  np.testing.assert_allclose(terms['content_b'](), perceptual.standardized_distance(*features),
                             rtol=1e-5)


# ---- Passes


def images(variant='demo', **weights):
  """{network: [images in each call]} of a step on two frames of each domain."""
  config = tiny(variant, **weights)
  config.perceptual = 'random' if config.weights.content_a else 'none'
  calls = passes(unsup_recycle, config, BATCH)
  return {name: counts for (name, _), counts in calls.items()}


def test_two_calls_of_each_generator():
  """G([a, W~(a, F3)]) and G(W~(a', F2)); the critics once for fakes, once for real and fake."""
  calls = images(None)
  assert calls['gen_ab'] == calls['gen_ba'] == [4, 2]
  assert calls['disc_a'] == calls['disc_b'] == [2, 4] and calls['vgg16'] == [4, 4]


def test_cycle_and_identity_join_those_calls():
  calls = images('demo', **ALL)
  assert calls['gen_ab'] == calls['gen_ba'] == [6, 4]


def test_label_pictures_are_not_moved_in_front_of_a_translator():
  """Second command: urec from b only, uspa from a only, both cycles."""
  calls = images('labels')
  assert calls['gen_ab'] == [4, 4] and calls['gen_ba'] == [2, 2] and 'vgg16' not in calls


def test_nothing_but_the_gan_translates_once():
  calls = images(urec_a=0.0, urec_b=0.0, uspa_a=0.0, uspa_b=0.0, content_a=0.0, content_b=0.0)
  assert calls['gen_ab'] == calls['gen_ba'] == [2]


# ---- The step


@pytest.fixture(scope='module')
def stepped():
  """(setup, state after a step with all terms, terms)."""
  config = tiny(**ALL)
  config.perceptual, config.gan.pool = 'random', 3
  setup = toy_setup(unsup_recycle, config)
  return setup, *one_step(unsup_recycle, *setup, BATCH)


def test_all_terms_are_logged_and_finite(stepped):
  *_, terms = stepped
  assert set(terms) == {*ALL, 'disc_a', 'disc_b'}
  assert all(np.isfinite(value) for value in terms.values())


def test_every_network_moves_and_the_pools_take_the_fakes(stepped):
  (_, before), after, _ = stepped
  assert moved(before, after) == {'gen_ab', 'gen_ba', 'disc_a', 'disc_b'}
  assert [int(after.device_state[f'pool_{x}']['count']) for x in 'ab'] == [2, 2]


def test_the_critics_see_the_fakes_made_before_the_generators_moved(stepped):
  """1/2 [mean (D(b) - 1)^2 + mean D(b')^2] at the start; D_B is this code base's D_A."""
  (model, before), _, terms = stepped
  fake = model.apply(before.params, 'gen_ab', REAL['a'])
  on_real = model.apply(before.params, 'disc_b', REAL['b'])
  on_fake = model.apply(before.params, 'disc_b', fake)
  value = 0.5 * (jnp.mean((on_real - 1) ** 2) + jnp.mean(on_fake ** 2))
  assert list(unsup_recycle.PLAYERS) == ['gen', 'disc_b', 'disc_a']
  np.testing.assert_allclose(terms['disc_b'], value, rtol=1e-4)


def test_identity_images_of_frames_that_cannot_be_read_are_refused():
  config = tiny(identity=5.0)
  config.data.channels_a = 1
  with pytest.raises(ValueError, match='channels_a=1 and data.channels_b=3.*weights.identity=0'):
    unsup_recycle.networks(config)
  config.weights.identity = 0.0
  assert set(unsup_recycle.networks(config)) == {'gen_ab', 'gen_ba', 'disc_a', 'disc_b'}


def test_unknown_features_are_named():
  config = tiny()
  config.perceptual = 'lpips'
  with pytest.raises(ValueError, match="perceptual='lpips'"):
    unsup_recycle.frozen_networks(config)


def test_samples_and_translation_of_a_clip_in_chunks():
  config = tiny()
  model, before = toy_setup(unsup_recycle, config)
  params = before.params
  rows = unsup_recycle.sample_rows(model, params, {}, BATCH, KEY)
  assert {'a to b', 'moved, then translated', 'translated, then moved'} < set(rows)
  assert all(shown.shape == (2, 32, 32, 3) for shown in rows.values())

  def translated(part):
    return unsup_recycle.translate(model, params, {}, None, part)[1]
  clip = clips(4, size=8)['a']
  parts = [translated(clip[:, :1]), translated(clip[:, 1:])]
  np.testing.assert_allclose(translated(clip), jnp.concatenate(parts, 1), atol=1e-6)

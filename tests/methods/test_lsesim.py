"""F-LSeSim: who learns from what, with VGG and with descriptors."""

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

from i2vjax.core.model import Model
from i2vjax.core.state import name_key
from i2vjax.losses import selfsim
from i2vjax.methods import lsesim

KEY = jax.random.key(0)
BATCH = clips(1, batch=2)


def tiny(learned=False, perceptual='vgg', **weights):
  """On the toys: features of both taps have two channels for each pixel."""
  config = config_of('lsesim', 'learned' if learned else None)
  config.data.update(load_size=8, crop_size=8)
  config.perceptual, config.vgg.width = perceptual, 2
  config.lsesim.update(taps=('relu1_1', 'relu1_2'), patch_nums=20, patch_size=5)
  config.gan.pool = 3
  config.weights.update(weights)
  return config


def stepped_with(config):
  """Config, set-up, state and terms after one step; heads that are loud enough to be felt."""
  model, fresh = toy_setup(lsesim, config)
  loud = jax.tree.map(lambda x: 20 * x, fresh.params['heads'])
  setup = model, fresh.replace(params={**fresh.params, 'heads': loud})
  return config, setup, *one_step(lsesim, *setup, BATCH)


@pytest.fixture(scope='module')
def fixed():
  """FSeSim: config, set-up, state and terms after one step."""
  return stepped_with(tiny())


@pytest.fixture(scope='module')
def learned():
  """LSeSim with augmented images: the same."""
  return stepped_with(tiny(learned=True))


def fake_of(setup):
  model, before = setup
  return model.apply(before.params, 'gen', BATCH['a'][:, 0])


# ---- Players and passes


def test_fixed_features_train_generator_and_critic(fixed):
  _, setup, after, terms = fixed
  assert moved(setup[1], after) == {'gen', 'disc_b'}
  assert set(terms) == {'adversarial', 'spatial', 'disc_b'}
  assert all(np.isfinite(value) for value in terms.values())


def test_learned_features_train_the_heads_too(learned):
  _, setup, after, terms = learned
  assert moved(setup[1], after) == {'gen', 'disc_b', 'heads'}
  assert set(terms) == {'adversarial', 'spatial', 'disc_b', 'heads'}
  assert all(np.isfinite(value) for value in terms.values())


def test_one_pass_of_the_generator_and_one_for_the_constants():
  calls = passes(lsesim, tiny(), BATCH)
  assert calls['gen', 'whole'] == [2] and calls['vgg16', 'whole'] == [2, 2]
  calls = passes(lsesim, tiny(learned=True), BATCH)
  assert calls['gen', 'whole'] == [2] and calls['vgg16', 'whole'] == [2, 8]
  assert calls['disc_b', 'whole'] == [4, 2]


def test_identity_rides_in_the_same_pass():
  calls = passes(lsesim, tiny(identity=1.0), BATCH)
  assert calls['gen', 'whole'] == [4] and calls['vgg16', 'whole'] == [2, 2]


# ---- The generator


def spatial_of(model, params, fake):
  """L_spatial with fresh features, written for one layer after the other."""
  features = [lsesim.features(model, x) for x in (BATCH['a'][:, 0], fake)]
  ids = selfsim.places(name_key(KEY, 'spatial'), features[0], model.config.lsesim.patch_nums)
  headed = [model.apply(params, 'heads', maps) for maps in features]
  values = [selfsim.difference(*(selfsim.similarity_map(headed[image][k], ids[k], 5)
                                 for image in range(2))) for k in range(2)]
  return sum(values) / 2


@pytest.mark.parametrize('which', ['fixed', 'learned'])
def test_spatial_term_is_the_mean_over_layers_with_the_heads_just_moved(which, request):
  _, setup, after, terms = request.getfixturevalue(which)
  value = spatial_of(setup[0], after.params, fake_of(setup))
  assert terms['spatial'] == pytest.approx(float(value), rel=1e-4)
  assert 0.01 < value < 0.49   # 1/2: rows too faint to have a direction


@pytest.mark.parametrize('which', ['fixed', 'learned'])
def test_gradient_through_one_pass_is_that_of_the_whole_loss(which, request):
  """gan(D(G(a)), real) + 10 L_spatial, critic and heads as they are after their own moves."""
  _, (model, before), after, _ = request.getfixturevalue(which)

  def loss(gen):
    fake = model.apply({'gen': gen}, 'gen', BATCH['a'][:, 0])
    return (jnp.mean((model.apply(after.params, 'disc_b', fake) - 1)**2)
            + 10 * spatial_of(model, after.params, fake))
  gradient = jax.jit(jax.grad(loss))(before.params['gen'])
  jax.tree.map(lambda p, g, q: np.testing.assert_allclose(p - 0.01 * g, q, atol=2e-6),
               before.params['gen'], gradient, after.params['gen'])


def test_equal_images_cost_nothing(fixed):
  _, (model, before), _, _ = fixed
  features = lsesim.features(model, BATCH['a'][:, 0])
  assert lsesim.spatial(model, before.params, features, features, KEY) < 1e-5


# ---- The critic


def test_critic_sees_the_fakes_of_the_pool_and_is_halved(fixed):
  _, (model, before), after, terms = fixed
  real = model.apply(before.params, 'disc_b', BATCH['b'][:, 0])
  fake = model.apply(before.params, 'disc_b', fake_of((model, before)))
  value = 0.5 * (jnp.mean((real - 1)**2) + jnp.mean(fake**2))   # the pool is filling
  np.testing.assert_allclose(terms['disc_b'], value, rtol=1e-5)
  assert int(after.device_state['pool_b']['count']) == 2


# ---- The heads


def test_heads_learn_from_a_then_b_turned_then_both_recolored():
  a, b = BATCH['a'][:, 0], BATCH['b'][:, 0]
  frames = lsesim.head_batch(tiny(learned=True), a, b, KEY)
  assert frames.shape == (8, 8, 8, 3)
  np.testing.assert_array_equal(frames[:2], a)
  np.testing.assert_array_equal(frames[2:4], b[:, ::-1, ::-1])
  for original, changed in ((frames[:2], frames[4:6]), (frames[2:4], frames[6:])):
    correlation = np.corrcoef(np.ravel(original), np.ravel(changed))[0, 1]
    assert 0.3 < correlation < 0.999
  plain = tiny(learned=True)
  plain.lsesim.augment = False
  assert len(lsesim.head_batch(plain, a[..., :1], b, KEY)) == 4


def test_heads_learn_to_tell_places_apart_and_from_nothing_else(learned):
  """Mean over layers of contrast(a, b', b turned) and contrast(a, recolored a, recolored b)."""
  config, setup, after, terms = learned
  model, before = setup
  images = lsesim.head_batch(config, BATCH['a'][:, 0], BATCH['b'][:, 0], KEY)
  a, b, a_again, b_again = (lsesim.features(model, x) for x in jnp.split(images, 4))
  fake = lsesim.features(model, fake_of(setup))
  ids = selfsim.places(name_key(KEY, 'heads'), a, 20)

  def loss(heads):
    def rows(features):
      return [selfsim.similarity_map(f, i, 5)
              for f, i in zip(model.apply({'heads': heads}, 'heads', features), ids, strict=True)]
    layers = zip(*map(rows, (a, fake, b, a_again, b_again)), strict=True)
    return jnp.mean(jnp.stack([(selfsim.contrast(s, t, o) + selfsim.contrast(s, t2, o2)) / 2
                               for s, t, o, t2, o2 in layers]))
  value, gradient = jax.jit(jax.value_and_grad(loss))(before.params['heads'])
  assert terms['heads'] == pytest.approx(float(value), rel=1e-4)
  jax.tree.map(lambda p, g, q: np.testing.assert_allclose(p - 0.01 * g, q, atol=1e-6),
               before.params['heads'], gradient, after.params['heads'])


def test_heads_of_weight_0_stay_as_they_were_drawn():
  config, setup, after, terms = stepped_with(tiny(learned=True, heads=0.0))
  assert moved(setup[1], after) == {'gen', 'disc_b'} and 'heads' not in terms


# ---- Without a VGG


def test_descriptors_take_the_place_of_the_vgg():
  config = tiny(learned=True, perceptual='none')
  config.lsesim.augment = False   # compiles faster
  assert lsesim.frozen_networks(config) == {} and lsesim.normalizes(config)
  _, setup, after, terms = stepped_with(config)
  assert moved(setup[1], after) == {'gen', 'disc_b', 'heads'}
  assert all(np.isfinite(value) for value in terms.values())


def test_descriptors_at_256_pixels_have_the_sizes_of_the_features():
  config = config_of('lsesim')
  config.perceptual = 'none'
  maps = jax.eval_shape(lambda x: lsesim.features(Model(config, {}), x),
                        jnp.zeros((1, 256, 256, 3)))
  assert [x.shape for x in maps] == [(1, 64, 64, 8), (1, 32, 32, 8), (1, 32, 32, 8)]


def test_an_unknown_choice_is_refused():
  with pytest.raises(ValueError, match="choose 'vgg', 'none' or 'random'"):
    lsesim.frozen_networks(tiny(perceptual='vgg19'))


# ---- Numbers of the public code, use


@pytest.mark.parametrize(('variant', 'heads'), [('paper', 0), ('learned', 184_960)])
def test_trainable_parameters_of_the_public_code(variant, heads):
  counts = parameter_counts(lsesim, config_of('lsesim', variant))
  assert counts == {'gen': 11_378_179, 'disc_b': 2_764_737, 'heads': heads}


def test_config_holds_the_numbers_of_the_public_code():
  config = config_of('lsesim', 'learned')
  assert (config.lsesim.patch_size, config.lsesim.augment, config.gan.pool) == (32, True, 50)
  assert (config.weights.spatial, config.optim.lr, config.train.epochs) == (10.0, 1e-4, 200)
  module, weights = lsesim.frozen_networks(config)['vgg16']
  assert (module.depth, module.input_norm, weights) == (16, 'imagenet', 'vgg16')


def test_translates_frame_by_frame(fixed):
  _, (model, before), _, _ = fixed
  frames = clips(3, batch=2)['a']
  carry, out = lsesim.translate(model, before.params, {}, None, frames)
  assert carry is None and out.shape == frames.shape
  expected = model.apply(before.params, 'gen', frames[:, 1])
  np.testing.assert_allclose(out[:, 1], expected, atol=1e-6)


def test_samples_show_where_the_middle_finds_its_like(learned):
  _, (model, before), _, _ = learned
  rows = lsesim.sample_rows(model, before.params, {}, BATCH, KEY)
  assert list(rows) == ['a', 'a to b', 'b', 'like the middle, a', 'like the middle, a to b']
  like = rows['like the middle, a']
  assert like.shape == (2, 8, 8, 3)
  np.testing.assert_allclose(like[:, 4, 4], 1, atol=1e-3)   # itself
  assert like.min() < 0.5

"""I2V-GAN: terms by hand, passes counted, what is trained by what."""

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

from i2vjax.core import state
from i2vjax.core.model import Model
from i2vjax.losses import contrastive, perceptual
from i2vjax.methods import feature_terms, i2vgan
from i2vjax.methods.shared import DIRECTIONS
from i2vjax.networks import projector

TERMS = {'adversarial', 'cycle', 'recycle', 'recurrent', 'exs', 'ins', 'identity', 'disc_a',
         'disc_b'}


def tiny(**weights):
  """The demo with VGG's terms, for frames of 8 pixels."""
  config = with_resnet(config_of('i2vgan', 'demo'))
  config.data.update(load_size=8, crop_size=8)
  config.pred.downs = 2
  config.nce.update(width=8, patches=16)
  config.perceptual = 'random'
  config.weights.update(weights)
  return config


@pytest.fixture(scope='module')
def stepped():
  """Config, set-up, batch of two, state and terms after one step."""
  config = tiny(predictor_adversarial=0.5)
  setup, batch = toy_setup(i2vgan, config), clips(3, batch=2)
  return config, setup, batch, *one_step(i2vgan, *setup, batch)


@pytest.fixture(scope='module')
def images(stepped):
  """Every image of that step, made one by one from the parameters before it."""
  _, (model, before), batch, *_ = stepped

  def call(name, *frames):
    return model.apply(before.params, name, jnp.concatenate(frames, -1))
  images = {}
  for x, y in DIRECTIONS:
    real = [batch[x][:, i] for i in range(3)]
    fake = [call(f'gen_{x}{y}', frame) for frame in real[:2]]
    fake.append(call(f'pred_{y}', *fake))
    images[x] = dict(real=real, fake=fake, predicted=call(f'pred_{x}', *real[:2]),
                     back=[call(f'gen_{y}{x}', frame) for frame in fake],
                     same=[call(f'gen_{y}{x}', frame) for frame in real[:2]])
  return images


def vl(stepped, x, y):
  config, (model, _), *_ = stepped
  features = [model.apply(model.frozen, 'vgg19', images) for images in (x, y)]
  fields = {name: config.vgg[name] for name in feature_terms.VL_FIELDS}
  return jnp.mean(jnp.abs(x - y)) + perceptual.distance(*features, **fields)


def test_parameters_of_the_paper():
  counts = parameter_counts(i2vgan, config_of('i2vgan'))
  assert counts['proj_ab'] + counts['proj_ba'] == 1_120_768
  assert sum(counts.values()) == 104_862_350 + 1_120_768


def test_all_terms_are_there_and_finite(stepped):
  *_, terms = stepped
  assert set(terms) == TERMS | {'predictor_adversarial'}
  assert all(np.isfinite(value) for value in terms.values())


def test_cyclic_terms_by_hand(stepped, images):
  """VL of the way back for frames 0, 1 (cycle) and 2 (recycle), of x2p (recurrent)."""
  *_, terms = stepped
  sides = images.values()
  cycle = sum(vl(stepped, s['back'][i], s['real'][i]) for s in sides for i in (0, 1))
  recycle = sum(vl(stepped, s['back'][2], s['real'][2]) for s in sides)
  recurrent = sum(vl(stepped, s['predicted'], s['real'][2]) for s in sides)
  np.testing.assert_allclose(terms['cycle'], cycle, rtol=1e-4)
  np.testing.assert_allclose(terms['recycle'], recycle, rtol=1e-4)
  np.testing.assert_allclose(terms['recurrent'], recurrent, rtol=1e-4)


def test_identity_by_hand(stepped, images):
  *_, terms = stepped
  by_hand = sum(jnp.mean(jnp.abs(s['same'][i] - s['real'][i])) for s in images.values()
                for i in (0, 1))
  np.testing.assert_allclose(terms['identity'], by_hand, rtol=1e-5)


def test_adversarial_terms_by_hand(stepped, images):
  """Sum over three translated frames of mean (D - 1)^2; the prediction of real frames apart."""
  _, (model, before), _, _, terms = stepped
  into = {'a': images['b'], 'b': images['a']}   # translations into a come from b

  def score(x, image):
    return jnp.mean((model.apply(before.params, f'disc_{x}', image) - 1) ** 2)
  np.testing.assert_allclose(terms['adversarial'], sum(
      score(x, image) for x in 'ab' for image in into[x]['fake']), rtol=1e-4)
  np.testing.assert_allclose(terms['predictor_adversarial'], sum(
      score(x, images[x]['predicted']) for x in 'ab'), rtol=1e-4)


def test_critic_sums_four_pairs(stepped, images):
  """(x0, x'0), (x1, x'1), (x2, x'2), (x2, x2p): half real + half fake, fakes before the update."""
  _, (model, before), _, _, terms = stepped
  for x, other in DIRECTIONS:
    real, fakes = images[x]['real'], [*images[other]['fake'], images[x]['predicted']]

    def mean(target, image, name=f'disc_{x}'):
      return jnp.mean((model.apply(before.params, name, image) - target) ** 2)
    by_hand = sum(0.5 * mean(1, real[min(i, 2)]) + 0.5 * mean(0, fakes[i]) for i in range(4))
    np.testing.assert_allclose(terms[f'disc_{x}'], by_hand, rtol=1e-4)


def test_projections_stay_as_they_were_drawn(stepped):
  """The public code clears their gradients before their optimizer moves."""
  _, (_, before), _, after, _ = stepped
  assert moved(before, after) == set(before.params) - {'proj_ab', 'proj_ba'}


@pytest.fixture(scope='module')
def pooled():
  """States before and after a step with trained projections and pools of six."""
  config = tiny(cycle=0.0, ins=0.0, identity=0.0)
  config.nce.train_projection, config.gan.pool, config.perceptual = True, 6, 'none'
  setup = toy_setup(i2vgan, config)
  return setup[1], one_step(i2vgan, *setup, clips(3))[0]


def test_projections_are_trained_if_asked(pooled):
  before, after = pooled
  assert moved(before, after) == set(after.params)


def test_pools_take_four_fakes_of_each_domain(pooled):
  before, after = pooled
  assert before.device_state['pool_a']['buf'].shape == (6, 8, 8, 3)
  assert [int(after.device_state[f'pool_{x}']['count']) for x in 'ab'] == [4, 4]


# ---- Similarity on features


@pytest.fixture(scope='module')
def features():
  """Model of the projections, their parameters, features of two sources and translations."""
  config = tiny()
  config.gen.width = 1
  model = Model(config, feature_terms.projections(config))
  params = state.init_params(model.networks, i2vgan.example_inputs(config), jax.random.key(0))

  def maps(name):
    keys = (state.name_key(jax.random.key(i), name) for i in range(5))
    return [jax.random.normal(key, (3, 2, 5, 5, channels))
            for key, channels in zip(keys, (3, 2, 4, 4, 4), strict=True)]
  return model, params, {x: {'keys': maps(f'{x}keys'), 'queries': maps(f'{x}queries')}
                         for x in 'ab'}


def similarity(model, params, maps, term):
  """Value of a similarity term."""
  return feature_terms.similarity_terms(model, params, maps, jax.random.key(1))[term]()


def gradient(features, term):
  """Of a similarity term, with respect to (projections, features)."""
  model, params, maps = features
  return jax.jit(jax.grad(lambda params, maps: similarity(model, params, maps, term), (0, 1)))(
      params, maps)


def reached(maps):
  """For each frame, whether its features have a gradient."""
  return [any(bool(jnp.any(layer[i])) for layer in maps) for i in range(3)]


def test_external_similarity_teaches_projections_and_translations(features):
  heads, maps = gradient(features, 'exs')
  assert all(bool(jnp.any(x)) for x in (heads['proj_ab']['mlp_0']['dense_0']['kernel'],
                                        heads['proj_ba']['mlp_4']['dense_1']['kernel']))
  assert reached(maps['a']['queries']) == [True, True, True]
  assert reached(maps['a']['keys']) == [False, False, False]


def test_internal_similarity_teaches_the_generator_alone(features):
  """Neither the projections nor, as the third frame is only a key, the predictor."""
  heads, maps = gradient(features, 'ins')
  assert not any(bool(jnp.any(x)) for x in jax.tree.leaves(heads))
  assert reached(maps['b']['queries']) == [True, True, False]
  assert reached(maps['b']['keys']) == [False, False, False]


def test_internal_similarity_reaches_the_predicted_frame_if_asked(features):
  model, *others = features
  config = model.config.copy_and_resolve_references()
  config.ins.detach_keys = False
  _, maps = gradient((model.replace(config=config), *others), 'ins')
  assert reached(maps['b']['queries']) == [True, True, True]


def test_equal_translations_cost_no_internal_similarity(features):
  model, params, maps = features
  same = {x: {'keys': maps[x]['keys'], 'queries': maps[x]['keys']} for x in 'ab'}
  np.testing.assert_allclose(similarity(model, params, same, 'ins'), 0, atol=1e-6)


def test_external_similarity_by_hand(features):
  """On maps no larger than the sample every place is used, so the draw does not matter."""
  model, params, features_of = features
  config = model.config.copy_and_resolve_references()
  config.nce.patches = 25
  model, total = model.replace(config=config), 0.0
  for x, y in DIRECTIONS:
    z = {}
    for kind, maps in features_of[x].items():
      flat = [layer.reshape(3, 2, 25, -1) for layer in maps]
      z[kind] = model.apply(params, f'proj_{x}{y}', flat)
    total += sum(contrastive.patch_nce(q[i], k[i]).mean() / 5 for i in range(3)
                 for q, k in zip(z['queries'], z['keys'], strict=True))
  np.testing.assert_allclose(similarity(model, params, features_of, 'exs'), total, rtol=1e-4)


def test_taps_and_projections_fit_each_other():
  """The heads of the config read exactly what its generator's taps give."""
  config = config_of('i2vgan', 'demo')
  gen, frame = i2vgan.networks(config)['gen_ab'], jnp.zeros((1, 32, 32, 3))
  taps = projector.taps(config)
  _, maps = jax.eval_shape(
      lambda: gen.init_with_output(jax.random.key(0), frame, taps, method='encode')[0])
  assert [maps[tap].shape[-1] for tap in taps] == [
      x.shape[-1] for x in i2vgan.example_inputs(config)['proj_ab'][0]]


# ---- Passes


def total(calls, name, kind='whole'):
  return sum(calls.get((name, kind), []))


def test_minimum_number_of_passes():
  """14 images of the generators, 8 encoder passes more, 4 predictions, 6 + 14 judged, VGG 8 + 6."""
  calls = passes(i2vgan, tiny(), clips(3))
  for gen in ('gen_ab', 'gen_ba'):
    assert calls[gen, 'encode'] == [5, 6] and calls[gen, 'decode'] == [4, 3]
  assert calls['pred_a', 'whole'] == calls['pred_b', 'whole'] == [2]
  assert calls['disc_a', 'whole'] == calls['disc_b', 'whole'] == [3, 7]
  assert sorted(calls['vgg19', 'whole']) == [6, 8]


def test_without_similarity_nothing_is_only_looked_at():
  calls = passes(i2vgan, tiny(exs=0.0, ins=0.0), clips(3))
  assert calls['gen_ab', 'encode'] == calls['gen_ab', 'decode'] == [4, 3]


def test_perceptual_none_is_the_pixel_distance_without_vgg():
  config = tiny()
  config.perceptual = 'none'
  assert i2vgan.frozen_networks(config) == {}
  assert not [name for name, _ in passes(i2vgan, config, clips(3)) if name == 'vgg19']


def test_a_critic_for_predictions_costs_two_more():
  calls = passes(i2vgan, tiny(predictor_adversarial=1.0), clips(3))
  assert sum(total(calls, f'disc_{x}') for x in 'ab') == 20 + 2


def test_terms_of_weight_zero_are_not_made():
  weights = dict(exs=0.0, ins=0.0, cycle=0.0, identity=0.0)
  calls = passes(i2vgan, tiny(**weights), clips(3))
  assert calls['gen_ab', 'decode'] == [2, 1]
  assert sorted(calls['vgg19', 'whole']) == [2, 4]   # x2 of both serves recycle and recurrent

"""Recycle-GAN: both variants, its terms with perfect networks, its passes, I2V-GAN's additions."""

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
from i2vjax.methods import feature_terms, i2vgan, recyclegan, triplets


def tiny(variant='demo', **weights):
  """Toy sizes; 'paper' has the weights of variant 1, 'demo' those of variant 2."""
  config = with_resnet(config_of('recyclegan', variant))
  config.data.update(load_size=8, crop_size=8)
  config.gen.blocks = 3
  config.pred.downs = 2
  config.nce.update(width=8, patches=16)
  config.weights.update(weights)
  return config


class Same(nn.Module):
  """A perfect translator between equal domains."""

  def __call__(self, x):
    return x

  def encode(self, x, taps=()):
    return x, dict.fromkeys(taps, x)

  def decode(self, h):
    return h


class Still(nn.Module):
  """A perfect predictor of a standing camera."""

  def __call__(self, pair):
    return pair[..., 3:]


def perfect(config, batch):
  """Values of the cyclic terms with perfect networks."""
  nets = dict.fromkeys(('gen_ab', 'gen_ba'), Same()) | dict.fromkeys(('pred_a', 'pred_b'), Still())
  model, params = Model(config, nets), dict.fromkeys(nets, {})
  real = {x: triplets.three_frames(batch[x]) for x in 'ab'}
  outputs = recyclegan.translations(model, params, real, jax.random.key(0))
  terms = recyclegan.cyclic_terms(model, outputs, real, recyclegan.pixel_distance(config))
  return {name: float(term()) for name, term in terms.items()}


@pytest.mark.parametrize('variant, parameters', [('paper', 130_030_222),
                                                 ('paper_cycle', 104_862_350)])
def test_trainable_parameters_of_both_variants(variant, parameters):
  config = config_of('recyclegan', variant)
  assert set(recyclegan.networks(config)) == set(recyclegan.example_inputs(config))
  assert sum(parameter_counts(recyclegan, config).values()) == parameters


def test_perfect_networks_and_a_standing_camera_cost_nothing():
  batch = {x: jnp.repeat(clip[:, :1], 3, 1) for x, clip in clips(3).items()}
  assert perfect(tiny('paper'), batch) == {'recurrent': 0, 'recycle': 0}


def test_distances_by_hand():
  """With perfect translators a still prediction is wrong by x2 - x1, recurrent and recycled."""
  batch = clips(3, batch=2)
  change = sum(jnp.mean(jnp.abs(batch[x][:, 2] - batch[x][:, 1])) for x in 'ab')
  values = perfect(tiny('demo'), batch)
  np.testing.assert_allclose([values['recurrent'], values['recycle']], change, rtol=1e-5)
  assert values['cycle'] == 0


def test_norm_l2_is_the_mean_square():
  config, batch = tiny('paper'), clips(3)
  config.rec.norm = 'l2'
  square = sum(jnp.mean((batch[x][:, 2] - batch[x][:, 1]) ** 2) for x in 'ab')
  np.testing.assert_allclose(perfect(config, batch)['recurrent'], square, rtol=1e-5)
  config.rec.norm = 'l3'
  with pytest.raises(ValueError, match="rec.norm='l3'"):
    perfect(config, batch)


def test_variant_1_makes_six_images_and_four_predictions():
  calls = passes(recyclegan, tiny('paper'), clips(3))
  for gen in ('gen_ab', 'gen_ba'):
    assert calls[gen, 'encode'] == calls[gen, 'decode'] == [2, 1]
  assert calls['pred_a', 'whole'] == calls['pred_b', 'whole'] == [2]
  assert calls['disc_a', 'whole'] == calls['disc_b', 'whole'] == [3, 7]


def test_variant_2_makes_fourteen_images():
  calls = passes(recyclegan, tiny('demo'), clips(3))
  assert calls['gen_ab', 'encode'] == calls['gen_ab', 'decode'] == [4, 3]


def test_judging_predictions_adds_two_images():
  calls = passes(recyclegan, tiny('paper', predictor_adversarial=1.0), clips(3))
  assert calls['disc_a', 'whole'] == [3, 1, 7]


@pytest.fixture(scope='module')
def stepped():
  """A step of variant 2 with everything I2V-GAN adds."""
  config = tiny('demo', exs=0.1, ins=40.0)
  config.perceptual = 'random'
  setup = toy_setup(recyclegan, config)
  return setup, *one_step(recyclegan, *setup, clips(3))


def test_additions_of_i2vgan_join_the_terms(stepped):
  _, _, terms = stepped
  assert set(terms) == {'adversarial', 'cycle', 'recycle', 'recurrent', 'identity', 'exs', 'ins',
                        'disc_a', 'disc_b'}
  assert all(np.isfinite(value) for value in terms.values())


def test_every_network_moves(stepped):
  (_, before), after, _ = stepped
  assert moved(before, after) == set(before.params)
  assert set(before.params) == {n for names in recyclegan.PLAYERS.values() for n in names}


@pytest.mark.parametrize('addition', ['exs', 'ins'])
def test_each_similarity_can_be_added_alone(addition):
  calls = passes(recyclegan, tiny('demo', **{addition: 1.0}), clips(3))
  assert calls['gen_ab', 'encode'] == [5, 6]


def test_perceptual_can_be_added_alone():
  config = tiny('demo')
  config.perceptual = 'random'
  calls = passes(recyclegan, config, clips(3))
  assert sorted(calls['vgg19', 'whole']) == [6, 8] and calls['gen_ab', 'encode'] == [4, 3]


def test_projections_are_those_an_i2vgan_of_this_seed_begins_with():
  """The same in every step, because they follow from the run's key alone."""
  config = tiny('demo', exs=0.1)
  _, fresh = toy_setup(recyclegan, config)
  model, heads = feature_terms.with_projections(Model(config, {}), fresh.key)
  _, other = toy_setup(i2vgan, config)
  for name, tree in heads.items():
    jax.tree.map(np.testing.assert_array_equal, tree, other.params[name])
  maps = i2vgan.example_inputs(config)['proj_ab'][0]
  assert len(model.apply(heads, 'proj_ab', [x + 1 for x in maps])) == 5


def test_trained_projections_are_left_to_i2vgan():
  config = tiny('demo', exs=0.1)
  config.nce.train_projection = True
  with pytest.raises(ValueError, match='nce.train_projection.*i2vgan'):
    feature_terms.with_projections(Model(config, {}), jax.random.key(0))


def test_taps_that_nobody_reads_may_be_missing():
  """nce.taps asks for res_2; a generator of two blocks will do until EXS or INS looks."""
  config = config_of('recyclegan', 'paper')
  config.gen.blocks = 2
  assert set(recyclegan.example_inputs(config)) == set(recyclegan.networks(config))
  config.weights.exs = 0.1
  with pytest.raises(ValueError, match='nce.taps: res_2 not in a generator with gen.blocks=2'):
    recyclegan.example_inputs(config)


def test_translates_frame_by_frame():
  config = tiny('demo')
  model, fresh = toy_setup(recyclegan, config)
  frames = clips(4, batch=2)['a']
  carry, out = recyclegan.translate(model, fresh.params, {}, None, frames)
  assert carry is None
  expected = model.apply(fresh.params, 'gen_ab', frames[:, 2])
  np.testing.assert_allclose(out[:, 2], expected, atol=1e-6)

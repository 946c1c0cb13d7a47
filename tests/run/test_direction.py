"""A two-way run from b to a: networks and fields exchange their domains."""

import types

import jax.numpy as jnp
import numpy as np
import pytest
import stub_runs as stubs

from i2vjax.core.model import Model
from i2vjax.run import direction, load


def scaled(model, params, model_state, carry, frames):
  """A translation by one number, into the channels of the target."""
  return carry, stubs.match(params['gen_ab'] * frames, model.config)


@pytest.fixture
def run():
  """Gray to color by 0.5, back by 0.25."""
  config = stubs.config(channels_a=1, channels_b=3)
  config.lock()
  params = {'gen_ab': 0.5, 'gen_ba': 0.25, 'pred_a': 1.0, 'pred_b': 2.0, 'seg_a': 3.0, 'head': 4.0}
  return load.Run(stubs.method(scaled), Model(config, {}, frozen={'vgg19': 5.0}), params, {}, 7)


def test_translates_back_into_the_channels_of_the_source(run):
  back = direction.in_direction(run, 'gen_ba')
  frames = jnp.ones((1, 1, 4, 4, 3))
  _, out = back.method.translate(back.model, back.params, {}, None, frames)
  assert out.shape == (1, 1, 4, 4, 1)
  np.testing.assert_allclose(out, 0.25, atol=1e-6)


def test_partners_change_place_and_others_stay(run):
  back = direction.swap_domains(run)
  assert back.params == {'gen_ab': 0.25, 'gen_ba': 0.5, 'pred_a': 2.0, 'pred_b': 1.0, 'seg_a': 3.0,
                         'head': 4.0}
  assert (back.model.frozen, back.step) == ({'vgg19': 5.0}, 7)


def test_data_turns_round_too_and_the_run_itself_is_left(run):
  back = direction.swap_domains(run)
  assert (back.config.data.direction, run.config.data.direction) == ('b2a', 'a2b')
  assert (back.config.data.channels_a, run.config.data.channels_a) == (3, 1)
  assert direction.swap_domains(back).config.to_dict() == run.config.to_dict()


@pytest.mark.parametrize('network', [None, 'gen_ab'])
def test_without_a_wish_or_by_the_usual_generator_nothing_changes(run, network):
  assert direction.in_direction(run, network) is run


def test_generators_that_are_not_there_are_refused(run):
  one_way = types.SimpleNamespace(params={'gen': 1, 'disc_b': 2})
  with pytest.raises(ValueError, match='--network gen_ba: this run translates by gen$'):
    direction.in_direction(one_way, 'gen_ba')
  with pytest.raises(ValueError, match='--network pred_a: .* by gen_ab or gen_ba'):
    direction.in_direction(run, 'pred_a')

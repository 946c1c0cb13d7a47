"""A method that compiles in a moment and has all that a run can lose: pools, statistics, phases."""

import flax.linen as nn
import jax.numpy as jnp

from i2vjax.core import image_pool, ops
from i2vjax.core.state import update
from i2vjax.methods import shared

YEAR = 2017
PLAYERS = {'gen': ('gen_ab',), 'disc_b': ('disc_b',)}
INFERENCE_NETWORKS = ('gen_ab',)
translate = shared.framewise('gen_ab')


def networks(config):
  return {'gen_ab': nn.Conv(3, (1, 1)), 'disc_b': nn.Conv(1, (4, 4), (4, 4))}


def example_inputs(config):
  a, b = shared.example_frames(config)
  return {'gen_ab': (a,), 'disc_b': (b,)}


def model_state(config):
  return {'brightness': jnp.zeros(())}


def device_state(config):
  return {'pool_b': image_pool.create(config.gan.pool, (*ops.hw(config.data.crop_size), 3))}


def phases(config):
  return [(0, 'first'), (config.train.steps // 2, 'second')]


def step(model, state, batch, key):
  a, b = ops.fold(batch['a']), ops.fold(batch['b'])

  def gen_loss(params):
    fake = model.apply(params, 'gen_ab', a)
    score = jnp.mean((model.apply(params, 'disc_b', fake) - 1)**2)
    likeness = jnp.mean((fake - b)**2) if model.phase == 'second' else 0.0
    return score + likeness, (score, fake)

  state, (score, fake) = update(model, state, 'gen', PLAYERS['gen'], gen_loss)
  state, fakes = shared.through_pools(state, key, {'b': fake})

  def disc_loss(params):
    loss = (jnp.mean((model.apply(params, 'disc_b', b) - 1)**2)
            + jnp.mean(model.apply(params, 'disc_b', fakes['b'])**2))
    return loss, loss

  state, loss = update(model, state, 'disc_b', PLAYERS['disc_b'], disc_loss)
  brightness = 0.9 * state.model_state['brightness'] + jnp.mean(a)
  return state.replace(model_state={'brightness': brightness}), {
      'score': score, 'disc_b': loss, 'a': jnp.mean(a), 'b': jnp.mean(b)}

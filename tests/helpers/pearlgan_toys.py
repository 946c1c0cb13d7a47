"""PearlGAN with networks that compile in no time."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from method_tools import clips, config_of, fresh_state

from i2vjax.core.model import Model
from i2vjax.methods import pearlgan

KEY, RATE = jax.random.key(0), 0.01
EDGES = np.random.default_rng(0).choice(np.uint8([0, 0, 0, 51, 255]), (2, 2, 1, 16, 16))
BATCH = {**clips(1, batch=2, size=16), 'edges_a': EDGES[0], 'edges_b': EDGES[1]}
FRAMES = {x: BATCH[x] for x in 'ab'}
REAL = {x: BATCH[x][:, 0] for x in 'ab'}


class ToyGenerator(nn.Module):
  """Pixel by pixel, with the halves of a generator and four maps."""

  def setup(self):
    self.inner, self.gate, self.outer = nn.Dense(6), nn.Dense(4), nn.Dense(3)

  def __call__(self, x):
    return self.decode(self.encode(x)[0])

  def encode(self, x):
    return jnp.tanh(self.inner(x)), nn.sigmoid(self.gate(x))

  def decode(self, h):
    return jnp.tanh(self.outer(h))


class ToyCritics(nn.Module):
  """Two views with two maps of scores."""

  @nn.compact
  def __call__(self, x):
    scores = {name: nn.Dense(4, name=name)(x) for name in ('rgb', 'grad')}
    return {name: [s[..., 0], s[:, ::2, ::2, 1]] for name, s in scores.items()}


def tiny(words='demo', **weights):
  config = config_of('pearlgan', words)
  config.data.update(load_size=16, crop_size=16)
  config.sga.grid = 4
  config.gan.pool = 3
  config.weights.update(weights)
  return config


def setup_of(config):
  """(model that learns by plain descent, state without a device axis)."""
  optimizers = dict.fromkeys(pearlgan.PLAYERS, optax.sgd(RATE))
  model = Model(config, pearlgan.networks(config), optimizers)
  return model, fresh_state(pearlgan, model)

"""Runs of tiny stub methods, for tests of what follows training."""

import types

import flax.linen as nn
import jax
import jax.numpy as jnp

from i2vjax import defaults
from i2vjax.core import ops
from i2vjax.core.model import Model
from i2vjax.core.state import init_params
from i2vjax.run import load


def config(**data):
  settings = defaults.get_config()
  settings.method, settings.variant = 'stub', 'test'
  settings.data.update(crop_size=32, load_size=32, **data)
  settings.data.scenes.update(test_clips=2, clip_length=5, cache_mb=8)
  return settings


def method(translate, networks=None, inputs=None):
  """A stub of a module under i2vjax.methods."""
  return types.SimpleNamespace(
      INFERENCE_NETWORKS=('gen_ab',),
      PLAYERS={}, networks=networks or (lambda config: {}),
      example_inputs=inputs or (lambda config: {}),
      translate=translate)


def make(translate, settings=None):
  """A run without networks."""
  settings = settings or config()
  return load.Run(method(translate), Model(settings, {}), {}, {}, 7)


def match(frames, settings):
  return ops.match_channels(frames, settings.data.channels_b)


def negative(model, params, model_state, carry, frames):
  """Black becomes white."""
  return carry, match(-frames, model.config)


def counting(model, params, model_state, carry, frames):
  """Frame t of a clip gets the gray value t: shows what a recurrent method carries."""
  start = jnp.zeros(()) if carry is None else carry
  index = start + jnp.arange(frames.shape[1])
  values = jnp.broadcast_to((index / 127.5 - 1)[None, :, None, None, None], frames.shape)
  return start + frames.shape[1], match(values, model.config)


def without_numbers(*frames, value=jnp.nan):
  """Black becomes white; one value of these frames is no number. A frame is known by its gray."""
  def translate(model, params, model_state, carry, raw):
    gray = jnp.round((raw[0, :, 0, 0, 0] + 1) * 127.5)
    bad = jnp.isin(gray, jnp.asarray(frames, jnp.float32))[None, :, None]
    result = match(-raw, model.config)
    return carry, result.at[:, :, 3, 4].set(jnp.where(bad, value, result[:, :, 3, 4]))
  return translate


class Halving(nn.Module):
  """Halves the frame three times and comes back: wants sides that 8 divides."""

  channels: int = 3

  @nn.compact
  def __call__(self, x):
    small = x
    for _ in range(3):
      small = nn.avg_pool(small, (2, 2), (2, 2))
    big = jnp.repeat(jnp.repeat(small, 8, axis=1), 8, axis=2)
    return nn.Conv(self.channels, (1, 1))(jnp.concatenate([x, big], axis=-1))


def halving_run(settings=None):
  """A frame-wise run with a network `gen_ab`."""
  settings = settings or config()

  def networks(config):
    return {'gen_ab': Halving(config.data.channels_b)}

  def inputs(config):
    return {'gen_ab': (jnp.zeros((1, *ops.hw(config.data.crop_size), config.data.channels_a)),)}

  def translate(model, params, model_state, carry, frames):
    fake = model.apply(params, 'gen_ab', ops.fold(frames))
    return carry, ops.unfold(jnp.tanh(fake), frames.shape[1])
  module, nets = method(translate, networks, inputs), networks(settings)
  params = init_params(nets, inputs(settings), jax.random.key(3))
  return load.Run(module, Model(settings, nets), params, {}, 7)

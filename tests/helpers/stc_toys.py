"""STC on noise, with networks that can be followed by hand."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from method_tools import config_of, drifting, toy_setup, with_networks, with_resnet

from i2vjax.core.model import Model
from i2vjax.methods import stc

KEY = jax.random.key(0)
B, K, SIZE = 2, 3, 16


def batch_with(shift=(1.5, -0.5)):
  return drifting(K, B, SIZE, shift)


BATCH = batch_with()


def tiny(variant='demo', **fuse):
  config = with_resnet(config_of('stc', variant))
  config.data.update(load_size=SIZE, crop_size=SIZE)
  config.flow.name = 'gt+zero'
  config.mask.alpha = 2.0   # frames of noise would all be hidden at 50
  config.fuse.update(fuse)
  return config


class Gain(nn.Module):
  """gain * x."""

  value: float = 0.5

  @nn.compact
  def __call__(self, x):
    return x * self.param('gain', nn.initializers.constant(self.value), (1,))


class Mask(nn.Module):
  """sigmoid(bias + sum of the difference): -100 and 100 are masks of 0 and 1."""

  bias: float = 0.0

  @nn.compact
  def __call__(self, difference):
    return nn.sigmoid(self.param('bias', nn.initializers.constant(self.bias), (1,))
                      + jnp.sum(difference, -1, keepdims=True))


def linear(config, bias_ab=-0.3, bias_ba=0.2):
  """(model, params) simple enough to be followed by hand."""
  nets = {'gen_ab': Gain(0.5), 'gen_ba': Gain(0.8), 'fuse_ab': Mask(bias_ab),
          'fuse_ba': Mask(bias_ba)}
  params = {name: net.init(KEY, BATCH['a'][:, 0])['params'] for name, net in nets.items()}
  return Model(config, nets), params


def translation_of(model, params, batch=BATCH, x='a', y='b'):
  """(`stc.translation` of the clip of domain x, its motion)."""
  motion = stc.motions(model, batch)[x]
  return stc.translation(model, params, x, y, batch[x], motion), motion


def toys_of(config):
  """`toy_setup` with blocks simple enough to compile in no time."""
  model, fresh = toy_setup(stc, config)
  blocks = {'fuse_ab': Mask(0.3), 'fuse_ba': Mask(-0.2)}
  params = dict(fresh.params)
  for name, block in blocks.items():
    params[name] = block.init(KEY, BATCH['a'][:, 0])['params']
  return with_networks(stc, model, fresh, blocks, params)

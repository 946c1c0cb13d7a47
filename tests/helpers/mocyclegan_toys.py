"""Mocycle-GAN on clips with known flow and small networks."""

import flax.linen as nn
import jax
from method_tools import config_of, drifting, toy_setup, with_networks, with_resnet

from i2vjax.core import ops
from i2vjax.methods import mocyclegan

KEY = jax.random.key(0)
B, SIZE = 2, 16


def batch_with(shift=(1.5, -0.5)):
  return drifting(2, B, SIZE, shift, signs=(1, -1))


BATCH = batch_with()


def tiny(variant='demo', **weights):
  config = with_resnet(config_of('mocyclegan', variant))
  config.data.update(load_size=SIZE, crop_size=SIZE)
  config.flow.name = 'gt+zero'
  config.motion.update(width=2, blocks=1)
  config.weights.update(weights)
  return config


def terms_of(model, params, batch=BATCH, fake=None, back=None):
  """{motion term: value}; without translations these are the frames themselves."""
  real = {x: ops.fold(batch[x]) for x in 'ab'}
  flows = mocyclegan.motions(model, batch)
  terms = mocyclegan.motion_terms(model, params, flows, real, fake or real, back or real)
  return {name: term() for name, term in terms.items()}


def toys_of(config):
  """`toy_setup` as if some way into the training: M, here pixel by pixel, adds something."""
  model, fresh = toy_setup(mocyclegan, config)
  translators = {'motion_ab': nn.Dense(2), 'motion_ba': nn.Dense(2)}
  params = dict(fresh.params)
  for k, (name, net) in enumerate(translators.items()):
    params[name] = net.init(jax.random.key(k), BATCH['flow_a'][:, 0])['params']
  return with_networks(mocyclegan, model, fresh, translators, params)

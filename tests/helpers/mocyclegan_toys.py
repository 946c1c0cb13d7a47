"""For the tests of Mocycle-GAN: clips with known flow, small networks, its motion terms."""

import flax.linen as nn
import jax
from method_tools import config_of, drifting, toy_setup

from i2vjax.core import ops
from i2vjax.core.model import Model
from i2vjax.methods import mocyclegan

KEY = jax.random.key(0)
B, SIZE = 2, 16


def batch_with(shift=(1.5, -0.5)):
  return drifting(2, B, SIZE, shift, signs=(1, -1))


BATCH = batch_with()


def tiny(variant='demo', **weights):
  config = config_of('mocyclegan', variant)
  config.data.update(load_size=SIZE, crop_size=SIZE)
  config.flow.name = 'gt+zero'
  config.motion.update(width=2, blocks=1)
  config.weights.update(weights)
  return config


def terms_of(config, nets, params, batch=BATCH, fixed=None, fake=None, back=None):
  """{motion term: value}; translations that are not given are the frames themselves."""
  real = {x: ops.fold(batch[x]) for x in 'ab'}
  flows = mocyclegan.motions(Model(config, nets, frozen=fixed or {}), batch)
  terms = mocyclegan.motion_terms(
    Model(config, nets, frozen=fixed), params, flows, real, fake or real, back or real
  )
  return {name: term() for name, term in terms.items()}


def toys_of(config):
  """`toy_setup` as if some way into the training: M, here pixel by pixel, adds something."""
  nets, tx, fresh, fixed = toy_setup(mocyclegan, config)
  nets |= {'motion_ab': nn.Dense(2), 'motion_ba': nn.Dense(2)}
  params = {name: nets[name].init(jax.random.key(k), BATCH['flow_a'][:, 0])['params']
            for k, name in enumerate(('motion_ab', 'motion_ba'))}
  opt = {player: tx[player].init({name: {**fresh.params, **params}[name] for name in names})
         for player, names in mocyclegan.PLAYERS.items()}
  return nets, tx, fresh.replace(params={**fresh.params, **params}, opt=opt), fixed

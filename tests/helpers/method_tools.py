"""Helpers of method tests: configs, clips, toy networks, one step, passes."""

import importlib.util
import math
import pathlib

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
import pytest

from i2vjax.core import state
from i2vjax.core.model import Model
from i2vjax.methods import base
from i2vjax.networks import resnet
from i2vjax.run import load

ROOT = pathlib.Path(__file__).parents[2]


def config_of(name, variant=None):
  """`configs/NAME.py`, unlocked."""
  spec = importlib.util.spec_from_file_location(f'{name}_config', ROOT / f'configs/{name}.py')
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module.get_config(variant)


def with_resnet(config):
  """A demo's config with the kind of networks of the papers: a ResNet, critics on one scale."""
  if config.gen.get('kind') == 'unet':
    config.gen.update(kind='resnet', width=16, blocks=4)
    config.critic.update(scales=1, lr=1.0)
    if 'nce' in config:
      config.nce.taps = ('rgb', 'down_0.conv', 'down_1', 'res_mid', 'up_0')
  return config


def clips(frames, batch=1, seed=0, size=8):
  """{'a': [B, T, H, W, 3] in [-1, 1], 'b': ...}."""
  both = jax.random.uniform(jax.random.key(seed), (2, batch, frames, size, size, 3), minval=-1)
  return {'a': both[0], 'b': both[1]}


def drift(shift, size, *batch):
  """Flow [*batch, size, size, 2] that is `shift` everywhere."""
  return jnp.broadcast_to(jnp.array(shift, jnp.float32), (*batch, size, size, 2))


def drifting(frames, batch, size, shift, signs=(1, 1)):
  """`clips` with their flow, the same everywhere; `signs`: which way in a and in b."""
  fields, flow = clips(frames, batch=batch, size=size), drift(shift, size, batch, frames - 1)
  for x, sign in zip('ab', signs, strict=True):
    fields |= {f'flow_{x}': sign * flow, f'flow_fwd_{x}': -sign * flow}
  return fields


class ToyGenerator(nn.Module):
  """Pixel by pixel, but with the halves and taps of a generator of width 2."""

  def setup(self):
    self.inner, self.outer = nn.Dense(8), nn.Dense(3)

  def __call__(self, x):
    return self.decode(self.encode(x)[0])

  def encode(self, x, taps=()):
    h = nn.relu(self.inner(x))
    channels = resnet.tap_channels(taps, width=2)
    return h, {tap: x if tap == 'rgb' else h[..., :c]
               for tap, c in zip(taps, channels, strict=True)}

  def decode(self, h):
    return jnp.tanh(self.outer(h))


class ToyPredictor(nn.Module):
  """A mixture of the channels of both frames."""

  @nn.compact
  def __call__(self, pair):
    return jnp.tanh(nn.Dense(3)(pair))


class ToyCritic(nn.Module):
  """A score for each pixel."""

  @nn.compact
  def __call__(self, x):
    return nn.Dense(1)(x)


class ToyVGG(nn.Module):
  """A feature of each pixel for every tap."""

  taps: tuple

  @nn.compact
  def __call__(self, x):
    return {tap: nn.relu(nn.Dense(2, name=tap)(x)) for tap in self.taps}


def toy_networks(method, config):
  """The method's networks, generators, predictors and critics as toys. Sets `gen.width` to 2."""
  config.gen.width = 2
  toys = {'gen': ToyGenerator, 'pred': ToyPredictor, 'disc': ToyCritic}
  return {name: toys[name.split('_')[0]]() if name.split('_')[0] in toys else net
          for name, net in method.networks(config).items()}


def toy_setup(method, config):
  """(Model of toys that learn by plain descent, state without a device axis).

  Sets `gen.width` to 2, and `train.ema` to 0: a step alone leaves averages as they are.
  """
  config.train.ema = 0.0
  optimizers = dict.fromkeys(method.PLAYERS, optax.sgd(0.01))
  model = Model(config, toy_networks(method, config), optimizers)
  before = fresh_state(method, model)
  frozen = base.hook(method, 'frozen_networks')(config)
  toys = {name: ToyVGG(tuple(net.taps)) for name, (net, _) in frozen.items()}
  params = {name: net.init(jax.random.key(5), jnp.zeros((1, 8, 8, 3)))['params']
            for name, net in toys.items()}
  return model.replace(networks={**model.networks, **toys}, frozen=params), before


def fresh_state(method, model):
  """The state of step 0 as a step sees it, without a device axis."""
  fresh = load.fresh_state(method, model)
  return fresh.replace(device_state=jax.tree.map(lambda x: x[0], fresh.device_state))


def with_networks(method, model, before, networks, params):
  """(model, state) with other networks, all parameters `params` and optimizers that begin anew."""
  opt = {player: model.optimizers[player].init({name: params[name] for name in names})
         for player, names in method.PLAYERS.items()}
  return (model.replace(networks={**model.networks, **networks}),
          before.replace(params=params, opt=opt))


def one_step(method, model, before, batch, key=0):
  """(state, terms) after one step on one device."""
  return on_one_device(method.step, model, before, batch, jax.random.key(key))


def on_one_device(step, model, *inputs):
  """`step(model, *inputs)`, compiled, with the axis of devices that steps expect, of length one."""
  mapped = jax.vmap(lambda _: step(model, *inputs), axis_name=state.AXIS)
  return jax.tree.map(lambda x: x[0], jax.jit(mapped)(jnp.arange(1)))


def on_devices(method, model, before, batches, key):
  """(states, terms) after one step on as many devices as there are batches, stacked."""
  step = jax.vmap(lambda batch: method.step(model, before, batch, key), axis_name=state.AXIS)
  return jax.jit(step)(jax.tree.map(lambda *x: jnp.stack(x), *batches))


def passes(method, config, batch):
  """{(network, 'encode' | 'decode' | 'whole'): [images in each call]} of one step, by tracing."""
  calls, setup = {}, toy_setup(method, config)
  for name, how, images in recorded(lambda: one_step(method, *setup, batch)):
    if images is not None:
      calls.setdefault((name, how or 'whole'), []).append(images)
  return calls


def recorded(function, *inputs):
  """[(network, method or None, images or None)] of each `Model.apply` in a call, by tracing."""
  calls, apply = [], Model.apply

  def counted(self, params, name, x, *inputs, **options):
    images = None if isinstance(x, (list, tuple)) else len(x)
    calls.append((name, options.get('method'), images))
    return apply(self, params, name, x, *inputs, **options)
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(Model, 'apply', counted)
    jax.eval_shape(function, *inputs)
  return calls


def parameter_counts(method, config):
  """{network: number of trained parameters}, without drawing any."""
  nets, inputs = method.networks(config), method.example_inputs(config)
  counts = {}
  for name, net in nets.items():
    params = jax.eval_shape(net.init, jax.random.key(0), *inputs[name])['params']
    counts[name] = sum(math.prod(x.shape) for x in jax.tree.leaves(params))
  return counts


def moved(before, after):
  """Names of the networks of which at least one number changed."""
  def differs(name):
    pairs = zip(jax.tree.leaves(before.params[name]), jax.tree.leaves(after.params[name]),
                strict=True)
    return any(bool(jnp.any(x != y)) for x, y in pairs)
  return {name for name in before.params if differs(name)}

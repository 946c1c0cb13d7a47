"""Small setups of every method, which learn by plain descent, and a batch of two windows."""

import contextlib

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pearlgan_toys
import pytest
from method_tools import ToyGenerator, config_of, drifting, fresh_state, toy_networks
from morngan_toys import ToySegmenter

from i2vjax import methods
from i2vjax.core.model import Model
from i2vjax.methods import morngan, pearlgan

SIZE, KEY = 16, jax.random.key(3)
# (method, variant, phase, fields): each method, and those variants that draw or divide otherwise.
CASES = {
    'best': ('demo', None, dict(cs=dict(side=3))),
    'cptrans': ('demo', None, dict(cs=dict(side=3))),
    'cut': ('demo', None, {}),
    'fastcut': ('fastcut', None, dict(nce=dict(width=8))),
    'cyclegan': ('demo', None, {}),
    'gtc': ('demo', None, dict(gen=dict(levels=2, hidden=4), disc=dict(hidden=4))),
    'i2vgan': ('demo', None, dict(pred=dict(width=4, downs=2))),
    'lsesim': ('demo', None, {}),
    'learned': ('learned', None, dict(perceptual='none', weights=dict(identity=1.0))),
    'mocyclegan': ('demo', None, dict(motion=dict(width=2))),
    'morngan': ('demo', 'mining', {}),
    'frozen': ('demo', 'frozen', {}),
    'pearlgan': ('demo', None, {}),
    'recyclegan': ('demo', None, dict(pred=dict(width=4, downs=2))),
    'roma': ('demo', None, dict(cs=dict(side=3))),
    'stc': ('demo', None, dict(fuse=dict(width=2), mask=dict(alpha=2.0))),
    'unsup_recycle': ('demo', None, {}),
}
CASES |= {name: ('demo', None, {}) for name in methods.names() if name not in CASES}
METHOD = {'fastcut': 'cut', 'learned': 'lsesim', 'frozen': 'morngan'}


def settings(case):
  variant, _, fields = CASES[case]
  config = config_of(METHOD.get(case, case), variant)
  config.data.update(load_size=SIZE, crop_size=SIZE, batch=2)
  config.gen.width, config.disc.width, config.train.ema = 2, 4, 0.0
  config.critic.update(scales=1, lr=1.0)
  if 'kind' in config.gen:
    config.gen.kind = 'resnet'
  for name, value in (('blocks', 1), ('blocks_enc', 1), ('blocks_dec', 1)):
    if name in config.gen:
      config.gen[name] = value
  for name, value in (('layers', 1), ('stages', 2)):
    if name in config.disc:
      config.disc[name] = value
  config.init.update(kind='normal', gain=0.1)   # far from the start's near-constant frames
  if 'nce' in config:
    config.nce.update(taps=('rgb', 'down_0.conv', 'res_0'), patches=20)
  if 'flow' in config:
    config.flow.name = 'gt+zero'
  if 'sga' in config:
    config.sga.grid = 2
  if case in ('morngan', 'frozen'):
    config.seg.update(width=4, sizes=(SIZE,), small_pixels=20)
    config.mining.update(theta_fg=0.06, theta_bg=0.06)
    config.aca.clusters = 1
  config.update(fields)
  return config


def networks(method, config):
  """Those of the method; generators, predictors and most critics are toys that compile quickly."""
  if config.method == 'gtc':
    return method.networks(config)
  if config.method in ('cptrans', 'roma'):
    return {**method.networks(config), 'gen': ToyGenerator()}
  if config.method in ('pearlgan', 'morngan'):
    return method.networks(config)   # with `toys` inside
  return toy_networks(method, config)


@contextlib.contextmanager
def toys():
  """In the methods themselves, whose state has vectors for every kernel of a critic."""
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(pearlgan.combogan, 'generator', lambda *_: pearlgan_toys.ToyGenerator())
    patch.setattr(pearlgan.multi_view_critic, 'critics', lambda *_: pearlgan_toys.ToyCritics())
    patch.setattr(morngan.atrous_segmenter, 'segmenter', lambda _, classes: ToySegmenter(classes))
    yield


def batch_of(config, seed=0):
  """Two windows; the second has no labels of b at all."""
  fields = drifting(config.data.frames, 2, SIZE, (1.5, -0.5))
  labels = np.random.default_rng(seed).choice([0, 5, 6, 8, 10, 11, 17, 255], (2, 2, 1, 4, 4))
  labels = np.kron(labels, np.ones((1, 1, 1, 4, 4), int))
  labels[0, 1] = 255
  return fields | {'labels_b': jnp.asarray(labels[0]), 'labels_a': jnp.asarray(labels[1])}


def setup_of(case, optimizer=None):
  """(method, model that learns by plain descent or `optimizer`, state before a step)."""
  optimizer = optimizer or optax.sgd(0.05)
  config, method = settings(case), methods.get(METHOD.get(case, case))
  model = Model(config, method.networks(config), dict.fromkeys(method.PLAYERS, optimizer))
  phase = CASES[case][1]
  if phase:
    model = model.replace(phase=(phase, 0 if phase == 'frozen' else SIZE))
  model = model.replace(networks=networks(method, config))
  return method, model, fresh_state(method, model)

"""Parameters of frozen networks: from a file that is here, or random for smoke tests.

Nothing here downloads. `registry` knows names and places, one module per network knows its file.
"""

import functools
import logging
import re

import flax
import jax
import jax.numpy as jnp
import numpy as np

from i2vjax.core.state import draw, name_key
from i2vjax.pretrained import (
  inception_weights,
  lpips_weights,
  raft_weights,
  registry,
  vgg_weights,
  vit_weights,
)
from i2vjax.pretrained.registry import MissingWeights

__all__ = ['MissingWeights', 'load', 'settle', 'used']

# id -> read(path, {wanted name: shape}) -> {name: array}
READERS = {'vit_b16_384': vit_weights.read, **vgg_weights.READERS, **raft_weights.READERS,
           **inception_weights.READERS, **lpips_weights.READERS}
# Field -> the block that the config of every method has that looks at such features.
FEATURES = {'backbone': 'vit', 'perceptual': 'vgg'}
_USED = {}


def used():
  """{weight id: {'file', 'sha256'} or {'random': True}} of all `load` calls of this process.

  Goes into reports: scores that rest on random weights must say so.
  """
  return {weight_id: dict(record) for weight_id, record in _USED.items()}


def settle(config):
  """Decide once what 'auto' means, before anything is built.

  `backbone='auto'` becomes 'vit' if the file is here, else 'none' with one loud line;
  `flow.name='auto'` becomes 'gt+raft_small', else 'gt+tvl1' (networks/flow.py). An empty `optim.lr`
  is filled from `optim.lr_by_backbone`, because features and critic decide which rate trains.

  Args:
    config: ConfigDict; it is not changed. Settling twice changes nothing.

  Returns:
    A settled copy.

  Raises:
    ValueError: features that the method does not look at, random ones in a variant with the word
      'paper', a backbone nobody knows, a rate that is named nowhere.
  """
  config = config.copy_and_resolve_references()
  for field, block in FEATURES.items():
    if config[field] != 'none' and block not in config:
      raise ValueError(f'{field}={config[field]!r}: {config.method or "this method"} looks at no '
                       f'features of a {block.upper()}; leave --config.{field}=none')
  if config.backbone == 'auto':
    config.backbone = _available_backbone(config)
  if config.backbone not in ('vit', 'none', 'random'):
    raise ValueError(f"backbone={config.backbone!r}: choose 'auto', 'vit', 'none' or 'random'")
  if registry.lookup(config, 'flow.name') == 'auto':
    config.flow.name = f'gt+{_available_flow(config)}'
  chosen = [f'{field}={registry.lookup(config, field)}' for field in registry.FIELDS
            if registry.lookup(config, field) == 'random']
  if 'paper' in re.split('[-_]', config.get('variant') or '') and chosen:
    raise ValueError(f"{', '.join(chosen)}: the paper variant refuses random features; they are "
                     'for smoke tests')
  return _settle_rate(config)


def _available_backbone(config):
  entry = registry.ENTRIES['vit_b16_384']
  if registry.find(entry, config) is not None:
    return 'vit'
  logging.warning('backbone=auto: no %s found, so this run takes backbone=none: convolutional '
                  'critic, training-free descriptors. With the file results differ; get it by: '
                  'python -m i2vjax.main fetch %s', entry.file, entry.id)
  return 'none'


def _available_flow(config):
  entry = registry.ENTRIES['raft_small']
  found = 'tvl1' if registry.find(entry, config) is None else 'raft_small'
  logging.warning('flow.name=auto: %s where the data bring no flow (%s)', found,
                  f'its file {entry.file} is here' if found == 'raft_small' else
                  f'no {entry.file} found; get it by: python -m i2vjax.main fetch raft_small')
  return found


def _settle_rate(config):
  optim = config.get('optim')
  if optim is None or optim.lr is not None:
    return config
  rate = registry.lookup(config, f'optim.lr_by_backbone.{config.backbone}')
  if rate is None:
    raise ValueError(f'optim.lr is empty and optim.lr_by_backbone names no rate for '
                     f'backbone={config.backbone}: set --config.optim.lr')
  optim.lr = float(rate)
  return config


def load(weight_id, module, example, config):
  """Parameters of a frozen network.

  Args:
    weight_id: key of `registry.ENTRIES`.
    module: flax module that will use them.
    example: arrays (or shapes with a type) the module is called with; None takes the registry's.
    config: ConfigDict; says where files lie and whether random weights were asked for.

  Returns:
    Parameter tree, float32.

  Raises:
    MissingWeights: no file; the text says where it may lie and what does without it.
    ValueError: a damaged file, another file, or one that does not fit the network.
  """
  entry = registry.entry(weight_id)
  if example is None:
    example = entry.example
  example = example if isinstance(example, (tuple, list)) else (example,)
  example = [jax.ShapeDtypeStruct(x.shape, x.dtype) for x in example]
  init = functools.partial(_init, module, example)
  if registry.lookup(config, entry.field) == 'random':
    return _random(entry, init)
  if weight_id not in READERS:
    raise ValueError(f'{weight_id}: this version reads no file of that network; it has '
                     f'{", ".join(READERS)}')
  path = registry.require(entry, config)
  digest = registry.verify(entry, path)
  wanted = flax.traverse_util.flatten_dict(jax.eval_shape(init, jax.random.key(0)), sep='/')
  shapes = {name: leaf.shape for name, leaf in wanted.items()}
  params = fit(READERS[weight_id](path, shapes), shapes, path)
  _USED[weight_id] = {'file': path.name, 'sha256': digest}
  return params


def _init(module, example, key):
  zeros = [jnp.zeros(x.shape, x.dtype) for x in example]
  return module.init(key, *zeros)['params']


def _random(entry, init):
  """Fixed draws, so that two smoke tests agree; warns once per process."""
  if entry.id not in _USED:
    logging.warning('RANDOM weights for %s (%s=random): results are meaningless, for smoke tests '
                    'only', entry.id, entry.field)
  _USED[entry.id] = {'random': True}
  return draw(init, name_key(jax.random.key(0), entry.id))


def fit(arrays, shapes, path):
  """Arrays of a file as the network's tree.

  Args:
    arrays: {name: array} as read, renamed to the network's names.
    shapes: {name: shape} the network has.
    path: of the file, for the message.

  Returns:
    Nested float32 tree.

  Raises:
    ValueError: names the first leaves that are missing, unexpected or of another shape.
  """
  wrong = [f'{name}: file {arrays[name].shape}, network {shape}' for name, shape in shapes.items()
           if name in arrays and arrays[name].shape != shape]
  problems = {'missing in the file': [name for name in shapes if name not in arrays],
              'unexpected in the file': [name for name in arrays if name not in shapes],
              'of another shape': wrong}
  lines = [f'{kind} ({len(names)}): {"; ".join(names[:3])}'
           for kind, names in problems.items() if names]
  if lines:
    raise ValueError(f'{path} does not fit the network:\n  ' + '\n  '.join(lines))
  tree = {name: np.asarray(array, np.float32) for name, array in arrays.items()}
  return flax.traverse_util.unflatten_dict(tree, sep='/')

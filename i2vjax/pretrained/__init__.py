"""Parameters of frozen networks: from a file that is here, or random for smoke tests.

Nothing here downloads. `registry` knows names and places, one module per network knows its file.
"""

import functools
import logging

import flax
import jax
import jax.numpy as jnp
import numpy as np

from i2vjax.core.errors import UserError
from i2vjax.core.state import init_compiled, name_key
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
_USED = {}


def used():
  """{weight id: {'file', 'sha256'} or {'random': True}} of all `load` calls of this process.

  Goes into reports: scores that rest on random weights must say so.
  """
  return {weight_id: dict(record) for weight_id, record in _USED.items()}


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
    raise UserError(f'{weight_id}: this version reads no file of that network; it has '
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
  return init_compiled(init, name_key(jax.random.key(0), entry.id))


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
    raise UserError(f'{path} does not fit the network:\n  ' + '\n  '.join(lines))
  tree = {name: np.asarray(array, np.float32) for name, array in arrays.items()}
  return flax.traverse_util.unflatten_dict(tree, sep='/')

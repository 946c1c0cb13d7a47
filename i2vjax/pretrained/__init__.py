"""Parameters of frozen networks, from weight files or random for smoke tests.

Nothing here downloads (`fetch` does). `registry` has names and search folders; one module per
network reads its file.
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

__all__ = ['MissingWeights', 'fit', 'load', 'loaded_weights', 'shapes_of']

# {weight id: function (path, {our name: shape}) -> {our name: array}}
READERS = {'vit_b16_384': vit_weights.read, **vgg_weights.READERS, **raft_weights.READERS,
           **inception_weights.READERS, **lpips_weights.READERS}
_LOADED = {}


def loaded_weights():
  """{weight id: {'file', 'sha256'} or {'random': True}} of all `load` calls of this process.

  For reports: they must mark scores from networks with random weights.
  """
  return {weight_id: dict(record) for weight_id, record in _LOADED.items()}


def load(weight_id, module, example, config):
  """Parameters of a frozen network.

  Args:
    weight_id: key of `registry.ENTRIES`.
    module: flax module that will use them.
    example: arrays (or shapes with a type) the module is called with; None takes the registry's.
    config: ConfigDict; names a folder or file of weights and whether random weights are wanted.

  Returns:
    Parameter tree, float32.

  Raises:
    MissingWeights: no file; the text says where it may be put and which override needs none.
    UserError: a damaged file, another file, or one that does not fit the network.
  """
  entry = registry.entry(weight_id)
  init = _initializer(entry, module, example)
  if registry.lookup(config, entry.field) == 'random':
    return _random(entry, init)
  if weight_id not in READERS:
    raise UserError(f'{weight_id}: this version reads no file of that network; it has '
                    f'{", ".join(READERS)}')
  path = registry.require(entry, config)
  digest = registry.verify(entry, path)
  leaves = flax.traverse_util.flatten_dict(jax.eval_shape(init, jax.random.key(0)), sep='/')
  shapes = {name: leaf.shape for name, leaf in leaves.items()}
  params = fit(READERS[weight_id](path, shapes), shapes, path)
  _LOADED[weight_id] = {'file': path.name, 'sha256': digest}
  return params


def shapes_of(weight_id, module, example=None):
  """Shapes of what `load` would return, for which no file is needed.

  Args: see `load`.

  Returns:
    Tree of jax.ShapeDtypeStruct.
  """
  return jax.eval_shape(_initializer(registry.entry(weight_id), module, example),
                        jax.random.key(0))


def _initializer(entry, module, example):
  """key -> parameters of the module, called with `example` or what the registry has."""
  example = entry.example if example is None else example
  example = example if isinstance(example, (tuple, list)) else (example,)
  example = [jax.ShapeDtypeStruct(x.shape, x.dtype) for x in example]
  return functools.partial(_init, module, example)


def _init(module, example, key):
  zeros = [jnp.zeros(x.shape, x.dtype) for x in example]
  return module.init(key, *zeros)['params']


def _random(entry, init):
  """Random parameters, the same in every process; warns once per process."""
  if entry.id not in _LOADED:
    logging.warning('RANDOM weights for %s (%s=random): results are meaningless, for smoke tests '
                    'only', entry.id, entry.field)
  _LOADED[entry.id] = {'random': True}
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
    UserError: names the first leaves that are missing, unexpected or of another shape.
  """
  other_shape = [f'{name}: file {arrays[name].shape}, network {shape}'
                 for name, shape in shapes.items()
                 if name in arrays and arrays[name].shape != shape]
  problems = {'missing in the file': [name for name in shapes if name not in arrays],
              'unexpected in the file': [name for name in arrays if name not in shapes],
              'of another shape': other_shape}
  lines = [f'{kind} ({len(names)}): {"; ".join(names[:3])}'
           for kind, names in problems.items() if names]
  if lines:
    raise UserError(f'{path} does not fit the network:\n  ' + '\n  '.join(lines))
  tree = {name: np.asarray(array, np.float32) for name, array in arrays.items()}
  return flax.traverse_util.unflatten_dict(tree, sep='/')

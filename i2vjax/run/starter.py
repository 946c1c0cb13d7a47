"""Weights of the networks that translate, as a small folder.

The package brings one, in `i2vjax/starter/`: `--workdir starter`. It holds what an orbax checkpoint
does not need to be opened for: `config.json`, `weights.safetensors`, and `card.json` and `card.md`
for people. Critics, optimizers and the position of the data are not in it, so training cannot go on
there; it can begin there (`train.init_from`, run/warm_start.py).
"""

from __future__ import annotations

import dataclasses
import pathlib
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy
from flax import traverse_util
from ml_collections import ConfigDict

from i2vjax.core import files
from i2vjax.core.errors import UserError
from i2vjax.pretrained import files as weight_files
from i2vjax.run import folder as run_folder

WEIGHTS = 'weights.safetensors'
DTYPES = ('float16', 'float32')
MOST_PARTS = 16   # of a name


@dataclasses.dataclass(frozen=True)
class Weights:
  """Trained weights without the networks they belong to, on the host.

  Attributes:
    params: {network: parameters}, float32.
    model_state: batch statistics and the like, as far as they were kept.
    step: steps trained.
    kind: 'ema' where the networks that translate are averages over training, else 'raw'.
  """

  params: Mapping[str, Any]
  model_state: Any
  step: int
  kind: str


def is_starter(folder: pathlib.Path) -> bool:
  """True for a folder that holds weights as one file instead of checkpoints."""
  return (folder / WEIGHTS).is_file()


def steps_in(folder: pathlib.Path) -> set[int]:
  """Steps whose weights a folder holds: of a run's checkpoints, or of its one file of weights."""
  return {read(folder).step} if is_starter(folder) else run_folder.steps_in(folder)


def write(folder: str | pathlib.Path, config: ConfigDict, weights: Weights,
          dtype: str = 'float16') -> None:
  """`config.json` and `weights.safetensors`.

  Args:
    folder: made if missing.
    config: of the run, as its folder holds it.
    weights: what to store.
    dtype: of the stored parameters; statistics stay as they are.

  Raises:
    UserError: another type, or one that cannot hold a parameter.
  """
  if dtype not in DTYPES:
    raise UserError(f'dtype {dtype}: choose {" or ".join(DTYPES)}')
  arrays = {}
  for name, value in traverse_util.flatten_dict({'params': weights.params}, sep='/').items():
    with np.errstate(over='ignore'):   # told below, by name
      arrays[name] = np.asarray(value, dtype)
    if not np.all(np.isfinite(arrays[name])):
      raise UserError(f'{name} does not fit into {dtype}: take float32')
  state = traverse_util.flatten_dict({'model_state': weights.model_state}, sep='/')
  arrays |= {name: np.asarray(value) for name, value in state.items()}
  facts = {'step': str(weights.step), 'weights': weights.kind}
  folder = pathlib.Path(folder)
  files.save_atomic(folder / WEIGHTS, lambda part: safetensors.numpy.save_file(arrays, part, facts))
  run_folder.write_config(folder, config)


def read(folder: pathlib.Path) -> Weights:
  """What `write` stored.

  Raises:
    UserError: the file is damaged, or was not written here.
  """
  path = folder / WEIGHTS
  arrays = weight_files.read(path)
  with safetensors.safe_open(path, framework='np') as file:
    facts = file.metadata() or {}
  if not (_is_ours(facts) and all(map(_is_leaf, arrays, arrays.values()))
          and any(name.startswith('params/') for name in arrays)):
    raise UserError(f'{path} holds no weights of a run of i2vjax; restore it from a copy')
  tree = _tree({name: value.astype(np.float32) if value.dtype == np.float16 else value
                for name, value in arrays.items()}, path)
  return Weights(tree['params'], tree.get('model_state', {}), int(facts['step']), facts['weights'])


def _is_ours(facts):
  return bool(facts.get('weights') in ('ema', 'raw')
              and re.fullmatch('[0-9]{1,18}', facts.get('step', '')))


def _is_leaf(name, value):
  """True for the names and types that `write` gives."""
  block, *parts = name.split('/')
  return (block in ('params', 'model_state') and 1 <= len(parts) <= MOST_PARTS and all(parts)
          and (block == 'model_state' or value.dtype.kind == 'f'))


def _tree(arrays, path):
  """Arrays by their names 'a/b/c' as nested dicts."""
  parts = [name.split('/') for name in arrays]
  blocks = {'/'.join(names[:k]) for names in parts for k in range(1, len(names))}
  if both := blocks & arrays.keys():
    raise UserError(f'{path} names an array and a block of arrays alike ({min(both)[:80]!r}); '
                    'restore it from a copy')
  return traverse_util.unflatten_dict(arrays, sep='/')

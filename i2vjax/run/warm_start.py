"""Begin a training at the weights of an earlier run (`train.init_from`).

Networks are matched by name: one whose parameters all have the same names and shapes there is
taken, with its batch statistics; any other begins as it would without. Averages of weights begin at
the weights, optimizers are new, and the run is at step 0. The terminal says which network is which.
Ours, as it is usual where there is little footage of one's own; none of the papers does it.
"""

from __future__ import annotations

import os
import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from ml_collections import ConfigDict

from i2vjax import fields
from i2vjax.core.errors import UserError
from i2vjax.core.model import Model
from i2vjax.core.state import State
from i2vjax.methods import base
from i2vjax.run import averaging, checkpoint, checksums, load, starter
from i2vjax.run import folder as run_folder


def begin(method: base.Method, model: Model, state: State) -> tuple[State, list[str]]:
  """The state of step 0 at the weights that `train.init_from` names.

  Args:
    method, model: with optimizers, as for `load.fresh_state`.
    state: the fresh state; what has no counterpart there stays as it is here.

  Returns:
    (state, lines for the terminal: which networks were taken, which begin anew and why).

  Raises:
    UserError: no run there, nothing in it that can be read, or none of its networks fits.
  """
  source = model.config.train.init_from
  folder = locate(source)
  weights = read(folder)
  reasons = {name: difference(own, weights.params.get(name))
             for name, own in state.params.items()}
  taken = {name for name, reason in reasons.items() if not reason}
  config = run_folder.read_config(folder)
  if not taken:
    raise UserError(_nothing_fits(source, reasons, config, model.config))
  params = {name: _like(own, weights.params[name]) if name in taken else own
            for name, own in state.params.items()}
  begun = load.fresh_state(method, model, params)
  statistics = with_statistics(state.model_state, weights.model_state, taken)
  lines = report(source, weights, reasons, model.config)
  if not taken & set(averaging.names(method)):
    lines.append('none of them translates: the generators begin anew')
  if config.data.direction != model.config.data.direction:
    lines.append(f'that run has data.direction={config.data.direction}, this one '
                 f'{model.config.data.direction}: its generators lead the other way')
  return begun.replace(model_state=statistics), lines


def locate(source: str) -> pathlib.Path:
  """The folder that `train.init_from` names: of a run, or 'starter'.

  Raises:
    UserError: it holds no weights.
  """
  folder = run_folder.locate(os.path.expanduser(source))
  if not (folder / 'config.json').is_file():
    raise UserError(f'train.init_from={source} is no run folder: it has no config.json. Name the '
                    f'folder of a trained run, or {run_folder.STARTER}')
  if not starter.is_starter(folder) and not checkpoint.any_in(folder):
    raise UserError(f'train.init_from={source} holds no checkpoint yet: train there first')
  return folder


def read(folder: pathlib.Path) -> starter.Weights:
  """All weights of a run's latest checkpoint, averages where there are any; of a starter, its own.

  Networks are not built for that: the run may be of any method, also one that needs weight files.

  Raises:
    UserError: they cannot be read, or are not what was stored.
  """
  if starter.is_starter(folder):
    return starter.read(folder)
  checkpoints = checkpoint.manager(folder)
  step = checkpoint.which_step(checkpoints, 'latest')
  kind = checkpoint.which_weights(checkpoints, step, 'auto')
  names = ['params', 'extra', *(['ema'] if kind == 'ema' else [])]
  try:
    stored = checkpoints.item_metadata(step)
    arguments = {name: ocp.args.StandardRestore(jax.tree.map(
        lambda x: np.empty(x.shape, x.dtype), stored[name])) for name in names}
    items = checkpoints.restore(step, args=ocp.args.Composite(
        **arguments, data=ocp.args.JsonRestore()))
    _, sums = checksums.split(items['data'])
    checksums.check(sums, {name: items[name] for name in names})
  except Exception as error:   # a changed byte shows as any error of orbax, zarr or JSON
    reason = str(error).strip().split('\n')[0][:300] or type(error).__name__
    raise UserError(f'train.init_from: checkpoint {step} of {folder} cannot be read ({reason}); '
                    'restore it from a copy, or name another run') from error
  finally:
    checkpoints.close()
  params = {**items['params'], **(items['ema'] if kind == 'ema' else {})}
  return starter.Weights(params, items['extra'].get('extra') or {}, step, kind)


# ---- Which networks fit -----------------------------------------------------------------------


def difference(here: Any, there: Any | None) -> str:
  """The first parameter in which a network differs from its counterpart; '' where all fit."""
  if there is None:
    return 'not there'
  ours, theirs = _by_name(here), _by_name(there)
  for name in sorted(ours.keys() | theirs.keys()):
    shapes = [_shape(tree.get(name)) for tree in (theirs, ours)]
    if shapes[0] != shapes[1]:
      return f'{name}: {shapes[0]} there, {shapes[1]} here'
  return ''


def with_statistics(own: Any, stored: Any, networks: set[str]) -> Any:
  """Batch statistics and vectors of spectral norm, taken for the `networks` where they fit."""
  theirs = _by_name(stored)

  def choose(path, leaf):
    value = theirs.get(_name(path))
    of_network = networks & {getattr(key, 'key', None) for key in path}
    return _like(leaf, value) if of_network and np.shape(value) == np.shape(leaf) else leaf
  return jax.tree.map_with_path(choose, own)


def _by_name(tree):
  return {_name(path): leaf for path, leaf in jax.tree.leaves_with_path(tree)}


def _name(path):
  return jax.tree_util.keystr(path, simple=True, separator='/')


def _shape(leaf):
  return 'none' if leaf is None else 'x'.join(map(str, np.shape(leaf))) or 'a number'


def _like(own, value):
  """`value` with the structure and the types of `own`."""
  return jax.tree.map(lambda x, y: np.asarray(y, x.dtype), own, value)


# ---- What the terminal says -------------------------------------------------------------------


def report(source: str, weights: starter.Weights, reasons: Mapping[str, str],
           config: ConfigDict) -> list[str]:
  """Lines on which networks were taken ('' as reason) and which begin anew."""
  kind = 'averaged weights' if weights.kind == 'ema' else 'weights'
  place = ('the weights that come with i2vjax' if source == run_folder.STARTER
           else f'the {kind} of {source}')
  lines = [f'begins at {place}, step {weights.step}: '
           + ', '.join(sorted(name for name, reason in reasons.items() if not reason))]
  anew = {name: reason for name, reason in sorted(reasons.items()) if reason}
  if anew:
    lines.append('begin anew: ' + ', '.join(f'{name} ({why})' for name, why in anew.items()))
  unused = sorted(weights.params.keys() - reasons.keys())
  if unused:
    lines.append(f'not used, this method has no such networks: {", ".join(unused)}')
  if any(name.startswith('disc') for name in anew) and not config.optim.warmup:
    lines.append('critics that begin anew judge badly at first, and trained generators follow '
                 'them: --config.optim.warmup=500 lets the rate grow from 0 meanwhile')
  return lines


def _nothing_fits(source, reasons, there, here):
  old, new = run_folder.flatten(there), run_folder.flatten(here)
  changed = [f'{name}={new[name]} (there {old[name]})' for name in sorted(new)
             if name in old and old[name] != new[name] and fields.shapes_networks(name)]
  networks = ', '.join(f'{name} ({reason})' for name, reason in sorted(reasons.items()))
  return (f'train.init_from={source}: none of its networks fits: {networks}. '
          + (f'Here are --config.{", --config.".join(changed)}: take the values of that run, '
             if changed else 'Take its method and sizes, ')
          + 'or leave train.init_from away')

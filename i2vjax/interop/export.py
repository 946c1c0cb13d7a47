"""Export of one network: parameters, and how to build it.

flax and orbax alone can read the folder."""

import contextlib
import dataclasses
import json
import logging
import pathlib
import shutil

import jax
import numpy as np
import orbax.checkpoint as ocp

from i2vjax import __version__
from i2vjax.core import files, parallel
from i2vjax.core.errors import UserError
from i2vjax.data.io import output_paths
from i2vjax.run import averaging

TRANSLATORS = ('gen_ab', 'gen')   # the networks that lead from domain a to b


def export(run, network, output, overwrite=False):
  """Write the parameters of one network as an orbax checkpoint of its own.

  The folder holds `params/` (orbax StandardCheckpointer: a dict of arrays, no class of ours inside)
  and `network.json` (which module with which arguments, what goes in, where it came from). Written
  beside, read back, compared bit for bit, and only then given its name.

  Args:
    run: load.Run.
    network: name of a trained network; None takes the one that translates.
    output: folder to be made.
    overwrite: replace a folder that an earlier export made; never any other.

  Returns:
    pathlib.Path of the folder.

  Raises:
    ValueError: no such network. FileExistsError: the output exists. OSError: the disk is full, or
    nothing can be written there. RuntimeError: what was read back differs from what was written.
  """
  network = choose(run.params, network)
  output = pathlib.Path(output).absolute()
  _check(output, overwrite)
  output_paths.check_writable(output.parent)
  part = output.with_name(f'.{output.name}.part')
  shutil.rmtree(part, ignore_errors=True)
  params = parallel.to_host(run.params[network])
  try:
    part.mkdir(parents=True)
    write(part / 'params', params)
    (part / 'network.json').write_text(json.dumps(describe(run, network), indent=2) + '\n')
    verify(part / 'params', params)
    if output.exists():
      shutil.rmtree(output)
    part.rename(output)
  except (OSError, ValueError) as error:   # orbax passes the system's refusal on as text
    if not files.disk_full(error):
      raise
    raise files.disk_full_error(output, 'nothing of it is left') from error
  finally:
    shutil.rmtree(part, ignore_errors=True)
  return output


def write(folder, params):
  """The orbax checkpoint alone."""
  with quiet(logging.CRITICAL), ocp.StandardCheckpointer() as writer:   # it logs what it raises
    writer.save(folder, params)


@contextlib.contextmanager
def quiet(level):
  """Orbax logs nothing below `level`."""
  logger = logging.getLogger('absl')
  before = logger.level
  logger.setLevel(level)
  try:
    yield
  finally:
    logger.setLevel(before)


def choose(params, network=None):
  """Name of the network to export: the one asked for, or the one that translates."""
  there = ', '.join(sorted(params))
  if network is None:
    found = [name for name in TRANSLATORS if name in params]
    if not found:
      raise UserError(f'say which network to export with --network: {there}')
    return found[0]
  if network not in params:
    raise UserError(f'--network {network}: this run has {there}')
  return network


def _check(output, overwrite):
  if not output.exists():
    return
  ours = (output / 'network.json').is_file() and (output / 'params').is_dir()
  if not overwrite or not ours:
    how = 'use --overwrite or another name' if ours else 'and is no export: use another name'
    raise FileExistsError(f'{output} exists already, {how}')


def describe(run, network):
  """How to build the network again: class, arguments, example inputs; and where it came from."""
  module, examples = run.model.networks[network], run.method.example_inputs(run.config)
  arguments = {field.name: plain(getattr(module, field.name))
               for field in dataclasses.fields(module) if field.name not in ('parent', 'name')}
  # Functions made inside functions (initializers) cannot be named, nor are they needed any more.
  arguments = {name: value for name, value in arguments.items() if '<locals>' not in str(value)}
  return {'network': network, 'method': run.config.method, 'step': int(run.step),
          'weights': run.weights if network in averaging.names(run.method) else 'raw',
          'i2vjax': __version__, 'jax': jax.__version__,
          'module': f'{type(module).__module__}.{type(module).__qualname__}',
          'arguments': arguments,
          'inputs': [{'shape': list(np.shape(x)), 'dtype': str(np.asarray(x).dtype)}
                     for x in examples[network]],
          'range': 'frames [N, H, W, C], float32 in [-1, 1]',
          'parameters': sum(int(x.size) for x in jax.tree.leaves(run.params[network]))}


def plain(value):
  """A module's argument as JSON: number types by name, functions by their import path."""
  if isinstance(value, dict):
    return {str(name): plain(item) for name, item in value.items()}
  if isinstance(value, (list, tuple)):
    return [plain(item) for item in value]
  if value is None or isinstance(value, (bool, int, float, str)):
    return value
  try:
    return np.dtype(value).name
  except TypeError:
    return f'{value.__module__}.{getattr(value, "__qualname__", type(value).__qualname__)}'


def verify(folder, params):
  """Read the checkpoint back without any template and compare it bit for bit.

  Raises:
    RuntimeError: it differs.
  """
  restored = restore(folder)
  same = jax.tree.structure(restored) == jax.tree.structure(params) and all(
      a.dtype == b.dtype and np.array_equal(a, b, equal_nan=True)
      for a, b in zip(jax.tree.leaves(restored), jax.tree.leaves(params), strict=True))
  if not same:
    raise RuntimeError(f'{folder}: what was read back differs from what was written')


def restore(folder):
  """Parameters of an export as NumPy arrays: the same call that its users make."""
  with quiet(logging.ERROR), ocp.StandardCheckpointer() as reader:
    # orbax warns that the devices are taken from the file
    return jax.tree.map(np.asarray, reader.restore(pathlib.Path(folder).absolute()))

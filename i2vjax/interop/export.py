"""Export of one network: its parameters, or a program without this package.

flax and orbax alone can read `params`, jax alone runs `network.jax`, onnxruntime `network.onnx`.
"""

import contextlib
import dataclasses
import json
import logging
import pathlib

import jax
import numpy as np
import orbax.checkpoint as ocp

from i2vjax import __version__
from i2vjax.core import files, parallel
from i2vjax.core.errors import UserError
from i2vjax.data.io import output_paths
from i2vjax.interop import card, export_jax, export_onnx, portable
from i2vjax.run import averaging, direction

FORMATS = ('orbax', 'jax', 'onnx')
WRITERS = {'jax': export_jax, 'onnx': export_onnx}
PARTS = {'params', 'network.json', card.FILE, export_jax.FILE, export_onnx.FILE}   # of an export
TRANSLATORS = ('gen_ab', 'gen')   # the networks that lead from domain a to b


def export(run, network, output, overwrite=False, formats=('orbax',), size=None):
  """Write one network in one or several formats, each compared before anything is put in place.

  orbax: `params/` (StandardCheckpointer: a dict of arrays, no class of ours inside) and
  `network.json` (which module with which arguments, what goes in, where it came from), read back
  bit for bit. jax, onnx: the translation of a frame as one file, compared with the run on frames of
  the street and random ones. `card.json` tells all of them.

  Args:
    run: load.Run.
    network: name of a trained network; None takes the one that translates.
    output: folder to be made.
    overwrite: replace a folder that an earlier export made; never any other.
    formats: of FORMATS.
    size: (height, width), for jax and onnx: the only frames they take; None: any, if they can.

  Returns:
    pathlib.Path of the folder.

  Raises:
    UserError: no such network or format, or one that does not take this method. FileExistsError:
    the output exists. OSError: the disk is full, or nothing can be written there. RuntimeError:
    what was written differs from the run.
  """
  network = choose(run.params, network)
  check_formats(formats, network)
  output = pathlib.Path(output).absolute()
  _check(output, overwrite)
  output_paths.check_writable(output.parent)
  try:
    with output_paths.scratch(output.parent) as part:
      (part / 'new').mkdir()
      write_formats(run, network, part / 'new', formats, size)
      files.put_in_place(part / 'new', output)
  except (OSError, ValueError) as error:   # orbax passes the system's refusal on as text
    if not files.disk_full(error):
      raise
    raise files.disk_full_error(output, 'nothing of it is left', error) from error
  return output


def summary(output):
  """Lines for the terminal: what an export holds, and how each part was compared."""
  for name, facts in json.loads((pathlib.Path(output) / card.FILE).read_text())['formats'].items():
    line = f'wrote {pathlib.Path(output) / facts["file"]} ({name})'
    if 'compared' in facts:
      yield f'{line}: {facts["compared"]}'
      continue
    frames = facts['inputs_and_outputs']['inputs'][0]
    yield (f'{line}: {frames["sides"]}; differs from the network by at most '
           f'{facts["largest_difference"]:.2g} of [-1, 1] (refused above {facts["tolerance"]:g})')
    if 'why_it_is_fixed' in frames:
      yield f'  fixed: {frames["why_it_is_fixed"]}'


def check_formats(formats, network):
  """Refuse formats that there are not, and programs of networks that translate nothing."""
  unknown = [name for name in formats if name not in FORMATS]
  if unknown or not formats:
    raise UserError(f'--format {",".join(formats)}: choose from {", ".join(FORMATS)}')
  programs = [name for name in formats if name in WRITERS]
  if programs and network not in direction.GENERATORS:
    raise UserError(f'--network {network}: {" and ".join(programs)} hold a translation, by '
                    f'{", ".join(direction.GENERATORS)}; take --format orbax')
  if 'onnx' in formats:
    export_onnx.libraries()   # before anything is computed


def write_formats(run, network, folder, formats, size=None):
  """All files of an export into an empty folder; returns the content of its card."""
  facts, programs = {}, {}
  turned = direction.in_direction(run, network) if network in direction.GENERATORS else run
  if 'orbax' in formats:
    facts['orbax'] = write_params(run, network, folder)
  if set(formats) & set(WRITERS):
    program = portable.program(turned, size)
  for name in formats:
    if name in WRITERS:
      writer = WRITERS[name]
      facts[name], programs[name] = writer.write(folder / writer.FILE, program)
  content = card.describe(turned, network, facts, programs)
  files.save_json(folder / card.FILE, content)
  return content


def write_params(run, network, folder):
  """`params` and `network.json`, read back and compared; returns facts for the card."""
  params = parallel.to_host(run.params[network])
  write(folder / 'params', params)
  notes = describe(run, network)
  (folder / 'network.json').write_text(json.dumps(notes, indent=2) + '\n')
  verify(folder / 'params', params)
  return {'file': 'params', 'parameters': notes['parameters'], 'module': notes['module'],
          'compared': 'read back bit for bit'}


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
  output_paths.check_folder_name(output)
  files.sweep(output.parent)   # a killed export may have put it aside
  if not output.exists():
    return
  inside = {path.name for path in output.iterdir()} if output.is_dir() else {''}
  ours = inside <= PARTS and bool(inside & {'network.json', card.FILE})
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

"""Import of public PyTorch checkpoints as run folders.

The files decide the fields of the networks (`torch_checkpoints` reads, `import_config` sets them);
the rest of the config is the method's own. The files carry no optimizer, so training can start from
them but not continue.
"""

import pathlib

import flax
import numpy as np

from i2vjax import methods, pretrained
from i2vjax.core import files, parallel
from i2vjax.core.errors import UserError
from i2vjax.core.model import Model
from i2vjax.data.io import output_paths
from i2vjax.interop import import_config, torch_checkpoints
from i2vjax.interop.import_config import config_path
from i2vjax.interop.torch_checkpoints import SOURCES
from i2vjax.pretrained import registry
from i2vjax.run import checkpoint
from i2vjax.run import folder as run_folder
from i2vjax.run import load as runs
from i2vjax.run.schedules import optimizers

__all__ = ['SOURCES', 'config_path', 'import_run']


def import_run(source, folder, label, workdir, config, config_file=''):
  """A run folder from official checkpoints: step 0, new optimizers, random missing networks.

  Args:
    source: key of SOURCES.
    folder: with files LABEL_net_NAME.pth (or .safetensors, .npz with the same keys).
    label: 'latest' or an epoch.
    workdir: run folder to be made; must not exist or be empty.
    config: ConfigDict of the method; its fields of networks are replaced by those of the files.
    config_file: FILE.py[:VARIANT] that `config` came from, for the command that trains on.

  Returns:
    The report as text: which networks were imported, detected or left random, and how to go on.

  Raises:
    UserError: a file that does not fit, two that do not fit each other, another method's config.
    FileNotFoundError: no files. FileExistsError: `workdir` is in use.
  """
  method_name, names = torch_checkpoints.source_entry(source)
  method_name = method_name.partition(':')[0]
  workdir = pathlib.Path(workdir)
  output_paths.check_folder_name(workdir, '--workdir')
  if workdir.exists() and (not workdir.is_dir() or any(workdir.iterdir())):
    raise FileExistsError(f'--workdir {workdir} exists already: name a new folder')
  if config.method != method_name:
    raise UserError(f'--source {source} becomes a run of {method_name}, but the config is one of '
                    f'{config.method}: use configs/{method_name}.py')
  paths = torch_checkpoints.find(folder, label, names)
  networks = {name: torch_checkpoints.load(name, path) for name, path in paths.items()}
  config, notes = import_config.configure(config, networks)
  state = initial_state(config, networks)
  fresh = sorted(state.params.keys() - {name.partition('/')[0] for name in networks})
  report = '\n'.join([f'imported {source} into {workdir}:', *_summary(networks, fresh), *notes,
                      *_next_commands(workdir, config, config_file)])
  _write(workdir, config, state, _record(source, networks, fresh))
  return report


def initial_state(config, networks):
  """State of step 0 with the imported parameters.

  Args:
    config: of the run.
    networks: {our network, or half of one: TorchNetwork}.

  Raises:
    UserError: an array of another shape than the network's.
  """
  method = methods.get(config.method)
  model = Model(config, method.networks(config),
                optimizers(config, method.PLAYERS, 1, parallel.device_count()))
  state = runs.fresh_state(method, model)
  params = dict(state.params)
  for name, network in networks.items():
    whole, _, half = name.partition('/')
    tree = params[whole][half] if half else params[whole]
    leaves = flax.traverse_util.flatten_dict(tree, sep='/')
    shapes = {leaf: np.shape(value) for leaf, value in leaves.items()}
    imported = pretrained.fit(network.arrays, shapes, network.path)
    params[whole] = {**params[whole], half: imported} if half else imported
  return state.replace(params=params, ema={})   # averages begin with training


def _write(workdir, config, state, record):
  """Write the run folder under a hidden name, then rename it."""
  with output_paths.scratch(workdir.absolute().parent) as place:
    part = place / 'new'
    run_folder.write_config(part, config)
    files.save_json(part / 'import.json', record)
    checkpoints = checkpoint.manager(part)
    checkpoint.save(checkpoints, state, {})   # no position: the input starts from its beginning
    checkpoint.finish(checkpoints)
    checkpoints.close()
    files.put_in_place(part, workdir.absolute())


def _record(source, networks, fresh):
  """Content of import.json: the origin of the parameters."""
  return {'source': source, 'fresh': fresh, 'networks': {
      name: {'file': network.path.name, 'sha256': registry.sha256(network.path),
             'layout': network.layout.what} for name, network in networks.items()}}


def _summary(networks, fresh):
  """Lines of the report about each network."""
  lines = [f'  {name:8} {network.path.name}: {network.layout.what}'
           for name, network in networks.items()]
  if fresh:
    lines.append(f'  left fresh, to be trained: {", ".join(fresh)}')
  return lines


def _next_commands(workdir, config, config_file):
  """Lines of the report with commands that use the run."""
  lines = ['now:', f'  python -m i2vjax.main translate --workdir {workdir} --input VIDEO --output '
           'translated.mp4']
  if config_file:
    command = ' '.join([f'  python -m i2vjax.main --config {config_file} --workdir {workdir}',
                        *import_config.overrides(config, config_file)])
    lines += ['or train on from it:', command]
  return lines

"""Checkpoints of the public PyTorch code bases as run folders.

What the files hold decides the networks' fields; the rest of the config is the method's own. The
files carry no optimizer, so training can start from them but not go on with them.
"""

import dataclasses
import importlib.util
import pathlib
import shutil

import flax
import numpy as np

from i2vjax import methods, pretrained
from i2vjax.core import files, parallel
from i2vjax.core.errors import UserError
from i2vjax.core.model import Model
from i2vjax.interop import key_tables, key_tables_halves, layouts
from i2vjax.pretrained import files as weights
from i2vjax.pretrained import registry
from i2vjax.run import checkpoint, settle
from i2vjax.run import folder as run_folder
from i2vjax.run import load as runs
from i2vjax.run.schedules import optimizers

TWO_SIDED = {'G_A': 'gen_ab', 'G_B': 'gen_ba', 'D_A': 'disc_b', 'D_B': 'disc_a'}
PREDICTORS = {'P_A': 'pred_a', 'P_B': 'pred_b'}
# Their G0 and G1 are encoders, G2 and G3 renderers, of day and night: our b and a.
HALVES = {'G1': 'gen_ab/encoder', 'G2': 'gen_ab/renderer',
          'G0': 'gen_ba/encoder', 'G3': 'gen_ba/renderer'}
DETECT = key_tables.DETECT | key_tables_halves.DETECT
# Source -> (our method[:variant], {their network: ours}). Their G_A leads out of domain a, and D_A
# judges b. I2V-GAN's G_A leads into a and its D_A judges a, but F_A goes with G_B: it projects
# features of a and of a's translation, as our proj_ab does.
SOURCES = {
    'cyclegan': ('cyclegan', {**TWO_SIDED, 'G': 'gen_ab'}),   # G: published one-way models
    'recyclegan': ('recyclegan', {**TWO_SIDED, **PREDICTORS}),
    'i2vgan': ('i2vgan', {'G_B': 'gen_ab', 'G_A': 'gen_ba', 'D_A': 'disc_a', 'D_B': 'disc_b',
                          **PREDICTORS, 'F_A': 'proj_ab', 'F_B': 'proj_ba'}),
    'cut': ('cut', {'G': 'gen', 'F': 'proj_ab', 'D': 'disc_b'}),
    'todaygan': ('pearlgan:todaygan', HALVES), 'pearlgan': ('pearlgan', HALVES),
    'morngan': ('morngan', HALVES)}
SUFFIXES = ('.pth', '.pt', '.safetensors', '.npz')


@dataclasses.dataclass(frozen=True)
class Found:
  """One network of a public checkpoint, or half of one.

  Attributes:
    path: its file.
    layout: layouts.Layout.
    arrays: {our leaf: array}.
  """

  path: pathlib.Path
  layout: layouts.Layout
  arrays: dict


def config_path(source):
  """FILE.py[:VARIANT] of a source's method, in the `configs` folder beside this package.

  Raises:
    ValueError: unknown source. FileNotFoundError: the package was installed without its configs.
  """
  method, mark, variant = _source(source)[0].partition(':')
  path = pathlib.Path(__file__).parents[2] / 'configs' / f'{method}.py'
  if not path.is_file():
    raise FileNotFoundError(f'{path} is not there: name the config of {method} with --config')
  return f'{path}{mark}{variant}'


def _source(source):
  if source not in SOURCES:
    raise UserError(f'--source {source}: choose one of {", ".join(SOURCES)}; file names alone do '
                     'not tell, I2V-GAN calls G_B what the others call G_A')
  return SOURCES[source]


def import_run(source, folder, label, workdir, config, config_file=''):
  """A run folder from official checkpoints: step 0, fresh optimizers, fresh what was not found.

  Args:
    source: of SOURCES.
    folder: with files LABEL_net_NAME.pth (or .safetensors, .npz with the same keys).
    label: 'latest' or an epoch.
    workdir: run folder to be made; must not exist or be empty.
    config: ConfigDict of the method; its fields of networks are replaced by what is found.
    config_file: FILE.py[:VARIANT] that `config` came from, for the command that trains on.

  Returns:
    The report, text for the person: what was found, detected and left fresh, and how to go on.

  Raises:
    ValueError: a file that does not fit, two that do not fit each other, another method's config.
    FileNotFoundError: no files. FileExistsError: `workdir` is in use.
  """
  method_name, names = _source(source)
  method_name = method_name.partition(':')[0]
  workdir = pathlib.Path(workdir)
  if workdir.exists() and (not workdir.is_dir() or any(workdir.iterdir())):
    raise FileExistsError(f'--workdir {workdir} exists already: name a new folder')
  if config.method != method_name:
    raise UserError(f'--source {source} becomes a run of {method_name}, but the config is one of '
                     f'{config.method}: use configs/{method_name}.py')
  found = {ours: load(ours, path) for ours, path in find(folder, label, names).items()}
  config, notes = configured(config, found)
  method, state = filled(config, found)
  fresh = sorted(state.params.keys() - {name.partition('/')[0] for name in found})
  report = '\n'.join([f'imported {source} into {workdir}:', *_lines(found, fresh), *notes,
                      *_commands(workdir, config, config_file)])
  _write(workdir, config, state, _record(source, found, fresh))
  return report


# ---- reading -----------------------------------------------------------------------------------


def find(folder, label, names):
  """{our network: path} of the files in a folder.

  Raises:
    FileNotFoundError: none, or half of a network; lists what is there.
  """
  folder, there = pathlib.Path(folder), {}
  for theirs, ours in names.items():
    paths = [folder / f'{label}_net_{theirs}{suffix}' for suffix in SUFFIXES]
    for path in paths:
      if path.is_file():
        there.setdefault(ours, path)
  if not there:
    seen = sorted(path.name for path in folder.glob('*')) if folder.is_dir() else []
    raise FileNotFoundError(
        f'--from {folder}: no file {label}_net_NAME.pth with NAME {", ".join(names)}. '
        + (f'There are {", ".join(seen[:12])}; --label chooses the first part' if seen else
           'The folder is empty' if folder.is_dir() else 'There is no such folder'))
  for theirs, ours in names.items():
    net, mark, _ = ours.partition('/')
    if mark and ours not in there and any(name.startswith(f'{net}/') for name in there):
      raise FileNotFoundError(f'--from {folder}: {net} lacks a half, {label}_net_{theirs}.pth')
  return there


def load(name, path):
  """Found for our network `name` from its file.

  Raises:
    ValueError: the file cannot be read or is another network; says which entries do not fit.
  """
  arrays = layouts.clean(weights.read(path))
  try:
    layout = DETECT[name.rpartition('/')[2].split('_')[0]](arrays)
    return Found(path, layout, layouts.parameters(arrays, layout))
  except ValueError as error:
    raise UserError(f'{path}, for {name}, {error}') from error


# ---- config ------------------------------------------------------------------------------------


def configured(config, found):
  """(config with the fields that the files ask for, lines of text about what was changed besides).

  Raises:
    ValueError: two files ask for different values of one field.
  """
  config = settle.settle(config)
  asked = {}
  for name, item in found.items():
    for field, value in {**item.layout.fields, **channels(name, item.layout)}.items():
      before, origin = asked.setdefault(field, (value, item.path))
      if before != value:
        raise UserError(f'{item.path} asks for {field}={value}, {origin} for {before}: one run '
                         'has one architecture for both directions')
  with config.unlocked():
    for field, (value, _) in asked.items():
      block, leaf = field.split('.')
      config[block][leaf] = value
  return config, _without_perceptual(config)


def channels(name, layout):
  """{data field: channels} that a network of this name implies; half of one has one domain."""
  if not layout.channels:
    return {}
  if not {1, 3}.issuperset(layout.channels):
    raise UserError(f'{name}: {layout.what} with channels {layout.channels}; frames have 1 or 3')
  net, _, half = name.partition('/')
  first, second = {'gen_ab': 'ab', 'gen_ba': 'ba', 'gen': 'ab'}.get(net, net[-1] * 2)
  first, second = {'encoder': (first, first), 'renderer': (second, second)}.get(
      half, (first, second))
  return {f'data.channels_{first}': layout.channels[0],
          f'data.channels_{second}': layout.channels[1]}


def _without_perceptual(config):
  """Translation needs no VGG: without its file, `perceptual` becomes 'none', and a line says so."""
  if config.perceptual != 'vgg' or registry.find(registry.ENTRIES['vgg19'], config):
    return []
  config.perceptual = 'none'
  return ["  perceptual='none', because the file of VGG-19 is not here. To train on with it: "
          'python -m i2vjax.main fetch vgg19, and import again']


# ---- writing -----------------------------------------------------------------------------------


def filled(config, found):
  """(method, state of step 0 with the imported parameters).

  Raises:
    ValueError: an array of another shape than the network's.
  """
  method = methods.get(config.method)
  state = runs.fresh_state(method, Model(config, method.networks(config), optimizers(
      config, method.PLAYERS, 1, parallel.device_count())))
  params = dict(state.params)
  for name, item in found.items():
    net, _, half = name.partition('/')
    flat = flax.traverse_util.flatten_dict(params[net][half] if half else params[net], sep='/')
    shapes = {leaf: np.shape(value) for leaf, value in flat.items()}
    own = pretrained.fit(item.arrays, shapes, item.path)
    params[net] = {**params[net], half: own} if half else own
  return method, state.replace(params=params, ema={})   # averages begin with training


def _write(workdir, config, state, record):
  """The run folder, beside its place and then renamed."""
  workdir.parent.mkdir(parents=True, exist_ok=True)
  part = workdir.absolute().with_name(f'.{workdir.absolute().name}.part')
  shutil.rmtree(part, ignore_errors=True)
  part.mkdir()
  try:
    run_folder.write_config(part, config)
    files.save_json(part / 'import.json', record)
    checkpoints = checkpoint.manager(part)
    checkpoint.save(checkpoints, state, {})   # no position: the input starts from its beginning
    checkpoint.finish(checkpoints)
    checkpoints.close()
    part.rename(workdir)
  finally:
    shutil.rmtree(part, ignore_errors=True)


def _record(source, found, fresh):
  """What import.json says: where the parameters come from."""
  return {'source': source, 'fresh': fresh, 'networks': {
      name: {'file': item.path.name, 'sha256': registry.sha256(item.path),
             'layout': item.layout.what} for name, item in found.items()}}


def _lines(found, fresh):
  lines = [f'  {name:8} {item.path.name}: {item.layout.what}' for name, item in found.items()]
  return lines + ([f'  left fresh, to be trained: {", ".join(fresh)}'] if fresh else [])


def _commands(workdir, config, config_file):
  """How to use the run."""
  lines = ['now:', f'  python -m i2vjax.main translate --workdir {workdir} --input VIDEO --output '
           'translated.mp4']
  if config_file:
    command = ' '.join([f'  python -m i2vjax.main --config {config_file} --workdir {workdir}',
                        *overrides(config, config_file)])
    lines += ['or train on from it:', command]
  return lines


def overrides(config, config_file):
  """['--config.gen.blocks=6', ...]: what turns the file's config into this one."""
  own, now = (run_folder.flatten(item) for item in (load_config(config_file), config))
  return [f'--config.{name}={value}' for name, value in now.items() if own.get(name) != value]


def load_config(config_file):
  """The config of FILE.py[:VARIANT]."""
  name, _, variant = str(config_file).partition(':')
  spec = importlib.util.spec_from_file_location('imported_config', name)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module.get_config(variant or None)

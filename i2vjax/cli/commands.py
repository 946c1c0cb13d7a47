"""What each command of `main` does with its flags. Heavy imports wait until they are needed."""

import importlib.metadata
import os
import pathlib
import shlex
import sys

from ml_collections import config_flags

from i2vjax import defaults
from i2vjax.core import files
from i2vjax.core.errors import UserError


def cache_dir():
  """Folder for compiled programs: $JAX_COMPILATION_CACHE_DIR, else the user's cache folder."""
  return os.environ.get('JAX_COMPILATION_CACHE_DIR') or str(files.cache('xla'))


def need(flag, name, why):
  """Value of a flag that a command cannot do without."""
  value = flag[name].value
  if value is None:
    raise UserError(f'--{name} is missing: {why}')
  return value


def resume_command(argv):
  """The command line that goes on, quoted so that a shell reads it as it was given."""
  return shlex.join(['python', '-m', 'i2vjax.main', *argv[1:]])


def train(flag, config, argv):
  """Train, or go on where the run folder stands; says how to resume when it was stopped."""
  from i2vjax import train as trainer
  from i2vjax.core import parallel
  default = pathlib.Path('runs') / f'{config.method}-{config.variant or "default"}'
  workdir = flag.workdir or str(default)
  scores = None
  if config.eval.every:
    from i2vjax import evaluate as evaluator
    scores = evaluator.quick_scores
  outcome = trainer.train(config, workdir, show=flag.show, scores=scores)
  if not parallel.is_main():
    return
  if outcome.stopped:
    print(f'stopped at step {outcome.step} of {outcome.total}, saved in {workdir}. Go on with:\n'
          f'  {resume_command(argv)}')
  else:
    print(f'trained {outcome.step} steps in {workdir}. Now:\n  python -m i2vjax.main translate '
          f'--workdir {workdir} --input VIDEO --output translated.mp4')


def load_run(flag, config):
  """The run that --workdir and --checkpoint name."""
  from i2vjax.run import folder, load
  workdir = need(flag, 'workdir', 'the folder of a training run')
  try:
    return load.load(workdir, flag.checkpoint, config, flag.weights)
  except ValueError as error:
    asked, trained = map(folder.flatten, (config, folder.read_config(workdir)))
    changed = [f'{name}={asked[name]} (trained with {trained.get(name)})' for name in sorted(asked)
               if asked[name] != trained.get(name) and defaults.shapes_networks(name)]
    if not changed:
      raise
    raise UserError(
      f'the checkpoint in {workdir} does not fit --config.{", --config.".join(changed)}: '
      'networks stay as they were trained, leave that away'
    ) from error


def load_translator(flag, config):
  """The run that --workdir and --checkpoint name, in the direction of --network."""
  from i2vjax.run import direction
  return direction.in_direction(load_run(flag, config), flag.network)


def translate(flag, config, argv):
  """Video in, video out."""
  from i2vjax import translate as translator
  source = need(flag, 'input', 'a video, a folder of frames or a glob')
  target = need(flag, 'output', 'a video file or a folder')
  summary = translator.translate(
      load_translator(flag, config), source, target, overwrite=flag.overwrite, show=flag.show,
      side_by_side=flag.side_by_side, fuse=flag.fuse, lossless=flag.lossless,
      on_damage=flag.on_damage, chunk=flag.chunk)
  print(f"translated {summary['frames']} frames into {target}"
        + (f", {summary['skipped']} damaged ones skipped" if summary.get('skipped') else ''))


def evaluate(flag, config, argv):
  """Scores of a run, or of two folders of frames."""
  from i2vjax import evaluate as evaluator
  if flag.result:
    evaluator.evaluate_folders(flag.result, need(flag, 'reference', 'the frames to compare with'),
                               flag.source, flag.output or 'report', config.eval,
                               overwrite=flag.overwrite, show=flag.show)
    return
  name = f'report-{flag.network}' if flag.network else 'report'
  workdir = need(flag, 'workdir', 'the folder of a training run')
  output = evaluator.check_output(flag.output or pathlib.Path(workdir, name), flag.overwrite)
  evaluator.evaluate(load_translator(flag, config), output, flag.overwrite, flag.show)


def compare(flag, read, argv):
  """Several configs or runs, several seeds, one table.

  Args:
    read: makes a row's config of arguments.

  Returns:
    0: done, or stopped on request; 1: some run failed; 2: by the user's mistake.
  """
  from i2vjax.compare import compare as comparer
  from i2vjax.compare import experiments
  from i2vjax.compare import tables as table_module
  output = need(flag, 'output', 'the folder of the table and its runs')
  if not all(text.strip().isdigit() for text in flag.seeds):
    raise UserError(f'--seeds {",".join(flag.seeds)}: write whole numbers, as in 0,1,2')
  rows = [experiments.parse_row(text) for text in [*flag.configs, *flag.row]]
  common = [text for text in argv[1:] if text.startswith('--config.')]
  again = 'python -m i2vjax.main ' + shlex.join(argv[1:])
  try:
    table, stopped = comparer.compare(
        output, rows, list(dict.fromkeys(map(int, flag.seeds))), flag.runs, common, read=read,
        allow_different=flag.allow_different, overwrite=flag.overwrite, show=flag.show)
  except KeyboardInterrupt:
    stopped = True
  if stopped:
    print(f'stopped; what is done lies in {output}. Go on with:\n  {again}')
    return 0
  print(f'{table_module.markdown(table)}\n{pathlib.Path(output) / "index.html"}')
  codes = {run['code'] for row in table['rows'] for run in row['runs'] if 'code' in run}
  return 0 if not codes else 2 if codes == {2} else 1


def export(flag, config, argv):
  """One network as a checkpoint that flax alone restores."""
  from i2vjax.interop import export as exporter
  output = need(flag, 'output', 'a folder to be made')
  exporter.export(load_run(flag, config), flag.network, output, flag.overwrite)
  print(f'wrote {output}: params (an orbax checkpoint) and network.json, read back and compared')


def prepare(flag, config, argv):
  """Footage into folders of frames, or a published set into records."""
  from i2vjax.data.prepare import prepare as preparer
  from i2vjax.data.transforms import preprocess
  if flag.dataset:
    folder, counts = preparer.records(
        flag.dataset, need(flag, 'manual_dir', 'the folder with the files of the set'),
        flag.data_dir, overwrite=flag.overwrite, show=flag.show, limit=flag.limit)
    told = ', '.join(f'{count} frames in {split}' for split, count in counts.items())
    root = folder.parents[2]
    print(f'{told}: {folder}\nTrain on it with --config.data.source=tfds '
          f'--config.data.root={root} --config.data.name={folder.parent.relative_to(root)}')
    return
  done = preparer.footage(
      need(flag, 'input', 'a video, a folder or a glob (or --dataset for a published set)'),
      need(flag, 'output', 'a folder to be made'), config.data, domain=flag.domain or '',
      size=preprocess.read_size(flag.size), test_share=flag.test_share, test_clips=flag.test_clips,
      overwrite=flag.overwrite, on_damage=flag.on_damage, show=flag.show)
  for folder, (clips, frames) in done.items():
    print(f'{clips} clips, {frames} frames: {folder}')


def fetch(flag, config, argv):
  """Bring a known weight file here, or list them all."""
  from i2vjax.pretrained import fetch as fetcher
  if flag.id is None:
    print(fetcher.listing(config))
    return
  path = fetcher.fetch(flag.id, config, flag.file, flag.url, flag.show)
  print(f'{flag.id} lies in {path}, verified')


def import_checkpoint(flag, config, argv):
  """A public PyTorch checkpoint as a run folder."""
  from i2vjax.interop import import_torch
  source = need(flag, 'source', 'one of ' + ', '.join(import_torch.SOURCES))
  folder = need(flag, 'from', 'the folder with the .pth files')
  workdir = need(flag, 'workdir', 'the run folder to be made')
  file = config_flags.get_config_filename(flag['config']).removesuffix(f':{config.variant}')
  if config.variant != 'default':
    file = f'{file}:{config.variant}'
  print(import_torch.import_run(source, folder, flag.label, workdir, config, file))


def doctor(flag, config, argv):
  """Versions, devices, and which weight files are there."""
  import jax

  from i2vjax import methods
  from i2vjax.core import parallel
  from i2vjax.pretrained import registry
  packages = ('i2vjax', 'jax', 'jaxlib', 'flax', 'optax', 'orbax-checkpoint', 'grain', 'av')
  print('\n'.join(f'{name:18}{importlib.metadata.version(name)}' for name in packages))
  print(f'{"python":18}{sys.version.split()[0]}\n{"devices":18}{parallel.describe()}')
  print(f'{"backend":18}{jax.default_backend()}\n{"compiled programs":18}{cache_dir()}')
  print(f'{"methods":18}{", ".join(methods.names())}')
  print('weight files, and the config field that asks for each:')
  for entry in registry.ENTRIES.values():
    print(f'  {entry.id:16}{entry.field:14}{registry.find(entry, config) or "not here"}')

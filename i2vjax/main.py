"""Flags and commands: python -m i2vjax.main [COMMAND] --flag=value ...

train (default)  --config configs/METHOD.py[:VARIANT] [--workdir RUN] [--config.FIELD=VALUE ...]
translate        --workdir RUN --input VIDEO|FOLDER|GLOB --output VIDEO|FOLDER
evaluate         --workdir RUN  |  --result FOLDER --reference FOLDER [--source FOLDER]
export           --workdir RUN --output FOLDER [--network NAME]
fetch            [ID [--file PATH | --url URL]]   known weight files; alone it lists them
import           --source cyclegan|recyclegan|i2vgan|cut --from FOLDER --workdir RUN
doctor           what this machine has

Exit codes: 0 done or stopped on request, 1 our fault, 2 a mistake to mend, 3 not a number.
"""

import contextlib
import importlib.metadata
import logging
import os
import pathlib
import sys

from absl import flags
from ml_collections import config_flags

COMMANDS = ('train', 'translate', 'evaluate', 'export', 'fetch', 'import', 'doctor')

class Usage(ValueError):
  """A mistake on the command line."""


TEXT_FLAGS = {
    'workdir': 'Run folder. Default for train: runs/METHOD-VARIANT.',
    'input': 'translate: a video file, a folder of frames, or a glob.',
    'output': 'Where the result goes. Never overwritten unless --overwrite.',
    'network': 'export: which network. Default: the one that translates.',
    'result': 'evaluate: a folder of frames any program wrote.',
    'reference': 'evaluate: the frames it should have been.',
    'source': 'evaluate: the frames it was made from. import: whose checkpoint it is.',
    'from': 'import: the folder of the checkpoint.',
    'id': 'fetch: which file; may stand without --id.',
    'file': 'fetch: take this local file instead of a download.',
    'url': 'fetch: another address than the known one.',
    'coordinator': 'Several processes: HOST:PORT of process 0.',
}
SWITCHES = {
    'overwrite': 'Replace what --output names.',
    'side_by_side': 'translate: the input beside the result.',
    'fuse': "translate: the result's colours on the infrared brightness.",
    'lossless': 'translate: FFV1 in .mkv instead of H.264.',
}


def define_flags(values):
  """All flags but --config, into a fresh set, so that one process can run several commands."""
  for name, text in TEXT_FLAGS.items():
    flags.DEFINE_string(name, None, text, flag_values=values)
  for name, text in SWITCHES.items():
    flags.DEFINE_bool(name, False, text, flag_values=values)
  flags.DEFINE_bool('show', True, 'Progress bars.', flag_values=values)
  flags.DEFINE_string('checkpoint', 'latest', "'latest', 'best' or a step.", flag_values=values)
  flags.DEFINE_string('label', 'latest', "import: which of the files, 'latest' or an epoch.",
                      flag_values=values)
  flags.DEFINE_enum('on_damage', 'stop', ['stop', 'skip'],
                    'translate: what to do at a frame that cannot be read.', flag_values=values)
  flags.DEFINE_integer('chunk', 8, 'translate: frames at a time on the device.', 1,
                       flag_values=values)
  flags.DEFINE_integer('processes', None, 'Several processes: how many.', flag_values=values)
  flags.DEFINE_integer('process_id', None, 'Several processes: which one.', flag_values=values)


def cache_dir():
  """Folder for compiled programs: $JAX_COMPILATION_CACHE_DIR, else the user's cache folder."""
  base = os.environ.get('XDG_CACHE_HOME') or os.path.join(os.path.expanduser('~'), '.cache')
  return os.environ.get('JAX_COMPILATION_CACHE_DIR') or os.path.join(base, 'i2vjax', 'xla')


def set_up(flag):
  """Join the other processes and switch the persistent compilation cache on."""
  import jax

  from i2vjax import parallel
  jax.config.update('jax_compilation_cache_dir', cache_dir())
  parallel.initialize(flag.coordinator, flag.processes, flag.process_id)


def split_command(argv):
  """(program, command, remaining arguments); the command may be left out for train."""
  program, rest = argv[0], list(argv[1:])
  if rest and not rest[0].startswith('-'):
    if rest[0] not in COMMANDS:
      from i2vjax.checkpoint import nearest
      raise Usage(f'{rest[0]!r} is no command: {", ".join(COMMANDS)}.{nearest(rest[0], COMMANDS)}')
    return program, rest[0], written_out(rest[0], rest[1:])
  return program, 'train', rest


def given(arguments, name):
  """Value of --name in raw arguments, or None."""
  for index, text in enumerate(arguments):
    if text in (f'--{name}', f'-{name}'):
      return arguments[index + 1] if index + 1 < len(arguments) else None
    if text.startswith((f'--{name}=', f'-{name}=')):
      return text.split('=', 1)[1]
  return None


def written_out(command, arguments):
  """Arguments with what a command takes for granted: the config of an imported method, --id."""
  if command == 'import' and given(arguments, 'config') is None:
    from i2vjax import importer
    return [*arguments, f"--config={importer.config_path(given(arguments, 'source') or '')}"]
  if command == 'fetch' and arguments and not arguments[0].startswith('-'):
    return [f'--id={arguments[0]}', *arguments[1:]]
  return arguments


def define_config(command, arguments, values):
  """The --config flag: a file for train, the stored config of the run for everything else."""
  workdir, path = given(arguments, 'workdir'), given(arguments, 'config')
  if path is not None:
    name = path.split(':')[0]
    if not pathlib.Path(name).is_file():
      there = sorted(str(p) for p in pathlib.Path(name).parent.glob('*.py'))
      raise Usage(f'--config {name}: no such file. '
                  + (f'There are {", ".join(there)}' if there else 'Try configs/cptrans.py'))
    config_flags.DEFINE_config_file('config', None, 'Config file, with :VARIANT.',
                                    flag_values=values)
  elif workdir is not None:
    from i2vjax import checkpoint
    config_flags.DEFINE_config_dict('config', checkpoint.read_config(workdir),
                                    flag_values=values)
  elif command in ('evaluate', 'fetch', 'doctor') or any('help' in text for text in arguments):
    from i2vjax import defaults
    config_flags.DEFINE_config_dict('config', defaults.get_config(), flag_values=values)
  else:
    what = '--config configs/cptrans.py:demo' if command == 'train' else '--workdir RUN'
    raise Usage(f'{command} needs {what}')


@contextlib.contextmanager
def command_line(arguments):
  """sys.argv for a while: config_flags looks there, and nowhere else, for --config.FIELD=VALUE."""
  before, sys.argv = sys.argv, arguments
  try:
    yield
  finally:
    sys.argv = before


def plain(error):
  """The sentence in a library's error that is for the user."""
  text = str(error.args[0] if error.args else error).replace('\\n', '\n')
  lines = [line.strip() for line in text.splitlines() if line.strip()]
  asked = [line.rstrip("'") for line in lines if 'Did you mean' in line]
  line = (asked or [line for line in lines if not line.endswith(':')] or lines)[-1]
  return line.removeprefix('ValueError: ')


def parse(argv):
  """(command, flags, config) from the command line. Raises Usage with one plain line."""
  program, command, rest = split_command(argv)
  values = flags.FlagValues()
  define_flags(values)
  try:
    with command_line([program, *rest]):
      define_config(command, rest, values)
      left = values([program, *rest])
    config = values.config
    if hasattr(config, 'lock'):
      config.lock()
  except (AttributeError, KeyError) as error:   # a mistyped --config.field
    raise Usage('no such config field: ' + plain(error)) from error
  except Usage:
    raise
  except (flags.Error, ValueError, TypeError, OSError) as error:
    raise Usage(plain(error)) from error
  if len(left) > 1:
    raise Usage(f'what is {left[1]!r}? Flags are written --name=value')
  return command, values, config


def need(flag, name, why):
  """Value of a flag that a command cannot do without."""
  value = flag[name].value
  if value is None:
    raise Usage(f'--{name} is missing: {why}')
  return value


def resume_command(argv):
  """The command line that goes on, as the user typed it."""
  return 'python -m i2vjax.main ' + ' '.join(argv[1:])


def train(flag, config, argv):
  """Train or go on; says how to resume when it was stopped."""
  from i2vjax import parallel
  from i2vjax import train as trainer
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
  from i2vjax import checkpoint
  return checkpoint.load_run(need(flag, 'workdir', 'the folder of a training run'), flag.checkpoint,
                             config)


def translate(flag, config, argv):
  """Video in, video out."""
  from i2vjax import translate as translator
  source = need(flag, 'input', 'a video, a folder of frames or a glob')
  target = need(flag, 'output', 'a video file or a folder')
  summary = translator.translate(
      load_run(flag, config), source, target, overwrite=flag.overwrite, show=flag.show,
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
  run = load_run(flag, config)
  evaluator.evaluate(run, flag.output or str(run.workdir / 'report'), flag.overwrite, flag.show)


def export(flag, config, argv):
  """One network as a checkpoint that flax alone restores."""
  from i2vjax import export as exporter
  output = need(flag, 'output', 'a folder to be made')
  exporter.export(load_run(flag, config), flag.network, output, flag.overwrite)
  print(f'wrote {output}: params (an orbax checkpoint) and network.json, read back and compared')


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
  from i2vjax import importer
  source = need(flag, 'source', 'one of ' + ', '.join(importer.SOURCES))
  folder = need(flag, 'from', 'the folder with the .pth files')
  workdir = need(flag, 'workdir', 'the run folder to be made')
  file = given(argv, 'config') or str(importer.config_path(source))
  print(importer.import_run(source, folder, flag.label, workdir, config, file))


def doctor(flag, config, argv):
  """Versions, devices, and which weight files are there."""
  import jax

  from i2vjax import methods, parallel
  from i2vjax.pretrained import registry
  packages = ('i2vjax', 'jax', 'jaxlib', 'flax', 'optax', 'orbax-checkpoint', 'grain', 'av')
  print('\n'.join(f'{name:18}{importlib.metadata.version(name)}' for name in packages))
  print(f'{"python":18}{sys.version.split()[0]}\n{"devices":18}{parallel.describe()}')
  print(f'{"backend":18}{jax.default_backend()}\n{"compiled programs":18}{cache_dir()}')
  print(f'{"methods":18}{", ".join(methods.names())}')
  print('weight files, and the config field that asks for each:')
  for entry in registry.ENTRIES.values():
    print(f'  {entry.id:16}{entry.field:14}{registry.find(entry, config) or "not here"}')


def users_mistake(error):
  """True for errors that this package raised on purpose, and for files the system refused.

  A ValueError from deep inside a library is ours to explain, so it keeps its traceback.
  """
  frame = error.__traceback__
  while frame.tb_next:
    frame = frame.tb_next
  ours = pathlib.Path(__file__).parent in pathlib.Path(frame.tb_frame.f_code.co_filename).parents
  return ours or isinstance(error, OSError)


def main(argv):
  """Run one command; returns the exit code."""
  from i2vjax.logbook import NonFinite
  logging.basicConfig(level=logging.WARNING, format='%(levelname)s: %(message)s')
  try:
    command, flag, config = parse(argv)
    set_up(flag)
    run_command = {'train': train, 'translate': translate, 'evaluate': evaluate,
                   'export': export, 'fetch': fetch, 'import': import_checkpoint,
                   'doctor': doctor}[command]
    run_command(flag, config, argv)
  except NonFinite as error:
    print(f'error: {error}', file=sys.stderr)
    return 3
  except (ValueError, OSError) as error:
    if not users_mistake(error):
      raise
    print(f'error: {error}', file=sys.stderr)
    return 2
  except KeyboardInterrupt:
    print('stopped; nothing half-written is left', file=sys.stderr)
    return 0
  return 0


def run():
  """Entry point of the console script."""
  sys.exit(main(sys.argv))


if __name__ == '__main__':
  run()

"""Flags and commands: python -m i2vjax.main [COMMAND] --flag=value ...

train (default)  --config configs/METHOD.py[:VARIANT] [--workdir RUN] [--config.FIELD=VALUE ...]
translate        --workdir RUN --input VIDEO|FOLDER|GLOB --output VIDEO|FOLDER
evaluate         --workdir RUN  |  --result FOLDER --reference FOLDER [--source FOLDER]
export           --workdir RUN --output FOLDER [--network NAME]
doctor           what this machine has

Exit codes: 0 done or stopped on request, 1 our fault, 2 a mistake to mend, 3 not a number.
"""

import importlib.metadata
import logging
import os
import pathlib
import sys

from absl import flags
from ml_collections import config_flags

COMMANDS = ('train', 'translate', 'evaluate', 'export', 'doctor')

flags.DEFINE_string('workdir', None, 'Run folder. Default for train: runs/METHOD-VARIANT.')
flags.DEFINE_string('input', None, 'translate: a video file, a folder of frames, or a glob.')
flags.DEFINE_string('output', None, 'Where the result goes. Never overwritten unless --overwrite.')
flags.DEFINE_bool('overwrite', False, 'Replace what --output names.')
flags.DEFINE_string('checkpoint', 'latest', "'latest', 'best' or a step.")
flags.DEFINE_bool('side_by_side', False, 'translate: the input beside the result.')
flags.DEFINE_bool('fuse', False, 'translate: the result\'s colours on the infrared brightness.')
flags.DEFINE_bool('lossless', False, 'translate: FFV1 in .mkv instead of H.264.')
flags.DEFINE_enum('on_damage', 'stop', ['stop', 'skip'], 'translate: a frame that cannot be read.')
flags.DEFINE_integer('chunk', 8, 'translate: frames at a time on the device.')
flags.DEFINE_string('network', None, 'export: which network. Default: the one that translates.')
flags.DEFINE_string('result', None, 'evaluate: a folder of frames any program wrote.')
flags.DEFINE_string('reference', None, 'evaluate: the frames it should have been.')
flags.DEFINE_string('source', None, 'evaluate: the frames it was made from.')
flags.DEFINE_bool('show', True, 'Progress bars.')
flags.DEFINE_string('coordinator', None, 'Several processes: HOST:PORT of process 0.')
flags.DEFINE_integer('processes', None, 'Several processes: how many.')
flags.DEFINE_integer('process_id', None, 'Several processes: which one this is.')

FLAGS = flags.FLAGS


class Usage(ValueError):
  """A mistake on the command line."""


def cache_dir():
  """Folder for compiled programs: $JAX_COMPILATION_CACHE_DIR, else the user's cache folder."""
  base = os.environ.get('XDG_CACHE_HOME') or os.path.join(os.path.expanduser('~'), '.cache')
  return os.environ.get('JAX_COMPILATION_CACHE_DIR') or os.path.join(base, 'i2vjax', 'xla')


def set_up():
  """Join the other processes and switch the persistent compilation cache on."""
  import jax

  from i2vjax import parallel
  jax.config.update('jax_compilation_cache_dir', cache_dir())
  parallel.initialize(FLAGS.coordinator, FLAGS.processes, FLAGS.process_id)


def split_command(argv):
  """(program, command, remaining arguments); the command may be left out for train."""
  program, rest = argv[0], list(argv[1:])
  if rest and not rest[0].startswith('-'):
    if rest[0] not in COMMANDS:
      from i2vjax.checkpoint import nearest
      raise Usage(f'{rest[0]!r} is no command: {", ".join(COMMANDS)}.{nearest(rest[0], COMMANDS)}')
    return program, rest.pop(0), rest
  return program, 'train', rest


def given(arguments, name):
  """Value of --name in raw arguments, or None."""
  for index, text in enumerate(arguments):
    if text in (f'--{name}', f'-{name}'):
      return arguments[index + 1] if index + 1 < len(arguments) else None
    if text.startswith((f'--{name}=', f'-{name}=')):
      return text.split('=', 1)[1]
  return None


def define_config(command, arguments):
  """The --config flag: a file for train, the stored config of the run for everything else."""
  workdir, path = given(arguments, 'workdir'), given(arguments, 'config')
  if path is not None:
    name = path.split(':')[0]
    if not pathlib.Path(name).is_file():
      there = sorted(str(p) for p in pathlib.Path(name).parent.glob('*.py'))
      raise Usage(f'--config {name}: no such file. '
                  + (f'There are {", ".join(there)}' if there else 'Try configs/cptrans.py'))
    config_flags.DEFINE_config_file('config', None, 'Config file, with :VARIANT.')
  elif workdir is not None:
    from i2vjax import checkpoint
    config_flags.DEFINE_config_dict('config', checkpoint.read_config(workdir))
  elif command in ('evaluate', 'doctor') or any('help' in text for text in arguments):
    from i2vjax import defaults
    config_flags.DEFINE_config_dict('config', defaults.get_config())
  else:
    what = '--config configs/cptrans.py:demo' if command == 'train' else '--workdir RUN'
    raise Usage(f'{command} needs {what}')


def parse(argv):
  """(command, config) from the command line. Raises Usage with one plain line."""
  program, command, rest = split_command(argv)
  define_config(command, rest)
  try:
    left = FLAGS([program, *rest])
    config = FLAGS.config
    if hasattr(config, 'lock'):
      config.lock()
  except AttributeError as error:   # a mistyped --config.field
    raise Usage(f'config: {str(error).strip().splitlines()[0]}') from error
  except (flags.Error, ValueError, TypeError, OSError) as error:
    raise Usage(str(error).strip().splitlines()[0]) from error
  if len(left) > 1:
    raise Usage(f'what is {left[1]!r}? Flags are written --name=value')
  return command, config


def need(name, why):
  """Value of a flag that a command cannot do without."""
  value = getattr(FLAGS, name)
  if value is None:
    raise Usage(f'--{name} is missing: {why}')
  return value


def resume_command(argv):
  """The command line that goes on, as the user typed it."""
  return 'python -m i2vjax.main ' + ' '.join(argv[1:])


def train(config, argv):
  """Train or go on; says how to resume when it was stopped."""
  from i2vjax import evaluate as evaluator
  from i2vjax import parallel
  from i2vjax import train as trainer
  default = pathlib.Path('runs') / f'{config.method}-{config.variant or "default"}'
  workdir = FLAGS.workdir or str(default)
  scores = evaluator.quick_scores if config.eval.every else None
  outcome = trainer.train(config, workdir, show=FLAGS.show, scores=scores)
  if not parallel.is_main():
    return
  if outcome.stopped:
    print(f'stopped at step {outcome.step} of {outcome.total}, saved in {workdir}. Go on with:\n'
          f'  {resume_command(argv)}')
  else:
    print(f'trained {outcome.step} steps in {workdir}. Now:\n  python -m i2vjax.main translate '
          f'--workdir {workdir} --input VIDEO --output translated.mp4')


def load_run(config):
  """The run that --workdir and --checkpoint name."""
  from i2vjax import checkpoint
  return checkpoint.load_run(need('workdir', 'the folder of a training run'), FLAGS.checkpoint,
                             config)


def translate(config, argv):
  """Video in, video out."""
  from i2vjax import translate as translator
  source, target = need('input', 'a video, a folder of frames or a glob'), need(
      'output', 'a video file or a folder')
  summary = translator.translate(
      load_run(config), source, target, overwrite=FLAGS.overwrite, show=FLAGS.show,
      side_by_side=FLAGS.side_by_side, fuse=FLAGS.fuse, lossless=FLAGS.lossless,
      on_damage=FLAGS.on_damage, chunk=FLAGS.chunk)
  print(f"translated {summary['frames']} frames into {target}"
        + (f", {summary['skipped']} damaged ones skipped" if summary.get('skipped') else ''))


def evaluate(config, argv):
  """Scores of a run, or of two folders of frames."""
  from i2vjax import evaluate as evaluator
  if FLAGS.result:
    evaluator.evaluate_folders(FLAGS.result, need('reference', 'the frames to compare with'),
                               FLAGS.source, FLAGS.output or 'report', config.eval,
                               overwrite=FLAGS.overwrite)
    return
  run = load_run(config)
  evaluator.evaluate(run, FLAGS.output or str(run.workdir / 'report'), overwrite=FLAGS.overwrite)


def export(config, argv):
  """One network as a checkpoint that flax alone restores."""
  from i2vjax import export as exporter
  exporter.export(load_run(config), FLAGS.network, need('output', 'a folder to be made'),
                  FLAGS.overwrite)


def doctor(config, argv):
  """Versions, devices, and which weight files are there."""
  import jax

  from i2vjax import methods, parallel, pretrained
  packages = ('i2vjax', 'jax', 'jaxlib', 'flax', 'optax', 'orbax-checkpoint', 'grain', 'av')
  print('\n'.join(f'{name:18}{importlib.metadata.version(name)}' for name in packages))
  print(f'{"python":18}{sys.version.split()[0]}\n{"devices":18}{parallel.describe()}')
  print(f'{"backend":18}{jax.default_backend()}\n{"compiled programs":18}{cache_dir()}')
  print(f'{"methods":18}{", ".join(methods.names())}')
  print(pretrained.overview(config))


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
    command, config = parse(argv)
    set_up()
    {'train': train, 'translate': translate, 'evaluate': evaluate, 'export': export,
     'doctor': doctor}[command](config, argv)
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

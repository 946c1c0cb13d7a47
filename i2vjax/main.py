"""Flags and commands: python -m i2vjax.main [COMMAND] --flag=value ...

train (default)  --config configs/METHOD.py[:VARIANT] [--workdir RUN] [--config.FIELD=VALUE ...]
translate        --workdir RUN --input VIDEO|FOLDER|GLOB --output VIDEO|FOLDER [--network gen_ba]
evaluate         --workdir RUN [--network gen_ba]
                 | --result FOLDER --reference FOLDER [--source FOLDER]
compare          --output FOLDER --configs A.py:demo,B.py:demo --seeds 0,1,2 [--config.FIELD=VALUE]
                 [--row 'NAME=A.py:demo --config.FIELD=VALUE'] ... [--runs RUN,RUN]: one table
export           --workdir RUN --output FOLDER [--network NAME]
prepare          --input VIDEO|FOLDER|GLOB --output FOLDER [--domain a|b] [--test_share 0.2]
                 [--size 320x240] [--config.data.frames_per_image=3]: into folders of frames
                 | --dataset irvi/traffic --manual_dir FOLDER [--data_dir FOLDER]
fetch            [ID [--file PATH | --url URL]]   known weight files; alone it lists them
import           --source cyclegan|recyclegan|i2vgan|cut|todaygan|pearlgan|morngan
                 --from FOLDER --workdir RUN
doctor           what this machine has

COMMAND --help tells more. Exit codes: 0 done, or a training saved itself on request, 1 our fault,
2 a mistake to mend, 3 not a number, 130 interrupted.
"""

import contextlib
import logging
import pathlib
import signal
import sys
import warnings

from absl import flags
from ml_collections import config_flags

from i2vjax import commands
from i2vjax.arguments import (
  at_home,
  check_sizes,
  command_help,
  define_flags,
  given,
  overall_help,
  plain,
)
from i2vjax.commands import Usage, cache_dir

COMMANDS = {name: name for name in ('train', 'translate', 'evaluate', 'compare', 'export',
                                    'prepare', 'fetch', 'doctor')}
COMMANDS['import'] = 'import_checkpoint'   # name of the function in commands.py

def row_config(arguments):
  """The config that training with these arguments would have."""
  return parse(['i2vjax', 'train', *arguments])[2]


def set_up(flag):
  """Join the other processes and switch the persistent compilation cache on."""
  import jax

  from i2vjax.core import parallel
  jax.config.update('jax_compilation_cache_dir', cache_dir())
  parallel.keep_memory()
  parallel.initialize(flag.coordinator, flag.processes, flag.process_id)


def split_command(argv):
  """(program, command, remaining arguments); the command may be left out for train."""
  program, rest = argv[0], [at_home(text) for text in argv[1:]]
  if rest and not rest[0].startswith('-'):
    if rest[0] not in COMMANDS:
      from i2vjax.cli.errors import did_you_mean
      raise Usage(f'{rest[0]!r} is no command: {", ".join(COMMANDS)}.{did_you_mean(rest[0], COMMANDS)}')
    return program, rest[0], written_out(rest[0], rest[1:])
  return program, 'train', rest


def written_out(command, arguments):
  """Arguments with what a command takes for granted: the config of an imported method, --id."""
  if command == 'import' and given(arguments, 'config') is None:
    from i2vjax import importer
    source = given(arguments, 'source')
    if not source:
      raise Usage(f'--source is missing: choose one of {", ".join(importer.SOURCES)}')
    return [f'--config={importer.config_path(source)}', *arguments]
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
    if not name.endswith('.py'):
      raise Usage(f'--config {name} is no config: those are Python files with a function '
                  'get_config, such as configs/cptrans.py')
    # config_flags would take the function of the file that this process loaded before
    if 'get_config' not in pathlib.Path(name).read_text(errors='replace'):
      raise Usage(f'--config {name} has no function get_config(variant)')
    config_flags.DEFINE_config_file('config', None, 'Config file, with :VARIANT.',
                                    flag_values=values)
  elif workdir is not None:
    config_flags.DEFINE_config_dict('config', stored_config(workdir), flag_values=values)
  elif command in ('evaluate', 'compare', 'prepare', 'fetch', 'doctor'):
    from i2vjax import defaults
    config_flags.DEFINE_config_dict('config', defaults.get_config(), flag_values=values)
  else:
    what = '--config configs/cptrans.py:demo' if command == 'train' else '--workdir RUN'
    raise Usage(f'{command} needs {what}')


def stored_config(workdir):
  """The config of a run folder, refused where it is none of ours."""
  from i2vjax.run import folder
  try:
    config = folder.read_config(workdir)
    known = isinstance(config.get('method'), str) and 'data' in config
  except (AttributeError, TypeError):   # a list, a number
    known = False
  if not known:
    raise Usage(f'{pathlib.Path(workdir) / "config.json"} is not the config of a training run: it '
                'names no method. Restore it from a copy')
  return config


@contextlib.contextmanager
def command_line(arguments):
  """sys.argv for a while: config_flags looks there, and nowhere else, for --config.FIELD=VALUE."""
  before, sys.argv = sys.argv, arguments
  try:
    yield
  finally:
    sys.argv = before


def parse(argv):
  """(command, flags, config) from the command line. Raises Usage with one plain line."""
  program, command, rest = split_command(argv)
  if command == 'compare':   # these are for each of its rows, which have a config each
    rest = [text for text in rest if not text.startswith('--config.')]
  try:
    values, left = read_flags(program, command, rest)
  except (AttributeError, KeyError) as error:   # a mistyped --config.field
    raise Usage(wrong_field(program, command, rest) or plain(error)) from error
  except SyntaxError as error:
    raise Usage(f'{error.filename}, line {error.lineno}: {error.msg}') from error
  except Usage:
    raise
  except (flags.Error, ValueError, TypeError, OSError) as error:
    raise Usage(plain(error)) from error
  if len(left) > 1:
    raise Usage(f'what is {left[1]!r}? Flags are written --name=value')
  check_sizes(values.config)
  return command, values, values.config


def read_flags(program, command, rest):
  """(flags with a locked config, arguments that are none of them)."""
  values = flags.FlagValues()
  define_flags(values)
  with command_line([program, *rest]):
    define_config(command, rest, values)
    left = values([program, *rest])
  if hasattr(values.config, 'lock'):
    values.config.lock()
  return values, left


def wrong_field(program, command, rest):
  """Which of the overrides names no field of the config, and the nearest there is; or ''."""
  from i2vjax.cli.errors import did_you_mean
  overrides = [text for text in rest if text.startswith('--config.')]
  config = read_flags(program, command, [x for x in rest if x not in overrides])[0].config
  for text in overrides:
    block, path = config, text.removeprefix('--config.').partition('=')[0]
    for part in path.split('.'):
      if not hasattr(block, 'keys'):
        return f'no such config field: {path}, since {path.rpartition(".")[0]} is a value'
      if part not in block:
        return (f'no such config field: {path}.'
                + (did_you_mean(part, block.keys()) or f' There are {", ".join(block.keys())}'))
      block = block[part]
  return ''


def help_text(arguments):
  """What --help prints, of one command or of all."""
  if arguments and arguments[0] in COMMANDS:
    summary = getattr(commands, COMMANDS[arguments[0]]).__doc__.splitlines()[0]
    return command_help(arguments[0], summary)
  return overall_help(__doc__)


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
  from i2vjax.run.logger import NonFinite
  logging.basicConfig(level=logging.WARNING, format='%(levelname)s: %(message)s')
  if {'--help', '-h', '-help'} & set(argv[1:]):
    print(help_text(argv[1:]))
    return 0
  try:
    command, flag, config = parse(argv)
    config = row_config if command == 'compare' else config   # it has one for each row
    set_up(flag)
    with contextlib.nullcontext() if command == 'train' else terminable():
      return getattr(commands, COMMANDS[command])(flag, config, argv) or 0
  except NonFinite as error:
    print(f'error: {error}', file=sys.stderr)
    return 3
  except (ValueError, OSError) as error:
    if not users_mistake(error):
      raise
    print(f'error: {error}', file=sys.stderr)
    return 2
  except KeyboardInterrupt as stop:
    print(f'stopped: {str(stop) or "no half-written file is left"}', file=sys.stderr)
    return 130


@contextlib.contextmanager
def terminable():
  """SIGTERM ends a command as Ctrl-C does: it takes its unfinished files away."""
  def stop(*_):
    raise KeyboardInterrupt
  before = None
  with contextlib.suppress(ValueError):   # only the main thread may
    before = signal.signal(signal.SIGTERM, stop)
  try:
    yield
  finally:
    if before is not None:
      signal.signal(signal.SIGTERM, before)


def run():
  """Entry point of the console script."""
  warnings.showwarning = lambda message, *_: print(f'warning: {message}', file=sys.stderr)
  sys.exit(main(sys.argv))


if __name__ == '__main__':
  run()

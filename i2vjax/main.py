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

Exit codes: 0 done or stopped on request, 1 our fault, 2 a mistake to mend, 3 not a number.
"""

import contextlib
import logging
import pathlib
import sys

from absl import flags
from ml_collections import config_flags

from i2vjax import commands
from i2vjax.commands import Usage, cache_dir

COMMANDS = {name: name for name in ('train', 'translate', 'evaluate', 'compare', 'export',
                                    'prepare', 'fetch', 'doctor')}
COMMANDS['import'] = 'import_checkpoint'   # name of the function in commands.py

TEXT_FLAGS = {
    'workdir': 'Run folder. Default for train: runs/METHOD-VARIANT.',
    'input': 'translate, prepare: a video file, a folder of frames, or a glob.',
    'output': 'Where the result goes. Never overwritten unless --overwrite.',
    'network': 'export: which network; translate, evaluate: which generator, gen_ba leads back. '
               'Default: the one from source to target.',
    'result': 'evaluate: a folder of frames any program wrote.',
    'reference': 'evaluate: the frames it should have been.',
    'source': 'evaluate: the frames it was made from. import: whose checkpoint it is.',
    'from': 'import: the folder of the checkpoint.',
    'id': 'fetch: which file; may stand without --id.',
    'file': 'fetch: take this local file instead of a download.',
    'url': 'fetch: another address than the known one.',
    'dataset': 'prepare: a published set to make records of, such as irvi/traffic.',
    'manual_dir': 'prepare: the folder its files were unpacked to.',
    'data_dir': 'prepare: the folder of all records. Default: ~/tensorflow_datasets.',
    'domain': 'prepare: a (infrared) or b: write trainA and testA, which data.root reads.',
    'size': 'prepare: WIDTHxHEIGHT of the frames. Default: as they are.',
    'coordinator': 'Several processes: HOST:PORT of process 0.',
}
SWITCHES = {
    'overwrite': 'Replace what --output names. compare: score again, train nothing again.',
    'side_by_side': 'translate: the input beside the result.',
    'fuse': "translate: the result's colours on the infrared brightness.",
    'lossless': 'translate: FFV1 in .mkv instead of H.264.',
    'allow_different': 'compare: note rows on other data or of other length instead of refusing.',
}
LISTS = {
    'configs': 'compare: config files with variants, a row each, separated by commas.',
    'runs': 'compare: folders of runs that are there already, separated by commas.',
    'test_clips': 'prepare: clips for testing, separated by commas.',
    'seeds': 'compare: what each row is trained with, separated by commas.',
}


def define_flags(values):
  """All flags but --config, into a fresh set, so that one process can run several commands."""
  for name, text in TEXT_FLAGS.items():
    flags.DEFINE_string(name, None, text, flag_values=values)
  for name, text in SWITCHES.items():
    flags.DEFINE_bool(name, False, text, flag_values=values)
  for name, text in LISTS.items():
    flags.DEFINE_list(name, '0' if name == 'seeds' else '', text, flag_values=values)
  flags.DEFINE_multi_string('row', [], "compare: 'NAME=FILE:VARIANT --config.FIELD=VALUE ...': a "
                            'row with overrides of its own; may be repeated.', flag_values=values)
  flags.DEFINE_bool('show', True, 'Progress bars.', flag_values=values)
  flags.DEFINE_string('checkpoint', 'latest', "'latest', 'best' or a step.", flag_values=values)
  flags.DEFINE_string('label', 'latest', "import: which of the files, 'latest' or an epoch.",
                      flag_values=values)
  flags.DEFINE_enum('on_damage', 'stop', ['stop', 'skip'],
                    'translate, prepare: what to do at a frame that cannot be read.',
                    flag_values=values)
  flags.DEFINE_float('test_share', 0.0, 'prepare: share of the clips for testing; 1: all.',
                     flag_values=values)
  flags.DEFINE_integer('limit', 0, 'prepare: files per split of a set, for a trial. 0: all.', 0,
                       flag_values=values)
  flags.DEFINE_integer('chunk', 8, 'translate: frames at a time on the device.', 1,
                       flag_values=values)
  flags.DEFINE_integer('processes', None, 'Several processes: how many.', flag_values=values)
  flags.DEFINE_integer('process_id', None, 'Several processes: which one.', flag_values=values)


def row_config(arguments):
  """The config that training with these arguments would have."""
  return parse(['i2vjax', 'train', *arguments])[2]


def set_up(flag):
  """Join the other processes and switch the persistent compilation cache on."""
  import jax

  from i2vjax import parallel
  jax.config.update('jax_compilation_cache_dir', cache_dir())
  parallel.keep_memory()
  parallel.initialize(flag.coordinator, flag.processes, flag.process_id)


def split_command(argv):
  """(program, command, remaining arguments); the command may be left out for train."""
  program, rest = argv[0], list(argv[1:])
  if rest and not rest[0].startswith('-'):
    if rest[0] not in COMMANDS:
      from i2vjax.stored import nearest
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
    return [f"--config={importer.config_path(given(arguments, 'source') or '')}", *arguments]
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
    from i2vjax import stored
    config_flags.DEFINE_config_dict('config', stored.read_config(workdir),
                                    flag_values=values)
  elif command in ('evaluate', 'compare', 'prepare', 'fetch', 'doctor'):
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
  if command == 'compare':   # these are for each of its rows, which have a config each
    rest = [text for text in rest if not text.startswith('--config.')]
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


def help_text():
  """What --help prints."""
  values = flags.FlagValues()
  define_flags(values)
  return f'{__doc__}\nFlags, besides --config.FIELD=VALUE:\n{values.get_help()}'


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
  if {'--help', '-h', '-help'} & set(argv[1:]):
    print(help_text())
    return 0
  try:
    command, flag, config = parse(argv)
    config = row_config if command == 'compare' else config   # it has one for each row
    set_up(flag)
    return getattr(commands, COMMANDS[command])(flag, config, argv) or 0
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


def run():
  """Entry point of the console script."""
  sys.exit(main(sys.argv))


if __name__ == '__main__':
  run()

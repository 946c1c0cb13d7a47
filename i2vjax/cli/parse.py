"""Read the command line: command, flags and config."""

import contextlib
import logging
import operator
import pathlib
import sys
from collections.abc import Iterator, Sequence

from absl import flags
from ml_collections import ConfigDict, config_flags

from i2vjax import defaults
from i2vjax.cli import uses
from i2vjax.cli.flags import (
  USES,
  Given,
  define_flags,
  expand_home,
  flag_value,
  given,
  library_message,
  split_fields,
)
from i2vjax.core.errors import UserError, did_you_mean
from i2vjax.run import config_files

DICTIONARIES = ('config.optim.lr_by_backbone',)   # fields whose value is one
BLOCKS = {'data', 'eval', 'log', 'optim', 'train', 'weights'}   # of every config


def parse(argv: list[str]) -> tuple[str, flags.FlagValues, ConfigDict]:
  """(command, flags, config) of a command line, program included.

  Raises:
    UserError: one line on what cannot be understood.
  """
  program, command, rest = split_command(argv)
  asked, of_rows = given(rest), command in ('compare', 'bench')
  check_whole_values(asked)
  if of_rows:   # fields are for each row, with a config each
    rest, _ = split_fields(rest)
  try:
    values, left = read_flags(program, command, rest)
  except (AttributeError, KeyError) as error:  # a mistyped --config.field
    message = explain_unknown_field(program, command, rest) or library_message(error)
    raise UserError(message) from error
  except SyntaxError as error:
    raise UserError(f'{error.filename}, line {error.lineno}: {error.msg}') from error
  except UserError:
    raise
  except (flags.Error, ValueError, TypeError, OSError) as error:
    raise UserError(library_message(error)) from error
  if len(left) > 1:
    raise UserError(f'what is {left[1]!r}? Flags are written --name=value')
  if not of_rows:
    check_whole_blocks(values.config, asked)
  uses.check_used(command, values, asked)
  config_files.read_sizes(values.config)
  return command, values, values.config


def check_whole_values(asked: Sequence[Given]) -> None:
  """Refuse --config.eval.kid_degrees[0]=5: the values of fields are set whole."""
  for name, text in asked:
    if name.startswith('config.') and '[' in name:
      field = name.partition('[')[0]
      raise UserError(f'--{name}={text}: one item of a value cannot be set; give the whole, as '
                      f'--{field}=VALUE,VALUE')


def check_whole_blocks(config: ConfigDict, asked: Sequence[Given]) -> None:
  """Refuse --config.data={...}, which would throw away the fields it does not name."""
  for name, text in asked:
    if name.startswith('config.') and name not in DICTIONARIES and isinstance(
        operator.attrgetter(name.removeprefix('config.'))(config), ConfigDict):
      raise UserError(f'--{name}={text}: this is a block of fields; set them one by one, as '
                      f'--{name}.FIELD=VALUE')


def row_config(arguments: Sequence[str]) -> ConfigDict:
  """The config that training with these arguments would have: of a row that `compare` trains."""
  return parse(['i2vjax', 'train', *arguments])[2]


def run_config(arguments: Sequence[str]) -> ConfigDict:
  """The config that a trained run is scored with by `evaluate` with these arguments."""
  return parse(['i2vjax', 'evaluate', *arguments])[2]


def split_command(argv: list[str]) -> tuple[str, str, list[str]]:
  """(program, command, remaining arguments); the command may be left out for train.

  Raises:
    UserError: no such command; a flag that it does not have, or that is given twice.
  """
  program, rest, command = argv[0], [expand_home(text) for text in with_files(argv[1:])], 'train'
  if rest and not rest[0].startswith('-'):
    command, *rest = rest
  if command not in USES:
    raise UserError(f'{command!r} is no command: {", ".join(USES)}.{did_you_mean(command, USES)}')
  if command == 'fetch' and rest and not rest[0].startswith('-'):
    rest = [f'--id={rest[0]}', *rest[1:]]
  uses.check_given(command, given(rest))
  return program, command, with_found_config(with_method_config(command, rest))


def with_files(arguments: list[str]) -> list[str]:
  """Arguments with those of --flagfile FILE in its place: what follows looks at all alike."""
  try:
    return flags.FlagValues().read_flags_from_files(arguments)
  except flags.Error as error:
    raise UserError(library_message(error).removeprefix('ERROR:: ')) from error


def with_method_config(command: str, arguments: list[str]) -> list[str]:
  """Arguments with the config of the method that `import` names by its source."""
  if command != 'import' or flag_value(arguments, 'config') is not None:
    return arguments
  from i2vjax.interop import import_torch
  source = flag_value(arguments, 'source')
  if not source:
    raise UserError(f'--source is missing: choose one of {", ".join(import_torch.SOURCES)}')
  return [f'--config={import_torch.config_path(source)}', *arguments]


def with_found_config(arguments: list[str]) -> list[str]:
  """Arguments with the path of the config that --config names."""
  text = flag_value(arguments, 'config')
  if text is None:
    return arguments
  found = config_files.find(text)
  return [f'--config={found}' if word in (f'--config={text}', f'-config={text}') else
          found if before in ('--config', '-config') else word
          for before, word in zip(['', *arguments], arguments, strict=False)]


def define_config(command: str, arguments: list[str], values: flags.FlagValues) -> None:
  """The --config flag: a file for train, the stored config of the run for everything else."""
  workdir, path = flag_value(arguments, 'workdir'), flag_value(arguments, 'config')
  if path is not None:
    config_flags.DEFINE_config_file('config', None, 'Config file, with :VARIANT.',
                                    flag_values=values)
  elif workdir is not None:
    config_flags.DEFINE_config_dict('config', stored_config(workdir), flag_values=values)
  elif command in ('evaluate', 'compare', 'prepare', 'fetch', 'doctor', 'bench'):
    config_flags.DEFINE_config_dict('config', defaults.get_config(), flag_values=values)
  else:
    what = '--config configs/cptrans.py:demo' if command == 'train' else '--workdir RUN'
    raise UserError(f'{command} needs {what}')


def stored_config(workdir: str) -> ConfigDict:
  """The config of a run folder, refused where it is not that of a training run."""
  from i2vjax.run import folder
  if workdir == folder.STARTER and pathlib.Path(workdir).is_dir():
    logging.warning('--workdir %s is the one that comes with i2vjax; the folder here of that name '
                    'is --workdir ./%s', workdir, workdir)
  try:
    config = folder.read_config(workdir)
    of_a_run = isinstance(config.get('method'), str) and set(config) >= BLOCKS
  except (AttributeError, TypeError):   # a list, a number
    of_a_run = False
  if not of_a_run:
    raise UserError(f'{pathlib.Path(workdir) / "config.json"} is not the config of a training run: '
                    'it names no method, or lacks a block of fields. Restore it from a copy')
  return config


@contextlib.contextmanager
def command_line(arguments: list[str]) -> Iterator[None]:
  """sys.argv for a while: config_flags looks there, and nowhere else, for --config.FIELD=VALUE."""
  before, sys.argv = sys.argv, arguments
  try:
    yield
  finally:
    sys.argv = before


def read_flags(program: str, command: str,
               rest: list[str]) -> tuple[flags.FlagValues, list[str]]:
  """(flags with a locked config, arguments that are none of them)."""
  values = flags.FlagValues()
  define_flags(values)
  with command_line([program, *rest]):
    define_config(command, rest, values)
    left = values([program, *rest])
  if hasattr(values.config, 'lock'):
    values.config.lock()
  return values, left


def explain_unknown_field(program: str, command: str, rest: list[str]) -> str:
  """Which of the overrides names no field of the config, and the nearest there is; or ''."""
  others, overrides = split_fields(rest)
  config = read_flags(program, command, others)[0].config
  for text in overrides:
    if unknown := config_files.unknown_field(config, text[len('--config.'):].partition('=')[0]):
      return unknown
  return ''

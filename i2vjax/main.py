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
import signal
import sys
import warnings

from i2vjax.cli import commands, parse
from i2vjax.core.errors import UserError


def main(argv):
  """Run one command; returns the exit code."""
  from i2vjax.run.logger import NonFinite
  logging.basicConfig(level=logging.WARNING, format='%(levelname)s: %(message)s')
  if {'--help', '-h', '-help'} & set(argv[1:]):
    print(parse.help_text(argv[1:]))
    return 0
  try:
    command, flag, config = parse.parse(argv)
    config = parse.row_config if command == 'compare' else config   # it has one for each row
    parse.set_up(flag)
    with contextlib.nullcontext() if command == 'train' else terminable():
      return getattr(commands, parse.COMMANDS[command])(flag, config, argv) or 0
  except (NonFinite, UserError, OSError) as error:
    print(f'error: {error}', file=sys.stderr)
    return 3 if isinstance(error, NonFinite) else 2
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

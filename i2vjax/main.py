"""The command line: python -m i2vjax.main [COMMAND] --flag=value ...

train (default)  --config configs/METHOD.py[:VARIANT] [--workdir RUN] [--config.FIELD=VALUE ...]
translate        --workdir RUN --input VIDEO|FOLDER|GLOB --output VIDEO|FOLDER [--network gen_ba]
                 | --workdir RUN --split test --output FOLDER [--with_truth]
evaluate         --workdir RUN [--network gen_ba]
                 | --result FOLDER [--reference FOLDER] [--source FOLDER]
compare          --output FOLDER --configs A.py:demo,B.py:demo --seeds 0,1,2 [--config.FIELD=VALUE]
                 [--row 'NAME=A.py:demo --config.FIELD=VALUE'] ... [--runs RUN,RUN]: one table
export           --workdir RUN --output FOLDER [--network NAME] [--format orbax,jax,onnx]
                 [--size 320x240] [--publish hf:OWNER/NAME]
prepare          --input VIDEO|FOLDER|GLOB --output FOLDER [--domain a|b] [--test_share 0.2]
                 [--size 320x240] [--config.data.frames_per_image=3]: into folders of frames
                 | --dataset irvi/traffic --manual_dir FOLDER [--data_dir FOLDER]
fetch            [ID [--file PATH | --url URL | --mirror DIR]]   weight files; alone it lists them
import           --source cyclegan|recyclegan|i2vgan|cut|todaygan|pearlgan|morngan
                 --from FOLDER --workdir RUN
app              --workdir RUN [--host 127.0.0.1] [--port 7860]: a page to drop videos on
doctor           [--brief]   what this machine has, and the remedy for what is wrong
bench            [--methods cut,cptrans:demo] [--target here|h100|v5e:2x4] [--json FILE]: time and
                 memory of steps, here or compiled for devices that are not here

Where no such file is in this folder, configs/cptrans.py, or cptrans alone, is the config that comes
with the package; translate, evaluate, export, app and compare --runs take `starter` for RUN: the
weights in it, or hf:OWNER/NAME[@REVISION]: those of a repository on the Hugging Face hub.
COMMAND --help tells more. Exit codes: 0 done, or a training saved itself on request, 1 our fault,
2 a mistake to mend, 3 not a number, 130 interrupted.
"""

import contextlib
import io
import logging
import signal
import sys
import warnings
from collections.abc import Iterator

from i2vjax.cli import commands, errors, exits, flags, parse


def main(argv: list[str]) -> int:
  """Run one command; returns the exit code."""
  logging.basicConfig(level=logging.WARNING, format='%(levelname)s: %(message)s')
  if {'--help', '-h', '-help'} & set(argv[1:]):
    print(help_text(argv[1:]))
    return errors.DONE
  try:
    with terminable():
      command, flag, config = parse.parse(argv)
      commands.set_up(flag, command)
      return commands.COMMANDS[command](flag, config, argv) or errors.DONE
  except (Exception, KeyboardInterrupt) as error:
    explained = errors.explain(error)
    if explained is None:   # ours: with its traceback
      raise
    message, code = explained
    print(message, file=sys.stderr)
    return code


def help_text(arguments: list[str]) -> str:
  """What --help prints: of one command, or of all."""
  command = arguments[0]
  if command not in commands.COMMANDS:
    return flags.overall_help(__doc__)
  summary, _, _ = (commands.COMMANDS[command].__doc__ or '').partition('\n')
  return flags.command_help(command, summary)


@contextlib.contextmanager
def terminable() -> Iterator[None]:
  """SIGTERM and a lost terminal end a command as Ctrl-C does: unfinished files are taken away.

  While a training's loop runs they are its own (run/signals.py). Where SIGHUP is ignored (nohup) it
  stays so.
  """
  def stop(*_):
    raise KeyboardInterrupt
  numbers = [signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, 'SIGHUP') else [])]
  before = {}
  with contextlib.suppress(ValueError):   # only the main thread may
    before = {number: signal.signal(number, stop) for number in numbers
              if signal.getsignal(number) != signal.SIG_IGN}
  try:
    yield
  finally:
    for number, handler in before.items():
      signal.signal(number, handler)


def run() -> None:
  """Entry point of the console script."""
  for stream in (sys.stdout, sys.stderr):   # a name may hold what a terminal cannot show
    if isinstance(stream, io.TextIOWrapper):
      stream.reconfigure(errors='backslashreplace')
  warnings.showwarning = errors.show_warning
  sys.unraisablehook = exits.repeat_interrupt
  try:
    code = main(sys.argv)
  except Exception:
    sys.excepthook(*sys.exc_info())
    code = errors.OURS
  exits.leave(code)


if __name__ == '__main__':
  run()

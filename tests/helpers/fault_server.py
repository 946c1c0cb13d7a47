"""Runs commands of i2vjax that can be killed at a named moment, without importing it each time.

A server imports the package once and forks a child for each command. No device is used before the
fork. Every child is a process of its own: signals reach it as they reach any other.

  with Server() as server:
    pid = server.start(['train', '--config', ...], log, plan)
    code = server.wait(pid)
"""

import atexit
import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).parents[2]


class Server:
  """The test's side. `cache`: folder of compiled programs, shared by all children."""

  def __init__(self, cache, **environment):
    env = {**os.environ, 'JAX_PLATFORMS': 'cpu', 'JAX_COMPILATION_CACHE_DIR': str(cache),
           'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS': '0',
           'JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES': '-1',
           'JAX_DISABLE_MOST_OPTIMIZATIONS': '1', 'PYTHONPATH': str(ROOT), **environment}
    self.process = subprocess.Popen([sys.executable, __file__], cwd=ROOT, env=env, text=True,
                                    stdin=subprocess.PIPE, stdout=subprocess.PIPE)

  def __enter__(self):
    return self

  def __exit__(self, *_):
    self.process.stdin.close()
    self.process.wait(60)

  def _ask(self, **question):
    self.process.stdin.write(json.dumps(question) + '\n')
    self.process.stdin.flush()
    return json.loads(self.process.stdout.readline())

  def start(self, arguments, log, plan=None, **environment):
    """Begin `i2vjax ARGUMENTS`; returns its process id.

    Args:
      arguments: of the command line, without the program.
      log: file for what it says.
      plan: see `arm`. environment: variables of this command alone.
    """
    return self._ask(start=[str(text) for text in arguments], log=str(log), plan=plan,
                     environment=environment)

  def wait(self, pid, seconds=1800):
    """Exit code as of subprocess, or None if it has not ended after so many seconds."""
    return self._ask(wait=pid, seconds=seconds)

  def run(self, arguments, log, plan=None, **environment):
    """(exit code, what it said) of a command."""
    code = self.wait(self.start(arguments, log, plan, **environment))
    return code, pathlib.Path(log).read_text(errors='replace')


# ---- the server's side


def serve():
  for line in sys.stdin:
    question = json.loads(line)
    answer = _wait(question['wait'], question['seconds']) if 'wait' in question else _fork(question)
    print(json.dumps(answer), flush=True)


def _wait(pid, seconds):
  end = time.monotonic() + seconds
  while time.monotonic() < end:
    found, status = os.waitpid(pid, os.WNOHANG)
    if found:
      return os.waitstatus_to_exitcode(status)
    time.sleep(0.02)
  return None


def _fork(question):
  pid = os.fork()
  if pid:
    return pid
  atexit.unregister(os.unlink)
  os.setsid()
  log = os.open(question['log'], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
  for number in (1, 2):
    os.dup2(log, number)
  os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
  os.environ.update(question['environment'])
  sys.argv = ['i2vjax', *question['start']]
  if question['plan']:
    arm(**question['plan'])
  from i2vjax import main
  try:
    main.run()
  except SystemExit as ended:   # as the interpreter does it
    _end(ended.code)
  except BaseException:
    sys.excepthook(*sys.exc_info())
    _end(1)


def _end(code):
  sys.exit(code)


# ---- the moments at which a command can be hit


def moments():
  """{name: (object, attribute)} of the functions whose calls are moments."""
  from i2vjax import evaluate, train, translate
  from i2vjax.cli import commands
  from i2vjax.compare import compare
  from i2vjax.core import files
  from i2vjax.data.io import images, video_reader
  from i2vjax.interop import export
  from i2vjax.pretrained import fetch
  from i2vjax.run import checkpoint, load, logger, sample_sheet
  return {
      'load': (load, 'assemble'), 'restore': (checkpoint, 'restore'), 'loop': (train, 'loop'),
      'step': (train.parallel, 'shard'), 'log': (logger.MetricLogger, 'progress'),
      'sample': (sample_sheet.SampleSheets, 'write'), 'evaluation': (train, 'score'),
      'save': (checkpoint, 'save'), 'finish': (checkpoint, 'finish'),
      'phase': (train, 'feed_of_phase'), 'file': (files, 'save_atomic'),
      'picture': (images, 'write_image'), 'place': (files, 'put_in_place'),
      'rows': (evaluate, 'score_rows'), 'clip': (translate.translator, 'translate_clips'),
      'start': (commands, 'set_up'), 'film': (video_reader.VideoWriter, 'write'),
      'export': (export, 'write'), 'read back': (export, 'verify'), 'download': (fetch, 'download'),
      'accept': (fetch, '_accept'), 'child': (compare, 'call'), 'table': (compare, 'save'),
  }


def arm(at, count=1, delay=0.0, signals=('SIGKILL',), gap=0.05):
  """Have this process get signals at a moment.

  Args:
    at: of `moments`. count: its how manyth call. delay: seconds after the call began.
    signals: names, sent one after the other; 'CLOCK': the clock is set back instead.
    gap: seconds between them.
  """
  place, name = moments()[at]
  original, calls = getattr(place, name), []

  def hit():
    time.sleep(delay)
    for number in signals:
      print(f'hit by {number} {delay:.3f} s into call {count} of {at}', flush=True)
      _set_clock_back() if number == 'CLOCK' else os.kill(os.getpid(), getattr(signal, number))
      time.sleep(gap)

  def wrapped(*args, **kwargs):
    calls.append(0)
    if len(calls) == count:
      threading.Thread(target=hit, daemon=True).start()
    return original(*args, **kwargs)
  setattr(place, name, wrapped)


def _set_clock_back(seconds=100_000):
  true, true_ns = time.time, time.time_ns
  time.time = lambda: true() - seconds
  time.time_ns = lambda: true_ns() - seconds * 10**9


def add_methods():
  """Let `--config` find the methods in `fault_methods`."""
  import i2vjax.methods
  place = str(pathlib.Path(__file__).parent / 'fault_methods')
  if place not in i2vjax.methods.__path__:
    i2vjax.methods.__path__.append(place)


def prepare_imports():
  """Import what commands use; no device is asked for."""
  add_methods()
  from i2vjax import evaluate, live, main, train, translate  # noqa: F401
  from i2vjax.compare import compare  # noqa: F401
  from i2vjax.data.prepare import prepare  # noqa: F401
  from i2vjax.interop import export, import_torch  # noqa: F401
  from i2vjax.pretrained import fetch  # noqa: F401
  known = os.environ.get('I2VJAX_FAULT_WEIGHTS')
  if known:   # a little file that `fetch vgg19` takes
    from i2vjax.pretrained import registry
    registry.ENTRIES['vgg19'] = dataclasses.replace(registry.ENTRIES['vgg19'], file=known)
  # `compare` starts its children as `sys.executable -m i2vjax.main ...`: they know our method too.
  with tempfile.NamedTemporaryFile('w', suffix='.sh', delete=False) as script:
    script.write(f'#!/bin/sh\nexec {sys.executable} {__file__} "$@"\n')
  os.chmod(script.name, 0o755)
  atexit.register(os.unlink, script.name)
  sys.executable = script.name


if __name__ == '__main__':
  prepare_imports()
  if len(sys.argv) > 1:   # as a child of `compare`: -m i2vjax.main COMMAND ...
    sys.argv = ['i2vjax', *sys.argv[3:]]
    from i2vjax import main
    main.run()
  serve()

"""Commands that are killed: nothing half written, nothing foreign gone, and the same one finishes.

Counts of larger campaigns, and how to repeat them: docs/reliability.md.
"""

import os
import pathlib
import subprocess
import sys
import tempfile
import time

import fault_commands
import pytest
from fault_server import ROOT, Server

CACHE = os.environ.get('I2VJAX_TEST_CACHE', f'{tempfile.gettempdir()}/i2vjax-test-cache')
QUICK = ('translate to a folder', 'prepare')   # the others: nightly
NAMES = ('translate to a folder', 'translate to a video', 'translate a split', 'evaluate',
         'prepare', 'export', 'fetch', 'compare')


@pytest.fixture(scope='module')
def place(tmp_path_factory):
  """(server, {name: Command}) on a trained run."""
  folder = tmp_path_factory.mktemp('commands')
  file = fault_commands.weights(folder)
  served, address = fault_commands.serve(folder)
  with Server(CACHE) as server:
    yield server, fault_commands.commands(
        *fault_commands.set_up(server, folder), f'{address}/{file.name}')
  served.shutdown()
  del os.environ['I2VJAX_FAULT_WEIGHTS']


@pytest.mark.slow
@pytest.mark.parametrize('name, kills', [
    *((name, 1) for name in QUICK),
    *(pytest.param(name, 20, marks=pytest.mark.nightly) for name in NAMES)])
def test_killed_and_started_again(place, tmp_path, name, kills):
  server, known = place
  found = fault_commands.campaign(server, tmp_path, known[name], kills, seed=2)
  assert found['killed'] + found['ended before'] == kills, found
  assert not any(found[bad] for bad in fault_commands.BAD), found


def test_a_command_ends_with_the_one_it_works_for():
  """The middle process starts a child, as `compare` does, and dies without a word."""
  child = ('import signal, sys, time\n'
           'from i2vjax.run import signals\n'
           'signal.signal(signal.SIGTERM, lambda *_: (print("saved", flush=True), sys.exit()))\n'
           'signals.follow_parent(0.05)\n'
           'print("begun", flush=True); time.sleep(120)\n')
  middle = ('import os, signal, subprocess, sys\n'
            'from i2vjax.run import signals\n'
            f'child = subprocess.Popen([sys.executable, "-c", {child!r}], start_new_session=True,\n'
            '  env={**os.environ, signals.PARENT: str(os.getpid())}, stdout=subprocess.PIPE)\n'
            'child.stdout.readline()\n'
            'print(child.pid, flush=True); os.kill(os.getpid(), signal.SIGKILL)\n')
  done = subprocess.run([sys.executable, '-c', middle], cwd=ROOT, text=True, capture_output=True,
                        timeout=120)
  assert done.returncode == -9, done.stderr
  gone = int(done.stdout)
  end = time.monotonic() + 60
  while _runs(gone):
    assert time.monotonic() < end, 'the child goes on without the process it works for'
    time.sleep(0.05)


def _runs(pid):
  try:
    return pathlib.Path(f'/proc/{pid}/stat').read_text().split(')')[1].split()[0] != 'Z'
  except FileNotFoundError:
    return False

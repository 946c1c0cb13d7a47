"""Training that is killed, stopped, crowded out and filled up: what is saved is never lost.

Counts of larger campaigns, and how to repeat them: docs/reliability.md.
"""

import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

import fault_tools
import pytest
from fault_server import Server

CACHE = os.environ.get('I2VJAX_TEST_CACHE', f'{tempfile.gettempdir()}/i2vjax-test-cache')
LONG = ('--config.train.steps=100000', '--config.eval.every=0', '--config.log.samples_every=0')
pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def server():
  with Server(CACHE) as running:
    yield running


@pytest.fixture(scope='module')
def straight(server, footage, tmp_path_factory):
  """The run that nothing happens to."""
  workdir = tmp_path_factory.mktemp('straight') / 'run'
  code, said = server.run(fault_tools.arguments(workdir, footage), workdir.parent / 'said')
  assert code == 0, said
  return fault_tools.fingerprint(workdir)


def assert_ends_as_if_nothing_had_been(server, workdir, footage, straight):
  code, said = server.run(fault_tools.arguments(workdir, footage), workdir.parent / 'said')
  assert code == 0, said
  assert not fault_tools.difference(fault_tools.fingerprint(workdir), straight)
  assert not fault_tools.leftovers(workdir)


def wait_for(condition, seconds=240):
  end = time.monotonic() + seconds
  while not condition():
    assert time.monotonic() < end, 'it took too long'
    time.sleep(0.02)


@pytest.mark.parametrize('kills', [3, pytest.param(50, marks=pytest.mark.nightly)])
def test_kills_at_random_moments(server, footage, tmp_path, kills):
  moments = fault_tools.TRAINING_MOMENTS if kills > 3 else ('save', 'sample', 'evaluation')
  rows = fault_tools.campaign(
      server, tmp_path, lambda workdir: fault_tools.arguments(workdir, footage),
      fault_tools.training_plans(kills, 1, moments))
  assert sum(row.get('killed', 0) for row in rows.values()) >= kills * 2 // 3, rows
  for name, row in rows.items():
    assert set(row) <= {'killed', 'ended before', 'lost', 'differs', 'left over'}, (name, row)
    assert not row['lost'] and not row['differs'] and not row['left over'], (name, row)


@pytest.mark.nightly
def test_kills_in_the_phases_of_morngan(server, tmp_path):
  rows = fault_tools.campaign(server, tmp_path, fault_tools.morngan, fault_tools.training_plans(
      10, 0, ('step', 'save', 'phase', 'file', 'sample')))
  assert sum(row.get('killed', 0) for row in rows.values()) >= 6, rows
  assert not any(row['lost'] or row['differs'] or row['left over'] for row in rows.values()), rows


@pytest.mark.parametrize('name, at, code', [
    pytest.param('SIGTERM', 'step', 0, marks=pytest.mark.nightly),
    pytest.param('SIGHUP', 'save', 0, marks=pytest.mark.nightly),
    pytest.param('SIGTERM', 'restore', 130, marks=pytest.mark.nightly),
    pytest.param('SIGHUP', 'load', 130, marks=pytest.mark.nightly),
    ('SIGINT', 'restore', 130)])
def test_signals_that_come_twice(server, footage, straight, tmp_path, name, at, code):
  """In the loop the first one saves; before it there is nothing to save."""
  workdir = tmp_path / 'run'
  plan = {'at': at, 'count': 1, 'delay': 0.05, 'signals': [name, name]}
  found, said = server.run(fault_tools.arguments(workdir, footage), tmp_path / 'said', plan)
  assert found == code, said
  assert 'Traceback' not in said
  assert bool(code) or 'stopped at step' in said
  assert_ends_as_if_nothing_had_been(server, workdir, footage, straight)


def test_a_second_training_in_the_folder_is_refused_at_once(server, footage, tmp_path):
  workdir = tmp_path / 'run'
  arguments = fault_tools.arguments(workdir, footage, *LONG)
  first = server.start(arguments, tmp_path / 'first')
  log = workdir / 'metrics.jsonl'
  wait_for(lambda: log.exists() and log.read_text())   # it is in the loop: SIGTERM saves
  os.kill(first, signal.SIGSTOP)   # one that stands still is in the folder too
  code, said = server.run(arguments, tmp_path / 'second')
  assert code == 2
  assert f'{workdir} is in use: process {first} on ' in said
  os.kill(first, signal.SIGCONT)
  os.kill(first, signal.SIGTERM)
  assert server.wait(first) == 0, (tmp_path / 'first').read_text()
  assert not (workdir / 'run.lock').exists()


@pytest.mark.nightly
def test_a_training_that_stood_still_goes_on(server, footage, straight, tmp_path):
  workdir = tmp_path / 'run'
  plan = {'at': 'save', 'count': 2, 'delay': 0.02, 'signals': ['SIGSTOP']}
  pid = server.start(fault_tools.arguments(workdir, footage), tmp_path / 'said', plan)
  wait_for(lambda: pathlib.Path(f'/proc/{pid}/stat').read_text().split(')')[1].split()[0] == 'T')
  os.kill(pid, signal.SIGCONT)
  assert server.wait(pid) == 0
  assert not fault_tools.difference(fault_tools.fingerprint(workdir), straight)


@pytest.mark.nightly
def test_a_clock_that_is_set_back_changes_nothing(server, footage, straight, tmp_path):
  workdir = tmp_path / 'run'
  plan = {'at': 'save', 'count': 2, 'signals': ['CLOCK']}
  code, said = server.run(fault_tools.arguments(workdir, footage), tmp_path / 'said', plan)
  assert code == 0, said
  assert not fault_tools.difference(fault_tools.fingerprint(workdir), straight)


@contextlib.contextmanager
def small_disk(folder, size):
  folder.mkdir()
  done = subprocess.run(['mount', '-t', 'tmpfs', '-o', f'size={size}', 'tmpfs', str(folder)],
                        capture_output=True, check=False)
  if done.returncode:
    pytest.skip('only root may mount a disk of its own')
  try:
    yield folder
  finally:
    subprocess.run(['umount', str(folder)], check=True)


def test_a_full_disk(server, footage, straight, tmp_path):
  with small_disk(tmp_path / 'disk', '4m') as disk:
    workdir = disk / 'run'
    pid = server.start(fault_tools.arguments(workdir, footage), tmp_path / 'said')
    wait_for(lambda: fault_tools.steps(workdir))
    with contextlib.suppress(OSError), open(disk / 'filler', 'wb', buffering=0) as filler:
      while True:
        filler.write(b'x' * 4096)
    assert server.wait(pid) == 2
    assert f'error: {disk}' in (tmp_path / 'said').read_text()
    assert 'the disk is full (0 MiB free)' in (tmp_path / 'said').read_text()
    kept = fault_tools.steps(workdir)
    (disk / 'filler').unlink()
    assert kept
    code, said = server.run(fault_tools.arguments(workdir, footage), tmp_path / 'said')
    assert code == 0, said
    assert f'from step {kept[-1]} of 16' in said
    assert not fault_tools.difference(fault_tools.fingerprint(workdir), straight)
    assert not fault_tools.leftovers(workdir)


@pytest.mark.nightly
@pytest.mark.skipif(not shutil.which('chattr'), reason='nothing else takes the right from root')
def test_a_folder_that_can_no_longer_be_written_to(server, footage, straight, tmp_path):
  workdir = tmp_path / 'run'
  pid = server.start(fault_tools.arguments(workdir, footage), tmp_path / 'said')
  wait_for(lambda: fault_tools.steps(workdir))
  if subprocess.run(['chattr', '+i', str(workdir / 'checkpoints')], check=False).returncode:
    os.kill(pid, signal.SIGKILL)
    pytest.skip('this file system, or this user, knows no immutable folders')
  try:
    assert server.wait(pid) == 2
    said = (tmp_path / 'said').read_text()
    assert 'error: [Errno 1] Operation not permitted' in said and str(workdir) in said
  finally:
    subprocess.run(['chattr', '-R', '-i', str(workdir)], check=True)
  assert_ends_as_if_nothing_had_been(server, workdir, footage, straight)

"""One training to a run folder."""

import errno
import json
import os
import pathlib
import signal
import subprocess
import sys

import pytest

from i2vjax.core.errors import UserError
from i2vjax.run import lock

ROOT = pathlib.Path(__file__).parents[2]
HOLD = ('import sys, time\n'
        'from i2vjax.run import lock\n'
        'held = lock.RunLock(sys.argv[1]); held.take()\n'
        'print("held", flush=True); time.sleep(300)\n')


@pytest.fixture
def holder(tmp_path):
  """Another process that holds the lock of `tmp_path`."""
  process = subprocess.Popen([sys.executable, '-c', HOLD, str(tmp_path)], cwd=ROOT, text=True,
                             stdout=subprocess.PIPE)
  assert process.stdout.readline() == 'held\n'
  yield process
  process.kill()
  process.communicate()


def test_a_second_training_is_refused_and_told_who_is_there(tmp_path, holder):
  with pytest.raises(UserError, match=f'is in use: process {holder.pid} on .* give another --work'):
    lock.RunLock(tmp_path).take()
  assert lock.read(tmp_path / lock.NAME)['pid'] == holder.pid   # and the first one keeps it


def test_the_lock_dies_with_its_process(tmp_path, holder):
  holder.send_signal(signal.SIGSTOP)   # one that stands still holds it
  with pytest.raises(UserError, match='is in use'):
    lock.RunLock(tmp_path).take()
  holder.kill()
  holder.wait()
  with lock.hold(tmp_path, patience=1e6):   # at once: it does not wait for signs of life
    assert lock.read(tmp_path / lock.NAME)['pid'] == os.getpid()
  assert not (tmp_path / lock.NAME).exists()


def test_a_folder_that_stayed_empty_is_taken_away_again(tmp_path):
  with lock.hold(tmp_path / 'new'):
    assert (tmp_path / 'new' / lock.NAME).is_file()
  assert not (tmp_path / 'new').exists()
  with lock.hold(tmp_path / 'new'):
    (tmp_path / 'new' / 'config.json').touch()
  assert [path.name for path in (tmp_path / 'new').iterdir()] == ['config.json']


def of_another_machine(folder, **changes):
  record = {'host': 'far', 'pid': 7, 'system': 'far 1', 'token': 'x', 'beat': 0, 'began': 'noon'}
  (folder / lock.NAME).write_text(json.dumps({**record, **changes}))


def test_what_another_machine_left_behind_is_watched_and_then_taken(tmp_path, caplog):
  of_another_machine(tmp_path)
  with lock.hold(tmp_path, patience=0.2):
    assert lock.read(tmp_path / lock.NAME)['pid'] == os.getpid()
  assert 'of process 7 on far and was not taken away: looking 0 seconds' in caplog.text


def test_a_sign_of_life_of_another_machine_refuses(tmp_path, monkeypatch):
  of_another_machine(tmp_path)
  monkeypatch.setattr(lock.time, 'sleep', lambda seconds: of_another_machine(tmp_path, beat=1))
  with pytest.raises(UserError, match='process 7 on far, since noon'):
    lock.RunLock(tmp_path).take()


def test_without_locks_of_the_system_the_signs_of_life_decide(tmp_path, monkeypatch, caplog):
  def none(file, kind):
    raise OSError(errno.ENOLCK, 'No locks available')
  monkeypatch.setattr(lock.fcntl, 'flock', none)
  first = lock.RunLock(tmp_path, beat=0.05)
  first.take()
  assert not first.alone
  with pytest.raises(UserError, match=f'process {os.getpid()} on'):
    lock.RunLock(tmp_path, patience=60).take()
  assert 'this file system knows no locks' in caplog.text
  first.release()
  lock.RunLock(tmp_path, patience=1e6).take()   # released: nothing to watch


def test_who_lost_the_folder_writes_no_more(tmp_path):
  held = lock.RunLock(tmp_path)
  held.take()
  held.check()
  of_another_machine(tmp_path)
  with pytest.raises(UserError, match='process 7 on far'):
    held.check()
  held.release()
  assert lock.read(tmp_path / lock.NAME)['pid'] == 7   # it is not ours to take away

"""One training to a run folder: its lock dies with it.

Two trainings in one folder would mix their logs and delete each other's checkpoints. While one goes
on, the run folder holds `run.lock`, which says whose it is. Two things guard it:

- a lock of the system on that file (flock), which goes when the process does, however it ends. It
  holds on one machine, and on NFS and Lustre across machines;
- a beat: a number in the file that grows every `BEAT` seconds. Mounted buckets (gcsfuse, s3fs) know
  no locks across machines: whoever finds the file of another machine that was not taken away at the
  end watches it for `PATIENCE` seconds, and begins if it stays as it is. No clocks are compared.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import pathlib
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

from i2vjax.core import files, parallel
from i2vjax.core.errors import UserError

try:
  import fcntl
except ImportError:   # Windows: the beat alone
  fcntl = None   # type: ignore[assignment]

NAME = 'run.lock'
BEAT = 15.0       # seconds from one sign of life to the next
PATIENCE = 60.0   # seconds without one, after which the other is held to be gone
WATCH = 0.5       # seconds between two looks


class RunLock:
  """The right to train in a run folder.

  Attributes:
    path: `run.lock` in the folder.
    alone: True where the file system has locks; False: only the beat guards the folder.
  """

  def __init__(self, workdir: str | os.PathLike[str], patience: float = PATIENCE,
               beat: float = BEAT) -> None:
    self.path, self.patience, self.beat = pathlib.Path(workdir) / NAME, patience, beat
    self.alone, self._file, self._stop = True, -1, threading.Event()
    self._record = {'host': socket.gethostname(), 'pid': os.getpid(), 'system': _system(),
                    'token': secrets.token_hex(8), 'beat': 0,
                    'began': time.strftime('%Y-%m-%d %H:%M:%S')}

  def take(self) -> None:
    """Take the lock, or refuse at once where another holds it.

    Raises:
      UserError: says who holds it. OSError: nothing can be written there.
    """
    self.path.parent.mkdir(parents=True, exist_ok=True)
    self._open()
    try:
      self._watch_other()
      self._write()
    except BaseException:
      os.close(self._file)
      raise
    self._beating = threading.Thread(target=self._keep_beating, daemon=True)
    self._beating.start()

  def _open(self):
    while True:
      self._file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
      try:
        self.alone = lock_file(self._file)
      except BlockingIOError as error:
        os.close(self._file)
        raise UserError(self._refusal(read(self.path))) from error
      with contextlib.suppress(FileNotFoundError):
        if os.stat(self.path).st_ino == os.fstat(self._file).st_ino:
          return
      os.close(self._file)   # its holder has just taken it away: there is another file now

  def _watch_other(self):
    """Wait for a sign of life of another machine that left its file here."""
    other = read(self.path)
    if not other or (self.alone and other.get('system') == _system()):
      return   # of a process of this machine, whose lock went with it
    if not self.alone:
      logging.warning('%s: this file system knows no locks; whether another training is in the '
                      'folder is told by its signs of life alone', self.path)
    logging.warning('%s is of process %s on %s and was not taken away: looking %.0f seconds for a '
                    'sign of life', self.path, other.get('pid'), other.get('host'), self.patience)
    end = time.monotonic() + self.patience
    while time.monotonic() < end:
      time.sleep(min(WATCH, self.patience / 4))
      if read(self.path) != other:
        raise UserError(self._refusal(other))

  def _refusal(self, other):
    who = (f'process {other.get("pid")} on {other.get("host")}, since {other.get("began")}'
           if other else 'another process')
    return (f'{self.path.parent} is in use: {who} trains there. Two trainings in one folder would '
            'destroy each other: stop that one, wait for its end, or give another --workdir')

  def _write(self):
    text = json.dumps(self._record).encode()
    os.lseek(self._file, 0, os.SEEK_SET)
    os.write(self._file, text.ljust(512) + b'\n')   # of one length: never half old, half new
    with contextlib.suppress(OSError):
      os.fsync(self._file)   # buckets show a file only then

  def _keep_beating(self):
    while not self._stop.wait(self.beat):
      self._record['beat'] += 1
      with contextlib.suppress(OSError):   # a full disk: the system's lock is still there
        if self.lost() is None:
          self._write()

  def lost(self) -> dict[str, Any] | None:
    """The record of whoever has taken the folder since, or None."""
    other = read(self.path)
    return other if other and other.get('token') != self._record['token'] else None

  def check(self) -> None:
    """Call before anything of value is written.

    Raises:
      UserError: another training has taken the folder meanwhile; says who.
    """
    other = self.lost()
    if other:
      raise UserError(self._refusal(other))

  def release(self) -> None:
    """Take the file away, if it is still ours."""
    self._stop.set()
    self._beating.join()
    with contextlib.suppress(OSError):
      if self.lost() is None:
        self.path.unlink(missing_ok=True)
    os.close(self._file)


def lock_file(file: int) -> bool:
  """Lock an open file for this process and its life; False where the file system knows no locks.

  Raises:
    BlockingIOError: another holds it.
  """
  if fcntl is None:
    return False
  try:
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
  except BlockingIOError:
    raise
  except OSError:   # ENOLCK, ENOTSUP, ENOSYS: some network folders
    return False
  return True


def read(path: pathlib.Path) -> dict[str, Any]:
  """The record in a lock file; {} where there is none."""
  try:
    found = json.loads(path.read_bytes() or b'{}')
  except (OSError, ValueError):
    return {}
  return found if isinstance(found, dict) else {}


def _system():
  """What names this running system: a machine that starts again is another one."""
  try:
    boot = pathlib.Path('/proc/sys/kernel/random/boot_id').read_text().strip()
  except OSError:
    boot = ''
  return f'{socket.gethostname()} {boot}'


def wait_for_end(workdir: str | os.PathLike[str], patience: float = 2 * PATIENCE) -> bool:
  """Wait until no training of this machine is in a run folder; True as soon as there is none."""
  path, end = pathlib.Path(workdir) / NAME, time.monotonic() + patience
  while _is_locked(path):
    if time.monotonic() > end:
      return False
    time.sleep(WATCH)
  return True


def _is_locked(path):
  try:
    with open(path, 'r+b') as file:
      lock_file(file.fileno())
  except BlockingIOError:
    return True
  except OSError:   # not there
    return False
  return False


@contextlib.contextmanager
def hold(workdir: str | os.PathLike[str], patience: float = PATIENCE) -> Iterator[RunLock | None]:
  """The lock of a run folder, held by the main process for all processes of the run.

  A folder that was made for it and stayed empty is removed again.

  Raises:
    UserError: another training holds it, on all processes. OSError: nothing can be written there.
  """
  held = RunLock(workdir, patience) if parallel.is_main() else None
  existed = pathlib.Path(workdir).exists()
  parallel.together(held.take if held else lambda: None)
  if held:
    files.sweep(workdir, deep=True)   # of a training that was killed
  try:
    yield held
  finally:
    if held:
      held.release()
      if not existed:
        with contextlib.suppress(OSError):   # what was written stays
          pathlib.Path(workdir).rmdir()

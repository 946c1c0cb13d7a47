"""A folder for each visitor, gone with the visitor."""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
import secrets
import shutil
import tempfile
import threading
import time

from i2vjax.app import uploads
from i2vjax.core.errors import UserError

IDLE = 7200   # seconds without a click after which a page counts as closed
ENDING = 5    # seconds that the end waits for a translation to see that its visitor is gone
LOST = 'This upload is not here any more: drop it again.'


class Replaced(Exception):
  """Another upload took the place of this one as it was checked, or the visitor took it back."""


@dataclasses.dataclass
class Session:
  """One open page.

  Attributes:
    folder: its own; no name that the visitor chose is in it.
    token: in the name of all that is handed out, so that nobody else guesses it, and that its
      copies are found again.
    files: {'source' | 'truth': what was uploaded last}, once it is checked.
    places: {part: the folder of what was uploaded last}, another for every upload.
    result: the folder of the last result, or None.
    moments: of the last result: [(input, translation)], pictures of the same frame.
    taken: {part: its upload as the server keeps it}, deleted with the next one or the session.
    used: when it was used last, by the monotonic clock.
    open: False once the visitor is gone.
    busy: held while a translation writes into the folder.
  """

  folder: pathlib.Path
  token: str
  files: dict[str, uploads.Upload] = dataclasses.field(default_factory=dict)
  places: dict[str, pathlib.Path] = dataclasses.field(default_factory=dict)
  result: pathlib.Path | None = None
  moments: list[tuple[pathlib.Path, pathlib.Path]] = dataclasses.field(default_factory=list)
  taken: dict[str, pathlib.Path] = dataclasses.field(default_factory=dict)
  used: float = dataclasses.field(default_factory=time.monotonic)
  open: bool = True
  busy: threading.Lock = dataclasses.field(default_factory=threading.Lock)


class Sessions:
  """All open pages, by the name that the server gave them.

  root
    uploads/    where the server lays uploads, and copies of what it hands out, below unguessable
                names
    visitors/   a folder for each session
  """

  def __init__(self, root: pathlib.Path, limits: uploads.Limits):
    self.root, self.limits = root, limits
    self.uploads, self.visitors = root / 'uploads', root / 'visitors'
    for folder in (self.uploads, self.visitors):
      folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    self._sessions: dict[str, Session] = {}
    self._lock = threading.Lock()

  def of(self, name: str | None) -> Session:
    """The session of that name, made if it is new; then those that nobody uses any more end.

    Raises:
      UserError: no name: all who have none would share one.
    """
    if not name:
      raise UserError('This page is not known here: load it again.')
    now = time.monotonic()
    if name not in self._sessions:
      for idle in [x for x, other in self._sessions.copy().items() if other.used < now - IDLE]:
        self.close(idle)
    with self._lock:
      if name not in self._sessions:
        token = secrets.token_hex(8)
        folder = self.visitors / token
        folder.mkdir(mode=0o700)
        self._sessions[name] = Session(folder, token)
      self._sessions[name].used = now
      return self._sessions[name]

  def take(self, name: str | None, part: str, path: str) -> uploads.Upload:
    """Copy an upload into the session's folder, under a name of ours, and check it.

    Others may be taken or dropped meanwhile: the one that began last counts.

    Args:
      name: of the session. part: 'source' or 'truth'. path: where the server laid the upload.

    Raises:
      UserError: not an upload, or one that is not taken; then the session has none of that part.
      Replaced: see there.
    """
    session, file = self.of(name), self._uploaded(path)
    place = self._replace(session, part, file)
    if place is None:
      raise UserError(LOST)
    try:
      copy = shutil.copyfile(file, place / uploads.NAME)
      return self._keep(session, part, uploads.check(copy, self.limits))
    except Exception as error:   # of a file that went while it was read too
      shutil.rmtree(place, ignore_errors=True)
      if session.places.get(part) != place or not session.open:
        raise Replaced from error
      if isinstance(error, FileNotFoundError):   # another visitor, who had the same, dropped it
        raise UserError(LOST) from error
      raise

  def _keep(self, session, part, upload):
    with self._lock:
      if not session.open or session.places.get(part) != upload.path.parent:
        raise Replaced
      session.files[part] = upload
    return upload

  def _uploaded(self, path):
    """The file that a browser names, if it is an upload; else None."""
    file = pathlib.Path(path or '')
    if '\0' in str(file) or file.is_symlink() or not file.is_file():
      return None
    return file.resolve() if self.uploads.resolve() in file.resolve().parents else None

  def drop(self, name: str | None, part: str) -> None:
    """Forget an upload that the visitor took back."""
    self._replace(self.of(name), part, None)

  def _replace(self, session, part, file):
    """Forget the upload of that part. The new folder for the one at `file`; None if there is none.

    A folder of its own for each: a film that is still read is not mixed up with the next one.
    """
    place = None
    with self._lock:
      session.files.pop(part, None)
      old, gone = session.places.pop(part, None), {session.taken.pop(part, file)} - {file}
      if file is not None:
        if not session.open:
          raise Replaced
        session.taken[part] = file
        # a folder, since pictures are read from folders
        place = pathlib.Path(tempfile.mkdtemp(prefix=f'{part}-', dir=session.folder))
        session.places[part] = place
      gone -= self._taken()
    if old is not None:
      shutil.rmtree(old, ignore_errors=True)
    _delete(gone)
    return place

  def _taken(self):
    """All uploads that belong to a session. The same file, dropped by two, lies there once."""
    return {path for session in self._sessions.values() for path in session.taken.values()}

  def close(self, name: str | None) -> None:
    """Delete all of a session: its folder, its uploads, the copies of what it was handed."""
    with self._lock:
      session = self._sessions.pop(name or '', None)
      if session is None:
        return
      session.open = False
      gone = set(session.taken.values()) - self._taken()
    shutil.rmtree(session.folder, ignore_errors=True)
    _delete(gone | set(self.uploads.glob(f'*/*{session.token}*')))

  def close_all(self) -> None:
    """Delete everything, also what a translation wrote before it saw that nobody waits for it."""
    sessions = list(self._sessions.items())
    for name, _ in sessions:
      self.close(name)
    end = time.monotonic() + ENDING
    try:
      for _, session in sessions:
        if session.busy.acquire(timeout=max(end - time.monotonic(), 0)):
          session.busy.release()
    finally:   # of Ctrl-C once more too
      shutil.rmtree(self.root, ignore_errors=True)


def _delete(paths):
  """Delete files, and their folders if these are empty then."""
  for path in paths:
    path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
      path.parent.rmdir()

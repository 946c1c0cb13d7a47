"""A folder for each visitor, gone with the visitor."""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
import secrets
import shutil
import threading
import time

from i2vjax.app import uploads
from i2vjax.core.errors import UserError

IDLE = 7200   # seconds without a click after which a page counts as closed


@dataclasses.dataclass
class Session:
  """One open page.

  Attributes:
    folder: its own; no name that the visitor chose is in it.
    token: in the name of all that is handed out, so that nobody else guesses it, and that its
      copies are found again.
    files: {'source' | 'truth': what was uploaded last}.
    moments: of the last result: [(input, translation)], pictures of the same frame.
    taken: {part: its upload as the server keeps it}, deleted with the next one or the session.
    used: when it was used last, by the monotonic clock.
    open: False once the visitor is gone.
  """

  folder: pathlib.Path
  token: str
  files: dict[str, uploads.Upload] = dataclasses.field(default_factory=dict)
  moments: list[tuple[pathlib.Path, pathlib.Path]] = dataclasses.field(default_factory=list)
  taken: dict[str, pathlib.Path] = dataclasses.field(default_factory=dict)
  used: float = dataclasses.field(default_factory=time.monotonic)
  open: bool = True


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

    Args:
      name: of the session. part: 'source' or 'truth'. path: where the server laid the upload.

    Raises:
      UserError: not an upload, or one that is not taken; then the session has none of that part.
    """
    session, file = self.of(name), self._uploaded(path)
    self.drop(name, part, file)
    if file is None:
      raise UserError('This upload is not here any more: drop it again.')
    session.taken[part] = file
    place = session.folder / part   # a folder, since pictures are read from folders
    place.mkdir()
    try:
      copy = shutil.copyfile(file, place / f'frame{uploads.ending_of(file)}')
      session.files[part] = uploads.check(copy, self.limits)
    except UserError:
      shutil.rmtree(place, ignore_errors=True)
      raise
    return session.files[part]

  def _uploaded(self, path):
    """The file that a browser names, if it is an upload; else None."""
    file = pathlib.Path(path or '')
    if '\0' in str(file) or file.is_symlink() or not file.is_file():
      return None
    return file.resolve() if self.uploads.resolve() in file.resolve().parents else None

  def drop(self, name: str | None, part: str, kept: pathlib.Path | None = None) -> None:
    """Forget an upload that the visitor took back, or replaces by the one at `kept`."""
    session = self.of(name)
    session.files.pop(part, None)
    shutil.rmtree(session.folder / part, ignore_errors=True)
    with self._lock:
      gone = {session.taken.pop(part, kept)} - {kept}
      gone -= {path for other in self._sessions.values() for path in other.taken.values()}
    _delete(gone)

  def close(self, name: str | None) -> None:
    """Delete all of a session: its folder, its uploads, the copies of what it was handed."""
    with self._lock:
      session = self._sessions.pop(name or '', None)
      kept = {path for other in self._sessions.values() for path in other.taken.values()}
    if session is None:
      return
    session.open = False
    shutil.rmtree(session.folder, ignore_errors=True)
    # The same file, dropped by two visitors, lies there once.
    _delete((set(session.taken.values()) - kept)
            | set(self.uploads.glob(f'*/*{session.token}*')))

  def close_all(self) -> None:
    """Delete everything."""
    for name in list(self._sessions):
      self.close(name)
    shutil.rmtree(self.root, ignore_errors=True)


def _delete(paths):
  """Delete files, and their folders if these are empty then."""
  for path in paths:
    path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
      path.parent.rmdir()

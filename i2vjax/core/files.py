"""Atomic writes, the cache folder, full disks, and disk-backed arrays."""

import contextlib
import errno
import itertools
import json
import os
import pathlib
import re
import secrets
import shutil
import socket
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from i2vjax.core.errors import UserError

MEMMAP_ABOVE = 2**26   # bytes: larger arrays are on the disk
# What FFmpeg says of the disk and not of its own state.
OF_DISKS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EIO)
DISK_FULL = ('No space left', 'RESOURCE_EXHAUSTED', 'quota')   # how orbax words it in other errors
TOO_LARGE = 'File too large'   # and this, of a file beyond the limit of its disk or its user

Path = str | os.PathLike[str]


def cache(name: str) -> pathlib.Path:
  """The folder `i2vjax/NAME` in the user's cache ($XDG_CACHE_HOME, else ~/.cache).

  Raises:
    UserError: this user has no home.
  """
  base = os.environ.get('XDG_CACHE_HOME')
  if not base:
    try:
      base = str(pathlib.Path.home() / '.cache')
    except RuntimeError as error:
      raise UserError('this user has no home folder for the cache of i2vjax: set XDG_CACHE_HOME to '
                      'a folder that can be written to') from error
  return pathlib.Path(base) / 'i2vjax' / name


def make_cache(folder: Path, remedy: str = '') -> pathlib.Path:
  """A folder of the cache, made if it is missing.

  Args:
    folder: in the cache. remedy: what else may be set, for the message.

  Raises:
    OSError: it cannot be made, or nothing can be written there.
  """
  folder = pathlib.Path(folder)
  try:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
      pass
  except OSError as error:
    raise OSError(f'nothing can be written to the cache {folder}: {error.strerror}. Set '
                  f'XDG_CACHE_HOME to a folder that can be written to'
                  + (f', or {remedy}' if remedy else '')) from error
  return folder


def expanded(path: Path) -> pathlib.Path:
  """A path with ~ as the user's home; of a user whom nobody knows it stays a name."""
  return pathlib.Path(os.path.expanduser(path))


def for_ffmpeg(path: Path) -> str:
  """A path as FFmpeg takes it for one: it would read 12:30.mp4 as an address of the protocol 12."""
  return f'file:{os.fspath(path)}'


def save_atomic(path: Path, write: Callable[[pathlib.Path], Any]) -> None:
  """Run `write(temporary path)` and put the file at `path` only when it is whole.

  The temporary file is in the same folder under a hidden name with the same suffix, so the final
  rename cannot be cut in two, and a failed or interrupted write leaves nothing behind.
  """
  path = pathlib.Path(path)
  path.parent.mkdir(parents=True, exist_ok=True)
  temporary = path.parent / f'{part_prefix()}{secrets.token_hex(8)}{path.suffix}'
  temporary.touch(exist_ok=False)   # tempfile's are private, and umask is asked by changing it
  try:
    write(temporary)
    os.replace(temporary, path)
  finally:
    temporary.unlink(missing_ok=True)


def save_text(path: Path, text: str) -> None:
  """Write a text file, whole or not at all."""
  # names of files need not be UTF-8: such bytes are written as \\udcff
  save_atomic(path, lambda temporary: temporary.write_text(text, 'utf-8', 'backslashreplace'))


def save_json(path: Path, tree: Any) -> None:
  """Write numbers and texts as JSON, which knows no NaN and infinity: they become null."""
  save_text(path, json.dumps(finite(tree), indent=2, allow_nan=False) + '\n')


def finite(tree: Any) -> Any:
  """A copy of a tree with NaN and infinity as None, NumPy numbers as Python's."""
  if isinstance(tree, dict):
    return {name: finite(value) for name, value in tree.items()}
  if isinstance(tree, (list, tuple, np.ndarray)):
    return [finite(value) for value in tree]
  if isinstance(tree, (float, np.floating)):
    return float(tree) if np.isfinite(tree) else None
  return int(tree) if isinstance(tree, np.integer) else tree


# ---- What a killed process leaves --------------------------------------------------------------


PART = re.compile(r'\.part-([0-9a-f]{8})-([0-9]+)-')
OLD = 'old-'   # follows in the name of a folder that holds what a new one takes the place of
READY = 'ready-'   # or of one whose content is whole, and on its way to the folder around it


def part_prefix() -> str:
  """How names of unfinished files and folders begin: they tell whose they are, see `sweep`."""
  return f'.part-{_machine()}-{os.getpid()}-'


def _machine():
  """8 hexadecimal digits for the machine and container in which process numbers mean the same."""
  try:
    space = os.readlink('/proc/self/ns/pid')
  except OSError:
    space = ''
  return f'{zlib.crc32(f"{socket.gethostname()} {space}".encode()):08x}'


def sweep(folder: Path, deep: bool = False) -> list[pathlib.Path]:
  """Take away what processes that were killed had not finished in a folder; returns what it was.

  Only what this package named so, of processes of this machine that are no more. What they had put
  aside for a new one that never came gets its name back (`put_in_place`), and what was whole comes
  to its place (`put_all_in_place`).

  Args:
    folder: may be missing. deep: its sub-folders too.
  """
  folder, gone = pathlib.Path(folder), []
  if os.name != 'posix' or not folder.is_dir():
    return []
  for path in sorted(folder.rglob('.part-*') if deep else folder.glob('.part-*'), reverse=True):
    found = PART.match(path.name)
    if found and found[1] == _machine() and not _alive(int(found[2])):
      if path.name[found.end():].startswith((OLD, READY)) and not path.is_symlink():
        _give_back(path)
      shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
      gone.append(path)
  return gone


def _alive(process):
  try:
    os.kill(process, 0)
  except ProcessLookupError:
    return False
  except OSError:   # somebody else's
    return True
  return True


def put_in_place(new: Path, target: Path) -> None:
  """Rename a file or folder to `target`; a folder that was there goes when the new one is there.

  If the process is killed in between, the old folder is in a hidden one beside its place, and the
  next `sweep` there restores its name: at no moment are both lost.

  Raises:
    OSError: it cannot be renamed; then the old one is where it was.
  """
  new, target = pathlib.Path(new), pathlib.Path(target)
  target.parent.mkdir(parents=True, exist_ok=True)
  if not target.is_dir():   # nothing, or a file, which a file replaces in one go
    os.replace(new, target)
    return
  aside = target.parent / f'{part_prefix()}{OLD}{secrets.token_hex(4)}'
  aside.mkdir()
  try:
    os.replace(target, aside / target.name)
    os.replace(new, target)
  finally:
    _give_back(aside)
    shutil.rmtree(aside, ignore_errors=True)


def put_all_in_place(part: Path, folder: Path) -> None:
  """Rename what is in the folder `part` into `folder`, together.

  Each as `put_in_place` does. `part` first gets a name that says it is whole: if the process is
  killed in between, the next `sweep` of `folder` brings the rest to names that are free. Where an
  old folder has the name it stays, as it may be somebody's: the old and the new are then mixed,
  until the command that was to replace them is given again.

  Raises:
    OSError: one cannot be renamed; those before it are in their places.
  """
  folder = pathlib.Path(folder)
  ready = folder / f'{part_prefix()}{READY}{secrets.token_hex(4)}'
  os.replace(part, ready)
  try:
    try:
      _place_all(ready, folder)
    except KeyboardInterrupt:   # a rename takes no time
      _place_all(ready, folder)
      raise
  finally:
    shutil.rmtree(ready, ignore_errors=True)


def _place_all(ready, folder):
  for path in sorted(ready.iterdir()):
    put_in_place(path, folder / path.name)


def _give_back(aside):
  """What is in a hidden folder gets its name beside it, unless another has it."""
  for path in list(aside.iterdir()) if aside.is_dir() else ():
    place = aside.parent / path.name
    if not os.path.lexists(place):
      os.replace(path, place)


# ---- Full disks -------------------------------------------------------------------------------


def disk_full(error: Exception) -> bool:
  """True where an error says that the disk or the user's share is full, or a file too large."""
  if getattr(error, 'errno', None) in (errno.ENOSPC, errno.EDQUOT):
    return True
  return _too_large(error) or any(text in str(error) for text in DISK_FULL)


def _too_large(error):
  return getattr(error, 'errno', None) == errno.EFBIG or TOO_LARGE in str(error)


def disk_full_error(path: Path, consequence: str, error: Exception) -> OSError:
  """The error to raise where `path` did not fit on its disk.

  Args:
    path: what was written; the nearest folder above it that exists tells the free space.
    consequence: what is left, as the end of the sentence.
    error: for which `disk_full` holds.
  """
  if _too_large(error):
    return OSError(f'{path}: a file is larger than this disk or limit allows (FAT32: 4 GiB; '
                   f'ulimit -f shows the limit); {consequence}')
  place = pathlib.Path(path).absolute()
  folder = next(x for x in (place, *place.parents) if x.is_dir())
  free = shutil.disk_usage(folder).free // 2**20
  return OSError(f'{path}: the disk is full ({free} MiB free); {consequence}')


@contextlib.contextmanager
def temporary_room() -> Iterator[None]:
  """Where temporary files do not fit on their disk, the error names their folder and the remedy.

  Raises:
    OSError: so.
  """
  try:
    yield
  except OSError as error:
    if not disk_full(error):
      raise
    raise disk_full_error(tempfile.gettempdir(), 'it takes temporary files: set TMPDIR to a folder '
                          'with more room', error) from error


# ---- Disk-backed arrays -----------------------------------------------------------------------


def allocate(shape: Sequence[int], dtype: npt.DTypeLike) -> np.ndarray:
  """An array to be filled. A large one is in a temporary file ($TMPDIR) that goes with it.

  Raises:
    OSError: the disk is full; names it.
  """
  size = int(np.prod(shape)) * np.dtype(dtype).itemsize
  if size < MEMMAP_ABOVE:
    return np.empty(shape, dtype)
  with temporary_room(), tempfile.TemporaryFile(prefix='i2vjax-') as file:
    if hasattr(os, 'posix_fallocate'):   # a full disk is found here, not by a signal while writing
      os.posix_fallocate(file.fileno(), 0, size)
    return np.asarray(np.memmap(file, dtype, 'w+', shape=tuple(shape)))


def stack_stream(items: Iterable[npt.ArrayLike], count: int) -> np.ndarray:
  """[count, ...] of an iterable of so many arrays, as np.stack; only one of them is in memory.

  Raises:
    UserError: fewer or more items, or one of another shape or type than the first.
  """
  items = iter(items)
  first = np.asarray(next(items))
  whole, k = allocate((count, *first.shape), first.dtype), -1
  for k, item in enumerate(itertools.chain([first], items)):
    item = np.asarray(item)
    if k >= count or (item.shape, item.dtype) != (first.shape, first.dtype):
      raise UserError(f'item {k} of {count}: {item.shape} {item.dtype}, the first was '
                       f'{first.shape} {first.dtype}')
    whole[k] = item
  if k + 1 != count:
    raise UserError(f'{k + 1} items, not {count}')
  return whole

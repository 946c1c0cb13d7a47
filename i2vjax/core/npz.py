"""Arrays of .npz files that anybody may have made."""

import io
import lzma
import os
import pathlib
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Callable
from typing import IO, Any

import numpy as np

from i2vjax.core.errors import UserError

KINDS = 'biufcSUV'    # of types whose numbers stand in the file; objects would be pickled ones
MEMBER = '.npy'
MOST_EXPANSION = 20   # times the size of the file that its arrays may have
ALWAYS = 2**26        # bytes that any file may expand to: small ones may hold nothing but zeros
# What reading a damaged archive can raise.
DAMAGE = (zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, lzma.LZMAError, struct.error,
          ValueError, TypeError, KeyError, EOFError, OSError, OverflowError, RuntimeError,
          MemoryError, SyntaxError, tokenize.TokenError)


class Damaged(UserError):
  """It is no .npz file, or none that can be believed; the message says why, but not which file."""


class Untrusted(Damaged):
  """It was made to do harm, or by a program that does not know better."""


def read(file: str | os.PathLike[str] | bytes,
         keep: Callable[[str], bool] | None = None) -> dict[str, np.ndarray]:
  """The arrays of an .npz file by name.

  The headers of all of them are read first: an array is made only if the file has its bytes.

  Args:
    file: path, or the bytes of a file.
    keep: name -> bool; the numbers of other arrays are never read. None keeps all.

  Raises:
    Damaged: cut off, changed, or with sizes that are not its own. Untrusted: with objects in it,
      which would be pickled, and could run code, or with two arrays of one name; or it would become
      many times as large as it is.
    FileNotFoundError: no such file.
  """
  if not isinstance(file, bytes) and not pathlib.Path(file).is_file():
    raise FileNotFoundError(f'{os.fspath(file)}: no such file')
  try:
    with zipfile.ZipFile(io.BytesIO(file) if isinstance(file, bytes) else file) as archive:
      members = _members(archive)
      for name, info in members.items():
        with archive.open(info) as stream:
          _check(name, stream, info.file_size)
      return {name: _array(archive, info) for name, info in members.items()
              if keep is None or keep(name)}
  except UserError:
    raise
  except DAMAGE as error:
    raise Damaged(f'no whole .npz file ({str(error) or type(error).__name__})') from error


def _members(archive):
  """{name of an array: its entry}, if the entries are what an .npz file has."""
  members = {}
  for info in archive.infolist():
    name = info.filename.removesuffix(MEMBER)
    if name == info.filename:
      raise Damaged(f'no .npz file: it holds {_short(name)}, which is no array')
    if name in members:
      raise Untrusted(f'not to be trusted: it holds {_short(name)} twice')
    members[name] = info
  packed = sum(info.compress_size for info in members.values())
  expanded = sum(info.file_size for info in members.values())
  size = archive.fp.seek(0, 2)
  if packed > size:
    raise Damaged('no whole .npz file: its arrays would be larger than the file')
  if expanded > max(MOST_EXPANSION * size, ALWAYS):
    raise Untrusted(f'not to be trusted: {size} bytes that would become {expanded}')
  return members


def _check(name: str, stream: IO[bytes], size: int) -> None:
  """Refuse a header that asks for objects, or for another number of bytes than there is."""
  shape, dtype = header(stream)
  if dtype.hasobject or dtype.fields or dtype.subdtype or dtype.kind not in KINDS:
    raise Untrusted(f'not to be trusted: {_short(name)} holds {_short(str(dtype))} and no numbers; '
                  'objects are pickled, and could run code')
  wanted = dtype.itemsize
  for side in shape:
    wanted *= side
  if any(side < 0 for side in shape) or len(shape) > 32 or wanted != size - stream.tell():
    raise Damaged(f'no whole .npz file: {_short(name)} should have {_short(str(shape))} numbers, '
                  f'and {size - stream.tell()} bytes are there')


def header(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
  """(shape, type) that an .npy file tells; the stream then stands at the numbers."""
  version = np.lib.format.read_magic(stream)
  if version == (1, 0):
    shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
  else:   # of later versions it refuses what it does not know
    shape, _, dtype = np.lib.format.read_array_header_2_0(stream)
  return shape, dtype


def _array(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> np.ndarray:
  with archive.open(info) as stream:
    return np.lib.format.read_array(stream, allow_pickle=False)


def _short(text: Any) -> str:
  """A name of a file nobody knows, for messages."""
  text = repr(text) if not isinstance(text, str) or not text.isprintable() else text
  return text if len(text) <= 80 else f'{text[:77]}...'

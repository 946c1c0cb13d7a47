"""Films behind the first in a file, which FFmpeg does not reach.

Of most kinds put one behind the other (`cat a.ts b.ts`) it reads on, and times tell where
(`video_times.GoingOn`). Of those here it stops at the end of the first, takes the second for
damaged frames, or reads on somewhere in the middle of it, and says nothing.
"""

import functools
import mmap
import os
import re

from i2vjax.core import notes
from i2vjax.data.io import film_ends

# FFmpeg's name of a kind: how its files begin. Enough bytes to be no chance in what may follow the
# last frame of a whole film: sound, tables, texts.
HEADS = {
  'mov': rb'\0\0[\0\x01].ftyp(?!jp[2mx] )[ -~]{4}',      # but JPEG 2000, a frame of some films
  'flv': rb'FLV\x01[\0-\x05]\0\0\0\x09\0\0\0\0',
  'asf': rb'0&\xb2u\x8ef\xcf\x11\xa6\xd9\0\xaa\0b\xcel',
  'ivf': rb'DKIF\0\0 \0',
  'wtv': rb'\xb7\xd8\0 7I\xda\x11\xa6N\0\x07\xe9\^\xad\x8d',
}
HEADS['live_flv'] = HEADS['flv']


def first_end(path: str | os.PathLike, container: str) -> int | None:
  """The byte up to which FFmpeg is to read a file, where it would run into what follows its film.

  None: the whole file. Arguments: see `next_film`.
  """
  return _ends(path, container)[0]


def _ends(path, container):
  state = os.stat(path)
  if container not in film_ends.OF_KINDS or not state.st_size:
    return None, None
  return _searched(os.fspath(path), container, state.st_mtime_ns, state.st_size)


@functools.lru_cache(maxsize=1024)
def _searched(path, container, *_):
  with open(path, 'rb') as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
    return film_ends.OF_KINDS[container](content)


def next_film(path: str | os.PathLike, container: str, last: int) -> int | None:
  """The byte at which a second film of the same kind begins; None: there is none.

  Args:
    path: the file. container: FFmpeg's names of its kind. last: byte of the last packet that was
      read, 0 where it is not known.
  """
  head = next((HEADS[name] for name in container.split(',') if name in HEADS), None)
  if head is None or last <= 0:
    return _ends(path, container)[1]
  with open(path, 'rb') as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
    found = re.compile(head, re.DOTALL).search(content, last)
    if not found and head == HEADS['mov']:
      return film_ends.next_quicktime(content, last)
    return found.start() if found else None


def say_unread(path: str | os.PathLike, container: str, last: int) -> None:
  """Say how much of a file lies behind its first film; arguments: see `next_film`."""
  start = next_film(path, container, last)
  if start is not None:
    notes.say_once(f'{path}: another film begins at byte {start}, and nothing of its '
                   f'{os.path.getsize(path) - start} bytes is read (files put one behind the '
                   'other?). Join them as films: ffmpeg -f concat -i LIST -c copy NEW.mkv')

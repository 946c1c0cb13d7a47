"""Films behind the first in a file, which FFmpeg does not reach.

Of most kinds put one behind the other (`cat a.ts b.ts`) it reads on, and times tell where
(`video_times.GoingOn`). Of those here it stops at the end of the first, or takes the second for a
damaged frame, and says nothing.
"""

import mmap
import os
import re

from i2vjax.core import notes

# FFmpeg's name of a kind: how its files begin. Enough bytes to be no chance in what may follow the
# last frame of a whole film: sound, tables, texts.
HEADS = {
  'mov': rb'\0\0[\0\x01].ftyp[ -~]{4}',
  'flv': rb'FLV\x01[\0-\x05]\0\0\0\x09\0\0\0\0',
  'asf': rb'0&\xb2u\x8ef\xcf\x11\xa6\xd9\0\xaa\0b\xcel',
  'ivf': rb'DKIF\0\0 \0',
  'wtv': rb'\xb7\xd8\0 7I\xda\x11\xa6N\0\x07\xe9\^\xad\x8d',
}


def next_film(path: str | os.PathLike, container: str, last: int) -> int | None:
  """The byte at which a second film of the same kind begins; None: there is none.

  Args:
    path: the file. container: FFmpeg's names of its kind. last: byte of the last packet that was
      read, 0 where it is not known.
  """
  head = next((HEADS[name] for name in container.split(',') if name in HEADS), None)
  if head is None or last <= 0:
    return None
  with open(path, 'rb') as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
    found = re.compile(head, re.DOTALL).search(content, last)
    return found.start() if found else None


def say_unread(path: str | os.PathLike, container: str, last: int) -> None:
  """Say how much of a file lies behind its first film; arguments: see `next_film`."""
  start = next_film(path, container, last)
  if start is not None:
    notes.say_once(f'{path}: another film begins at byte {start}, and nothing of its '
                   f'{os.path.getsize(path) - start} bytes is read (files put one behind the '
                   'other?). Join them as films: ffmpeg -f concat -i LIST -c copy NEW.mkv')

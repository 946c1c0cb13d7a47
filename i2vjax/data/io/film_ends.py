"""Where the first film in a file ends, by its bytes alone.

Of kinds whose end FFmpeg does not notice: its last packet may lie in the middle of the second film.
"""

import contextlib
import functools
import os
import re
import struct
import zlib
from typing import BinaryIO

CHUNK = 2 ** 16
MOST_UNPACKED = 2 ** 32      # bytes: Flash counts them by 32 bits


def _by_head(head, content):
  """(end of the first film, begin of the second), None where there is no second, by its head.

  The head is looked for among the frames too: it must be too long to be there by chance.
  """
  found = head.search(content, 1)
  return (found.start(), found.start()) if found else (None, None)


def _flash(content):
  """`_by_head` of Flash, whose heads are short: its last tag says where it ends."""
  end = (_packed_end if content[:3] == b'CWS' else _tags_end)(content)
  found = re.compile(rb'[CFZ]WS[\x01-\x32]').search(content, end) if end else None
  return (end, found.start()) if found else (None, None)


def _tags_end(content):
  """The byte behind the tag that ends a Flash film; None where it has none."""
  try:
    place = 8 + (5 + 4 * (content[8] >> 3) + 7) // 8 + 4       # size, rate, number of frames
    while True:
      tag, = struct.unpack_from('<H', content, place)
      size, place = tag & 63, place + 2
      if size == 63:
        (size,), place = struct.unpack_from('<I', content, place), place + 4
      place += size
      if tag >> 6 == 0:
        return place
  except (struct.error, IndexError):
    return None


def _packed_end(content):
  """The byte behind the packed content of a Flash film; None where it is damaged."""
  unpack = zlib.decompressobj()
  for place in range(8, len(content), CHUNK):
    try:
      unpack.decompress(content[place:place + CHUNK])
    except zlib.error:
      return None
    if unpack.eof:
      return min(place + CHUNK, len(content)) - len(unpack.unused_data)
  return None


def unpacked_flash(path: str | os.PathLike) -> bytes | None:
  """The content of a packed Flash film as one that is not, up to its damage; None: not packed."""
  with open(path, 'rb') as file:
    head = file.read(8)
    if head[:3] != b'CWS':
      return None
    unpack, content = zlib.decompressobj(), bytearray(b'F' + head[1:])
    with contextlib.suppress(zlib.error):
      while not unpack.eof and (chunk := file.read(CHUNK)) and len(content) < MOST_UNPACKED:
        content += unpack.decompress(chunk)
  return bytes(content)


def _multipart(content):
  """`_by_head` of pictures in parts: a mark that no picture follows ends them.

  FFmpeg takes that mark for a damaged picture: also in a single film it is not to be read.
  """
  mark = _mark(content)
  last = re.compile(rb'\n' + re.escape(mark) + rb'(?:--)?\s*(?:\Z|(?=--[!-~]+\r?\n[\w-]+:))')
  found = last.search(content) if mark else None
  if not found:
    return None, None
  return found.start(), None if found.end() == len(content) else found.end()


def _mark(content):
  """The line in front of every part, as the first one has it."""
  found = re.compile(rb'\s*(--[!-~]+)').match(content[:CHUNK])
  return found[1] if found else b''


def ends_in_picture(tail: bytes) -> bool:
  """True if the last bytes of pictures in parts end a picture; zeros may follow it."""
  return re.compile(rb'\xff\xd9[\0\s]*\Z').search(tail) is not None


# FFmpeg's name of a kind: what finds both places in the content of a file
OF_KINDS = {
  'nut': functools.partial(_by_head, re.compile(rb'nut/multimedia container\0NM')),
  'rm': functools.partial(_by_head, re.compile(rb'\.RMF\0\0\0[\x10\x12].{8,10}PROP', re.DOTALL)),
  'yuv4mpegpipe': functools.partial(_by_head, re.compile(rb'YUV4MPEG2 [A-Z]')),
  'swf': _flash, 'mpjpeg': _multipart,
}


def next_quicktime(content, last: int) -> int | None:
  """The byte at which a second film begins whose first box is not `ftyp`; None: there is none.

  A film has one `moov`, in front of its frames or behind them.

  Args:
    content: of the file. last: byte of the last packet of the first film.
  """
  boxes = list(_boxes(content))
  kinds = [kind for _, kind in boxes]
  if kinds.count(b'moov') < 2:
    return None
  begin = max(last, boxes[kinds.index(b'moov')][0])
  behind = [k for k, (place, _) in enumerate(boxes) if place > begin]
  if b'moov' not in kinds[behind[0]:]:
    return None
  starts = [k for k in behind if kinds[k:k + 2] == kinds[:2]]
  starts += [k for k in behind if kinds[k] in (b'moov', b'mdat', b'wide', b'pnot')]
  return boxes[starts[0]][0]


def _boxes(content):
  """(place, kind) of the boxes of a QuickTime file, not of those inside them."""
  place = 0
  while place + 16 <= len(content):
    size, kind = struct.unpack_from('>I4s', content, place)
    yield place, kind
    if size == 1:
      size, = struct.unpack_from('>Q', content, place + 8)
    if size < 8:       # 0: up to the end of the file
      return
    place += size


def dropped_frames(file: BinaryIO, place: int) -> int:
  """How many empty frames an AVI has behind its last picture: they show it on.

  Args:
    file: the film. place: byte behind the last picture.
  """
  count, place = 0, place + place % 2      # chunks begin at even bytes
  while True:
    file.seek(place)
    head = file.read(8)
    if len(head) < 8:
      return count
    kind, size = struct.unpack('<4sI', head)
    count += size == 0 and kind[:2].isdigit() and kind[2:] in (b'dc', b'db')
    place += 12 if kind in (b'LIST', b'RIFF') else 8 + size + size % 2

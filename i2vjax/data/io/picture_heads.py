"""What a picture file states before anything is decoded: kind, size, checksums.

A few damaged bytes can state a picture of gigabytes, for which a decoder would ask the memory.
"""

import re
import struct
import zlib
from collections.abc import Iterator

import numpy as np

from i2vjax.core.errors import UserError
from i2vjax.data.io import damage, tiff

# Kinds that are decoded, by their first bytes; decoders of other kinds are never asked.
SIGNATURES = {
    'PNG': (b'\x89PNG\r\n\x1a\n',), 'JPEG': (b'\xff\xd8\xff',), 'TIFF': tiff.SIGNATURES,
    'BMP': (b'BM',), 'GIF': (b'GIF87a', b'GIF89a'), 'WEBP': (b'RIFF',),
    'NETPBM': tuple(f'P{k}'.encode() for k in range(1, 7))}
MARK = 12             # bytes that tell the kind
HEAD = 65536          # bytes that hold the head of every kind but TIFF and JPEG
NETPBM = re.compile(rb'P[1-6]\s+(?:#[^\n]*\n\s*)*(\d{1,9})\s+(?:#[^\n]*\n\s*)*(\d{1,9})\s')
NETPBM_MAXIMUM = re.compile(rb'\s+(?:#[^\n]*\n\s*)*(\d{1,9})\s')
SECOND_AS_TEXT = re.compile(rb'^[^#\n]*P[1-6]\s', re.MULTILINE)
# JPEG: markers of the size (all of C0 to CF but these), of what has no length, of coded pixels.
NO_SIZE, ALONE, PIXELS = (0xC4, 0xC8, 0xCC), (0x01, *range(0xD0, 0xD9)), 0xDA
CUT = 'cannot be decoded: it was cut short'


def kind_of(head: bytes) -> str:
  """A key of `SIGNATURES`, or '' for every other file."""
  for kind, marks in SIGNATURES.items():
    if head.startswith(marks) and (kind != 'WEBP' or head[8:12] == b'WEBP'):
      return kind
  return ''


def check(data: np.ndarray, name: object, checksums: bool = False) -> tuple[int, int]:
  """(height, width) that the bytes of a picture file state, before any turn.

  Args:
    data: uint8 [N]. name: file, for messages.
    checksums: hold a PNG against them, which OpenCV does as it decodes, but Pillow not always.

  Raises:
    UnreadableFrame: no picture, cut off in its head, of more than `damage.MOST_PIXELS`, a JPEG
    without its end (a decoder would fill in gray, and say nothing), a PNG with a chunk that reaches
    beyond its end (OpenCV asks the memory for what it states, up to 4 GB), or that is not what its
    checksums say, several pictures of netpbm in one file.
  """
  content = data.tobytes()
  size = stated_size(content)
  if size is None or not all(size):
    raise damage.UnreadableFrame(f'{name} cannot be decoded ({data.size} bytes): damaged, cut '
                                 'short, or not a picture. Replace or remove it.')
  damage.check_size(*size, name)
  kind = kind_of(content)
  if kind == 'JPEG' and not is_whole_jpeg(content):
    raise damage.UnreadableFrame(f'{name} cannot be decoded: it was cut short, a JPEG without its '
                                 f'end ({data.size} bytes). Replace or remove it.')
  if kind == 'NETPBM' and _has_more(content):
    raise damage.UnreadableFrame(f'{name} holds several pictures one behind the other, and a frame '
                                 f'is one. Split it: pnmsplit {name} frame_%d.pgm')
  wrong = _png_damage(content, checksums) if kind == 'PNG' else ''
  if wrong:
    raise damage.UnreadableFrame(f'{name} {wrong} ({data.size} bytes). Replace or remove it.')
  return size


def check_ids(data: np.ndarray, name: object) -> None:
  """Refuse what was stored with a loss: along the border of two classes it names others.

  Args:
    data: uint8 [N], the bytes of a class map. name: file, for messages.

  Raises:
    UserError: a JPEG, or a TIFF with one inside.
  """
  content = data.tobytes()
  kind = kind_of(content)
  page = tiff.first_frame(tiff.directories(content)) if kind == 'TIFF' else {}
  if kind == 'JPEG' or page.get(tiff.COMPRESSION) in tiff.LOSSY:
    raise UserError(f'{name} is compressed with a loss ({kind}), which changes class ids: write '
                    'maps as PNG, from the ids themselves')


def stated_size(content: bytes) -> tuple[int, int] | None:
  """(height, width) in the head of a picture file; None where it states none."""
  head = content[:HEAD]
  reader = {'PNG': _png, 'GIF': _gif, 'BMP': _bmp, 'WEBP': _webp, 'NETPBM': _netpbm}
  kind = kind_of(head)
  try:
    if kind == 'TIFF':
      page = tiff.first_frame(tiff.directories(content))
      return page[tiff.LENGTH], page[tiff.WIDTH]
    if kind == 'JPEG':
      return _jpeg(content)
    return reader[kind](head) if kind else None
  except (struct.error, KeyError, IndexError):     # cut off inside its head
    return None


def _png(head):
  width, height = struct.unpack_from('>II', head, 16)
  return height, width


def _png_damage(content, checksums):
  """What is wrong with the chunks of a PNG, or ''.

  checksums: those of the chunks that every decoder needs (capital letters) hold, and the last
  chunk is there; else it is enough that no chunk reaches beyond the file.
  """
  place = 8
  while place + 8 <= len(content):
    length, kind = struct.unpack_from('>I4s', content, place)
    end = place + 8 + length
    checksum = content[end:end + 4]
    if end + 4 > len(content):
      return CUT
    if checksums and kind[:1].isupper() and (
        zlib.crc32(content[place + 4:end]).to_bytes(4, 'big') != checksum):
      return 'cannot be decoded: a checksum in it is not that of its content'
    if kind == b'IEND':
      return ''
    place = end + 4
  return CUT if checksums else ''


def _gif(head):
  width, height = struct.unpack_from('<HH', head, 6)
  return height, width


def _bmp(head):
  is_old = struct.unpack_from('<I', head, 14) == (12,)
  width, height = struct.unpack_from('<HH' if is_old else '<ii', head, 18)
  return abs(height), abs(width)                   # negative: from the top down


def _webp(head):
  chunk = head[12:16]
  if chunk == b'VP8X':
    width, height = (int.from_bytes(head[k:k + 3], 'little') + 1 for k in (24, 27))
    return height, width
  if chunk == b'VP8L':
    bits, = struct.unpack_from('<I', head, 21)
    return (bits >> 14 & 0x3FFF) + 1, (bits & 0x3FFF) + 1
  width, height = struct.unpack_from('<HH', head, 26)
  return height & 0x3FFF, width & 0x3FFF


def _netpbm(head):
  match = NETPBM.match(head)
  return (int(match.group(2)), int(match.group(1))) if match else None


def _has_more(content):
  """True where a second picture follows the first of a PBM, PGM or PPM."""
  head = NETPBM.match(content[:HEAD])
  if content[1:2] in b'123':                       # digits, in which only a remark has letters
    return bool(SECOND_AS_TEXT.search(content, head.end()))
  width, height = int(head.group(1)), int(head.group(2))
  place = head.end() + height * -(-width // 8)     # P4: a bit each
  if content[1:2] != b'4':
    maximum = NETPBM_MAXIMUM.match(content, head.end() - 1)
    if not maximum:
      return False
    values = width * height * (3 if content[1:2] == b'6' else 1)
    place = maximum.end() + values * (2 if int(maximum.group(1)) > 255 else 1)
  return bool(NETPBM.match(content[place:place + HEAD].lstrip()))


def _segments(content) -> Iterator[tuple[int, int]]:
  """(marker, its place) of the segments of a JPEG up to its coded pixels."""
  place = content.find(b'\xff', 2)
  while 0 <= place < len(content) - 1:
    marker = content[place + 1]
    if marker == 0xFF:                             # fills up
      place += 1
      continue
    yield marker, place
    if marker == PIXELS:
      return
    length = 0 if marker in ALONE else int.from_bytes(content[place + 2:place + 4], 'big')
    place = content.find(b'\xff', place + 2 + length)


def _jpeg(content):
  for marker, place in _segments(content):
    if 0xC0 <= marker <= 0xCF and marker not in NO_SIZE:
      return struct.unpack_from('>HH', content, place + 5)
  return None


def is_whole_jpeg(content: bytes) -> bool:
  """True where the coded pixels are followed by an end; those of previews in the head are none."""
  pixels = [place for marker, place in _segments(content) if marker == PIXELS]
  return bool(pixels) and content.find(b'\xff\xd9', pixels[0]) >= 0

"""TIFF files: their pages, and whether white is zero.

Thermal cameras write whole sequences as the pages of one file.
"""

import io
import re
from collections.abc import Iterator

import cv2
import numpy as np
from PIL import TiffImagePlugin

from i2vjax.data.io import damage

# Little and big endian; with + instead of *: BigTIFF, for files above 4 GB.
SIGNATURES = (b'II*\0', b'MM\0*', b'II+\0', b'MM\0+')
SUBFILE_TYPE = 254                  # tag; bits that mark a preview or a mask of another page
WIDTH, LENGTH = 256, 257            # tags: columns and rows as stored
BITS, POLARITY = 258, 262           # tags: bits of a value; its meaning
ORIENTATION = 274                   # tag; OpenCV turns the picture
SAMPLES, PLANES, EXTRA = 277, 284, 338   # tags: values of a pixel; how they lie; what others are
OLD_SUBFILE_TYPE, INNER_PAGES = 255, 330         # tags: of old files; pages inside this one
COMPRESSION, LOSSY = 259, (6, 7, 34892)          # tag; kinds of JPEG: old, new, of DNG
READ = (SUBFILE_TYPE, OLD_SUBFILE_TYPE, WIDTH, LENGTH, BITS, POLARITY, ORIENTATION, SAMPLES, PLANES,
        EXTRA, INNER_PAGES, COMPRESSION)
OFFSET = 0                          # no tag: where in the file the directory of a page begins
DESCRIPTION = 270                   # tag; a text, of which the number of ImageJ's frames is kept
IMAGEJ = re.compile(r'ImageJ=(?:.*\n)*?images=(\d{1,9})\b')
PREVIEW_OR_MASK, OLD_PREVIEW = 1 | 4, 2          # of SUBFILE_TYPE, of OLD_SUBFILE_TYPE
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB = 0, 1, 2        # of POLARITY
APART = 2                           # of PLANES: one plane behind the other
ALPHA, ALPHA_TO_MULTIPLY = (1, 2), 2               # of EXTRA


def directories(data: bytes) -> list[dict[int, int]]:
  """The tags {number: value} of each page in the bytes of a file; [] if it is no TIFF.

  Pages are not decoded, so that depths that only OpenCV knows are no hindrance. Tags of `READ`
  whose values are no whole numbers are left out; of several numbers the largest counts. Under
  `DESCRIPTION` is the number of frames that ImageJ states, where it does, and under `OFFSET` where
  the page's directory begins, for `decoded`.
  """
  long = b'+' in data[2:4]
  head = data[:16] if long else data[:8]
  if data[:4] not in SIGNATURES or len(head) < (16 if long else 8):
    return []
  file, tags, seen = io.BytesIO(data), [], set()
  head, order = (b'II+\0' + head[4:] if long else head), data[:2]   # Pillow misreads the head MM\0+
  page = TiffImagePlugin.ImageFileDirectory_v2(head, prefix=order)
  while page.next and page.next not in seen:       # a damaged chain may lead back
    offset = page.next
    seen.add(offset)
    try:
      file.seek(offset)
      page = TiffImagePlugin.ImageFileDirectory_v2(head, prefix=order)
      page.load(file)
      tags.append(_whole_numbers(page) | {OFFSET: offset})
    except damage.OF_PILLOW:
      break                                        # cut short: the decoder says so
  return tags


def _whole_numbers(page):
  numbers = {}
  for tag in READ:
    values = page.get(tag)
    values = values if isinstance(values, tuple) else (values,)
    if values and all(isinstance(value, int) for value in values):
      numbers[tag] = max(values)
  stated = IMAGEJ.match(str(page.get(DESCRIPTION, '')))
  return numbers | ({DESCRIPTION: int(stated.group(1))} if stated else {})


def frame_places(tags: list[dict[int, int]]) -> list[int]:
  """Places among the pages of a file, its `directories`, of those that are frames.

  Previews and masks of other pages are none. [0] for a file without pages.
  """
  return [k for k, page in enumerate(tags) if not _belongs(page)] or list(range(len(tags))) or [0]


def _belongs(page):
  return (page.get(SUBFILE_TYPE, 0) & PREVIEW_OR_MASK
          or page.get(OLD_SUBFILE_TYPE) == OLD_PREVIEW)


def first_frame(tags: list[dict[int, int]]) -> dict[int, int]:
  """The tags of the first page that is a frame; {} for a file without pages."""
  return tags[frame_places(tags)[0]] if tags else {}


def unseen_frames(data: np.ndarray, tags: list[dict[int, int]]) -> str:
  """Frames that a file holds beside its pages, for messages; '' where there are none.

  ImageJ writes stacks above 4 GB as one page with the others behind it. Some cameras chain nothing
  but a preview, and have the picture in a page inside of that.
  """
  page = first_frame(tags)
  stated = page.get(DESCRIPTION, 1)
  size = (page.get(LENGTH, 0) * page.get(WIDTH, 0) * page.get(SAMPLES, 1) * page.get(BITS, 1) // 8)
  if stated > len(tags) and 0 < stated * size <= len(data):   # else a page taken from a stack
    return (f'holds {stated} frames in {len(tags)} page{"s" * (len(tags) > 1)}, as ImageJ writes '
            'large stacks: save it there as an image sequence')
  if page and _belongs(page) and INNER_PAGES in page:
    return 'shows only a preview, and its picture is in a page inside: save that as a file'
  return ''


def lost_bands(tags: dict) -> str:
  """What the decoder would lose of a page without a word, for messages; '' where it is exact.

  Of several gray bands it takes the first or mixes them, of more than 8 bits it cuts them to 8, and
  planes of more than 8 bits it scrambles. Alpha of 8-bit gray is left out, as everywhere.
  """
  samples, bits = tags.get(SAMPLES, 1), tags.get(BITS, 1)
  kind, apart = tags.get(POLARITY), tags.get(PLANES, 1) == APART
  if samples < 2:
    return ''
  has_alpha = samples == 2 and tags.get(EXTRA) in ALPHA and not apart
  if bits > 8:
    exact = kind == RGB and not apart
  else:
    exact = has_alpha or kind not in (WHITE_IS_ZERO, BLACK_IS_ZERO)
  return '' if exact else (f'holds {samples} bands of {bits} bits, which cannot be read apart: '
                           'write the thermal one alone (color: pixel by pixel, not in planes)')


def pages(data: np.ndarray, tags: list[dict[int, int]]
          ) -> Iterator[tuple[np.ndarray | None, dict[int, int]]]:
  """The frames in the bytes of a TIFF as OpenCV decodes them, in order, each with its tags.

  None for a damaged one.

  Args:
    data: uint8 [N]; a copy is held. tags: its `directories`.
  """
  data = np.copy(data)
  for k in frame_places(tags):
    page = tags[k] if tags else {}
    is_large = damage.too_large(page.get(LENGTH, 0), page.get(WIDTH, 0))
    yield None if is_large else _decoded_at(data, page), page


def decoded(data: np.ndarray, page: dict[int, int]) -> np.ndarray | None:
  """A page in the bytes of a TIFF, uint8 [N], as OpenCV decodes it; None for a damaged one.

  Args:
    data: of the file. page: its tags, of `directories`; {}: the first page.
  """
  return _decoded_at(np.copy(data), page)


def _decoded_at(data, page):
  """`decoded`, which makes this page the first one in `data`.

  For a page further on OpenCV would walk from the first directory, and libtiff look at all that it
  has passed at each step: a stack would take the third power of its length.
  """
  if OFFSET in page:
    data[_first_offset(data)] = np.frombuffer(_offset_bytes(data, page[OFFSET]), np.uint8)
  try:
    _, found = cv2.imdecodemulti(data, cv2.IMREAD_UNCHANGED, range=(0, 1))
  except (cv2.error, MemoryError):
    return None
  return found[0] if found else None


def _first_offset(data):
  """The bytes of a head that say where the first directory begins."""
  return slice(8, 16) if b'+' in data[2:4].tobytes() else slice(4, 8)


def _offset_bytes(data, offset):
  place = _first_offset(data)
  return offset.to_bytes(place.stop - place.start, 'big' if data[0] == ord('M') else 'little')


def positive(page: np.ndarray, tags: dict) -> np.ndarray:
  """A decoded page with black as 0: the decoder itself turns white-is-zero round at 8 bits only.

  Args:
    page: [H, W] or [H, W, C], decoded; 10, 12 and 14 bits spread over 16. tags: of the page.
  """
  if page.dtype != np.uint16 or tags.get(POLARITY) != WHITE_IS_ZERO:
    return page
  bits = min(max(tags.get(BITS, 16), 1), 16)
  return np.uint16((2 ** bits - 1) << (16 - bits)) - page

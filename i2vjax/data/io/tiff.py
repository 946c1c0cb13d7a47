"""TIFF files: their pages, and whether white is zero.

Thermal cameras write whole sequences as the pages of one file.
"""

import io
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
READ = (SUBFILE_TYPE, WIDTH, LENGTH, BITS, POLARITY, ORIENTATION, SAMPLES, PLANES, EXTRA)
PREVIEW_OR_MASK = 1 | 4             # of SUBFILE_TYPE
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB = 0, 1, 2        # of POLARITY
APART = 2                           # of PLANES: one plane behind the other
ALPHA, ALPHA_TO_MULTIPLY = (1, 2), 2               # of EXTRA


def directories(data: bytes) -> list[dict[int, int]]:
  """The tags {number: value} of each page in the bytes of a file; [] if it is no TIFF.

  Pages are not decoded, so that depths that only OpenCV knows are no hindrance. Tags of `READ`
  whose values are no whole numbers are left out; of several numbers the largest counts.
  """
  long = b'+' in data[2:4]
  head = data[:16] if long else data[:8]
  if data[:4] not in SIGNATURES or len(head) < (16 if long else 8):
    return []
  file, tags, seen = io.BytesIO(data), [], set()
  page = TiffImagePlugin.ImageFileDirectory_v2(head)
  while page.next and page.next not in seen:       # a damaged chain may lead back
    seen.add(page.next)
    try:
      file.seek(page.next)
      page = TiffImagePlugin.ImageFileDirectory_v2(head, prefix=page.prefix)
      page.load(file)
      tags.append(_whole_numbers(page))
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
  return numbers


def lost_bands(tags: dict) -> str:
  """What the decoder would lose of a page without a word, for messages; '' where it is exact.

  Of several gray bands it takes the first or mixes them, of more than 8 bits it cuts them to 8, and
  planes of more than 8 bits it scrambles. Alpha of 8-bit gray is left out, as everywhere.
  """
  samples, bits = tags.get(SAMPLES, 1), tags.get(BITS, 1)
  kind, apart = tags.get(POLARITY), tags.get(PLANES, 1) == APART
  if samples == 1:
    return ''
  has_alpha = samples == 2 and tags.get(EXTRA) in ALPHA and not apart
  if bits > 8:
    exact = kind == RGB and not apart
  else:
    exact = has_alpha or kind not in (WHITE_IS_ZERO, BLACK_IS_ZERO)
  return '' if exact else (f'holds {samples} bands of {bits} bits, which cannot be read apart: '
                           'write the thermal one alone (color: pixel by pixel, not in planes)')


def count_pages(data: np.ndarray) -> int:
  """Pictures in the bytes of a file, uint8 [N]; previews of other pages do not count.

  Returns:
    1 for everything that is not a TIFF.
  """
  is_preview = [tags.get(SUBFILE_TYPE, 0) & 1 for tags in directories(data.tobytes())]
  return len(is_preview) - sum(is_preview) if len(is_preview) > 1 else 1


def pages(data: np.ndarray) -> Iterator[np.ndarray | None]:
  """The pages in the bytes of a TIFF as OpenCV decodes them, in order; None for a damaged one."""
  tags = directories(data.tobytes())
  for k in range(count_pages(data)):
    page = tags[k] if k < len(tags) else {}
    if damage.too_large(page.get(LENGTH, 0), page.get(WIDTH, 0)):
      yield None
      continue
    try:
      _, decoded = cv2.imdecodemulti(data, cv2.IMREAD_UNCHANGED, range=(k, k + 1))
    except (cv2.error, MemoryError):
      decoded = ()
    yield decoded[0] if decoded else None


def positive(page: np.ndarray, tags: dict) -> np.ndarray:
  """A decoded page with black as 0: the decoder itself turns white-is-zero round at 8 bits only.

  Args:
    page: [H, W] or [H, W, C], decoded; 10, 12 and 14 bits spread over 16. tags: of the page.
  """
  if page.dtype != np.uint16 or tags.get(POLARITY) != WHITE_IS_ZERO:
    return page
  bits = min(max(tags.get(BITS, 16), 1), 16)
  return np.uint16((2 ** bits - 1) << (16 - bits)) - page

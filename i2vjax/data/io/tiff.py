"""TIFF files of several pages, as thermal cameras write them: one file, a whole sequence."""

import io

import cv2
from PIL import Image

BEGINS = (b'II*\0', b'MM\0*')   # little and big endian
SUBFILE = 254                   # tag; its lowest bit marks a preview of another page


def count_pages(data):
  """Pictures in the bytes of a file, uint8 [N]; previews of other pages do not count.

  Returns:
    1 for everything that is no TIFF.
  """
  if data[:4].tobytes() not in BEGINS:
    return 1
  with Image.open(io.BytesIO(data.tobytes())) as picture:
    count = getattr(picture, 'n_frames', 1)
    kinds = []
    for k in range(count if count > 1 else 0):
      picture.seek(k)
      kinds.append(picture.tag_v2.get(SUBFILE, 0) & 1)
  return len(kinds) - sum(kinds) if kinds else 1


def pages(data):
  """The pages in the bytes of a file as OpenCV decodes them, in order; None for a damaged one."""
  for k in range(count_pages(data)):
    _, found = cv2.imdecodemulti(data, cv2.IMREAD_UNCHANGED, range=(k, k + 1))
    yield found[0] if found else None

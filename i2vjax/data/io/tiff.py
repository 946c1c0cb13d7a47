"""TIFF files of several pages: thermal cameras write whole sequences this way."""

import io
from collections.abc import Iterator

import cv2
import numpy as np
from PIL import Image

# Little and big endian; with + instead of *: BigTIFF, for files above 4 GB.
SIGNATURES = (b'II*\0', b'MM\0*', b'II+\0', b'MM\0+')
SUBFILE_TYPE = 254                  # tag; its lowest bit marks a preview of another page


def count_pages(data: np.ndarray) -> int:
  """Pictures in the bytes of a file, uint8 [N]; previews of other pages do not count.

  Returns:
    1 for everything that is not a TIFF.
  """
  if data[:4].tobytes() not in SIGNATURES:
    return 1
  with Image.open(io.BytesIO(data.tobytes())) as picture:
    count = getattr(picture, 'n_frames', 1)
    is_preview = []
    for k in range(count if count > 1 else 0):
      picture.seek(k)
      is_preview.append(picture.tag_v2.get(SUBFILE_TYPE, 0) & 1)
  return len(is_preview) - sum(is_preview) if is_preview else 1


def pages(data: np.ndarray) -> Iterator[np.ndarray | None]:
  """The pages in the bytes of a file as OpenCV decodes them, in order; None for a damaged one."""
  for k in range(count_pages(data)):
    _, decoded = cv2.imdecodemulti(data, cv2.IMREAD_UNCHANGED, range=(k, k + 1))
    yield decoded[0] if decoded else None

"""What a picture file says of its showing: orientation, polarity, maximum.

The decoder leaves these to its caller, except for the orientation of TIFF.
"""

import io
import re

import numpy as np
from PIL import Image

from i2vjax.data.io import damage, tiff

ORIENTATION = tiff.ORIENTATION     # Exif has the tag from TIFF
# Names under which JPEG, PNG and WebP carry an orientation; without any of them none is looked for.
CARRIERS = (b'Exif', b'eXIf', b'EXIF', b'Raw profile type', b'tiff:Orientation')
# Orientation -> (transpose, turn the rows round, turn the columns round), in this order (Exif 2.3).
TURNS = {2: (False, False, True), 3: (False, True, True), 4: (False, True, False),
         5: (True, False, False), 6: (True, False, True), 7: (True, True, True),
         8: (True, True, False)}
MP_ENTRIES = 45058                 # tag of MPO: what each picture is
NETPBM = re.compile(rb'P([56])\s+(?:#[^\n]*\n\s*)*(\d+)\s+(?:#[^\n]*\n\s*)*(\d+)\s+'
                    rb'(?:#[^\n]*\n\s*)*(\d+)\s')


def orientation(data: np.ndarray) -> int:
  """How a picture is to be turned (1 to 8 as in Exif) once it is decoded; 1: not at all.

  Args:
    data: uint8 [N], the bytes of a file. TIFF is turned by the decoder, and so gives 1.
  """
  content = data.tobytes()
  if content[:4] in tiff.SIGNATURES or not any(name in content for name in CARRIERS):
    return 1
  try:
    with Image.open(io.BytesIO(content), formats=damage.FORMATS) as picture:
      value = picture.getexif().get(ORIENTATION, 1)
  except damage.OF_PILLOW:     # no valid tags: shown as it is
    return 1
  return value if isinstance(value, int) and value in TURNS else 1


def pictures_in(data: np.ndarray) -> int:
  """Pictures in the bytes of a JPEG (several: MPO), without smaller copies of the first; else 1.

  The light that a screen of more range adds to a picture ("gain map", Ultra HDR) is none either.
  """
  content = data.tobytes()
  if not content.startswith(b'\xff\xd8\xff') or b'MPF\0' not in content:
    return 1
  try:
    with Image.open(io.BytesIO(content), formats=('JPEG',)) as picture:
      entries = getattr(picture, 'mpinfo', {}).get(MP_ENTRIES, [])
      kinds = [entry['Attribute']['MPType'] for entry in entries]
  except damage.OF_PILLOW:
    return 1
  return max(sum(not kind.startswith('Large Thumbnail') for kind in kinds), 1)


def turned(frame: np.ndarray, orientation: int) -> np.ndarray:
  """A frame [H, W, ...] as its orientation wants it to be shown."""
  transpose, rows, columns = TURNS.get(orientation, (False, False, False))
  frame = frame.swapaxes(0, 1) if transpose else frame
  frame = frame[::-1] if rows else frame
  return np.ascontiguousarray(frame[:, ::-1] if columns else frame)


def upright_size(size: tuple[int, int], orientation: int) -> tuple[int, int]:
  """(height, width) after `turned`."""
  return size[::-1] if TURNS.get(orientation, (False,))[0] else size


def full_range(frame: np.ndarray, data: np.ndarray) -> np.ndarray:
  """A decoded PGM or PPM with its stated maximum as white; other pictures unchanged.

  Gray of more than 8 bits stays as it is: values of a thermal camera, counts and no brightness.
  """
  match = NETPBM.match(data[:4096].tobytes())
  if not match:
    return frame
  kind, maximum = match.group(1), int(match.group(4))
  white = np.iinfo(frame.dtype).max
  if maximum >= white or maximum < 1 or (kind == b'5' and frame.dtype == np.uint16):
    return frame
  values = np.minimum(frame, maximum).astype(np.float64)
  return np.rint(values * (white / maximum)).astype(frame.dtype)

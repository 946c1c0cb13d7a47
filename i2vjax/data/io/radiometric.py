"""Radiometric JPEG of thermal cameras: the temperatures behind the drawn picture.

A FLIR or DJI camera saves a JPEG that anyone can look at: 8 bits, colored, with marks drawn over
it. The raw values of the sensor lie in segments that viewers pass over, and are what a network
should see. Library flyr (extra `thermal`) reads those of FLIR and computes temperatures.
"""

import io
import re
import warnings

import numpy as np
from PIL import Image

from i2vjax.core.errors import UserError
from i2vjax.data.io import damage

INSTALL = 'pip install "i2vjax[thermal]"'
AS_DRAWN = 'prepare --as_drawn writes the 8-bit picture that it shows, colors and marks included'
CENTIKELVIN = 100              # steps in a kelvin: 29315 is 20 degrees Celsius
MAKE = 271                     # Exif tag
DJI_RAW_BYTES = 160 * 120 * 2  # in APP3: less is no thermal frame
RECORD = 32                    # bytes of an entry in the directory of FLIR's own file


def kind_of(data: np.ndarray) -> str:
  """Whose radiometric JPEG the bytes of a file are.

  Args:
    data: uint8 [N].

  Returns:
    'FLIR', 'DJI', or '' for every other file.
  """
  if data[:3].tobytes() != b'\xff\xd8\xff':
    return ''
  content = data.tobytes()
  if b'FLIR\0' not in content and b'DJI' not in content[:65536]:
    return ''
  try:
    with Image.open(io.BytesIO(content), formats=('JPEG',)) as picture:
      segments, make = getattr(picture, 'applist', []), _make(picture)
  except damage.OF_PILLOW:     # damaged: reported when it is decoded, never read as it is drawn
    return 'FLIR' if b'FLIR\0' in content else ''
  if any(name == 'APP1' and part.startswith(b'FLIR\0') for name, part in segments):
    return 'FLIR'              # cameras of FLIR under drones of DJI too (XT, XT2)
  raw_bytes = sum(len(part) for name, part in segments if name == 'APP3')
  return 'DJI' if str(make).startswith('DJI') and raw_bytes >= DJI_RAW_BYTES else ''


def _make(picture):
  try:
    return picture.getexif().get(MAKE, '')
  except damage.OF_PILLOW:     # tags that say nothing
    return ''


def _check_directory(content):
  """Refuse more records than the file has bytes for: the library would look for all of them."""
  for start in re.finditer(rb'FLIR\0.\0', content, re.DOTALL):      # the first part of its own file
    head = content[start.end() + 1:][:32]
    if int.from_bytes(head[28:32], 'big') * RECORD > len(content):
      raise ValueError('its thermal part states more records than it can hold')


def read(data: np.ndarray, name: object) -> np.ndarray:
  """The temperatures in the bytes of a FLIR radiometric JPEG.

  They follow from the raw values by Planck's law with the constants, emissivity, distance and air
  that the camera has written into the file.

  Args:
    data: uint8 [N]. name: file, for messages.

  Returns:
    uint16 [H, W, 1], round(100 * kelvin), of the sensor's size, which may differ from that of the
    drawn picture. Above 655.35 K (382 degrees Celsius) values stay at 65535, with a warning.

  Raises:
    UserError: the library is not installed, or reads no such file (DJI). ValueError: damaged.
  """
  if kind_of(data) == 'DJI':
    raise UserError(
      f'{name} is a radiometric JPEG of DJI, whose temperatures are not read here. Convert it to '
      '16-bit TIFF, as round(100 * kelvin): the thermal SDK of DJI or dji-thermal-cli measure '
      f'them. Or: {AS_DRAWN}')
  try:
    import flyr
  except ImportError as error:
    raise UserError(f'{name} is a radiometric JPEG of FLIR; its temperatures need the library '
                    f'flyr: {INSTALL}. Or: {AS_DRAWN}') from error
  _check_directory(data.tobytes())
  try:
    with np.errstate(all='ignore'):
      kelvin = np.asarray(flyr.unpack(io.BytesIO(data.tobytes())).kelvin)
  except Exception as error:   # the library raises whatever a damaged file leads to
    raise ValueError(f'its thermal part cannot be decoded ({type(error).__name__}: {error})'
                     ) from error
  if not np.isfinite(kelvin).all():
    raise ValueError("its raw values give no temperatures by the file's own constants")
  steps = np.rint(kelvin * CENTIKELVIN)
  if steps.max() > 65535:
    warnings.warn(f'{name}: up to {kelvin.max():.0f} K; 16 bits hold up to 655.35 K '
                  '(382 degrees Celsius), and what is hotter is stored as that', stacklevel=2)
  return np.clip(steps, 0, 65535).astype(np.uint16)[..., None]

"""Thermal video of the Cacophony Project (.cptv), read by library cptv.

Frames are 16 bits of what the sensor gave, unchanged: raw counts, or hundredths of a kelvin where
the camera was set so (Lepton 3.5: TLinear).
"""

import os
import pathlib
import struct
import zlib
from collections.abc import Iterator

import numpy as np

from i2vjax.core.errors import UserError
from i2vjax.data.io.radiometric import INSTALL

ENDING = '.cptv'
MOST_PIXELS = 2 ** 22       # of a frame: these cameras have 160x120
RATE = 9                    # frames per second of these cameras, where the file does not say
# What the library raises of damaged files: whatever their bytes lead to.
DAMAGE = (OSError, EOFError, ValueError, LookupError, TypeError, ArithmeticError, AttributeError,
          MemoryError, struct.error, zlib.error)


class DamagedFile(ValueError):   # noqa: N818 (named as it reads in a message)
  """A file that cannot be decoded to its end."""


def is_cptv(path: str | os.PathLike) -> bool:
  """True if the name ends like such a file."""
  return pathlib.PurePath(path).suffix.lower() == ENDING


def frames(path: str | os.PathLike) -> Iterator[tuple[np.ndarray, float]]:
  """The frames in order: (uint16 [H, W, 1], seconds since the first).

  The averaged background that newer cameras put before the recording is no frame and left out.

  Raises:
    UserError: the library is not installed. FileNotFoundError: no such file.
    DamagedFile: after the last frame that can be decoded.
  """
  try:
    import cptv
  except ImportError as error:
    raise UserError(f'{path}: reading {ENDING} needs the library cptv: {INSTALL}') from error
  if not os.path.isfile(path):
    raise FileNotFoundError(f'No such video: {path}')
  count = background = 0
  with open(path, 'rb') as file:
    try:
      reader = cptv.CPTVReader(file)
      if not 0 < reader.x_resolution * reader.y_resolution <= MOST_PIXELS:
        raise ValueError(f'it states {reader.x_resolution}x{reader.y_resolution} pixels')
      start, rate = None, reader.fps or RATE
      for frame in reader:
        background += bool(frame.background_frame)
        if frame.background_frame:
          continue
        clock = frame.time_on.total_seconds() if frame.time_on else 0
        start = clock if start is None else start
        seconds = clock - start if clock else count / rate
        yield frame.pix.astype(np.uint16)[..., None], seconds
        count += 1
    except DAMAGE as error:
      raise DamagedFile(f'{path}: frame {count} (from 0) cannot be decoded: {error}') from error
  stated = (reader.num_frames or 0) - background
  if count < stated:
    raise DamagedFile(f'{path}: {stated - count} of {stated} frames are missing: the file was cut '
                      'short')
  if not count:
    raise DamagedFile(f'{path} holds no frame')

"""What an upload is, by its content; its limits."""

from __future__ import annotations

import dataclasses
import pathlib

from i2vjax import api
from i2vjax.core.errors import UserError

NAME = 'frame'         # of an upload before it is checked: without an ending its content decides
PIXELS = 3840 * 2160   # of a frame; more takes gigabytes in the networks
TAKEN = ('Taken are films (MP4, MOV, MKV, WebM, AVI, MPEG, WMV, FLV and other kinds) and pictures '
         '(PNG, JPEG, TIFF, BMP, WebP, PGM, PPM).')


@dataclasses.dataclass(frozen=True)
class Limits:
  """How large an upload may be: megabytes, and seconds of a film."""

  max_mb: float = 200
  max_seconds: float = 60


@dataclasses.dataclass(frozen=True)
class Upload:
  """A file that was checked.

  Attributes:
    path: the file. film: False: a picture.
    width, height: of its frames. frames: their number. seconds: 0 for a picture.
  """

  path: pathlib.Path
  film: bool
  width: int
  height: int
  frames: int = 1
  seconds: float = 0

  def __str__(self) -> str:
    size = f'{self.width} × {self.height}'
    if not self.film:
      return f'picture, {size}'
    return f'film, {size}, {self.frames} frames, {self.seconds:.1f} s'


def check(path: pathlib.Path, limits: Limits) -> Upload:
  """An upload, which gets the ending that its content asks for.

  Args:
    path: the file, whose name has no ending. limits: of what is taken.

  Raises:
    UserError: too many megabytes, pixels or seconds (says the limit), damaged, or nothing that is
    read.
  """
  megabytes = path.stat().st_size / 1e6
  if megabytes > limits.max_mb:
    raise UserError(f'{megabytes:.0f} MB are too many: at most {limits.max_mb:g} MB are taken.')
  facts = _facts(path)
  if facts['width'] * facts['height'] > PIXELS:
    raise UserError(f'{facts["width"]} × {facts["height"]} pixels are too many: at most '
                    '3840 × 2160 are taken.')
  if facts['seconds'] > limits.max_seconds:
    raise UserError(f'{facts["seconds"]:.0f} seconds are too long: films of at most '
                    f'{limits.max_seconds:g} seconds are taken. Cut it shorter.')
  return Upload(path.rename(path.with_suffix(facts['ending'])), facts['kind'] == 'film',
                facts['width'], facts['height'], facts['frames'], facts['seconds'])


def _facts(path):
  try:
    return api.facts(path)
  except UserError as error:   # it names a path that means nothing to the user
    text = str(error).replace(str(path), 'The upload', 1).replace(str(path), 'FILE')
    raise UserError(f'{text.rstrip(".")}. {TAKEN}') from error

"""What an upload is, by its content; its limits."""

from __future__ import annotations

import dataclasses
import pathlib
import warnings

from PIL import Image, UnidentifiedImageError

from i2vjax import api
from i2vjax.core.errors import UserError

PIXELS = 3840 * 2160   # of a frame; more takes gigabytes in the networks
PICTURES = {'PNG': '.png', 'JPEG': '.jpg', 'TIFF': '.tif', 'BMP': '.bmp', 'WEBP': '.webp'}
# Containers by their first bytes. FFmpeg would also take playlists, which name other files and
# addresses: what is not in this table never reaches it.
FILMS = (
    (4, b'ftyp', '.mp4'), (4, b'moov', '.mp4'), (4, b'wide', '.mov'),
    (0, b'\x1aE\xdf\xa3', '.mkv'),                # WebM too
    (8, b'AVI ', '.avi'),
    (0, b'\x00\x00\x01\xba', '.mpg'),
    (0, b'0&\xb2u\x8ef\xcf\x11', '.wmv'),
    (0, b'FLV\x01', '.flv'),
)
KINDS = ('a film (MP4, MOV, MKV, WebM, AVI, MPEG, WMV, FLV) nor a picture (PNG, JPEG, TIFF, BMP, '
         'WebP)')
PACKET = 188           # bytes of a packet of a transport stream; each begins with 'G'


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


def ending_of(path: pathlib.Path) -> str:
  """The ending that a file's content asks for, whatever its name.

  Raises:
    UserError: neither a film nor a picture that is read here.
  """
  with open(path, 'rb') as file:
    head = file.read(3 * PACKET)
  for at, mark, ending in FILMS:
    if head[at:at + len(mark)] == mark:
      return ending
  if len(head) == 3 * PACKET and {head[0], head[PACKET], head[2 * PACKET]} == {ord('G')}:
    return '.ts'
  try:
    with warnings.catch_warnings(), Image.open(path, formats=list(PICTURES)) as picture:
      warnings.simplefilter('ignore')
      # MPO: several JPEG in one file, as phones write them; the first is read
      return PICTURES['JPEG' if picture.format == 'MPO' else picture.format or '']
  except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError) as error:
    raise UserError(f'This is neither {KINDS}.') from error


def check(path: pathlib.Path, limits: Limits) -> Upload:
  """An upload whose name ends as its content asks, see `ending_of`.

  Raises:
    UserError: too many megabytes, pixels or seconds, or a damaged file; says the limit.
  """
  megabytes = path.stat().st_size / 1e6
  if megabytes > limits.max_mb:
    raise UserError(f'{megabytes:.0f} MB are too many: at most {limits.max_mb:g} MB are taken.')
  if path.suffix in PICTURES.values():
    with warnings.catch_warnings(), Image.open(path, formats=list(PICTURES)) as picture:
      warnings.simplefilter('ignore')   # of very large ones, refused below; nothing is decoded
      upload = Upload(path, False, *picture.size)
  else:
    upload = _film(path)
  if upload.width * upload.height > PIXELS:
    raise UserError(f'{upload.width} × {upload.height} pixels are too many: at most 3840 × 2160 '
                    'are taken.')
  if upload.seconds > limits.max_seconds:
    raise UserError(f'{upload.seconds:.0f} seconds are too long: films of at most '
                    f'{limits.max_seconds:g} seconds are taken. Cut it shorter.')
  return upload


def _film(path):
  try:
    facts = api.facts(path)
  except UserError as error:   # it names a path that means nothing to the user
    raise UserError('This film is damaged, or holds no pictures.') from error
  return Upload(path, True, facts['width'], facts['height'], facts['frames'], facts['seconds'])

"""What an upload is, by its content; its limits."""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
import struct
import warnings

from PIL import Image, TiffImagePlugin, UnidentifiedImageError

from i2vjax import api
from i2vjax.core.errors import UserError

PIXELS = 3840 * 2160   # of a frame; more takes gigabytes in the networks
PICTURES = {'PNG': '.png', 'JPEG': '.jpg', 'TIFF': '.tif', 'BMP': '.bmp', 'WEBP': '.webp',
            'PPM': '.ppm'}                            # PGM too
TIFF = (b'II*\0', b'MM\0*', b'II+\0', b'MM\0+')      # Pillow knows not all that are read here
ORIENTATION, WIDTH, LENGTH = 274, 256, 257            # tags; from 5 on lying frames stand
# Containers by their first bytes. FFmpeg would also take playlists, which name other files and
# addresses: what is not in this table never reaches it.
FILMS = (
    (4, b'ftyp', '.mp4'), (4, b'moov', '.mp4'), (4, b'styp', '.mp4'), (4, b'sidx', '.mp4'),
    (4, b'emsg', '.mp4'), (4, b'uuid', '.mp4'),
    # QuickTime may begin by any box, and by what old programs left free
    *((4, box, '.mov') for box in (b'wide', b'free', b'skip', b'mdat', b'junk', b'pict', b'PICT',
                                   b'pnot', b'udta', b'meta', b'prfl', b'ediw')),
    (0, b'\x1aE\xdf\xa3', '.mkv'),                # WebM too
    (8, b'AVI ', '.avi'),
    (0, b'\x00\x00\x01\xba', '.mpg'),
    (0, b'\x00\x00\x01\xb3', '.mpg'), (0, b'\x00\x00\x01\xb0', '.mpg'),   # without a container
    (0, b'\x00\x00\x00\x01', '.mpg'),           # H.264 and H.265 without one
    (0, b'0&\xb2u\x8ef\xcf\x11', '.wmv'),
    (0, b'FLV\x01', '.flv'),
)
KINDS = ('a film (MP4, MOV, MKV, WebM, AVI, MPEG, WMV, FLV) nor a picture (PNG, JPEG, TIFF, BMP, '
         'WebP, PGM, PPM)')
# Bytes of a packet of a transport stream, also with a time before it (.mts of cameras) or what
# repairs it after it; each begins with 'G'
PACKETS = (188, 192, 204)
HEAD = 6 * max(PACKETS)


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
    head = file.read(HEAD)
  for at, mark, ending in FILMS:
    if head[at:at + len(mark)] == mark:
      return ending
  if head.startswith(TIFF):
    return '.tif'
  try:
    with _opened(path) as picture:
      # MPO: several JPEG in one file, as phones write them; the first is read
      return PICTURES['JPEG' if picture.format == 'MPO' else picture.format or '']
  except UserError:
    raise
  except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
    if _is_transport_stream(head):
      return '.ts'
    raise UserError(f'This is neither {KINDS}.') from error


def _is_transport_stream(head):
  """True for three packets from where they begin, or five from anywhere: it may be cut out."""
  runs = ((at, head[at::size][:5]) for size in PACKETS for at in range(size))
  return any(set(marks) == {ord('G')} and len(marks) >= (3 if at in (0, 4) else 5)
             for at, marks in runs)


def check(path: pathlib.Path, limits: Limits) -> Upload:
  """An upload whose name ends as its content asks, see `ending_of`.

  Raises:
    UserError: too many megabytes, pixels or seconds, or a damaged file; says the limit.
  """
  megabytes = path.stat().st_size / 1e6
  if megabytes > limits.max_mb:
    raise UserError(f'{megabytes:.0f} MB are too many: at most {limits.max_mb:g} MB are taken.')
  if path.suffix in PICTURES.values():
    upload = Upload(path, False, *_picture_size(path))
  else:
    upload = _film(path)
  if upload.width * upload.height > PIXELS:
    raise UserError(f'{upload.width} × {upload.height} pixels are too many: at most 3840 × 2160 '
                    'are taken.')
  if upload.seconds > limits.max_seconds:
    raise UserError(f'{upload.seconds:.0f} seconds are too long: films of at most '
                    f'{limits.max_seconds:g} seconds are taken. Cut it shorter.')
  return upload


@contextlib.contextmanager
def _opened(path):
  """A picture of which nothing is decoded."""
  with warnings.catch_warnings():
    warnings.simplefilter('ignore')   # of very large ones, which are refused by their size
    try:
      picture = Image.open(path, formats=list(PICTURES))
    except Image.DecompressionBombError as error:
      raise UserError('These are too many pixels: at most 3840 × 2160 are taken.') from error
    with picture:
      yield picture


def _picture_size(path):
  """(width, height) as shown; nothing is decoded."""
  try:
    if path.suffix == PICTURES['TIFF']:
      tags = _tiff_tags(path)
      size, turn = (tags[WIDTH], tags[LENGTH]), tags.get(ORIENTATION, 1)
    else:
      with _opened(path) as picture:
        exif = Image.Exif()
        exif.load(picture.info.get('exif', b''))
        size, turn = picture.size, exif.get(ORIENTATION, 1)
  except UserError:
    raise
  except (OSError, SyntaxError, ValueError, KeyError, struct.error) as error:
    raise UserError('This picture is damaged, or of a kind that is not read.') from error
  return size[::-1] if turn in (5, 6, 7, 8) else size


def _tiff_tags(path):
  """Those of the first page."""
  with open(path, 'rb') as file, warnings.catch_warnings():
    warnings.simplefilter('ignore')   # of a damaged file: its frame says it
    head = file.read(8)
    tags = TiffImagePlugin.ImageFileDirectory_v2(head + file.read(8 if 43 in head[2:4] else 0))
    file.seek(tags.next)
    tags.load(file)
    return dict(tags)


def _film(path):
  try:
    facts = api.facts(path)
  except UserError as error:   # it names a path that means nothing to the user
    raise UserError('This film is damaged, or holds no pictures.') from error
  return Upload(path, True, facts['width'], facts['height'], facts['frames'], facts['seconds'])

"""What damaged pictures and films have in common: limits, errors of decoders."""

import struct
import zlib

from PIL import Image

from i2vjax.core.errors import UserError

# Of a frame, 16384 x 8192: a head that states more is damaged, and is refused before anything is
# allocated for it. Three bytes for each are 400 MB.
MOST_PIXELS = 2 ** 27
# What Pillow may open. It would take others whatever the file's name, and run a program for some.
FORMATS = ('PNG', 'JPEG', 'TIFF', 'BMP', 'WEBP', 'PPM', 'GIF')
# What Pillow raises of a damaged file or frame: errors of its parsers pass it as they are.
OF_PILLOW = (OSError, SyntaxError, ValueError, EOFError, LookupError, TypeError, ArithmeticError,
             AttributeError, RuntimeError, MemoryError, struct.error, zlib.error,
             Image.DecompressionBombError)


class UnreadableFrame(UserError):   # noqa: N818 (named as it reads in a message)
  """A frame that exists but cannot be decoded; the message names the file."""


def too_large(height: int, width: int) -> bool:
  """True for a size that no frame has."""
  return height * width > MOST_PIXELS


def size_text(height: int, width: int, name: object) -> str:
  """What is wrong with a size that no frame has."""
  return (f'{name} states {width}x{height} pixels, and frames of at most {MOST_PIXELS} pixels '
          '(16384x8192) are read: it is damaged, or must be cut to pieces.')


def check_size(height: int, width: int, name: object) -> None:
  """Refuse a picture or film by the size that its head states, before it is decoded.

  Raises:
    UnreadableFrame: more than `MOST_PIXELS`.
  """
  if too_large(height, width):
    raise UnreadableFrame(size_text(height, width, name))

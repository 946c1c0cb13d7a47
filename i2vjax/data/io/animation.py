"""Animations: GIF, PNG and WebP that hold several frames."""

import io
import os
from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageSequence

ENDINGS = ('.gif', '.apng')     # files that are unpacked by `prepare`, and no frame by themselves
PNG = b'\x89PNG\r\n\x1a\n'
WEBP_ANIMATED = 2               # flag of the VP8X chunk


def is_animation(path: str | os.PathLike) -> bool:
  """True if the name ends like an animation (any case)."""
  return os.path.splitext(path)[1].lower() in ENDINGS


def count_frames(data: np.ndarray) -> int:
  """Frames in the bytes of a file, uint8 [N]; 1 for everything that is no animation.

  Only heads of chunks are read, since every picture passes here.
  """
  head = data[:32].tobytes()
  if head[:4] == b'GIF8':
    with Image.open(io.BytesIO(data.tobytes())) as picture:
      return getattr(picture, 'n_frames', 1)
  if head[:8] == PNG:
    return _of_png(data)
  if head[:4] == b'RIFF' and head[8:16] == b'WEBPVP8X' and head[20] & WEBP_ANIMATED:
    return max(1, sum(kind == b'ANMF' for kind, _ in _chunks(data, 12, 'little')))
  return 1


def _of_png(data):
  """The number that the chunk acTL states, which comes before the picture."""
  for kind, start in _chunks(data, 8, 'big'):
    if kind == b'acTL':
      return max(1, int.from_bytes(data[start:start + 4].tobytes(), 'big'))
    if kind == b'IDAT':
      break
  return 1


def _chunks(data, place, order):
  """(kind, start of its content) of the chunks of a PNG (big endian) or a RIFF file (little)."""
  is_png = order == 'big'
  while place + 8 <= len(data):
    head = data[place:place + 8].tobytes()
    size, kind = (head[:4], head[4:]) if is_png else (head[4:], head[:4])
    length = int.from_bytes(size, order)
    yield kind, place + 8
    place += 8 + length + (4 if is_png else length % 2)    # a checksum, or even lengths


def frames(data: np.ndarray) -> Iterator[np.ndarray | None]:
  """The frames in the bytes of a file as a viewer shows them; None for a damaged one.

  Yields:
    uint8 [H, W, 1 or 3] (RGB); alpha is dropped, and how long each is shown.
  """
  with Image.open(io.BytesIO(data.tobytes())) as picture:
    shown = ImageSequence.Iterator(picture)
    for k in range(count_frames(data)):
      try:
        frame = shown[k]
        gray = frame.mode in ('1', 'L', 'LA')
        yield np.atleast_3d(np.asarray(frame.convert('L' if gray else 'RGB')))
      except (OSError, SyntaxError, EOFError):     # as Pillow has it of a damaged frame
        yield None

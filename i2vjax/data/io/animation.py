"""Animations: GIF, PNG and WebP that hold several frames."""

import io
import os
from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageSequence

from i2vjax.data.io import damage

ENDINGS = ('.gif', '.apng')     # files that are unpacked by `prepare`, and no frame by themselves
PNG = b'\x89PNG\r\n\x1a\n'
WEBP_ANIMATED = 2               # flag of the VP8X chunk


def is_animation(path: str | os.PathLike) -> bool:
  """True if the name ends like an animation (any case)."""
  return os.path.splitext(path)[1].lower() in ENDINGS


def count_frames(data: np.ndarray) -> int:
  """Frames in the bytes of a file, uint8 [N]; 1 for everything that is no animation.

  Pillow counts, without decoding; it is asked only where the head names a kind that can be one,
  since every picture passes here.
  """
  head = data[:32].tobytes()
  content = data.tobytes() if may_move(head) else b''
  if not content or (head[:8] == PNG and content.find(b'acTL', 0, content.find(b'IDAT')) < 0):
    return 1         # a PNG tells of its frames before its first picture
  try:
    with Image.open(io.BytesIO(content), formats=damage.FORMATS) as picture:
      count = getattr(picture, 'n_frames', 1) - _apart(picture)
  except damage.OF_PILLOW:     # the decoder says so
    return 1
  # a PNG states how many it holds, and may state billions: each has a chunk of its own
  return min(count, content.count(b'fcTL')) if head[:8] == PNG else count


def may_move(head: bytes) -> bool:
  """True for the first 32 bytes of a GIF, a PNG, or a WebP that states an animation."""
  if head[:4] == b'RIFF':
    return head[8:16] == b'WEBPVP8X' and any(flags & WEBP_ANIMATED for flags in head[20:21])
  return head[:4] == b'GIF8' or head[:8] == PNG


def _apart(picture: Image.Image) -> int:
  """1 where a PNG begins with a picture for viewers that cannot play it, and no frame of it."""
  return int(bool(picture.info.get('default_image')))


def is_cut(data: np.ndarray) -> bool:
  """True for a PNG of 16-bit color or of 16-bit gray with alpha: Pillow would cut it to 8 bits."""
  head = data[:26].tobytes()
  return head[:8] == PNG and head[24:25] == b'\x10' and head[25:26] != b'\0'


def frames(data: np.ndarray) -> Iterator[np.ndarray | None]:
  """The frames in the bytes of a file as a viewer shows them; None for a damaged one.

  Yields:
    uint8 [H, W, 1 or 3] (RGB), or uint16 [H, W, 1] of 16-bit gray; alpha is dropped, and how long
    each is shown. What `is_cut` must not come here.
  """
  with Image.open(io.BytesIO(data.tobytes()), formats=damage.FORMATS) as picture:
    shown, first = ImageSequence.Iterator(picture), _apart(picture)
    for k in range(count_frames(data)):
      try:
        frame = shown[k + first]
        yield np.atleast_3d(_values(frame))
      except damage.OF_PILLOW:
        yield None


def _values(frame):
  """A frame as Pillow holds it -> [H, W] or [H, W, 3]."""
  if frame.mode.startswith('I'):     # 16 bits: convert would make white of all above 255
    return np.asarray(frame).astype(np.uint16)
  gray = frame.mode in ('1', 'L', 'LA')
  return np.asarray(frame.convert('L' if gray else 'RGB'))

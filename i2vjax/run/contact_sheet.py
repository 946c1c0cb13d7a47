"""Contact sheets: many frames in one labeled picture."""

import os
from collections.abc import Mapping, Sequence

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from i2vjax.core import files
from i2vjax.core.errors import UserError

BACKGROUND, INK, FAINT_INK = (255, 255, 255), (24, 24, 27), (113, 113, 122)   # RGB
GAP = 6               # pixels between pictures
CAPTION_HEIGHT = 20   # pixels above each row
FONT_SIZE = 13
LONGEST = 100         # letters of a caption
MIN_CELL_WIDTH = 64   # pixels, so that captions can be read


def to_rgb(image: npt.ArrayLike) -> np.ndarray:
  """Any stored picture as [H, W, 3] uint8 for looking at.

  Args:
    image: [H, W] or [H, W, C] with C 1 or 3; uint8, or uint16 which is stretched between its own
      1 and 99 % percentiles (thermal counts fill a small part of their range).
  """
  image = np.atleast_3d(np.asarray(image))
  if image.dtype == np.uint16:
    low, high = np.percentile(image, (1, 99))
    image = np.clip((image - low) * (255 / max(high - low, 1)), 0, 255).astype(np.uint8)
  if image.dtype != np.uint8 or image.shape[2] not in (1, 3):
    raise UserError(f'a picture of shape {image.shape} and type {image.dtype} cannot be shown: '
                     f'expected uint8 or uint16 with 1 or 3 channels')
  return np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image


def fit(image: npt.ArrayLike, height: int, width: int, stretch: bool = False) -> np.ndarray:
  """A picture scaled into a cell [height, width, 3], its shape kept, centered; or stretched."""
  image = to_rgb(image)
  if stretch:
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_NEAREST)
  factor = min(height / image.shape[0], width / image.shape[1])
  size = tuple(max(1, round(side * factor)) for side in image.shape[1::-1])
  if size != image.shape[1::-1]:
    kind = cv2.INTER_AREA if factor < 1 else cv2.INTER_NEAREST
    image = cv2.resize(image, size, interpolation=kind)
  cell = np.full((height, width, 3), BACKGROUND, np.uint8)
  top, left = (height - size[1]) // 2, (width - size[0]) // 2
  cell[top:top + size[1], left:left + size[0]] = image
  return cell


def one_line(text: object) -> str:
  """A text as a caption has room for and a font can draw; names of files may hold anything."""
  line = ' '.join(str(text).encode('utf-8', 'backslashreplace').decode().split())
  return line if len(line) <= LONGEST else f'{line[:LONGEST - 3]}...'


def _text_width(text):
  return int(ImageFont.load_default(FONT_SIZE).getlength(one_line(text))) + 1


def _write(draw, place, text, fill=INK):
  draw.text(place, one_line(text), fill=fill, font=ImageFont.load_default(FONT_SIZE))


def contact_sheet(rows: Mapping[str, Sequence[np.ndarray] | np.ndarray], *,
                  columns: Sequence[str] | None = None, cell: tuple[int, int] | None = None,
                  stretch: bool = False) -> np.ndarray:
  """One picture of all rows, each under its label.

  Args:
    rows: {label: [N, H, W, C]} or {label: list of [H, W, C]}, uint8 (or uint16), C 1 or 3. Rows may
      differ in size, channels and number of pictures.
    columns: captions above the first row, one for each column, or None.
    cell: (height, width) every picture is fitted into, its shape kept; None takes the largest
      picture, at least 64 pixels wide so that labels can be read.
    stretch: fill the cells instead.

  Returns:
    [H, W, 3] uint8.
  """
  rows = {label: list(images) for label, images in rows.items() if len(images)}
  if not rows:
    raise UserError('a contact sheet needs at least one picture')
  shapes = [np.shape(image)[:2] for images in rows.values() for image in images]
  if cell is None:
    scale = max(1, -(-MIN_CELL_WIDTH // max(w for _, w in shapes)))
    cell = (scale * max(h for h, _ in shapes), scale * max(w for _, w in shapes))
  height, width = cell
  count = max(len(images) for images in rows.values())
  head = CAPTION_HEIGHT if columns else 0   # the line of column captions
  row_height = CAPTION_HEIGHT + height + GAP
  total_width = max(GAP + count * (width + GAP), 2 * GAP + max(map(_text_width, rows)))
  total_height = head + GAP + len(rows) * row_height
  sheet = np.full((total_height, total_width, 3), BACKGROUND, np.uint8)
  for r, images in enumerate(rows.values()):
    top = head + GAP + r * row_height + CAPTION_HEIGHT
    for c, image in enumerate(images):
      left = GAP + c * (width + GAP)
      sheet[top:top + height, left:left + width] = fit(image, height, width, stretch)
  return _captions(sheet, rows, columns, head, height, width)


def _captions(sheet, rows, columns, head, height, width):
  canvas = Image.fromarray(sheet)
  draw = ImageDraw.Draw(canvas)
  for c, text in enumerate(columns or ()):
    _write(draw, (GAP + c * (width + GAP), 3), text, FAINT_INK)
  for r, label in enumerate(rows):
    _write(draw, (GAP, head + GAP + r * (CAPTION_HEIGHT + height + GAP) + 1), label)
  return np.array(canvas)


def save_png(path: str | os.PathLike[str], image: np.ndarray) -> None:
  """Write [H, W, C] uint8 or uint16 (C 1 or 3) as PNG, whole or not at all."""
  ok, data = cv2.imencode('.png', image[..., ::-1] if np.ndim(image) == 3 else image)
  if not ok:
    raise UserError(f'{path}: a picture of shape {np.shape(image)} cannot be written as PNG')
  files.save_atomic(path, lambda temporary: temporary.write_bytes(data.tobytes()))

"""JSON files that other programs wrote: reading them, checking their values."""

import json
import os
import pathlib
from typing import Any

from i2vjax.core.errors import UserError

MOST = 1e9     # of a number in pixels or the like: more is no measure of a frame


def read(path: str | os.PathLike[str]) -> Any:
  """The tree in a JSON file, in UTF-8 with or without a byte order mark.

  Raises:
    FileNotFoundError: no such file. UserError: no JSON, or lists nested too deep; names the file.
  """
  path = pathlib.Path(path)
  if not path.is_file():
    raise FileNotFoundError(f'{path}: no such file')
  try:
    return json.loads(path.read_text(encoding='utf-8-sig'))
  except RecursionError as error:
    raise UserError(f'{path} is no JSON file that can be read: it is nested too deep') from error
  except ValueError as error:
    raise UserError(f'{path} is no JSON file: {error}') from error


def is_number(value: Any, most: float = MOST) -> bool:
  """True for a number, no NaN, whose size is at most `most`."""
  return (isinstance(value, int | float) and not isinstance(value, bool)
          and abs(value) <= most)         # NaN compares as False


def is_count(value: Any, least: int = 0, most: float = MOST) -> bool:
  """True for a whole number from `least` to `most`."""
  return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def is_id(value: Any) -> bool:
  """True for what may name an entry: a whole number of any size, or a text."""
  if isinstance(value, float):
    return value.is_integer()             # False for NaN and infinity
  return isinstance(value, int | str) and not isinstance(value, bool)


def is_box(value: Any) -> bool:
  """True for a list [x, y, width, height] of COCO, in pixels."""
  return (isinstance(value, list) and len(value) == 4 and all(map(is_number, value))
          and min(value[2:]) >= 0)

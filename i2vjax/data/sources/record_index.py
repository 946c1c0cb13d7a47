"""clips.json, the index beside records: read and checked."""

import os
import pathlib
from typing import Any

from i2vjax.core import json_files
from i2vjax.core.errors import UserError
from i2vjax.data.io import output_paths

FILE = 'clips.json'
FIELDS = ('clips', 'resize', 'crop', 'label', 'label_ids', 'boxes', 'flow')
MOST_PARTS = 16       # frames side by side in a file
MOST_SIDE = 2**16     # pixels to which frames are resized


def read(folder: str | os.PathLike) -> dict[str, dict[str, Any]]:
  """{split: its clips, resize and crop, annotations} of the records in a folder.

  Clips give their names to files that are written, so these may not lead out of a folder.

  Raises:
    FileNotFoundError: no such file. UserError: damaged; says where.
  """
  path = pathlib.Path(folder) / FILE
  index = json_files.read(path)
  splits = index.items() if isinstance(index, dict) and index else [('', None)]
  for split, entry in splits:
    if reason := _wrong(entry):
      raise UserError(f'{path}, split {split!r}: {reason}. It is damaged: prepare the records anew')
  return index


def _wrong(entry):
  """What is wrong with a split, or ''."""
  lacks = [name for name in FIELDS if not isinstance(entry, dict) or name not in entry]
  if lacks:
    return f'it lacks {lacks[0]!r}'
  if not isinstance(entry['clips'], list) or not all(map(_is_clip, entry['clips'])):
    return 'its clips are not [name, first record, records, frames in each]'
  count = sum(records for _, _, records, _ in entry['clips'])
  checks = {
      'resize': lambda x: _is_numbers(x, 2, 1, MOST_SIDE),
      'label_ids': lambda x: _is_numbers(x, 256, 0, 255),
      'crop': lambda x: _is_numbers(x, 4, 0) and min(x[2:]) > 0,
      **dict.fromkeys(('label', 'boxes', 'flow'), lambda x: isinstance(x, bool)),
      'categories': lambda x: isinstance(x, dict),
      'names': lambda x: isinstance(x, list) and len(x) >= count
                         and all(isinstance(name, str) for name in x)}
  bad = [name for name, fits in checks.items()
         if entry.get(name) is not None and not fits(entry[name])]
  return f'its {bad[0]} are no such thing' if bad else ''


def _is_clip(value):
  if not isinstance(value, list) or len(value) != 4:
    return False
  name, *counts = value
  return (isinstance(name, str) and output_paths.stays_below(name)
          and all(map(json_files.is_count, counts, (0, 1, 1)))
          and counts[2] <= MOST_PARTS)


def _is_numbers(value, count, least, most=json_files.MOST):
  return (isinstance(value, list) and len(value) == count
          and all(json_files.is_count(x, least, most) for x in value))

"""Detection boxes of a test set, read from COCO files and checked.

Both files describe the frames that are scored. What a published set does to its frames is done to
its boxes by `data/transforms/shaping.py`.
"""

from collections.abc import Sequence
from reprlib import repr as shown  # of what may be long
from typing import NamedTuple

import numpy as np

from i2vjax.core import json_files
from i2vjax.core.errors import UserError


class Boxes(NamedTuple):
  """Boxes of a whole test set.

  Attributes:
    image: [N] ids. kind: [N] class, an index into the class list. box: [N, 4] (x, y, w, h) pixels.
    score: [N], 1 for the truth. crowd: [N] bool, regions of many objects.
  """

  image: np.ndarray
  kind: np.ndarray
  box: np.ndarray
  score: np.ndarray
  crowd: np.ndarray


def read_truth(path, classes: Sequence[str] | None = None) -> tuple[Boxes, tuple, dict, dict]:
  """Boxes of a COCO ground-truth file.

  Args:
    path: .json with 'images', 'annotations' and 'categories'.
    classes: names that count; 'car+bus+truck' merges categories into one class. None: all
      categories of the file.

  Returns:
    (Boxes, class names, {category id: class}, {image id: file name}).

  Raises:
    FileNotFoundError, ValueError: names the file and the entry.
  """
  tree = json_files.read(path)
  missing = [name for name in ('images', 'annotations', 'categories')
             if not isinstance(tree, dict) or not isinstance(tree.get(name), list)]
  if missing:
    raise UserError(f'{path} is no COCO ground truth: it lacks the list {missing[0]!r}')
  images = {number: str(entry.get('file_name', number))
            for number, entry in _by_id(path, 'image', tree['images']).items()}
  categories = _names(path, _by_id(path, 'category', tree['categories'], 'name'))
  names = tuple(classes or categories)
  kinds = _kinds(path, names, categories)
  ids = set(categories.values())
  boxes = _boxes(path, tree['annotations'], kinds, images, ids, scored=False)
  if not len(boxes.image):
    raise UserError(f'{path} has no boxes of {", ".join(names)}: nothing to score')
  return boxes, names, kinds, images


def _by_id(path, what, entries, *needed):
  """{id: entry} of a list; entries that are the same twice count once."""
  found = {}
  for number, entry in enumerate(entries):
    lacks = [name for name in ('id', *needed) if not isinstance(entry, dict) or name not in entry]
    if lacks:
      raise UserError(f'{path}, {what} {number}: every image needs an id and every category an id '
                      f'and a name, and it lacks {lacks[0]!r}')
    wrong = [name for name in ('id', 'name', 'file_name')
             if name in entry and not json_files.is_id(entry[name])]
    if wrong:
      raise UserError(f'{path}, {what} {number}: {wrong[0]} {shown(entry[wrong[0]])} is neither a '
                      'number nor a text')
    if found.setdefault(entry['id'], entry) != entry:
      raise UserError(f'{path}, {what} {number}: the id {entry["id"]!r} is that of another {what} '
                      'too')
  return found


def _names(path, categories):
  """{name: id}."""
  found = {}
  for number, entry in categories.items():
    if found.setdefault(str(entry['name']), number) != number:
      raise UserError(f'{path}: two categories are called {entry["name"]!r}')
  return found


def read_detections(path, kinds: dict, images: dict) -> Boxes:
  """Boxes of a detector: a list of {image_id, category_id, bbox [x, y, w, h], score}.

  Args:
    path: .json, the COCO results format.
    kinds: {category id: class}, images: {image id: ...}: of `read_truth`. Other categories are left
      out; an image the truth does not know is an error.
  """
  entries = json_files.read(path)
  if not isinstance(entries, list):
    raise UserError(f'{path} is no list of detections: expected [{{"image_id": ..., '
                     f'"category_id": ..., "bbox": [x, y, w, h], "score": ...}}, ...]')
  return _boxes(path, entries, kinds, images, None, scored=True)


def _kinds(path, names, categories):
  """{category id: class}."""
  kinds = {}
  for kind, name in enumerate(names):
    for part in [name] if name in categories else name.split('+'):
      part = part if part in categories else part.strip()
      if part not in categories:
        raise UserError(f'{path} has no category {part!r}: '
                        f'{", ".join(categories) or "it has none"}')
      kinds[categories[part]] = kind
  return kinds


def _boxes(path, entries, kinds, images, category_ids, scored):
  """Checked entries as Boxes. category_ids: those that may occur; None: any."""
  needed = ('image_id', 'category_id', 'bbox', *(['score'] if scored else []))
  rows = []
  for number, entry in enumerate(entries):
    reason = _wrong(entry, needed, images, category_ids)
    if reason:
      raise UserError(f'{path}, entry {number}: {reason}')
    if entry['category_id'] in kinds:
      rows.append((entry['image_id'], kinds[entry['category_id']], entry['bbox'],
                   entry['score'] if scored else 1.0, bool(entry.get('iscrowd', 0))))
  image, kind, box, score, crowd = zip(*rows, strict=True) if rows else ((),) * 5
  return Boxes(np.array(image, object), np.array(kind, np.int64),
               np.array(box, np.float64).reshape(-1, 4), np.array(score, np.float64),
               np.array(crowd, bool))


def _wrong(entry, needed, images, category_ids):
  """What is wrong with an entry, or None."""
  lacks = [name for name in needed if not isinstance(entry, dict) or name not in entry]
  if lacks:
    return f'it lacks {lacks[0]!r}'
  wrong = [name for name in needed[:2] if not json_files.is_id(entry[name])]
  if wrong:
    return f'{wrong[0]} {shown(entry[wrong[0]])} is no id'
  if entry['image_id'] not in images:
    return (f'image_id {entry["image_id"]!r} is not among the {len(images)} images of the ground '
            f'truth')
  if category_ids is not None and entry['category_id'] not in category_ids:
    return f'category_id {entry["category_id"]!r} is not among the categories'
  if not json_files.is_box(entry['bbox']):
    return f'bbox {shown(entry["bbox"])} is not [x, y, width, height] in pixels'
  if 'score' in needed and not json_files.is_number(entry['score']):
    return f'score {shown(entry["score"])} is no number'
  return None

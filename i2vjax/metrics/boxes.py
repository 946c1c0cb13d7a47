"""Detection boxes of a test set, read from COCO files and checked.

Both files describe the frames that are scored. What a published set does to its frames is done to
its boxes by `data/transforms/shaping.py`.
"""

import json
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

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
  tree = _json(path)
  missing = [name for name in ('images', 'annotations', 'categories')
             if not isinstance(tree, dict) or not isinstance(tree.get(name), list)]
  if missing:
    raise UserError(f'{path} is no COCO ground truth: it lacks the list {missing[0]!r}')
  try:
    images = {entry['id']: str(entry.get('file_name', entry['id'])) for entry in tree['images']}
    categories = {str(entry['name']): entry['id'] for entry in tree['categories']}
  except (KeyError, TypeError, AttributeError) as error:
    raise UserError(f'{path}: every image needs an id and every category an id and a name '
                     f'({error!r} is missing in one)') from error
  names = tuple(classes or categories)
  kinds = _kinds(path, names, categories)
  ids = set(categories.values())
  boxes = _boxes(path, tree['annotations'], kinds, images, ids, scored=False)
  if not len(boxes.image):
    raise UserError(f'{path} has no boxes of {", ".join(names)}: nothing to score')
  return boxes, names, kinds, images


def read_detections(path, kinds: dict, images: dict) -> Boxes:
  """Boxes of a detector: a list of {image_id, category_id, bbox [x, y, w, h], score}.

  Args:
    path: .json, the COCO results format.
    kinds: {category id: class}, images: {image id: ...}: of `read_truth`. Other categories are left
      out; an image the truth does not know is an error.
  """
  entries = _json(path)
  if not isinstance(entries, list):
    raise UserError(f'{path} is no list of detections: expected [{{"image_id": ..., '
                     f'"category_id": ..., "bbox": [x, y, w, h], "score": ...}}, ...]')
  return _boxes(path, entries, kinds, images, None, scored=True)


def _json(path):
  path = pathlib.Path(path)
  if not path.is_file():
    raise FileNotFoundError(f'{path}: no such file')
  try:
    return json.loads(path.read_text(encoding='utf-8'))
  except (ValueError, RecursionError) as error:
    raise UserError(f'{path} is no JSON file: {error}') from error


def _kinds(path, names, categories):
  """{category id: class}."""
  kinds = {}
  for kind, name in enumerate(names):
    for part in name.split('+'):
      if part.strip() not in categories:
        raise UserError(f'{path} has no category {part.strip()!r}: '
                         f'{", ".join(categories) or "it has none"}')
      kinds[categories[part.strip()]] = kind
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
  if entry['image_id'] not in images:
    return (f'image_id {entry["image_id"]!r} is not among the {len(images)} images of the ground '
            f'truth')
  if category_ids is not None and entry['category_id'] not in category_ids:
    return f'category_id {entry["category_id"]!r} is not among the categories'
  numbers = entry['bbox'] if isinstance(entry['bbox'], list) else []
  if len(numbers) != 4 or not all(map(_number, numbers)) or min(numbers[2:]) < 0:
    return f'bbox {entry["bbox"]!r} is not [x, y, width, height] in pixels'
  if 'score' in needed and not _number(entry['score']):
    return f'score {entry["score"]!r} is no number'
  return None


def _number(value):
  return isinstance(value, (int, float)) and not isinstance(value, bool) and np.isfinite(value)

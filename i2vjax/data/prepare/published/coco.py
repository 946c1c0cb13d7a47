"""True boxes of prepared frames as COCO files beside the records."""

import json
import pathlib

from i2vjax.data.prepare.published import records
from i2vjax.data.sources.records import TfdsFrames


def path_of(folder: str | pathlib.Path, split: str) -> pathlib.Path:
  """The COCO file of a split of the records in `folder`."""
  return pathlib.Path(folder) / f'boxes_{split}.json'


def write(folder: str | pathlib.Path, name: str) -> list[pathlib.Path]:
  """Write the boxes of every split that has some, as its frames are read.

  That is: resized and shifted with the frame, and ending at the border of the crop
  (`shaping.resize_and_crop`). `evaluate` takes the file as `eval.boxes`.

  Args:
    folder: of the records. name: of the set, for messages.

  Returns:
    The files.
  """
  index = json.loads((pathlib.Path(folder) / records.INDEX).read_text())
  files = []
  for split, entry in index.items():
    if entry['boxes']:
      files.append(path_of(folder, split))
      table = of_source(TfdsFrames(folder, name, split), entry['categories'] or {})
      files[-1].write_text(json.dumps(table))
  return files


def of_source(source: TfdsFrames, categories: dict[str, str]) -> dict:
  """{'images', 'annotations', 'categories'} of all frames of a source.

  Args:
    source: frames with boxes. categories: {id as text: name}.

  Returns:
    COCO's table: images under the names of their files with the ending .png, as `translate` writes
    them; boxes (x, y, width, height) in pixels; the categories that occur.
  """
  images, annotations, kinds = [], [], set()
  for i, stem in enumerate(source.names(0, len(source))):
    record = source.read(i)
    height, width = record['frame'].shape[:2]
    images.append({'id': i + 1, 'file_name': f'{stem}.png', 'width': width, 'height': height})
    for x0, y0, x1, y1, kind in record['boxes'].tolist():
      kinds.add(int(kind))
      annotations.append({
          'id': len(annotations) + 1, 'image_id': i + 1, 'category_id': int(kind), 'iscrowd': 0,
          'bbox': [x0, y0, x1 - x0, y1 - y0], 'area': (x1 - x0) * (y1 - y0)})
  named = [{'id': kind, 'name': categories.get(str(kind), f'class {kind}')}
           for kind in sorted(kinds)]
  return {'images': images, 'annotations': annotations, 'categories': named}

"""Translated frames of a split as files, with their truth beside them.

What `evaluate` judges, for programs that judge otherwise: parsers, detectors, people. The layout is
that of `evaluate --result DIR/result --reference DIR/reference --source DIR/source`.
"""

from __future__ import annotations

import pathlib
from collections.abc import Iterator, Mapping

import numpy as np
import tqdm

from i2vjax.core import class_names, files
from i2vjax.core.errors import UserError
from i2vjax.data import open_source
from i2vjax.data.io import images, output_paths
from i2vjax.data.loader import whole_clips
from i2vjax.data.sources import alignment, listing
from i2vjax.evaluation import baselines, eval_clips
from i2vjax.metrics import clips
from i2vjax.run.load import Run

BOXES = 'boxes.json'
NO_TRUTH = {'labels': 'the frames have no class maps', BOXES: 'the frames have no boxes'}


def write(run: Run, output: pathlib.Path, split: str = 'test', with_truth: bool = False,
          show: bool = True) -> dict:
  """Write the frames of a split as the run translates them: `result/CLIP/FRAME.png`.

  Clips and frames keep the names of the source's files (records store them); frames of videos and
  scenes are numbered from 000001. They have the size at which `evaluate` scores them.

  Args:
    run: load.Run.
    output: folder.
    split: 'test' | 'val' | 'train', all treated as test frames.
    with_truth: also, under the same names, `reference` (the true frames, if the domains are
      aligned), `source` (8 bits), `labels` (class maps as Cityscapes train ids, 255: none), and
      `boxes.json`, a COCO file of the boxes at the size of the frames.
    show: progress bar.

  Returns:
    {'frames': translated, 'clips', 'left_out': {part: why}}.

  Raises:
    UserError: the split has no source frames, or two clips of one name. KeyboardInterrupt: says
      what is there.
  """
  config = run.config
  a, b = open_source(config.data, split, 'a'), open_source(config.data, split, 'b')
  if a is None:
    raise UserError(f'no {split} frames of the source domain: give data.{split}_a')
  _check_names(a, split)
  unaligned = alignment.mismatch(a, b) if with_truth else ''
  left_out = dict(NO_TRUTH) if with_truth else {}
  if unaligned:
    left_out['reference'] = unaligned
  translate, boxes = baselines.translated(run), CocoFile(box_names(config.data.source))
  count = clip_count = 0
  test_clips = eval_clips.of_run(config, with_truth and not unaligned, with_motion=False,
                                 max_clips=config.eval.max_clips, split=split)
  try:
    for clip in tqdm.tqdm(test_clips, desc=f'{split} clips', unit='clip', disable=not show):
      parts = {'result': clips.eight_bits(translate(clip))}
      if with_truth:
        parts |= _truth(clip)
      names = frame_names(clip.origin)
      for t, name in enumerate(names):
        for part, frames in parts.items():
          path = output_paths.inside(output / part, clip.name, f'{name}.png')
          images.write_image(path, frames[t])
        count += 1
      if with_truth:
        boxes.add(clip, names)
      left_out = {part: why for part, why in left_out.items() if part not in parts}
      clip_count += 1
  except KeyboardInterrupt as stop:
    if not count:
      raise
    raise KeyboardInterrupt(f'{output} holds the first {count} frames, each of them whole'
                            ) from stop
  if boxes.found:
    files.save_json(output / BOXES, boxes.tree())
    del left_out[BOXES]
  return {'frames': count, 'clips': clip_count, 'left_out': left_out}


def _check_names(source, split):
  listing.check_clip_names(
      (clip.name for clip in source.clips),
      lambda name, count: f'{count} {split} clips have the name {name}', ': rename a folder')


def _truth(clip):
  """{part: [T, H, W] or [T, H, W, C] uint8} of what is known of a clip."""
  known = {'source': clip.shown, 'reference': clip.target, 'labels': clip.labels}
  return {part: frames for part, frames in known.items() if frames is not None}


def frame_names(clip: whole_clips.LoadedClip) -> list[str]:
  """Names of a clip's frames, without ending, that sort as the frames follow one another.

  Those of the source; numbers from 000001 where it has none, and before names in another order.
  """
  length = len(clip.frames)
  numbers = [f'{t + 1:06d}' for t in range(length)]
  names = clip.source.names(clip.start, length)
  if names is None:
    return numbers
  if len(set(names)) == length and sorted(names, key=listing.natural_key) == list(names):
    return list(names)
  return [f'{number}_{name}' for number, name in zip(numbers, names, strict=True)]


def box_names(source: str) -> Mapping[int, str]:
  """{class of a box: name}: the street has Cityscapes train ids, published records COCO's ids."""
  return dict(enumerate(class_names.CITYSCAPES)) if source == 'scenes' else class_names.COCO


class CocoFile:
  """The boxes of frames as a COCO file of ground truth.

  Attributes:
    found: some frame came with boxes, be it with none of them.
    names: {class of a box: name}.
  """

  def __init__(self, names: Mapping[int, str] = class_names.COCO):
    self.names = names
    self.found, self.images, self.annotations = False, [], []

  def add(self, clip: eval_clips.EvalClip, names: list[str]) -> None:
    """The frames of a clip, with their boxes."""
    height, width = clip.shown.shape[1:3]
    for name, boxes in zip(names, eval_clips.true_boxes(clip.origin), strict=True):
      number = len(self.images) + 1
      self.images.append({'id': number, 'file_name': f'{clip.name}/{name}.png', 'width': width,
                          'height': height})
      if boxes is not None:
        self.found = True
        self.annotations += list(self._entries(number, boxes))

  def _entries(self, number, boxes) -> Iterator[dict]:
    for k, (x0, y0, x1, y1, kind) in enumerate(np.asarray(boxes, float).tolist()):
      yield {'id': len(self.annotations) + k + 1, 'image_id': number, 'category_id': int(kind),
             'bbox': [x0, y0, x1 - x0, y1 - y0], 'area': (x1 - x0) * (y1 - y0), 'iscrowd': 0}

  def tree(self) -> dict:
    """The content of the file."""
    kinds = sorted({entry['category_id'] for entry in self.annotations})
    categories = [{'id': kind, 'name': self.names.get(kind, f'class {kind}')}
                  for kind in kinds]
    return {'images': self.images, 'annotations': self.annotations, 'categories': categories}

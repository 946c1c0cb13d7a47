"""Scores of class maps and boxes that other programs wrote.

Segmentation networks and detectors stay outside: they read translated frames and write files, and
these are compared with files of the truth. Fields of `config.eval`: `labels` and `predictions`,
folders of PNG class maps; `boxes` and `detections`, COCO files.
"""

import itertools

import numpy as np
from ml_collections import ConfigDict

from i2vjax import defaults
from i2vjax.core import class_names, ops
from i2vjax.core.errors import UserError
from i2vjax.data.annotations import classes, label_files
from i2vjax.data.source import FrameSource
from i2vjax.data.transforms import resize
from i2vjax.metrics import boxes, detection, segmentation

PAIRS = {'iou': ('labels', 'predictions'), 'ap': ('boxes', 'detections')}


def missing(name: str, settings: ConfigDict) -> str | None:
  """Why 'iou' or 'ap' cannot be computed from files, or None.

  Raises:
    UserError: one of the two places is given without the other.
  """
  truth, predicted = PAIRS[name]
  if settings[truth] and settings[predicted]:
    return None
  for field, other in ((truth, predicted), (predicted, truth)):
    if settings[field]:
      raise UserError(f'eval.{field} is given without eval.{other}: set --config.eval.{other}')
  return f'needs files: eval.{truth} and eval.{predicted}'


def scores(names: tuple[str, ...], settings: ConfigDict,
           frames: FrameSource) -> tuple[dict[str, float], dict[str, str]]:
  """Scores of files.

  Args:
    names: which of `PAIRS`.
    settings: `config.eval`.
    frames: the frames that are scored: labels are matched with them by clip and name or number.

  Returns:
    ({score: value}, facts for the protocol: sizes that were not those of the frames, and boxes that
    `eval.max_clips` does not leave out).
  """
  values, facts = {}, {}
  if 'iou' in names:
    values, facts = class_map_scores(settings, frames)
  if 'ap' in names:
    values |= average_precision(settings)
    if 0 < settings.max_clips < len(frames.clips):   # a COCO file knows no clips
      facts['boxes'] = ('all images of eval.boxes count, also those of clips beyond '
                        f'eval.max_clips={settings.max_clips}')
  return values, facts


def class_map_scores(settings: ConfigDict,
                     frames: FrameSource) -> tuple[dict[str, float], dict[str, str]]:
  """mIoU, fwIoU and pixel accuracy of `eval.predictions` against `eval.labels`.

  Every frame with a true label needs a prediction, others may be without. Scored is at the size of
  the true maps, whatever the size of the frames (STC-V2V translates 256x512 and scores 512x1024);
  predictions of another size are resized to it, nearest. `eval.max_clips` holds here too.

  Returns:
    ({score: value}, {'class_maps': the sizes, where they are not all those of the frames}).

  Raises:
    UserError: names the file, id or frame that does not fit.
  """
  truth = label_files.label_source(defaults.data(), settings.labels)
  predicted = label_files.label_source(defaults.data(), settings.predictions)
  table, total = (
    classes.id_table(settings.label_map),
    segmentation.init(len(class_names.CITYSCAPES)),
  )
  sizes = set()   # (frame, true map, prediction), (height, width) each
  # For each clip the numbers of its label files, None where a frame has none.
  matches = zip(frames.clips, label_files.match(frames, truth),
                label_files.match(frames, predicted), strict=True)
  for clip, true_files, predicted_files in itertools.islice(matches, settings.max_clips or None):
    size = frames.read(clip.start)['frame'].shape[:2]
    for t, (i, j) in enumerate(zip(true_files, predicted_files, strict=True)):
      if i is None:
        continue
      if j is None:
        raise UserError(f'frame {t} of clip {clip.name} has a label ({truth.files[i][0]}), but '
                        f'{settings.predictions} has no prediction for it')
      true_ids = _train_ids(truth, i, table, ignore=True)
      predicted_ids = _train_ids(predicted, j, table, ignore=False)
      sizes.add((size, true_ids.shape, predicted_ids.shape))
      predicted_ids = resize.resize_labels(predicted_ids, true_ids.shape)
      total = segmentation.update(total, true_ids[None], predicted_ids[None], batch=1)
  values = segmentation.result(
      total, class_names.CITYSCAPES, class_names.class_list(settings.classes), class_names.SMALL,
      settings.absent)
  return values, _facts_of_sizes(sizes)


def _train_ids(maps, index, table, ignore):
  """[H, W] Cityscapes train ids of a label file; `ignore`: 255, no class, is allowed."""
  path = maps.files[index][0]
  return classes.to_train_ids(label_files.read(path), table, path, ignore)


def _facts_of_sizes(sizes):
  """{'class_maps': text}, {} where all maps have the size of their frames."""
  lines = []
  for frame, truth, predicted in sorted(sizes):
    if truth == predicted == frame:
      continue
    resized = '' if predicted == truth else (
        f'; predictions of {ops.size_text(predicted)} were resized to it, nearest')
    lines.append(f'scored at the {ops.size_text(truth)} pixels of the true maps, the frames have '
                 f'{ops.size_text(frame)}{resized}')
  return {'class_maps': '; '.join(lines)} if lines else {}


def average_precision(settings: ConfigDict) -> dict[str, float]:
  """AP at IoU 0.5, precision and recall of `eval.detections` against `eval.boxes`."""
  chosen = tuple(name.strip() for name in settings.ap_classes.split(',') if name.strip())
  truth, names, kinds, images = boxes.read_truth(settings.boxes, chosen or None)
  detections = boxes.read_detections(settings.detections, kinds, images)
  try:
    return detection.scores(truth, detections, names, settings.ap_style, settings.ap_score)
  except ModuleNotFoundError as error:   # pycocotools: the user's to install
    raise UserError(str(error)) from error


def binary_masks(frames: np.ndarray) -> np.ndarray:
  """uint8 [T, H, W]: 1 where a mask that was drawn as a picture [T, H, W, C] is white."""
  middle = 127 if frames.dtype == np.uint8 else 0
  return (np.asarray(frames)[..., 0] > middle).astype(np.uint8)

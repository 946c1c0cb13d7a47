"""Scores of class maps and boxes that other programs wrote.

Segmentation networks and detectors stay outside: they read translated frames and write files, and
these are compared with files of the truth. Fields of `config.eval`: `labels` and `predictions`,
folders of PNG class maps; `boxes` and `detections`, COCO files.
"""

import numpy as np
from ml_collections import ConfigDict

from i2vjax import defaults
from i2vjax.core import class_names
from i2vjax.core.errors import UserError
from i2vjax.data.annotations import classes, label_files
from i2vjax.data.source import FrameSource
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


def scores(names: tuple[str, ...], settings: ConfigDict, frames: FrameSource) -> dict[str, float]:
  """{score: value} of files.

  Args:
    names: which of `PAIRS`.
    settings: `config.eval`.
    frames: the frames that are scored: labels are matched with them by clip and name or number.
  """
  values = {}
  if 'iou' in names:
    values |= class_map_scores(settings, frames)
  if 'ap' in names:
    values |= average_precision(settings)
  return values


def class_map_scores(settings: ConfigDict, frames: FrameSource) -> dict[str, float]:
  """mIoU, fwIoU and pixel accuracy of `eval.predictions` against `eval.labels`.

  Every frame with a true label needs a prediction, others may be without.

  Raises:
    UserError: names the file, id, size or frame that does not fit.
  """
  truth = label_files.label_source(defaults.data(), settings.labels)
  predicted = label_files.label_source(defaults.data(), settings.predictions)
  table, total = (
    classes.id_table(settings.label_map),
    segmentation.init(len(class_names.CITYSCAPES)),
  )
  # For each clip the numbers of its label files, None where a frame has none.
  matches = zip(frames.clips, label_files.match(frames, truth),
                label_files.match(frames, predicted), strict=True)
  for clip, true_files, predicted_files in matches:
    size = frames.read(clip.start)['frame'].shape[:2]
    for t, (i, j) in enumerate(zip(true_files, predicted_files, strict=True)):
      if i is None:
        continue
      if j is None:
        raise UserError(f'frame {t} of clip {clip.name} has a label ({truth.files[i][0]}), but '
                        f'{settings.predictions} has no prediction for it')
      true_ids = _train_ids(truth, i, size, table, ignore=True)
      predicted_ids = _train_ids(predicted, j, size, table, ignore=False)
      total = segmentation.update(total, true_ids[None], predicted_ids[None], batch=1)
  return segmentation.result(
      total, class_names.CITYSCAPES, class_names.class_list(settings.classes), class_names.SMALL,
      settings.absent)


def _train_ids(maps, index, size, table, ignore):
  """[H, W] Cityscapes train ids of a label file; `ignore`: 255, no class, is allowed."""
  ids = label_files.read_clip(maps, [index], size)[0]
  return classes.to_train_ids(ids, table, maps.files[index][0], ignore)


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

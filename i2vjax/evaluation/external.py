"""Scores of what other programs made of the frames: class maps as PNG folders, boxes as COCO files.

Segmentation networks and detectors stay outside: they read translated frames and write files, and
these are compared with files of the truth. Fields of `config.eval`: `labels` and `predictions`,
`boxes` and `detections`.
"""

import numpy as np

from i2vjax import defaults
from i2vjax.core.errors import UserError
from i2vjax.data.annotations import class_names, classes, label_files
from i2vjax.metrics import boxes, detection, segmentation

PAIRS = {'iou': ('labels', 'predictions'), 'ap': ('boxes', 'detections')}


def missing(name, settings):
  """Why 'iou' or 'ap' cannot be computed from files, or None.

  Raises:
    ValueError: one of the two places is given without the other.
  """
  given = [field for field in PAIRS[name] if settings[field]]
  if len(given) == 1:
    other = next(field for field in PAIRS[name] if field not in given)
    raise UserError(f'eval.{given[0]} is given without eval.{other}: set --config.eval.{other}')
  return None if given else f'needs files: {" and ".join(f"eval.{x}" for x in PAIRS[name])}'


def scores(names, settings, frames):
  """{score: value} of files.

  Args:
    names: which of `PAIRS`.
    settings: `config.eval`.
    frames: FrameSource of the frames that were judged: labels are matched with them by clip and
      name or number.
  """
  found = {}
  if 'iou' in names:
    found |= class_maps(settings, frames)
  if 'ap' in names:
    found |= average_precision(settings)
  return found


def class_maps(settings, frames):
  """mIoU and kin; every frame with a true label needs a prediction, others may be without.

  Raises:
    ValueError: names the file, id, size or frame that does not fit.
  """
  truth, predicted = (
    label_files.label_source(defaults.data(), settings[field]) for field in PAIRS['iou']
  )
  table = classes.id_table(settings.label_map)
  total = segmentation.init(len(class_names.CITYSCAPES))
  matched = zip(
    frames.clips,
    label_files.match(frames, truth),
    label_files.match(frames, predicted),
    strict=True,
  )
  for (clip, start, _), true, called in matched:
    size = frames.read(start)['frame'].shape[:2]
    for t, (i, j) in enumerate(zip(true, called, strict=True)):
      if i is None:
        continue
      if j is None:
        raise UserError(f'frame {t} of clip {clip} has a label ({truth.files[i][0]}), but '
                         f'{settings.predictions} has no prediction for it')
      real, seen = (
          classes.to_train_ids(label_files.read_clip(maps, [k], size)[0], table, maps.files[k][0],
                                 ignore)
          for maps, k, ignore in ((truth, i, True), (predicted, j, False)))
      total = segmentation.update(total, real[None], seen[None], batch=1)
  return segmentation.result(
    total,
    class_names.CITYSCAPES,
    class_names.class_list(settings.classes),
    class_names.SMALL,
    settings.absent,
  )


def average_precision(settings):
  """AP at IoU 0.5, precision and recall of `eval.detections` against `eval.boxes`."""
  chosen = tuple(name.strip() for name in settings.ap_classes.split(',') if name.strip())
  truth, names, kinds, images = boxes.read_truth(settings.boxes, chosen or None)
  found = boxes.read_detections(settings.detections, kinds, images)
  try:
    return detection.scores(truth, found, names, settings.ap_style, settings.ap_score)
  except ModuleNotFoundError as error:   # pycocotools: the user's to install
    raise UserError(str(error)) from error


def binary(frames):
  """uint8 [T, H, W]: 1 where a mask that was drawn as a picture is white."""
  return (np.asarray(frames)[..., 0] > (127 if frames.dtype == np.uint8 else 0)).astype(np.uint8)

"""Average precision (AP) of detected boxes at IoU 0.5.

Two styles. 'coco': pycocotools, the measure of the COCO challenge. 'yolo': the precision envelope
interpolated linearly at 101 recalls and integrated by trapezoids, as the YOLO codes do that
PearlGAN and MornGAN were scored with; both agree within a point or so. Host code: detections are
ragged and few.
"""

import contextlib
import io
from collections.abc import Sequence

import numpy as np

from i2vjax.core.errors import UserError
from i2vjax.metrics import score_names
from i2vjax.metrics.boxes import Boxes

STYLES = ('coco', 'yolo')
MISSING = ('AP in the COCO style needs pycocotools: pip install "i2vjax[eval]", or use '
           '--config.eval.ap_style=yolo')


def scores(truth: Boxes, detections: Boxes, names: Sequence[str], style: str = 'coco',
           score: float = 0.1) -> dict[str, float]:
  """AP at IoU 0.5 of each class, their mean, and precision and recall at one score.

  Args:
    truth, detections: from `boxes.read_truth` and `boxes.read_detections`.
    names: of the classes. One without ground truth is left out.
    style: 'coco' | 'yolo'.
    score: detections from here on enter precision and recall (public YOLO codes).

  Returns:
    {'ap50', 'precision', 'recall': means over the classes, 'ap50[NAME]' ...} floats in [0, 1].

  Raises:
    UserError: unknown style, or no ground truth. ModuleNotFoundError: pycocotools is missing.
  """
  if style not in STYLES:
    raise UserError(f'eval.ap_style={style!r}: choose one of {", ".join(STYLES)}')
  real = truth.kind[~truth.crowd]
  present = [kind for kind in range(len(names)) if np.any(real == kind)]
  if not present:
    raise UserError(f'the ground truth has no boxes of {", ".join(names)}')
  measure = coco_ap if style == 'coco' else yolo_ap
  values = measure(truth, detections, present)
  points = np.array([operating_point(truth, detections, kind, score) for kind in present])
  by_class = {score_names.make('ap50', names[kind]): float(value)
              for kind, value in zip(present, values, strict=True)}
  return {'ap50': float(np.mean(values)), 'precision': float(points[:, 0].mean()),
          'recall': float(points[:, 1].mean())} | by_class


def coco_ap(truth: Boxes, detections: Boxes, kinds: Sequence[int]) -> np.ndarray:
  """[len(kinds)] AP of pycocotools: IoU 0.5, all areas, 100 detections an image, 101 recalls."""
  try:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval
  except ImportError as error:
    raise ModuleNotFoundError(MISSING) from error
  if not np.isin(detections.kind, kinds).any():   # pycocotools fails on an empty list
    return np.zeros(len(kinds))
  images = dict.fromkeys([*truth.image, *detections.image])
  ids = {image: k + 1 for k, image in enumerate(images)}
  annotations = [{**entry, 'id': k + 1} for k, entry in enumerate(_entries(truth, ids, kinds))]
  real = COCO()
  real.dataset = {'images': [{'id': k} for k in ids.values()],
                  'categories': [{'id': kind + 1} for kind in kinds],
                  'annotations': annotations}
  with contextlib.redirect_stdout(io.StringIO()):      # it reports every step it takes
    real.createIndex()
    detected = real.loadRes(_entries(detections, ids, kinds))
    evaluation = COCOeval(real, detected, 'bbox')
    evaluation.params.iouThrs = np.array([0.5])
    evaluation.evaluate()
    evaluation.accumulate()
  precision = evaluation.eval['precision'][0, :, :, 0, 2]     # [recalls, classes]; -1 = undefined
  values = []
  for column in precision.T:
    defined = column[column > -1]
    values.append(defined.mean() if len(defined) else 0)
  return np.array(values)


def _entries(boxes, ids, kinds):
  """Boxes as the dictionaries of pycocotools."""
  entries = []
  for image, kind, box, score, crowd in zip(*boxes, strict=True):
    if kind in kinds:
      entries.append({
          'image_id': ids[image], 'category_id': int(kind) + 1, 'bbox': box.tolist(),
          'area': float(box[2] * box[3]), 'score': float(score), 'iscrowd': int(crowd)})
  return entries


def yolo_ap(truth: Boxes, detections: Boxes, kinds: Sequence[int]) -> np.ndarray:
  """[len(kinds)] area under the precision envelope, sampled at 101 recalls.

  Some YOLO codes let precision fall to 0 at the last recall, so that a perfect detector gets 0.995;
  here it gets 1.
  """
  return np.array([_envelope_area(*matched(truth, detections, kind)) for kind in kinds])


def _envelope_area(hit, score, total):
  del score
  rise = np.flatnonzero(hit)
  if not len(rise):
    return 0.0
  hits = np.arange(1, len(rise) + 1)
  recall, precision = hits / total, hits / (rise + 1)
  precision = np.maximum.accumulate(precision[::-1])[::-1]
  sampled = np.interp(np.linspace(0, 1, 101), np.append(0, recall),
                      np.append(precision[0], precision), right=0)
  return float(np.trapezoid(sampled, dx=0.01))


def operating_point(truth: Boxes, detections: Boxes, kind: int,
                    least: float) -> tuple[float, float]:
  """(precision, recall) of one class with the detections of score >= `least`; 0 without any."""
  hit, score, total = matched(truth, detections, kind)
  hit = hit[score >= least]
  return (float(hit.mean()) if len(hit) else 0.0), float(hit.sum() / total)


def matched(truth: Boxes, detections: Boxes, kind: int,
            least: float = 0.5) -> tuple[np.ndarray, np.ndarray, int]:
  """Detections of one class by falling score, each taking the best truth still free.

  Detections whose best match is a crowd region count neither way (as in COCO).

  Returns:
    (hit [N] bool, score [N], number of true boxes without crowds).
  """
  free = {}
  for k in np.flatnonzero(truth.kind == kind):
    free.setdefault(truth.image[k], []).append(k)
  hits, scored = [], []
  of_kind = np.flatnonzero(detections.kind == kind)
  for k in of_kind[np.argsort(-detections.score[of_kind], kind='stable')]:
    rows = free.get(detections.image[k], [])
    overlap = iou(detections.box[k], truth.box[rows], truth.crowd[rows])
    real = np.where(truth.crowd[rows], -1, overlap)
    if len(rows) and real.max() >= least:
      rows.pop(int(real.argmax()))
      hits.append(True)
    elif len(rows) and overlap.max() >= least:
      continue
    else:
      hits.append(False)
    scored.append(detections.score[k])
  total = int(np.sum((truth.kind == kind) & ~truth.crowd))
  return np.array(hits, bool), np.array(scored, np.float64), total


def iou(box: np.ndarray, others: np.ndarray, crowd=False) -> np.ndarray:
  """Intersection over union of one box [4] with [N, 4] (x, y, w, h) -> [N].

  Where `crowd`, over the area of the first box alone.
  """
  low = np.maximum(box[:2], others[:, :2])
  high = np.minimum(box[:2] + box[2:], others[:, :2] + others[:, 2:])
  shared = np.prod(np.maximum(high - low, 0), axis=-1)
  area = np.prod(box[2:])
  union = np.where(crowd, area, area + np.prod(others[:, 2:], axis=-1) - shared)
  return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)

"""Average precision (AP) of detected boxes at IoU 0.5.

Two styles. 'coco': pycocotools, the measure of the COCO challenge. 'yolo': the measure of the
public YOLO code that PearlGAN and MornGAN were scored with (PyTorch_YOLOv4, test.py). They differ
in who may be matched and in the curve: `best_matched`, `yolo_ap`. Host code: detections are ragged.
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
    score: where precision and recall are read (0.1 in public YOLO code).

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
  measure, point_of = ((coco_ap, operating_point) if style == 'coco' else
                       (yolo_ap, yolo_operating_point))
  values = measure(truth, detections, present)
  points = np.array([point_of(truth, detections, kind, score) for kind in present])
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
  """[len(kinds)] area under the precision envelope of public YOLO code.

  Every detection is a point of the curve, so precision steps down at each false positive. The
  curve ends at precision 0, 0.001 beyond the last recall but not beyond 1: even a perfect detector
  gets 0.995. It is sampled at 101 recalls, linearly between points, and integrated by trapezoids.
  """
  return np.array([_envelope_area(*best_matched(truth, detections, kind)) for kind in kinds])


def _envelope_area(hit, score, total):
  del score
  if not len(hit):
    return 0.0
  recall, precision = _curve(hit, total)
  recall = np.concatenate([[0], recall, [min(recall[-1] + 1e-3, 1)]])
  precision = np.concatenate([[0], precision, [0]])
  envelope = np.maximum.accumulate(precision[::-1])[::-1]
  return float(np.trapezoid(np.interp(np.linspace(0, 1, 101), recall, envelope), dx=0.01))


def _curve(hit, total):
  """(recall, precision), [N] each, after each detection."""
  hits = np.cumsum(hit)
  return hits / total, hits / np.arange(1, len(hit) + 1)


def yolo_operating_point(truth: Boxes, detections: Boxes, kind: int,
                         least: float) -> tuple[float, float]:
  """(precision, recall) of one class, linear in the score between detections, as that code does."""
  hit, score, total = best_matched(truth, detections, kind)
  if not len(hit):
    return 0.0, 0.0
  recall, precision = _curve(hit, total)
  return float(np.interp(-least, -score, precision)), float(np.interp(-least, -score, recall))


def operating_point(truth: Boxes, detections: Boxes, kind: int,
                    least: float) -> tuple[float, float]:
  """(precision, recall) of one class with the detections of score >= `least`; 0 without any."""
  hit, score, total = matched(truth, detections, kind)
  hit = hit[score >= least]
  return (float(hit.mean()) if len(hit) else 0.0), float(hit.sum() / total)


def matched(truth: Boxes, detections: Boxes, kind: int,
            least: float = 0.5) -> tuple[np.ndarray, np.ndarray, int]:
  """Detections of one class by falling score, each taking the best truth still free (as in COCO).

  Detections whose best match is a crowd region count neither way.

  Returns:
    (hit [N] bool, score [N], number of true boxes without crowds).
  """
  taken = set()

  def is_hit(rows, overlap):
    free = [k for k in range(len(rows)) if rows[k] not in taken]
    best = max(free, key=lambda k: overlap[k], default=None)
    if best is None or overlap[best] < least:
      return False
    taken.add(rows[best])
    return True
  return _match(truth, detections, kind, least, is_hit)


def best_matched(truth: Boxes, detections: Boxes, kind: int,
                 least: float = 0.5) -> tuple[np.ndarray, np.ndarray, int]:
  """The same by the rule of public YOLO code: a detection may only take its very best truth.

  Where that is taken by a detection of higher score, it is false, even if it fits another truth;
  and IoU must be above `least`. Crowd regions, which that code does not know, as in `matched`.
  """
  taken = set()

  def is_hit(rows, overlap):
    best = int(np.argmax(overlap)) if len(rows) else None
    if best is None or overlap[best] <= least or rows[best] in taken:
      return False
    taken.add(rows[best])
    return True
  return _match(truth, detections, kind, least, is_hit)


def _match(truth, detections, kind, least, is_hit):
  """`matched` with a rule of its own.

  Args:
    is_hit: (true boxes of the image, their IoU with a detection) -> bool; it notes what is taken.
  """
  boxes_of = {}   # of the class in each image
  for k in np.flatnonzero(truth.kind == kind):
    boxes_of.setdefault(truth.image[k], []).append(k)
  hits, scored = [], []
  of_kind = np.flatnonzero(detections.kind == kind)
  for k in of_kind[np.argsort(-detections.score[of_kind], kind='stable')]:
    rows = np.array(boxes_of.get(detections.image[k], []), int)
    crowd = truth.crowd[rows]
    overlap = iou(detections.box[k], truth.box[rows], crowd)
    hit = is_hit(rows[~crowd], overlap[~crowd])
    if not hit and np.any(overlap[crowd] >= least):
      continue
    hits.append(hit)
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

"""Mean IoU and pixel accuracy of class maps, from a confusion matrix.

The matrix H[g, p] counts pixels of true class g that were called p, over the whole test set. It is
a plain sum, so totals of batches, devices (`psum`) and hosts are added.
"""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from i2vjax.core.class_names import IGNORE
from i2vjax.core.errors import UserError
from i2vjax.metrics import score_names

ABSENT = ('ignore', 'zero')


def confusion(truth: jax.Array, predicted: jax.Array, classes: int, ignore: int = IGNORE,
              mask: jax.Array | None = None) -> jax.Array:
  """Confusion matrix of one batch, on the device.

  Args:
    truth, predicted: [N, H, W] integer ids.
    classes: K.
    ignore: pixels of this true id do not count.
    mask: [N], 0 for items that only fill up a batch.

  Returns:
    [K + 1, K + 1] int32; row and column K count ids that are no class. `update` refuses those.
  """
  side = classes + 1
  truth, predicted = truth.astype(jnp.int32), predicted.astype(jnp.int32)

  def bins(ids):
    return jnp.where((ids >= 0) & (ids < classes), ids, classes)
  counts = truth != ignore
  if mask is not None:
    counts &= (mask > 0)[:, None, None]
  # Pixels that do not count fall into one more bin, which is cut off.
  index = jnp.where(counts, bins(truth) * side + bins(predicted), side * side)
  return jnp.bincount(index.ravel(), length=side * side + 1)[:-1].reshape(side, side)


_confusion = jax.jit(confusion, static_argnames=('classes', 'ignore'))


def init(classes: int) -> np.ndarray:
  """An empty total: int64 [K, K] on the host, where no set of frames is too large for it."""
  return np.zeros((classes, classes), np.int64)


def update(total: np.ndarray, truth: np.ndarray, predicted: np.ndarray,
           mask: np.ndarray | None = None, *, ignore: int = IGNORE, batch: int = 16) -> np.ndarray:
  """Add class maps.

  Args:
    total: from `init`, `update` or `merge`; not changed.
    truth, predicted: [N, H, W] ids; truth may hold `ignore`.
    mask: [N], 0 for items that do not count.
    batch: frames in a call on the device; the last call is filled up.

  Raises:
    UserError: shapes differ, or an id is no class.
  """
  if truth.shape != predicted.shape or truth.ndim != 3:
    raise UserError(f'labels {truth.shape} and predictions {predicted.shape}: expected [N, H, W], '
                     f'both the same; nothing is resized here')
  call = functools.partial(_confusion, classes=len(total), ignore=ignore)
  mask = np.ones(len(truth)) if mask is None else np.asarray(mask)
  for start in range(0, len(truth), batch):
    index = np.minimum(np.arange(start, start + batch), len(truth) - 1)
    real = (np.arange(start, start + batch) < len(truth)) * mask[index]
    counts = np.asarray(call(truth[index], predicted[index], mask=real)).astype(np.int64)
    for kind, wrong in (('labels', counts[-1].sum()), ('predictions', counts[:, -1].sum())):
      if wrong:
        raise UserError(f'{kind}: {wrong} pixels hold ids outside 0 to {len(total) - 1}'
                         + (f' (and are not {ignore}, no class)' if kind == 'labels' else ''))
    total = total + counts[:-1, :-1]
  return total


def merge(a: np.ndarray, b: np.ndarray) -> np.ndarray:
  """The sum of two totals."""
  return a + b


def class_iou(total: np.ndarray) -> np.ndarray:
  """IoU_c = H_cc / (sum_p H_cp + sum_g H_gc - H_cc) of each class; NaN where nothing is c.

  Args:
    total: [K, K].

  Returns:
    [K] float64.
  """
  hits = np.diag(total).astype(np.float64)
  union = total.sum(axis=0) + total.sum(axis=1) - hits
  return np.divide(hits, union, out=np.full(len(hits), np.nan), where=union > 0)


def result(total: np.ndarray, names: Sequence[str] | None = None,
           classes: Sequence[str] | None = None, small: Sequence[str] = (),
           absent: str = 'ignore') -> dict[str, float]:
  """Scores of a whole test set.

  mIoU = mean_c IoU_c; fwIoU = sum_c (pixels of c / pixels) IoU_c; pixel accuracy = hits / pixels.

  Args:
    total: [K, K].
    names: of the K classes; None: '0', '1' ...
    classes: names that count (the denominator of a published table); None: all. Pixels of other
      true classes then do not enter fwIoU and pixel accuracy, but calling them one of these
      still counts against its IoU.
    small: names whose mean IoU is 'miou_small', as far as they are among `classes`; () leaves it
      out.
    absent: a class that neither truth nor prediction has: 'ignore' leaves it out of the means
      (public code of most papers), 'zero' counts it as 0 (public pix2pix and Unsup_Recycle_GAN
      code, and the domain-adaptation table of STC-V2V).

  Returns:
    {'miou', 'fwiou', 'pixel_accuracy', 'miou_small', 'num_absent_classes', 'iou[NAME]' ...} floats.

  Raises:
    UserError: no pixel to score, or an unknown name.
  """
  names = tuple(names or map(str, range(len(total))))
  chosen = names if classes is None else tuple(classes)
  _check(names, (*chosen, *small), absent)
  index = [names.index(name) for name in chosen]
  pixels = total.sum(axis=1)[index].astype(np.float64)
  if not pixels.sum():
    raise UserError('no labeled pixels to score: the truth holds none of '
                     f'{", ".join(chosen)}')
  iou = class_iou(total)[index]
  scores = {'miou': _mean(iou, absent),
            'fwiou': float(np.sum((pixels * iou)[pixels > 0]) / pixels.sum()),
            'pixel_accuracy': float(np.diag(total)[index].sum() / pixels.sum()),
            'num_absent_classes': float(np.isnan(iou).sum())}
  iou_of_small = np.array([value for name, value in zip(chosen, iou, strict=True) if name in small])
  if len(iou_of_small) and not (absent == 'ignore' and np.isnan(iou_of_small).all()):
    scores['miou_small'] = _mean(iou_of_small, absent)
  for name, value in zip(chosen, iou, strict=True):
    if not np.isnan(value):
      scores[score_names.make('iou', name)] = float(value)
  return scores


def _check(names, asked, absent):
  unknown = [name for name in asked if name not in names]
  if unknown:
    raise UserError(f'class {unknown[0]!r} is unknown: {", ".join(names)}')
  if absent not in ABSENT:
    raise UserError(f'eval.absent={absent!r}: choose one of {", ".join(ABSENT)}')


def _mean(iou, absent):
  return float(np.where(np.isnan(iou), 0, iou).mean() if absent == 'zero' else np.nanmean(iou))

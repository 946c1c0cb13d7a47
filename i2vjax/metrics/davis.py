"""DAVIS scores of object masks: region J, contour F, temporal instability T.

Perazzi et al., CVPR 2016, and Pont-Tuset et al., arXiv 1704.00675; GTC reports their means. Masks
are bool [T, H, W], one object each.
"""

import cv2
import jax
import jax.numpy as jnp
import numpy as np

from i2vjax.core.errors import UserError
from i2vjax.metrics import shapes

TOLERANCE = 0.008   # of the diagonal: 8 pixels at 854 x 480
QUARTERS = 4


def objects(ids: np.ndarray, truth: np.ndarray, single: bool = True) -> list:
  """Maps of object ids as pairs of masks.

  Args:
    ids, truth: [T, H, W] integer, 0 = background, 255 = not labeled (counts as background).
    single: all objects as one (ours: GTC's generator draws one foreground).

  Returns:
    [(predicted, true) bool [T, H, W]], one pair for each object of the truth.
  """
  if ids.shape != truth.shape or ids.ndim != 3:
    raise UserError(f'masks {ids.shape} and truth {truth.shape}: expected [T, H, W], both the '
                     f'same; nothing is resized here')
  ids, truth = np.where(ids == 255, 0, ids), np.where(truth == 255, 0, truth)
  if single:
    return [(ids > 0, truth > 0)]
  return [(ids == k, truth == k) for k in np.unique(truth) if k]


@jax.jit
def jaccard(masks: jax.Array, truth: jax.Array) -> jax.Array:
  """J = |M and G| / |M or G| of each frame; 1 where both are empty.

  Args:
    masks, truth: bool [T, H, W].

  Returns:
    [T] float32.
  """
  shared = jnp.sum(masks & truth, axis=(1, 2))
  union = jnp.sum(masks | truth, axis=(1, 2))
  return jnp.where(union > 0, shared / jnp.maximum(union, 1), 1.0)


def boundary(mask: np.ndarray) -> np.ndarray:
  """Pixels whose right, lower or lower right neighbor differs. bool [H, W] -> bool [H, W].

  The last row looks to the right only, the last column down only.
  """
  padded = np.pad(mask, ((0, 1), (0, 1)), mode='edge')
  return ((mask ^ padded[:-1, 1:]) | (mask ^ padded[1:, :-1]) | (mask ^ padded[1:, 1:]))


def contour(mask: np.ndarray, truth: np.ndarray, tolerance: float = TOLERANCE) -> float:
  """F = 2PR / (P + R) of the boundary pixels of one frame.

  P: share of the mask's boundary within reach of the true one; R: the other way round. Reach is
  ceil(tolerance * diagonal) pixels. Only G empty: P = 0, R = 1; only M empty: P = 1, R = 0; both:
  F = 1.

  Args:
    mask, truth: bool [H, W].
  """
  reach = int(np.ceil(tolerance * np.hypot(*mask.shape)))
  grid = np.arange(-reach, reach + 1)
  disk = (grid[:, None]**2 + grid**2 <= reach**2).astype(np.uint8)
  edges = [boundary(x).astype(np.uint8) for x in (mask, truth)]
  near = [cv2.dilate(x, disk) for x in edges]
  counts = [int(x.sum()) for x in edges]
  if not any(counts):
    return 1.0
  if not all(counts):
    return 0.0                 # one of P and R is 0
  precision = float((edges[0] & near[1]).sum() / counts[0])
  recall = float((edges[1] & near[0]).sum() / counts[1])
  return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def statistics(values: np.ndarray) -> dict[str, float]:
  """Mean, recall (share above 0.5) and decay of one object's values over time.

  Decay: mean of the first quarter less that of the last; quarters share the frame between them, as
  in the public evaluation.

  Args:
    values: [T], NaN where undefined.
  """
  values = np.asarray(values, np.float64)
  defined = values[~np.isnan(values)]
  if not len(defined):
    raise UserError('no frame with a value: nothing to average')
  cuts = np.round(np.linspace(1, len(values), QUARTERS + 1) + 1e-10).astype(int) - 1
  first, last = values[cuts[0]:cuts[1] + 1], values[cuts[3]:cuts[4] + 1]
  ends = [part[~np.isnan(part)] for part in (first, last)]
  decay = ends[0].mean() - ends[1].mean() if all(map(len, ends)) else np.nan
  return {'mean': float(defined.mean()), 'recall': float(np.mean(defined > 0.5)),
          'decay': float(decay)}


def clip_values(masks: np.ndarray, truth: np.ndarray, skip_ends: bool = False,
                with_t: bool = True) -> dict[str, float]:
  """J, F and T of one object in one clip.

  Args:
    masks, truth: bool [T, H, W].
    skip_ends: leave the first and last frame out of J and F (the DAVIS rule where the first mask
      is given to the method).
    with_t: T too (about 0.1 s a pair of frames for an outline of 1,000 pixels).

  Returns:
    {'davis_j', 'davis_f': means over the frames, 'davis_j_recall', 'davis_j_decay',
    'davis_f_recall', 'davis_f_decay': see `statistics`, 'davis_t'} floats; T is lower for steadier
    masks and is missing where no two consecutive masks have an outline.
  """
  if masks.shape != truth.shape or masks.ndim != 3:
    raise UserError(f'masks {masks.shape} and truth {truth.shape}: expected [T, H, W], both the '
                     f'same')
  inner = slice(1, -1) if skip_ends else slice(None)
  if not len(masks[inner]):
    raise UserError(f'a clip of {len(masks)} frames has none between its first and last')
  masks, truth = np.asarray(masks, bool), np.asarray(truth, bool)
  series = {'davis_j': np.asarray(jaccard(masks[inner], truth[inner]), np.float64),
            'davis_f': [contour(m, g) for m, g in zip(masks[inner], truth[inner], strict=True)]}
  scores = {}
  for name, values in series.items():
    summary = statistics(values)
    scores |= {name: summary['mean'], f'{name}_recall': summary['recall'],
               f'{name}_decay': summary['decay']}
  steps = shapes.instability(masks) if with_t else np.array([np.nan])
  if not np.isnan(steps).all():
    scores['davis_t'] = float(np.nanmean(steps))
  return scores

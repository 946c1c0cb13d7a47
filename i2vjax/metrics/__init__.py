"""Scores of translated video as pure functions of arrays; running totals.

There is a module for each kind of score; `score_names.py` makes and reads their names. How a score
gets into `evaluate` is explained at the head of `evaluation/scorers.py`.

Inside this folder frames are float32 in [0, 1] (`unit`), NHWC. A metric returns one value per
frame, per pair of frames or per clip; the totals here make the mean. A total is a plain tree
`{name: {'sum', 'count'}}`, so totals of several devices or hosts are simply added (`merge`). They
are float64 on the host: float32 sums lose digits after about 1e5 frames.

A name that begins with `num_` counts things: its result is the sum, not the mean.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from i2vjax.core.errors import UserError
from i2vjax.metrics import score_names


def unit(frames: jax.Array) -> jax.Array:
  """Frames [..., C] in [-1, 1] as [0, 1], clipped."""
  return jnp.clip((frames + 1) / 2, 0, 1)


def same_shape(frames: jax.Array, targets: jax.Array, least: int = 1) -> None:
  """Refuse what cannot be compared, before anything is traced.

  Args:
    frames, targets: [N, H, W, C]. least: smallest height and width.

  Raises:
    UserError: the shapes differ, or the frames are too small.
  """
  if frames.shape != targets.shape:
    raise UserError(f'frames {frames.shape} and targets {targets.shape} differ in shape: scores '
                     f'need equal sizes and channels, nothing is resized here')
  if len(frames.shape) != 4 or min(frames.shape[1:3]) < least:
    raise UserError(f'frames {frames.shape}: expected [N, H, W, C] with H and W at least {least}')


def init() -> dict:
  """An empty total."""
  return {}


def update(total: dict, values: Mapping, mask: np.ndarray | None = None) -> dict:
  """Add one batch of values.

  Args:
    total: from `init`, `update` or `merge`; not changed.
    values: {name: [N]}; a scalar counts as one item.
    mask: [N], 0 for items that only fill up a batch: they add nothing, whatever their value.

  Returns:
    A new total. NaN and infinite items stay in the sums (the mean shows them) and are counted under
    'num_nonfinite'.
  """
  batch = {}
  for name, items in values.items():
    items = np.atleast_1d(np.asarray(items, np.float64))
    items = items[np.asarray(mask, bool)] if mask is not None else items
    batch[name] = {'sum': items.sum(), 'count': np.float64(items.size)}
    nonfinite = np.sum(~np.isfinite(items))
    if nonfinite:
      entry = {'num_nonfinite': {'sum': np.float64(nonfinite), 'count': np.float64(items.size)}}
      batch = merge(batch, entry)
  return merge(total, batch)


def merge(a: dict, b: dict) -> dict:
  """The sum of two totals; order does not matter."""
  zero = {'sum': np.float64(0), 'count': np.float64(0)}
  merged = {}
  for name in sorted({*a, *b}):
    first, second = a.get(name, zero), b.get(name, zero)
    merged[name] = {part: first[part] + second[part] for part in zero}
  return merged


def result(total: dict) -> dict[str, float]:
  """{name: mean} (sum for `num_...`) as floats.

  Raises:
    UserError: the total has no items.
  """
  if not any(entry['count'] for entry in total.values()):
    raise UserError('no frames to score: the total is empty')
  values = {}
  for name, entry in total.items():
    if entry['count']:
      divisor = 1 if score_names.is_count(name) else entry['count']
      values[name] = float(entry['sum'] / divisor)
  return values

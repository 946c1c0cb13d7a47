"""Scores of translated video: pure functions of arrays, and running totals that can be added up.

Inside this folder frames are float32 in [0, 1] (`unit`), NHWC. A metric returns one value per
frame, per pair of frames or per clip; the totals here make the mean. A total is a plain tree
`{name: {'sum', 'count'}}`, so totals of several devices or hosts are simply added (`merge`). They
are float64 on the host: float32 sums lose digits after about 1e5 frames.

A name that begins with `num_` counts things: its result is the sum, not the mean.
"""

import jax.numpy as jnp
import numpy as np

from i2vjax.core.errors import UserError


def unit(frames, quantize=True):
  """Frames in [-1, 1] as [0, 1], clipped.

  Args:
    frames: [..., C] float.
    quantize: rounded to the 256 values an 8-bit file can hold, so that scores of a network in
      memory equal the scores of the files it would write.
  """
  frames = jnp.clip((frames + 1) / 2, 0, 1)
  return jnp.round(frames * 255) / 255 if quantize else frames


def same_shape(frames, targets, least=1):
  """Refuse what cannot be compared, before anything is traced."""
  if frames.shape != targets.shape:
    raise UserError(f'frames {frames.shape} and targets {targets.shape} differ in shape: scores '
                     f'need equal sizes and channels, nothing is resized here')
  if len(frames.shape) != 4 or min(frames.shape[1:3]) < least:
    raise UserError(f'frames {frames.shape}: expected [N, H, W, C] with H and W at least {least}')


def init():
  """An empty total."""
  return {}


def update(total, values, mask=None):
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
    bad = np.sum(~np.isfinite(items))
    if bad:
      entry = {'num_nonfinite': {'sum': np.float64(bad), 'count': np.float64(items.size)}}
      batch = merge(batch, entry)
  return merge(total, batch)


def merge(a, b):
  """The total of two totals; order does not matter."""
  zero = {'sum': np.float64(0), 'count': np.float64(0)}
  return {name: {part: a.get(name, zero)[part] + b.get(name, zero)[part] for part in zero}
          for name in sorted({*a, *b})}


def result(total):
  """{name: mean} (sum for `num_...`) as floats; a total without items is refused."""
  if not any(entry['count'] for entry in total.values()):
    raise UserError('no frames to score: the total is empty')
  return {name: float(entry['sum'] if name.startswith('num_') else entry['sum'] / entry['count'])
          for name, entry in total.items() if entry['count']}

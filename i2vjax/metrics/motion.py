"""Error of estimated flow against the truth."""

import jax.numpy as jnp

from i2vjax.core.errors import UserError


def end_point(flow, truth, mask=None):
  """End-point error and share of outliers of each flow field.

  Args:
    flow, truth: [N, H, W, 2] pixels.
    mask: [N, H, W], 1 = counts; None: all pixels.

  Returns:
    {'epe': [N] mean length of the error in pixels, 'fl': [N] share of pixels that are wrong by more
    than 3 pixels and by more than 5 % of the true length (KITTI's Fl-all)}; nan where none counts.
  """
  if flow.shape != truth.shape:
    raise UserError(f'flow {flow.shape} and truth {truth.shape} differ in shape')
  error, length = (jnp.linalg.norm(v, axis=-1) for v in (flow - truth, truth))
  mask = jnp.ones_like(error) if mask is None else (mask > 0).astype(error.dtype)
  outlier = (error > 3) & (error > 0.05 * length)
  area = jnp.sum(mask, axis=(1, 2))
  return {'epe': jnp.sum(mask * error, axis=(1, 2)) / area,
          'fl': jnp.sum(mask * outlier, axis=(1, 2)) / area}

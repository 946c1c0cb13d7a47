"""End-point error of estimated optical flow; used by benchmarks/flow_table.py alone."""

import jax
import jax.numpy as jnp

from i2vjax.core.errors import UserError


def end_point(flow: jax.Array, truth: jax.Array,
              mask: jax.Array | None = None) -> dict[str, jax.Array]:
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
  error = jnp.linalg.norm(flow - truth, axis=-1)
  length = jnp.linalg.norm(truth, axis=-1)
  mask = jnp.ones_like(error) if mask is None else (mask > 0).astype(error.dtype)
  outlier = (error > 3) & (error > 0.05 * length)
  area = jnp.sum(mask, axis=(1, 2))
  return {'epe': jnp.sum(mask * error, axis=(1, 2)) / area,
          'fl': jnp.sum(mask * outlier, axis=(1, 2)) / area}

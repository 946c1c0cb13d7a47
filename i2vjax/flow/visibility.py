"""Occlusion, motion boundaries, and masks of where a flow is reliable.

A flow [B, H, W, 2] is defined on one frame and points to another, in pixels. Masks are constants
for the losses: no gradient passes.
"""

import jax
import jax.numpy as jnp

from i2vjax.core import ops
from i2vjax.core.errors import UserError

NORMS = ('l2', 'l2sq', 'bt_code')   # of `photometric_mask`


def inside(flow: jax.Array) -> jax.Array:
  """[B, H, W, 1] mask of the pixels whose target p + flow(p) is in the frame."""
  H, W = flow.shape[1:3]
  x = jnp.arange(W) + flow[..., 0]
  y = jnp.arange(H)[:, None] + flow[..., 1]
  return ((x >= 0) & (x <= W - 1) & (y >= 0) & (y <= H - 1))[..., None]


def occlusion(flow: jax.Array, back: jax.Array) -> jax.Array:
  """Where going along a flow and back again does not return (Sundaram, Brox, Keutzer, ECCV 2010).

  |w + f|^2 > 0.01 (|w|^2 + |f|^2) + 0.5 with w(p) = back(p + f(p)). A relative motion of less than
  0.7 pixels passes.

  Args:
    flow: [B, H, W, 2] pixels, from a frame to another; the mask is for the first.
    back: the same from the other frame.

  Returns:
    [B, H, W, 1] bool.
  """
  returning = ops.warp(back, flow)   # w: the way back from where p went
  limit = 0.01 * (_square(returning) + _square(flow)) + 0.5
  return _square(returning + flow) > limit


def motion_boundary(flow: jax.Array) -> jax.Array:
  """[B, H, W, 1] bool, true at jumps of a flow [B, H, W, 2] (same paper).

  |grad u|^2 + |grad v|^2 > 0.01 |f|^2 + 0.002, forward differences, 0 in the last column and row.
  """
  rows = jnp.pad(jnp.diff(flow, axis=1), ((0, 0), (0, 1), (0, 0), (0, 0)))
  cols = jnp.pad(jnp.diff(flow, axis=2), ((0, 0), (0, 0), (0, 1), (0, 0)))
  return _square(rows) + _square(cols) > 0.01 * _square(flow) + 0.002


def _square(vectors):
  return jnp.sum(jnp.square(vectors), axis=-1, keepdims=True)


def reliable_mask(flow: jax.Array, back: jax.Array) -> jax.Array:
  """V = 1 where nothing is hidden, the flow has no jump, and its target is in the frame (GTC).

  The paper multiplies by the maps of occlusion and of motion boundaries; we take their complement,
  which must be what is meant. The tests are those of Sundaram, Brox and Keutzer (`occlusion`,
  `motion_boundary`); the frame's edge is ours. If the mean of V falls below 0.5, check the flow
  and these tests.

  Args:
    flow: [B, H, W, 2] from the frame that the mask is for to the other.
    back: [B, H, W, 2] from the other frame.

  Returns:
    [B, H, W, 1] float32, 1 or 0.
  """
  visible = ~occlusion(flow, back) & ~motion_boundary(flow) & inside(flow)
  return jax.lax.stop_gradient(visible.astype(jnp.float32))


def photometric_mask(frame: jax.Array, other: jax.Array, flow: jax.Array, *, alpha: float = 50.0,
                     norm: str = 'l2', in_frame: bool = True) -> jax.Array:
  """O = exp(-alpha |x - W(x', f)|): 1 where the frames agree once motion is taken out (STC-V2V).

  Frames are compared in the range [0, 1] of the mask's origin (public code of Lai et al., ECCV
  2018; STC names no range).

  Args:
    frame, other: [B, H, W, C] in [-1, 1]; `flow` leads from `frame` to `other`.
    flow: [B, H, W, 2].
    alpha: 50 in both papers.
    norm: over channels. 'l2' is the formula printed in STC: an error of 0.02 leaves 0.37, so that
      sensor noise leaves nearly nothing. 'l2sq', its square, is in the text of Lai et al.: an error
      of 0.2 leaves 0.14. 'bt_code' is what their code does: the square of the SUM of the
      differences, in which channels cancel.
    in_frame: also 0 where the target is outside of the frame and only its repeated edge was read
      (ours).

  Returns:
    [B, H, W, 1] float32 in [0, 1].
  """
  if norm not in NORMS:
    raise UserError(f'mask.norm={norm!r}: choose one of {", ".join(NORMS)}')
  d = (frame - ops.warp(other, flow)).astype(jnp.float32) / 2
  if norm == 'bt_code':
    error = jnp.square(jnp.sum(d, -1, keepdims=True))
  else:
    error = jnp.sum(jnp.square(d), -1, keepdims=True)
    error = jnp.sqrt(error) if norm == 'l2' else error
  valid = inside(flow) if in_frame else 1.0
  return jax.lax.stop_gradient(jnp.exp(-alpha * error) * valid)

"""Occlusion, motion boundaries, and where a flow between two frames can be trusted.

A flow [B, H, W, 2] lies on one frame and points to another, in pixels. Masks are constants for the
losses: no gradient passes.
"""

import jax
import jax.numpy as jnp

from i2vjax.core import ops
from i2vjax.core.errors import UserError


def inside(flow):
  """[B, H, W, 1] mask of the pixels whose target p + flow(p) lies in the frame."""
  H, W = flow.shape[1:3]
  x = jnp.arange(W) + flow[..., 0]
  y = jnp.arange(H)[:, None] + flow[..., 1]
  return ((x >= 0) & (x <= W - 1) & (y >= 0) & (y <= H - 1))[..., None]


def occlusion(flow, back):
  """Where going along a flow and back again does not return (Sundaram, Brox, Keutzer, ECCV 2010).

  |w + f|^2 > 0.01 (|w|^2 + |f|^2) + 0.5 with w(p) = back(p + f(p)). A relative motion of less than
  0.7 pixels passes.

  Args:
    flow: [B, H, W, 2] pixels, from a frame to another; the answer lies on that frame.
    back: the same from the other frame.

  Returns:
    [B, H, W, 1] bool.
  """
  fetched = ops.warp(back, flow)
  limit = 0.01 * (_square(fetched) + _square(flow)) + 0.5
  return _square(fetched + flow) > limit


def motion_boundary(flow):
  """[B, H, W, 1] bool, true where a flow [B, H, W, 2] is torn (same paper).

  |grad u|^2 + |grad v|^2 > 0.01 |f|^2 + 0.002, forward differences, 0 in the last column and row.
  """
  rows = jnp.pad(jnp.diff(flow, axis=1), ((0, 0), (0, 1), (0, 0), (0, 0)))
  cols = jnp.pad(jnp.diff(flow, axis=2), ((0, 0), (0, 0), (0, 1), (0, 0)))
  return _square(rows) + _square(cols) > 0.01 * _square(flow) + 0.002


def _square(vectors):
  return jnp.sum(jnp.square(vectors), axis=-1, keepdims=True)


NORMS = ('l2', 'l2sq', 'bt_code')


def trusted(flow, back):
  """V = 1 where nothing is hidden, the flow is not torn, and its target lies in the frame (GTC).

  GTC names the maps of what IS hidden or torn, and multiplies by them: meant must be the opposite.
  The tests are those of Sundaram, Brox and Keutzer (`visibility.occlusion`, `visibility.motion_boundary`); the
  frame's edge is ours. Below a mean of 0.5 the flow, or these tests for it, deserve a look.

  Args:
    flow: [B, H, W, 2] from the frame the answer is for to the other.
    back: [B, H, W, 2] from the other frame.

  Returns:
    [B, H, W, 1] float32, 1 or 0.
  """
  seen = ~occlusion(flow, back) & ~motion_boundary(flow) & inside(flow)
  return jax.lax.stop_gradient(seen.astype(jnp.float32))


def photometric(frame, other, flow, *, alpha=50.0, norm='l2', in_frame=True):
  """O = exp(-alpha |x - W(x', f)|): 1 where the frames agree once motion is taken out (STC-V2V).

  In [0, 1], where the mask comes from (public code of Lai et al., ECCV 2018; STC names no range).

  Args:
    frame, other: [B, H, W, C] in [-1, 1]; `flow` leads from `frame` to `other`.
    flow: [B, H, W, 2].
    alpha: 50 in both papers.
    norm: over channels. 'l2' is what STC prints: an error of 0.02 leaves 0.37, nearly nothing under
      sensor noise. 'l2sq', its square, is in the text of Lai et al.: 0.2 leaves 0.14. 'bt_code' is
      what their code does: the square of the SUM of the differences, in which channels cancel.
    in_frame: also 0 where the target lies outside, and the repeated edge was fetched (ours).

  Returns:
    [B, H, W, 1] float32 in [0, 1].
  """
  if norm not in NORMS:
    raise UserError(f'mask.norm={norm!r}: choose one of {", ".join(NORMS)}')
  d = (frame - ops.warp(other, flow)).astype(jnp.float32) / 2
  if norm == 'bt_code':
    e = jnp.square(jnp.sum(d, -1, keepdims=True))
  else:
    e = jnp.sum(jnp.square(d), -1, keepdims=True)
    e = jnp.sqrt(e) if norm == 'l2' else e
  seen = inside(flow) if in_frame else 1.0
  return jax.lax.stop_gradient(jnp.exp(-alpha * e) * seen)

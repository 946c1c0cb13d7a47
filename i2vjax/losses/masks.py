"""Where a flow between two frames can be believed. Constants for the losses: no gradient passes.

A flow [B, H, W, 2] lies on one frame and points to another, in pixels.
"""

import jax
import jax.numpy as jnp

from i2vjax.core import ops

NORMS = ('l2', 'l2sq', 'bt_code')


def trusted(flow, back):
  """V = 1 where nothing is hidden, the flow is not torn, and its target lies in the frame (GTC).

  GTC names the maps of what IS hidden or torn, and multiplies by them: meant must be the opposite.
  The tests are those of Sundaram, Brox and Keutzer (`ops.occlusion`, `ops.motion_boundary`); the
  frame's edge is ours. Below a mean of 0.5 the flow, or these tests for it, deserve a look.

  Args:
    flow: [B, H, W, 2] from the frame the answer is for to the other.
    back: [B, H, W, 2] from the other frame.

  Returns:
    [B, H, W, 1] float32, 1 or 0.
  """
  seen = ~ops.occlusion(flow, back) & ~ops.motion_boundary(flow) & ops.inside(flow)
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
    raise ValueError(f'mask.norm={norm!r}: choose one of {", ".join(NORMS)}')
  d = (frame - ops.warp(other, flow)).astype(jnp.float32) / 2
  if norm == 'bt_code':
    e = jnp.square(jnp.sum(d, -1, keepdims=True))
  else:
    e = jnp.sum(jnp.square(d), -1, keepdims=True)
    e = jnp.sqrt(e) if norm == 'l2' else e
  seen = ops.inside(flow) if in_frame else 1.0
  return jax.lax.stop_gradient(jnp.exp(-alpha * e) * seen)

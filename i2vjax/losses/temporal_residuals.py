"""Consistency of a clip with itself: what the frame before, moved along, leaves unexplained.

Local: the residuals are small (a loss on them). Global: they look, all together, like those of real
clips (a critic that sees the whole clip's: `networks.recurrent.ClipCritic`).
"""

import jax.numpy as jnp

from i2vjax.core import ops


def residuals(frames, flow, valid):
  """E_t = V_t (O_t - O_{t-1}(p + b_t(p))), with its sign (GTC, 3.1, Eqs. 1 to 3).

  E_1 = 0, as nothing comes before it: E has the clip's length. The gradient reaches both frames.

  Args:
    frames: [B, T, H, W, C].
    flow: [B, T-1, H, W, 2] pixels, entry i on frame i + 1 and pointing to frame i (counted from 0).
    valid: [B, T-1, H, W, 1], 1 where that flow can be trusted.

  Returns:
    [B, T, H, W, C].
  """
  moved = ops.warp(ops.fold(frames[:, :-1]), ops.fold(flow))
  later = valid * (frames[:, 1:] - ops.unfold(moved, flow.shape[1]))
  return jnp.concatenate([jnp.zeros_like(frames[:, :1]), later], axis=1)


def local(residuals):
  """L_temp = 1/T sum_t mean |E_t| (GTC, Eq. 4): mean over all T frames, the first of which adds 0.

  Print has the sum over pixels; the mean is ours, so that a weight means the same at any size.
  """
  return jnp.mean(jnp.abs(residuals.astype(jnp.float32)))

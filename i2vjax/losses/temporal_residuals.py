"""Temporal residuals of a clip: differences to the warped previous frame (GTC).

Local consistency: the residuals are small (a loss on them). Global consistency: all together they
look like those of real clips (the critic `networks.recurrent.ClipCritic`, which sees whole clips).
"""

import jax
import jax.numpy as jnp

from i2vjax.core import ops


def residuals(frames: jax.Array, flow: jax.Array, valid: jax.Array) -> jax.Array:
  """E_t = V_t (O_t - O_{t-1}(p + b_t(p))), with its sign (GTC, 3.1, Eqs. 1 to 3).

  E_1 = 0, as it has no previous frame: E has the clip's length. The gradient reaches both frames.

  Args:
    frames: [B, T, H, W, C].
    flow: [B, T-1, H, W, 2] pixels, entry i on frame i + 1 and pointing to frame i (counted from 0).
    valid: [B, T-1, H, W, 1], 1 where that flow is reliable (`flow.visibility.reliable_mask`).

  Returns:
    [B, T, H, W, C].
  """
  warped = ops.warp(ops.fold(frames[:, :-1]), ops.fold(flow))
  differences = valid * (frames[:, 1:] - ops.unfold(warped, flow.shape[1]))
  return jnp.concatenate([jnp.zeros_like(frames[:, :1]), differences], axis=1)


def local(E: jax.Array) -> jax.Array:
  """L_temp = 1/T sum_t mean |E_t| (GTC, Eq. 4): mean over all T frames, of which the first adds 0.

  The paper sums over pixels; the mean is ours, so that a weight means the same at any frame size.

  Args:
    E: [B, T, H, W, C], as returned by `residuals`.

  Returns:
    Scalar.
  """
  return jnp.mean(jnp.abs(E.astype(jnp.float32)))

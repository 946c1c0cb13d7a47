"""R1: a penalty on a critic's gradient at real frames (ICML 2018)."""

import jax
import jax.numpy as jnp


def r1(logits, frames):
  """mean over frames of |d D / d x|^2 / 2, D the sum of a frame's scores.

  A critic whose slope at real frames is small does not chase the last differences, and the game
  comes to rest. Taken lazily (Karras et al., CVPR 2020): every k steps, times k.

  Args:
    logits: frames -> scores of any shape [B, ...]; must have second derivatives.
    frames: [B, H, W, C].

  Returns:
    Scalar, 0 for a critic that does not look.
  """
  slope = jax.grad(lambda x: jnp.sum(logits(x)))(frames)
  return 0.5 * jnp.mean(jnp.sum(jnp.square(slope), axis=(1, 2, 3)))

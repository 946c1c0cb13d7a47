"""Pixel-wise distance of two frames (L1)."""

import jax
import jax.numpy as jnp


def l1(x: jax.Array, y: jax.Array) -> jax.Array:
  """Mean over all elements of |x - y|, in float32.

  Args:
    x: array of any shape, e.g. frames [B, H, W, C] in [-1, 1].
    y: array of the same shape; nothing is broadcast.

  Returns:
    Scalar.

  Raises:
    ValueError: the shapes differ.
  """
  if x.shape != y.shape:
    raise ValueError(f'l1 of shapes {x.shape} and {y.shape}: they must be equal')
  return jnp.mean(jnp.abs(x.astype(jnp.float32) - y.astype(jnp.float32)))

"""Distances between two frames, pixel by pixel."""

import jax.numpy as jnp

from i2vjax.core.errors import UserError


def l1(x, y):
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
    raise UserError(f'l1 of shapes {x.shape} and {y.shape}: they must be equal')
  return jnp.mean(jnp.abs(x.astype(jnp.float32) - y.astype(jnp.float32)))

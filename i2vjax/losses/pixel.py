"""Pixel-wise distances of two frames: L1, mean square."""

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
  return jnp.mean(jnp.abs(_difference(x, y, 'l1')))


def mse(x: jax.Array, y: jax.Array) -> jax.Array:
  """Mean over all elements of (x - y)^2, in float32. Shapes and errors: see `l1`."""
  return jnp.mean(jnp.square(_difference(x, y, 'mse')))


def _difference(x, y, name):
  if x.shape != y.shape:
    raise ValueError(f'{name} of shapes {x.shape} and {y.shape}: they must be equal')
  return x.astype(jnp.float32) - y.astype(jnp.float32)

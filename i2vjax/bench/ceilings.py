"""Measured ceilings of a device: products of matrices, and copies."""

from __future__ import annotations

import dataclasses
import functools

import jax
import jax.numpy as jnp

from i2vjax.bench import clock
from i2vjax.core import backend

SIDE = {'cpu': 2048, 'gpu': 8192, 'tpu': 8192}        # of the matrices
COPIED = {'cpu': 2**28, 'gpu': 2**30, 'tpu': 2**30}   # bytes, more than any cache holds


@dataclasses.dataclass(frozen=True)
class Ceilings:
  """Measured rates of one device.

  Attributes:
    products: operations a second of a product of two matrices, two for each pair of numbers.
    copies: bytes a second, read and written, of an array that is copied.
  """

  products: float
  copies: float


@functools.cache
def measure(compute: str = 'float32', side: int = 0, copied: int = 0) -> Ceilings:
  """Of the first device that is here, once in a process.

  Args:
    compute: type of the matrices, as `config.compute`.
    side: of the matrices; 0: by the kind of device.
    copied: bytes of the array; 0: by the kind of device.
  """
  kind = backend.name()
  side, copied = side or SIDE[kind], copied or COPIED[kind]
  x = jnp.ones((side, side), compute)
  multiply = jax.jit(lambda x, y: x @ y)
  array = jnp.ones(copied // 4, jnp.float32)
  copy = jax.jit(lambda x: x + 1)   # a plain copy XLA leaves out
  return Ceilings(2.0 * side**3 / clock.seconds(lambda: multiply(x, x).block_until_ready()),
                  2.0 * array.nbytes / clock.seconds(lambda: copy(array).block_until_ready()))

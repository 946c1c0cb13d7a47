"""A 32-bit integer hash in place of a random generator (ours).

Every attribute of the world is the hash of its address (seed, clip, cell, object), so any frame
can be drawn alone, in any process, with the same bytes. Generators of NumPy may change between
releases; multiply, xor and shift do not. The mixing constants are the well-known `lowbias32` ones.
"""

import numpy as np

MASK = 0xFFFFFFFF
STEP = 0x9E3779B9        # 2^32 / golden ratio: keeps runs of zero keys apart
SD_OF_BYTES = 147.8      # of the sum of four uniform bytes: sqrt(4 (256^2 - 1) / 12)


def mix(x):
  """uint32 array -> uint32 array of the same shape, every bit depends on every bit."""
  x = x ^ (x >> np.uint32(16))
  x = x * np.uint32(0x7FEB352D)
  x = x ^ (x >> np.uint32(15))
  x = x * np.uint32(0x846CA68B)
  return x ^ (x >> np.uint32(16))


def fold(*keys):
  """Hash of integers or integer arrays that broadcast; negative keys are fine.

  Returns:
    uint32 array of at least one dimension.
  """
  state = np.zeros(1, np.uint32)
  for key in keys:
    key = (np.atleast_1d(np.asarray(key, np.int64)) & MASK).astype(np.uint32)
    state = mix((state + np.uint32(STEP)) ^ key)
  return state


def uniform(*keys):
  """`fold` as float64 in [0, 1)."""
  return fold(*keys) / 4294967296.0


def fold_int(*keys):
  """`fold` of plain integers as a plain integer: the same value, without arrays."""
  state = 0
  for key in keys:
    x = ((state + STEP) & MASK) ^ (int(key) & MASK)
    x ^= x >> 16
    x = x * 0x7FEB352D & MASK
    x ^= x >> 15
    x = x * 0x846CA68B & MASK
    state = x ^ (x >> 16)
  return state


def draw(*keys):
  """`uniform` of plain integers as a float."""
  return fold_int(*keys) / 4294967296.0


def between(low, high, *keys):
  """A float in [low, high) drawn by the keys."""
  return low + (high - low) * draw(*keys)


def pick(items, *keys):
  """One of a sequence, each equally likely; a sequence may repeat an item to favor it."""
  return items[int(draw(*keys) * len(items))]


def normal(seed, height, width):
  """Noise of about unit variance, one value per pixel (the sum of a hash's four bytes).

  Args:
    seed: uint32 as int: everything but y and x.

  Returns:
    [height, width] float64.
  """
  rows = mix(np.arange(1, height + 1, dtype=np.uint32) * np.uint32(STEP) ^ np.uint32(seed))
  bits = mix(rows[:, None] ^ np.arange(1, width + 1, dtype=np.uint32) * np.uint32(0x85EBCA6B))
  b = bits.view(np.uint8).reshape(height, width, 4)     # the sum does not depend on byte order
  total = b[..., 0].astype(np.int16) + b[..., 1] + b[..., 2] + b[..., 3]
  return (total - 510.0) / SD_OF_BYTES


def triangle(x):
  """Triangle wave of period 1 in [-1, 1]; triangle(0) = -1. Used for sine: exact on any machine."""
  return 4.0 * np.abs(x - np.floor(x + 0.5)) - 1.0

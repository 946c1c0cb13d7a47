"""Frames padded, by mirroring, to the sizes that networks take."""

from collections.abc import Callable

import jax
import numpy as np

from i2vjax.core.errors import UserError

MIN_SIDE = 16             # pixels of a padded side: networks mirror their borders, which needs some
SIDE_MULTIPLES = (4, 8, 16, 32, 64, 128, 256)   # tried one after the other: sides are rounded up


def padded_size(call: Callable, shape: tuple[int, ...], dtype: np.dtype,
                chunk: int) -> tuple[int, int]:
  """Smallest (height, width) that the networks take for frames of [H, W, C]; see `layout`."""
  return layout(call, shape, dtype, chunk)[0]


def layout(call: Callable, shape: tuple[int, ...], dtype: np.dtype, chunk: int,
           pad_to: int = 1) -> tuple[tuple[int, int], bool]:
  """How frames of [H, W, C] go to the networks.

  Found by tracing, not by running: the side lengths are rounded up to growing powers of two until
  the output has the size of the input.

  Args:
    call: of `translator.compile_chunk`.
    shape, dtype: of a raw frame.
    chunk: frames at a time.
    pad_to: sides become multiples of it at least.

  Returns:
    (smallest (height, width) that will do, True if the method remembers frames of earlier chunks).

  Raises:
    UserError: no size will do.
  """
  refusal, sizes = None, []
  for multiple in SIDE_MULTIPLES:
    if multiple < pad_to:
      continue
    height, width = (max(MIN_SIDE, -(-side // multiple) * multiple) for side in shape[:2])
    if (height, width) not in sizes:
      sizes.append((height, width))
  for size in sizes:
    raw = jax.ShapeDtypeStruct((1, chunk, *size, shape[2]), dtype)
    try:
      carry, out, _ = jax.eval_shape(call, None, raw, jax.ShapeDtypeStruct((1, 2), np.float32))
    except (ValueError, TypeError) as error:
      refusal = refusal or str(error).strip().splitlines()[0]
      continue
    if out.shape[1:3] == size:
      return size, bool(jax.tree.leaves(carry))
    refusal = refusal or f'{size} comes out as {out.shape[1:3]}'
  raise UserError(f'frames of {shape[1]}x{shape[0]} pixels do not fit this network: {refusal}')


def pad(frames: np.ndarray, size: tuple[int, int]) -> np.ndarray:
  """[T, H, W, C] -> [T, *size, C], mirrored at the right and lower edge."""
  if frames.shape[1:3] == tuple(size):
    return frames
  rows, columns = _mirror(frames.shape[1], size[0]), _mirror(frames.shape[2], size[1])
  return frames[:, rows][:, :, columns]


def _mirror(length, padded):
  """`padded` indices 0 .. length-1, then back again, and so on; a single pixel is repeated."""
  return np.pad(np.arange(length), (0, padded - length), mode='reflect' if length > 1 else 'edge')

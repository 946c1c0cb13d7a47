"""A run applied to clips, chunk by chunk.

One compiled program serves all frames of a size, in constant memory.
Frames are padded to what the networks need by mirroring, and cropped back.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from i2vjax.core import ops, precision
from i2vjax.data.sources import streams
from i2vjax.run import frame_batches
from i2vjax.run.load import Run


def compile_chunk(run: Run, quantize: bool = True) -> Callable:
  """The compiled function of one chunk.

  Args:
    run: load.Run.
    quantize: give uint8 as a saved file would hold; otherwise floats in [-1, 1].

  Returns:
    (carry, raw [1, T, H, W, C], value_range [1, 2]) -> (carry, [T, H, W, C], finite: bool [T],
    False where the networks gave NaN or infinity, which uint8 cannot say).
  """
  def translated(params, model_state, frozen, carry, raw, value_range):
    frames = ops.to_float(raw, value_range, run.config.data.channels_a)
    with precision.of(run.config):
      carry, frames = run.method.translate(run.model.replace(frozen=frozen), params, model_state,
                                           carry, frames)
    finite = jnp.isfinite(frames[0]).all(axis=(1, 2, 3))
    return carry, ops.to_uint8(frames[0]) if quantize else frames[0], finite
  compiled = jax.jit(translated)
  # Once, not with every chunk.
  weights = jax.device_put((run.params, run.model_state, run.model.frozen))

  def call(carry, raw, value_range):
    return compiled(*weights, carry, raw, value_range)
  return call


def translate_clips(call: Callable, clips: Iterable[tuple[Iterable[tuple], np.ndarray | None]],
                    rule: Any = 'clip', chunk: int = 8, pad_to: int = 1,
                    tell: Callable[[Any, bool], Any] | None = None) -> Iterator[tuple]:
  """Translate clips one after the other.

  Args:
    call: from `compile_chunk`.
    clips: of (items, value range [2] or None), each used up before the next is asked for. Items are
      (label, raw frame [H, W, C] or None for a skipped one, seconds, a larger raw frame to be
      shown); the last two may be left away.
    rule: `data.thermal_range` of the run; None where value ranges are given.
    chunk: frames on the device at a time.
    pad_to: sides are padded to multiples of it at least.
    tell: called with (label, finite) of each translated frame, finite as `compile_chunk` says.

  Yields:
    (item, shown, result) in order: the source as uint8 [H, W, C] within its range, and the
    translated frame [H, W, C]; both None for a skipped item. One chunk is computed while the one
    before is handed out.
  """
  batches = frame_batches.Batches(call, rule, chunk, pad_to, tell)
  for items, value_range in clips:
    if value_range is None:
      items, value_range = streams.peek_value_range(items, rule)
    batches.begin_clip(value_range)
    for item in items:
      batches.add(item)
      del item   # else it would live on while the next one is waited for
      yield from batches.dealt()
  yield from batches.rest()


def translate_clip(call: Callable, items: Iterable[tuple], rule: Any = 'clip', chunk: int = 8,
                   value_range: np.ndarray | None = None) -> Iterator[tuple]:
  """Translate one clip; see `translate_clips`.

  Args:
    value_range: [2] raw values that become -1 and 1, if they are known already.
  """
  return translate_clips(call, [(items, value_range)], rule, chunk)

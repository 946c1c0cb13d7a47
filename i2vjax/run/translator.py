"""A run applied to a clip, chunk by chunk.

One compiled program serves it whole, in constant memory.
Frames are padded to what the networks need by mirroring, and cropped back.
"""

from collections.abc import Callable, Iterable, Iterator

import jax
import numpy as np

from i2vjax.core import ops, precision
from i2vjax.core.errors import UserError
from i2vjax.data.sources import streams
from i2vjax.data.transforms import thermal
from i2vjax.run.load import Run

MIN_SIDE = 16             # pixels of a padded side: networks mirror their borders, which needs some
SIDE_MULTIPLES = (4, 8, 16, 32, 64, 128, 256)   # tried one after the other: sides are rounded up


def compile_chunk(run: Run, quantize: bool = True) -> Callable:
  """The compiled function of one chunk.

  Args:
    run: load.Run.
    quantize: give uint8 as a saved file would hold; otherwise floats in [-1, 1].

  Returns:
    (carry, raw [1, T, H, W, C], value_range [1, 2]) -> (carry, [T, H, W, C]).
  """
  def translated(params, model_state, frozen, carry, raw, value_range):
    frames = ops.to_float(raw, value_range, run.config.data.channels_a)
    with precision.of(run.config):
      carry, frames = run.method.translate(run.model.replace(frozen=frozen), params, model_state,
                                           carry, frames)
    return carry, ops.to_uint8(frames[0]) if quantize else frames[0]
  compiled = jax.jit(translated)
  # Once, not with every chunk.
  weights = jax.device_put((run.params, run.model_state, run.model.frozen))

  def call(carry, raw, value_range):
    return compiled(*weights, carry, raw, value_range)
  return call


def padded_size(call: Callable, shape: tuple[int, ...], dtype: np.dtype,
                chunk: int) -> tuple[int, int]:
  """Smallest (height, width) that the networks take for frames of [H, W, C].

  Found by tracing, not by running: the side lengths are rounded up to growing powers of two until
  the output has the size of the input.
  """
  refusal, sizes = None, []
  for multiple in SIDE_MULTIPLES:
    height, width = (max(MIN_SIDE, -(-side // multiple) * multiple) for side in shape[:2])
    if (height, width) not in sizes:
      sizes.append((height, width))
  for size in sizes:
    raw = jax.ShapeDtypeStruct((1, chunk, *size, shape[2]), dtype)
    try:
      _, out = jax.eval_shape(call, None, raw, jax.ShapeDtypeStruct((1, 2), np.float32))
    except (ValueError, TypeError) as error:
      refusal = refusal or str(error).strip().splitlines()[0]
      continue
    if out.shape[1:3] == size:
      return size
    refusal = refusal or f'{size} comes out as {out.shape[1:3]}'
  raise UserError(f'frames of {shape[1]}x{shape[0]} pixels do not fit this network: {refusal}')


def pad(frames: np.ndarray, size: tuple[int, int]) -> np.ndarray:
  """[T, H, W, C] -> [T, *size, C], mirrored at the right and lower edge."""
  rows, columns = _mirror(frames.shape[1], size[0]), _mirror(frames.shape[2], size[1])
  return frames[:, rows][:, :, columns]


def _mirror(length, padded):
  """`padded` indices 0 .. length-1, then back again, and so on; a single pixel is repeated."""
  return np.pad(np.arange(length), (0, padded - length), mode='reflect' if length > 1 else 'edge')


def translate_clip(
  call: Callable,
  items: Iterable[tuple],
  rule: str | None = 'clip',
  chunk: int = 8,
  value_range: np.ndarray | None = None,
) -> Iterator[tuple]:
  """Translate one clip.

  Args:
    call: from `compile_chunk`.
    items: iterable of (label, raw frame [H, W, C] or None for a skipped one, anything ...).
    rule: `data.thermal_range` of the run; None where `value_range` is given.
    chunk: frames on the device at a time.
    value_range: [2] raw values that become -1 and 1, if they are known already.

  Yields:
    (item, shown, result) in order: the source as uint8 [H, W, C] within that range, and the
    translated frame [H, W, C]; both None for a skipped item. One chunk is computed while the one
    before is handed out.
  """
  if value_range is None:
    items, value_range = streams.peek_value_range(items, rule)
  waiting, carry, size = None, None, (0, 0)
  for begins, group in streams.groups(items, chunk):
    raw = [thermal.stretch(item[1], rule) for item in group if item[1] is not None]
    if not raw:
      yield from _deal(waiting)
      waiting = group, (), ()
      continue
    if raw[0].dtype == np.uint8:
      chunk_range = np.array([0, 255], np.float32)
    else:   # the range of the first 16-bit chunk serve the whole clip
      value_range = thermal.value_range(raw, rule) if value_range is None else value_range
      chunk_range = value_range
    if begins:
      carry, size = None, padded_size(call, raw[0].shape, raw[0].dtype, chunk)
    filled = np.stack(raw + raw[-1:] * (chunk - len(raw)))
    carry, result = call(carry, pad(filled, size)[None], chunk_range[None])
    yield from _deal(waiting)
    waiting = group, [thermal.to_display(frame, chunk_range) for frame in raw], result
  yield from _deal(waiting)


def _deal(waiting):
  """Fetch a chunk from the device and deal it to its items."""
  if waiting is None:
    return
  group, sources, result = waiting
  results = iter(np.asarray(result))
  sources = iter(sources)
  for item in group:
    if item[1] is None:
      yield item, None, None
    else:
      source, frame = next(sources), next(results)
      yield item, source, frame[:source.shape[0], :source.shape[1]]

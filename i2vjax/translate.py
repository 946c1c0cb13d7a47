"""Translate footage of any size and length by a trained run.

Frames are streamed in chunks of one fixed shape, so memory is constant and one compiled program
serves the whole clip (a recurrent method has a second one for its first chunk). They are padded to
what the networks need by mirroring, and cropped back.
"""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import jax
import numpy as np
import tqdm

from i2vjax.core import files, ops
from i2vjax.core.errors import UserError
from i2vjax.data.io import output_paths, video_reader
from i2vjax.data.sources import streams
from i2vjax.data.transforms import thermal
from i2vjax.run.load import Run

MIN_SIDE = 16             # pixels of a padded side: networks mirror their borders, which needs some
SIDE_MULTIPLES = (4, 8, 16, 32, 64, 128, 256)   # tried one after the other: sides are rounded up
RATE_OF_PICTURES = 25.0   # frames per second of a video made from pictures, which have no rate
SKIP_HINT = 'Or go on without such frames: --on_damage=skip'

Path = str | os.PathLike[str]


def translate(run: Run, input: Path, output: Path, *, overwrite: bool = False,
              side_by_side: bool = False, fuse: bool = False, on_damage: str = 'stop',
              chunk: int = 8, lossless: bool = False, show: bool = True,
              rate: float | None = None) -> dict[str, Any]:
  """Translate a video, a folder of frames (sub-folders are clips) or a glob.

  Args:
    run: load.Run.
    input: video file, folder or glob.
    output: a video (by its ending: .mp4 H.264, .mkv FFV1 without loss) of the same size, rate and
      length, or a folder of PNG files under the names of the input's frames.
    overwrite: allow an existing video, or a folder that is not empty; in a folder, files of the
      same names are replaced and others left.
    side_by_side: the source left of the result. fuse: the result's colors on the source's
      brightness.
    on_damage: 'stop' at a frame that cannot be read, or 'skip' it: in a video the frame before is
      shown once more, in a folder its file is missing.
    chunk: frames on the device at a time.
    lossless: insist on a lossless video.
    show: progress bar.
    rate: frames per second of a video made from pictures; None: 25.

  Returns:
    {'frames': written, 'clips', 'skipped': count, 'skipped_frames': labels, 'seconds',
    'frames_per_second', 'output'}.

  Raises:
    UserError, FileNotFoundError: a mistake in the arguments or a damaged frame, named.
    FileExistsError: the output exists. OSError: the disk is full, or nothing can be written there.
    KeyboardInterrupt: says what is there, if anything.
  """
  if on_damage not in ('stop', 'skip'):
    raise UserError(f"on_damage={on_damage!r}: choose 'stop' or 'skip'")
  if chunk < 1:
    raise UserError(f'chunk={chunk}: at least 1 frame at a time')
  if fuse and run.config.data.channels_b == 1:
    raise UserError('fuse lays colors over the source, but this run translates to gray')
  to_video = output_paths.is_video_output(output, lossless)
  output_paths.check_output(input, output, to_video, overwrite)
  clips = streams.open_streams(input)
  if to_video and clips[0].info and len(clips) > 1:
    raise UserError(f'{input} holds {len(clips)} videos: name one of them, or a folder as output')
  skipped: list[str] = []   # labels of damaged frames
  written_labels: list[str] = []
  began = time.perf_counter()
  results = _results(run, clips, chunk, on_damage, skipped, show,
                     lambda source, result: compose(source, result, side_by_side, fuse))
  try:
    if to_video:
      video_rate = clips[0].info.rate if clips[0].info else rate or RATE_OF_PICTURES
      written = streams.write_video(output, _one_size(results, output), video_rate)
    else:
      written = streams.write_folder(output, _collect_labels(results, written_labels))
  except KeyboardInterrupt as stop:
    if not written_labels:
      raise
    raise KeyboardInterrupt(f'{output} holds the first {len(written_labels)} frames, each of them '
                            'whole') from stop
  except OSError as error:
    if not files.disk_full(error):
      raise
    raise files.disk_full_error(output, 'no half-written file is left') from error
  seconds = time.perf_counter() - began
  return {'frames': written, 'clips': len(clips), 'skipped': len(skipped),
          'skipped_frames': skipped, 'seconds': seconds, 'frames_per_second': written / seconds,
          'output': str(output)}


def _results(run, clips, chunk, on_damage, skipped, show, finish):
  """(label, uint8 frame or None, seconds) of all clips, in order."""
  call, rule = program(run), run.config.data.thermal_range
  lengths = [stream.length for stream in clips]
  total = sum(lengths) if None not in lengths else None
  with tqdm.tqdm(total=total, unit='frame', disable=not show, dynamic_ncols=True) as bar:
    for stream in clips:
      items = usable(stream.read(on_damage), on_damage, skipped)
      value_range = streams.value_range(stream, rule)
      for (label, _, seconds), source, result in clip(call, items, rule, chunk, value_range):
        bar.update()
        yield label, None if result is None else finish(source, result), seconds


def _collect_labels(results, written):
  """The results unchanged; the label of every frame that was written is added to `written`."""
  for label, frame, seconds in results:
    yield label, frame, seconds
    if frame is not None:   # the next one is asked for: this one is written
      written.append(label)


def _one_size(results, output):
  """The results unchanged; a frame of another size than the first is refused: a video has one."""
  first_label, first_shape = None, None
  for label, frame, seconds in results:
    if frame is not None:
      if first_shape is None:
        first_label, first_shape = label, frame.shape
      if frame.shape != first_shape:
        raise UserError(
            f'frame {label} comes out with {_size_text(frame.shape)} pixels, {first_label} with '
            f'{_size_text(first_shape)}: a video has one size. Name a folder as output, not '
            f'{output}')
    yield label, frame, seconds


def _size_text(shape):
  """'640x480' of [480, 640, C]."""
  return f'{shape[1]}x{shape[0]}'


def usable(items: Iterable[tuple], on_damage: str, skipped: list[str]) -> Iterator[tuple]:
  """Replace damaged frames by None and note their labels, or stop at the first."""
  try:
    for label, frame, seconds in items:
      if isinstance(frame, Exception):
        if on_damage == 'stop':
          raise UserError(f'{frame} {SKIP_HINT}')
        tqdm.tqdm.write(f'skipped: {frame}')
        skipped.append(label)
        frame = None
      yield label, frame, seconds
  except video_reader.UnreadableVideo as error:
    raise UserError(f'{error}. {SKIP_HINT}' if on_damage == 'stop' else str(error)) from error


def program(run: Run, quantize: bool = True) -> Callable:
  """The compiled function of one chunk.

  Args:
    run: load.Run.
    quantize: give uint8 as a saved file would hold; otherwise floats in [-1, 1].

  Returns:
    (carry, raw [1, T, H, W, C], value_range [1, 2]) -> (carry, [T, H, W, C]).
  """
  def translated(params, model_state, frozen, carry, raw, value_range):
    frames = ops.to_float(raw, value_range, run.config.data.channels_a)
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


def clip(call: Callable, items: Iterable[tuple], rule: str | None = 'clip', chunk: int = 8,
         value_range: np.ndarray | None = None) -> Iterator[tuple]:
  """Translate one clip.

  Args:
    call: from `program`.
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


def compose(source: np.ndarray, result: np.ndarray, side_by_side: bool = False,
            fuse: bool = False) -> np.ndarray:
  """What is written for one frame.

  Args:
    source, result: uint8 [H, W, 1 or 3].
    side_by_side: source left of the result.
    fuse: the colors (chroma) of the result on the brightness of the source, BT.601:
      result + (luma(source) - luma(result)).
  """
  if fuse:
    luma = np.asarray(ops.LUMA, np.float32)
    to_luma = luma if source.shape[2] == 3 else np.ones(1, np.float32)
    source_luma = source.astype(np.float32) @ to_luma
    result = result + (source_luma - result @ luma)[..., None]
    result = np.rint(np.clip(result, 0, 255)).astype(np.uint8)
  if side_by_side:
    channels = max(source.shape[2], result.shape[2])
    result = np.concatenate([np.broadcast_to(x, (*x.shape[:2], channels))
                             for x in (source, result)], axis=1)
  return result

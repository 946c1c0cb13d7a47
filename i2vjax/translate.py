"""Video in, video out: a trained run applied to footage of any size and length.

Frames are streamed in chunks of one fixed shape, so memory is constant and one compiled program
serves the whole clip (a recurrent method has a second one for its first chunk). They are padded to
what the networks need by mirroring, and cropped back.
"""

import errno
import pathlib
import shutil
import time

import jax
import numpy as np
import tqdm

from i2vjax.core import ops
from i2vjax.core.errors import UserError
from i2vjax.data.io import output_paths, video_reader
from i2vjax.data.sources import streams
from i2vjax.data.transforms import thermal

LEAST = 16           # smallest padded side: mirror padding inside the networks needs some pixels
MULTIPLES = (4, 8, 16, 32, 64, 128, 256)
FOLDER_RATE = 25.0   # frames per second of a video made from pictures, which have no rate


def translate(run, input, output, *, overwrite=False, side_by_side=False, fuse=False,
              on_damage='stop', chunk=8, lossless=False, show=True, rate=None):
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
    ValueError, FileNotFoundError: a mistake in the arguments or a damaged frame, named.
    FileExistsError: the output exists. OSError: the disk is full, or nothing can be written there.
    KeyboardInterrupt: says what is there, if anything.
  """
  if on_damage not in ('stop', 'skip'):
    raise UserError(f"on_damage={on_damage!r}: choose 'stop' or 'skip'")
  if chunk < 1:
    raise UserError(f'chunk={chunk}: at least 1 frame at a time')
  if fuse and run.config.data.channels_b == 1:
    raise UserError('fuse lays colors over the source, but this run translates to gray')
  film = output_paths.is_video_output(output, lossless)
  output_paths.check_output(input, output, film, overwrite)
  clips = streams.open_streams(input)
  if film and clips[0].info and len(clips) > 1:
    raise UserError(f'{input} holds {len(clips)} videos: name one of them, or a folder as output')
  skipped, done, began = [], [], time.perf_counter()
  results = _results(run, clips, chunk, on_damage, skipped, show,
                     lambda source, result: compose(source, result, side_by_side, fuse))
  try:
    if film:
      own = clips[0].info.rate if clips[0].info else rate or FOLDER_RATE
      written = streams.write_video(output, _one_size(results, output), own)
    else:
      written = streams.write_folder(output, _noted(results, done))
  except KeyboardInterrupt as stop:
    if not done:
      raise
    raise KeyboardInterrupt(f'{output} holds the first {len(done)} frames, each of them whole'
                            ) from stop
  except OSError as error:
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
      raise
    raise OSError(_full(output)) from error
  seconds = time.perf_counter() - began
  return {'frames': written, 'clips': len(clips), 'skipped': len(skipped),
          'skipped_frames': skipped, 'seconds': seconds, 'frames_per_second': written / seconds,
          'output': str(output)}


def _results(run, clips, chunk, on_damage, skipped, show, finish):
  """(label, uint8 frame or None, seconds) of all clips, in order."""
  call, rule = program(run), run.config.data.thermal_range
  known = [stream.length for stream in clips]
  total = sum(known) if None not in known else None
  with tqdm.tqdm(total=total, unit='frame', disable=not show, dynamic_ncols=True) as bar:
    for stream in clips:
      items = usable(stream.read(on_damage), on_damage, skipped)
      value_range = streams.value_range(stream, rule)
      for (label, _, seconds), source, result in clip(call, items, rule, chunk, value_range):
        bar.update()
        yield label, None if result is None else finish(source, result), seconds


def _noted(results, done):
  """The same, with the label of every frame that was written put into `done`."""
  for item in results:
    yield item
    done += [item[0]] if item[1] is not None else []   # asked for the next: this one is written


def _one_size(results, output):
  """The same, refused where a frame has another size than the first: a video has one."""
  first = None
  for label, frame, seconds in results:
    if frame is not None:
      first = first or (label, frame.shape)
      if frame.shape != first[1]:
        sizes = [f'{shape[1]}x{shape[0]}' for shape in (frame.shape, first[1])]
        raise UserError(f'frame {label} comes out with {sizes[0]} pixels, {first[0]} with '
                         f'{sizes[1]}: a video has one size. Name a folder as output, not {output}')
    yield label, frame, seconds


HINT = 'Or go on without such frames: --on_damage=skip'


def usable(items, on_damage, skipped):
  """Replace damaged frames by None and note their labels, or stop at the first."""
  try:
    for label, frame, seconds in items:
      if isinstance(frame, Exception):
        if on_damage == 'stop':
          raise UserError(f'{frame} {HINT}')
        tqdm.tqdm.write(f'skipped: {frame}')
        skipped.append(label)
        frame = None
      yield label, frame, seconds
  except video_reader.UnreadableVideo as error:
    raise UserError(f'{error}. {HINT}' if on_damage == 'stop' else str(error)) from error


def _full(output):
  folder = next(path for path in pathlib.Path(output).absolute().parents if path.exists())
  free = shutil.disk_usage(folder).free // 2**20
  return f'{output}: the disk is full ({free} MiB free); no half-written file is left'


def program(run, quantize=True):
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


def padded_size(call, shape, dtype, chunk):
  """Smallest (height, width) that the networks take for frames of [H, W, C].

  Found by tracing, not by running: the side lengths are rounded up to growing powers of two until
  the output has the size of the input.
  """
  refusal, tried = None, set()
  for multiple in MULTIPLES:
    size = tuple(max(LEAST, -(-side // multiple) * multiple) for side in shape[:2])
    if size in tried:
      continue
    tried.add(size)
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


def pad(frames, size):
  """[T, H, W, C] -> [T, *size, C], mirrored at the right and lower edge."""
  (height, width), (H, W) = frames.shape[1:3], size
  rows, cols = (_mirror(n, m) for n, m in ((height, H), (width, W)))
  return frames[:, rows][:, :, cols]


def _mirror(length, wanted):
  """Indices 0 .. length-1, then back again, and so on; a single pixel is repeated."""
  return np.pad(np.arange(length), (0, wanted - length), mode='reflect' if length > 1 else 'edge')


def clip(call, items, rule='clip', chunk=8, value_range=None):
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
  waiting, carry, size = None, None, None
  for begins, group in streams.groups(items, chunk):
    raw = [thermal.stretch(item[1], rule) for item in group if item[1] is not None]
    if not raw:
      yield from _handed(waiting)
      waiting = group, (), ()
      continue
    if raw[0].dtype == np.uint8:
      group_range = np.array([0, 255], np.float32)
    else:
      if value_range is None:
        value_range = thermal.value_range(raw, rule)
      group_range = value_range
    if begins:
      carry, size = None, padded_size(call, raw[0].shape, raw[0].dtype, chunk)
    filled = np.stack(raw + raw[-1:] * (chunk - len(raw)))
    carry, result = call(carry, pad(filled, size)[None], group_range[None])
    yield from _handed(waiting)
    waiting = group, [thermal.to_display(frame, group_range) for frame in raw], result
  yield from _handed(waiting)


def _handed(waiting):
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


def compose(source, result, side_by_side=False, fuse=False):
  """What is written for one frame.

  Args:
    source, result: uint8 [H, W, 1 or 3].
    side_by_side: source left of the result.
    fuse: the colors (chroma) of the result on the brightness of the source, BT.601:
      result + (luma(source) - luma(result)).
  """
  if fuse:
    luma = np.asarray(ops.LUMA, np.float32)
    bright = source.astype(np.float32) @ (luma if source.shape[2] == 3 else np.ones(1, 'f4'))
    result = result + (bright - result @ luma)[..., None]
    result = np.rint(np.clip(result, 0, 255)).astype(np.uint8)
  if side_by_side:
    channels = max(source.shape[2], result.shape[2])
    result = np.concatenate([np.broadcast_to(x, (*x.shape[:2], channels))
                             for x in (source, result)], axis=1)
  return result

"""Translate footage of any size and length by a trained run.

Frames are streamed in chunks of one fixed shape, so memory is constant and one compiled program
serves the whole clip (a recurrent method has a second one for its first chunk). They are padded to
what the networks need by mirroring, and cropped back. Reading, the device and writing go on beside
each other: the device is fed from the caller's thread, the others have threads of their own.
"""

import contextlib
import dataclasses
import itertools
import os
import pathlib
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import tqdm

from i2vjax.core import files, notes, stages
from i2vjax.core.errors import UserError
from i2vjax.data.io import live_writer, output_paths, result_writers, video_reader
from i2vjax.data.sources import locate, rendered_streams, streams
from i2vjax.data.transforms import enlarge
from i2vjax.evaluation import split_frames
from i2vjax.run import finite_watch, outputs, padding, preparation, translator
from i2vjax.run.load import Run

READ_AHEAD = 8            # frames that are ready when the device asks for a chunk, at least
SIZES_TOLD = 3            # of frames of many sizes
SKIP_HINT = 'Or go on without such frames: --on_damage=skip'

Path = str | os.PathLike[str]
# (frames so far, of how many or None, source, result)
Watch = Callable[[int, int | None, np.ndarray, np.ndarray], Any]


def translate(run: Run, input: Path | np.ndarray, output: Path, *, overwrite: bool = False,
              side_by_side: bool = False, fuse: bool = False, on_damage: str = 'stop',
              chunk: int = 8, lossless: bool = False, show: bool = True,
              rate: float | None = None, as_is: bool = False, deinterlace: bool = False,
              full_size: bool = False, pad_to: int = 1, beside: Path | None = None,
              watch: Watch | None = None) -> dict[str, Any]:
  """Translate a video, a folder of frames (sub-folders are clips), a glob or one picture.

  Frames are first resized and cropped as the run's test frames were (`data.prepare`, or what its
  records do), since objects of another size are not what it has learned. They come out so: what
  was cut off was never translated, and is not made up. A run without preparation, the usual case,
  keeps the size of the input. One line says what is done. Before that, palette and polarity of
  infrared frames are undone, as `data.unpalette` and `data.polarity` say.

  Args:
    run: load.Run.
    input: video file, folder, glob or picture; or frames, see `streams.array_stream`.
    output: a video (by its ending: .mp4 H.264, .mkv FFV1 without loss) of the same times, length,
      sound and shape of pixels, or a folder of PNG files under the names of the input's frames; of
      one picture also a PNG file; or an address or '-' (`live_writer`).
    overwrite: allow an existing video, or a folder that is not empty; in a folder, files of the
      same names are replaced and others left.
    side_by_side: the source left of the result. fuse: the result's colors on the source's
      brightness.
    on_damage: 'stop' at a frame that cannot be read, or 'skip' it: in a video the frame before is
      shown once more, in a folder its file is missing.
    chunk: frames on the device at a time.
    lossless: insist on a lossless video; PNG files are.
    show: progress bar.
    rate: frames per second of a video made from pictures or an array, 1/1001 to 1000; None: 25,
      which is said.
    as_is: leave the run's preparation out.
    full_size: translate at the size that the run's preparation makes, or that it has learned
      (`preparation.LearnedSize`), and enlarge the result to the size of the input, along its edges
      (`enlarge.along_edges`).
    deinterlace: make whole frames of the half pictures of an interlaced video first.
    pad_to: frames are padded to multiples of it, so that pictures of many sizes share a few
      compiled programs; more is mirrored at their edges, which changes them a little.
    beside: a second video, with the source left of the result, where the output is a video.
    watch: called with (frames so far, of how many or None, source, result) for each frame: uint8
      [H, W, 1 or 3]; what it raises stops the work.

  Returns:
    {'frames': written, 'clips', 'skipped': count, 'skipped_frames': labels, 'not_finite': count of
    the frames for which the networks gave NaN or infinity (the first of them is told, with what
    to try), 'seconds', 'frames_per_second', 'output'}.

  Raises:
    UserError, FileNotFoundError: a mistake in the arguments or a damaged frame, named; networks
      that give NaN or infinity in every frame.
    FileExistsError: the output exists. OSError: the disk is full, or nothing can be written there.
    KeyboardInterrupt: says what is there, if anything.
  """
  if on_damage not in ('stop', 'skip'):
    raise UserError(f"on_damage={on_damage!r}: choose 'stop' or 'skip'")
  check_options(run, fuse, chunk, pad_to)
  to_stream = live_writer.is_stream(output)
  place = '' if isinstance(input, np.ndarray) else input
  to_picture = not to_stream and output_paths.is_picture_output(place, output)
  to_video = to_stream or (not to_picture and output_paths.is_video_output(output, lossless))
  if not to_stream:
    output_paths.check_output(place, output, to_video or to_picture, overwrite)
  if place and not to_stream:
    output_paths.check_apart(place, output, may_hold=True)
  prepare = preparation.for_translation(run.config.data, as_is, full_size)
  clips = open_clips(run, input, deinterlace, on_damage)
  rate = outputs.rate_of(clips[0].info, rate, output, to_video)
  if to_video and clips[0].info and len(clips) > 1:
    raise UserError(f'{input} holds {len(clips)} videos: name one of them, or a folder as output')
  skipped: list[str] = []   # labels of damaged frames
  written_labels: list[str] = []
  if beside is not None:
    outputs.check_beside(beside, place, output, to_video, overwrite)
  if to_video:
    size = (lambda shape: shape[:2]) if full_size or not prepare else prepare.result
    clips = [outputs.of_possible_size(clip, {output: 1 + side_by_side, beside: 2}, lossless, size)
             for clip in clips]
  film = outputs.film_of(clips[0].info, bool(prepare and not full_size)) if to_video else None
  clips = prepared(run, clips, prepare, full_size, advise=not as_is)
  began, watched = time.perf_counter(), finite_watch.FiniteWatch(run)
  try:
    with (outputs.second_film(beside, rate, film, fuse) as add, contextlib.closing(_results(
        run, clips, chunk, on_damage, skipped, show, watched,
        lambda source, result: outputs.compose(source, result, side_by_side, fuse),
        pad_to, watch, add,
    )) as results):   # whose thread has ended before an error is handled
      if to_video:
        written = result_writers.write_video(output, outputs.one_size(results, output), rate,
                                             film, lossless)
      elif to_picture:
        written = result_writers.write_picture(output, results)
      else:
        for clip in clips:
          if clip.info:
            video_reader.say_pictures(clip.info)
        with output_paths.unfinished(output, place):
          written = result_writers.write_folder(output, results, written_labels)
  except KeyboardInterrupt as stop:
    if not written_labels:
      raise
    raise KeyboardInterrupt(f'{output} holds the first {len(written_labels)} frames, each of them '
                            'whole') from stop
  except OSError as error:
    if not files.disk_full(error):
      raise
    raise files.disk_full_error(output, 'no half-written file is left', error) from error
  watched.end(output)
  seconds = time.perf_counter() - began
  return {'frames': written, 'clips': len(clips), 'skipped': len(skipped),
          'skipped_frames': skipped, 'not_finite': watched.bad, 'seconds': seconds,
          'frames_per_second': written / seconds, 'output': str(output)}


def translate_to_array(run: Run, input: Path | np.ndarray, *, side_by_side: bool = False,
                       fuse: bool = False, chunk: int = 8, show: bool = True,
                       as_is: bool = False, deinterlace: bool = False, full_size: bool = False,
                       watch: Watch | None = None) -> np.ndarray:
  """Translate one clip into memory, all of it at a time; a damaged frame stops it.

  Args: see `translate`.

  Returns:
    uint8 [T, H, W, C].

  Raises:
    UserError: several clips, frames of several sizes, or no finite frame; see `translate`.
  """
  check_options(run, fuse, chunk)
  prepare = preparation.for_translation(run.config.data, as_is, full_size)
  clips = prepared(run, open_clips(run, input, deinterlace), prepare, full_size, not as_is)
  if len(clips) > 1:
    raise UserError(f'{input} holds {len(clips)} clips, an array only one: name a folder as output')
  watched = finite_watch.FiniteWatch(run)
  results = _results(run, clips, chunk, 'stop', [], show, watched,
                     lambda source, result: outputs.compose(source, result, side_by_side, fuse),
                     watch=watch)
  with contextlib.closing(results):
    frames = np.stack([frame for _, frame, _ in outputs.one_size(results, 'an array')])
  watched.end('the array')
  return frames


def check_options(run: Run, fuse: bool, chunk: int = 1, pad_to: int = 1) -> None:
  """Raises UserError for what no clip can be translated with."""
  if chunk < 1:
    raise UserError(f'chunk={chunk}: at least 1 frame at a time')
  if pad_to not in (1, *padding.SIDE_MULTIPLES):
    raise UserError(f'pad_to={pad_to}: 1 or one of '
                    f'{", ".join(map(str, padding.SIDE_MULTIPLES))} pixels')
  if fuse and run.config.data.channels_b == 1:
    raise UserError('fuse lays colors over the source, but this run translates to gray')


def open_clips(run: Run, input: Path | np.ndarray, deinterlace: bool = False,
               on_damage: str = 'stop') -> list[streams.Stream]:
  """The clips of a place or an array, palette and polarity undone."""
  if isinstance(input, np.ndarray):
    clips = [streams.array_stream(input)]
  else:
    clips = streams.open_streams(input, deinterlace, on_damage)
  return [rendered_streams.rendered(clip, run.config.data) for clip in clips]


def prepared(run: Run, clips: list[streams.Stream],
             prepare: preparation.Preparation | preparation.LearnedSize | None,
             full_size: bool = False, advise: bool = False) -> list[streams.Stream]:
  """Clips as `preparation.for_translation` says.

  Args:
    full_size: with the frames as they were. advise: tell of frames that are far too large.
  """
  if not prepare:
    return [_advised(clip, run.config.data) for clip in clips] if advise else clips
  say = say_few()
  return [preparation.prepared(clip, prepare, say, full_size) for clip in clips]


def _advised(clip, data):
  """A clip whose frames, where they are far larger than what the run has learned, are told of."""
  def read(damaged='stop'):
    for label, frame, seconds in clip.read(damaged):
      if isinstance(frame, np.ndarray):
        preparation.say_size(data, frame.shape, None)
      yield label, frame, seconds
  return dataclasses.replace(clip, read=read)


def translate_split(run: Run, output: Path, split: str = 'test', *, with_truth: bool = False,
                    overwrite: bool = False, show: bool = True) -> dict[str, Any]:
  """Translate the frames of a run's data that `evaluate` judges, for other programs to judge.

  Args: see `evaluation.split_frames.write`.
    output: folder, for `result/CLIP/FRAME.png` and, `with_truth`, its siblings.
    overwrite: allow a folder that is not empty; files of the same names are replaced.

  Returns:
    {'frames', 'clips', 'left_out': {part: why}, 'output'}.

  Raises:
    UserError: no such frames, or the output is a video. FileExistsError: the output exists.
    OSError: the disk is full, or nothing can be written there.
  """
  if output_paths.is_video_output(output, lossless=False):
    raise UserError(f'--split writes the frames of all clips as pictures: name a folder, not '
                    f'{output}')
  locate.check_apart(run.config.data, output, '--output')
  origin = _split_origin(run, split, with_truth)
  output_paths.check_output(origin, output, is_file=False, overwrite=overwrite)
  try:
    with output_paths.unfinished(output, origin):
      summary = split_frames.write(run, pathlib.Path(output), split, with_truth, show)
  except OSError as error:
    if not files.disk_full(error):
      raise
    raise files.disk_full_error(output, 'no half-written file is left', error) from error
  return {**summary, 'output': str(output)}


def _split_origin(run, split, with_truth):
  """What the frames of a split are made from: only the same goes on in a folder begun with it.

  The config tells the data and the rest. It is written as a number, since slashes would be read
  as a path.
  """
  folder = run.workdir.absolute() if run.workdir else 'no folder'
  config = zlib.crc32(run.config.to_json_best_effort(sort_keys=True).encode())
  return (f'{folder}, step {run.step}, weights {run.weights}, direction '
          f'{run.config.data.direction}, config {config:08x}, split {split}, truth {with_truth}')


def say_few() -> Callable[[str], None]:
  """A function that prints a line once, and that there are others once `SIZES_TOLD` were printed.

  A folder of stills may have as many sizes as pictures.
  """
  told: set[str] = set()

  def say(line):
    if line in told or len(told) > SIZES_TOLD:
      return
    told.add(line)
    tqdm.tqdm.write(line if len(told) <= SIZES_TOLD else 'and so with frames of other sizes')
  return say


def _results(run, clips, chunk, on_damage, skipped, show, watched, finish, pad_to=1, watch=None,
             add=None):
  """(label, uint8 frame or None, seconds) of all clips, in order."""
  call, rule = translator.compile_chunk(run), run.config.data.thermal_range
  lengths = [stream.length for stream in clips]
  total = sum(lengths) if None not in lengths else None
  frames = stages.ahead(_read(clips, rule, on_damage, skipped), max(chunk, READ_AHEAD))
  bar = tqdm.tqdm(total=total, unit='frame', disable=not show, dynamic_ncols=True)
  done = 0   # a bar that is not shown does not count
  with bar, contextlib.closing(frames):
    for (label, _, seconds, *_), source, result in translator.translate_clips(
      call, _by_clip(frames), rule, chunk, pad_to, watched.add
    ):
      bar.update()
      done += 1
      if result is not None and source.shape[:2] != result.shape[:2]:
        result = enlarge.along_edges(result, source)
      if watch and result is not None:
        watch(done, total, source, result)
      if add and result is not None:
        add(source, result, seconds)
      yield label, None if result is None else finish(source, result), seconds
  watched.refuse_all()   # before a film is finished: none is left


def _read(clips, rule, on_damage, skipped):
  """((number of the clip, its value range), (label, frame or None, seconds)) of all clips."""
  for number, stream in enumerate(clips):
    clip = number, streams.value_range(stream, rule)
    for item in usable(stream.read(on_damage), on_damage, skipped):
      yield clip, item
      del item   # else it would live on while the next one is read


def _by_clip(frames):
  """(items of a clip, its value range), clip by clip."""
  for (_, value_range), clip in itertools.groupby(frames, key=lambda frame: frame[0]):
    yield (item for _, item in clip), value_range


def usable(items: Iterable[tuple], on_damage: str, skipped: list[str]) -> Iterator[tuple]:
  """Replace damaged frames by None and note their labels, or stop at the first."""
  try:
    for label, frame, *rest in items:
      if isinstance(frame, Exception):
        if on_damage == 'stop':
          raise UserError(f'{frame} {SKIP_HINT}')
        tqdm.tqdm.write(notes.printable(f'skipped: {frame}'))
        skipped.append(label)
        frame = None
      yield label, frame, *rest
  except video_reader.UnreadableVideo as error:
    raise UserError(f'{error}. {SKIP_HINT}' if on_damage == 'stop' else str(error)) from error

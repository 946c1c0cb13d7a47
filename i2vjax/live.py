"""Translate a live camera or network stream, frame by frame, into anything.

The newest frame wins: of those that arrive while one is translated all but the last are dropped,
so that the result never falls further behind the camera than one translation takes.
"""

import os
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import tqdm

from i2vjax.core import files, notes
from i2vjax.core.errors import UserError
from i2vjax.data.io import live_reader, live_writer, output_paths, video_reader
from i2vjax.data.sources import rendered_streams
from i2vjax.data.transforms import enlarge, rendering, thermal
from i2vjax.run import finite_watch, padding, preparation, signals, translator
from i2vjax.run.load import Run

Path = str | os.PathLike[str]
is_live = live_reader.is_live
Finish = Callable[[np.ndarray, np.ndarray], np.ndarray]   # (source, result) -> what is written


def translate(run: Run, input: Path, output: Path, finish: Finish, *, overwrite: bool = False,
              lossless: bool = False, show: bool = True, as_is: bool = False,
              full_size: bool = False, reconnect: float = 30.0,
              on_frame: Callable[[int], None] | None = None) -> dict[str, Any]:
  """Translate a live place until it ends for good, or Ctrl-C or SIGTERM asks for the end.

  Args:
    run: load.Run. input: of `live_reader.is_live`.
    output: a video file (finished on any end but a crash, also where a camera that changes its
      size ends it), an address, or '-' (live_writer).
    finish: (source, result) -> frame to be written, all uint8 [H, W, C].
    overwrite: allow an existing file. lossless: FFV1 in .mkv, or raw frames to '-'.
    show: one line of rate, latency and dropped frames.
    as_is, full_size: see `i2vjax.translate.translate`.
    reconnect: seconds that a lost connection is tried anew.
    on_frame: called with the number of frames written so far.

  Returns:
    {'frames', 'not_finite': those for which the networks gave NaN or infinity (the first is told,
    and nothing stops for it), 'received', 'dropped', 'damaged', 'reconnects', 'latency': median
    seconds from the arrival of a frame here (what camera and network took before that is not known)
    to its result, 'first': those of the first frame, which is compiled for, 'end': why it ended,
    'seconds', 'frames_per_second', 'output'}.

  Raises:
    UserError: the place cannot be opened, or sent nothing; polarity 'auto'; an output that will
      not do, or whose receiver is gone at once; what no longer can be sent to an address.
    FileExistsError: the output exists.
  """
  _check(run, input, output, overwrite, lossless)
  prepare = preparation.for_translation(run.config.data, as_is, full_size)
  call, latencies = translator.compile_chunk(run), []
  writer: Any = None
  watched = finite_watch.FiniteWatch(run)
  began = time.monotonic()
  with (signals.StopOnSignal() as stop, live_reader.LiveReader(input, reconnect) as reader,
        tqdm.tqdm(unit='frame', disable=not show, dynamic_ncols=True) as bar):
    try:
      try:
        for item, source, result in results(run, call, reader.frames(lambda: stop.asked),
                                            prepare, full_size, watched.add):
          if writer is None and not as_is:
            preparation.say_size(run.config.data, item.frame.shape, prepare, full_size)
          writer = writer or _writer(output, reader.rate, lossless)
          writer.write(finish(source, result), item.seconds)
          latencies.append(time.monotonic() - item.arrived)
          bar.set_postfix_str(f'latency {1000 * latencies[-1]:.0f} ms, {reader.dropped} dropped',
                              refresh=False)
          bar.update()
          if on_frame:
            on_frame(writer.frames)
      except UserError as error:
        if not (isinstance(writer, video_reader.VideoWriter) and writer.frames):
          raise
        reader.end = str(error)       # such a recording cannot be made again: what came is kept
      if writer is None:
        raise UserError(f'{reader.name}: {reader.end} before a single frame came')
      writer.close()
      for line in writer.notes:     # what it could not keep
        notes.say_once(line)
    except BrokenPipeError as error:   # whoever looked at it has closed the window
      reader.end = str(error)
      writer.abort()
      if not latencies:
        raise UserError(f'{error}, before a single frame was sent') from error
    except BaseException as error:
      if writer is not None:
        writer.abort()
      if isinstance(error, OSError) and files.disk_full(error):
        raise files.disk_full_error(output, 'no half-written file is left', error) from error
      raise
  seconds = time.monotonic() - began
  return {'frames': writer.frames, 'not_finite': watched.bad, 'received': reader.received,
          'dropped': reader.dropped, 'damaged': reader.damaged, 'reconnects': reader.reconnects,
          'latency': float(np.median(latencies[1:] or latencies)), 'first': latencies[0],
          'end': reader.end, 'seconds': seconds, 'frames_per_second': writer.frames / seconds,
          'output': str(output)}


def summary_text(summary: dict[str, Any]) -> str:
  """One line on what `translate` returned."""
  no_numbers = (f', in {summary["not_finite"]} frames the networks gave NaN or infinity'
                if summary['not_finite'] else '')
  again = f', connected anew {summary["reconnects"]} times' if summary['reconnects'] else ''
  return (f'{summary["end"]}: translated {summary["frames"]} frames into {summary["output"]}, '
          f'{summary["dropped"]} of {summary["received"]} dropped for newer ones, latency '
          f'{1000 * summary["latency"]:.0f} ms in the median (first frame, with compilation: '
          f'{summary["first"]:.1f} s){again}{no_numbers}')


def _check(run, input, output, overwrite, lossless):
  """Refuse what cannot be, before the camera is opened."""
  if run.config.data.get('polarity', 'white') == 'auto' and rendered_streams.is_infrared(
      run.config.data):
    raise UserError('data.polarity=auto judges a whole clip, and a live one has no end: say '
                    '--config.data.polarity=white or black')
  if live_writer.is_stream(output):
    return
  if not output_paths.is_video_output(output, lossless):
    raise UserError(f'{output}: a live input goes into a video file (.mp4, .mkv), an address '
                    f'({", ".join(live_writer.FORMATS)}) or -')
  output_paths.check_output(input, output, True, overwrite)


def _writer(output, rate, lossless):
  rate = Fraction(rate).limit_denominator(1001)
  if live_writer.is_stream(output):
    return live_writer.StreamWriter(str(output), rate, lossless)
  return video_reader.VideoWriter(output, rate)


def results(run: Run, call: Callable, items: Iterator[live_reader.LiveFrame],
            prepare: preparation.Preparation | preparation.LearnedSize | None = None,
            full_size: bool = False, tell: Callable[[int, bool], Any] | None = None
            ) -> Iterator[tuple[live_reader.LiveFrame, np.ndarray, np.ndarray]]:
  """Translate frames one at a time, each as soon as it is there.

  What a recurrent method remembers starts anew with each connection and size, and where it gives
  NaN or infinity; dropped frames are steps in time that it does not see. 16 bits are scaled by
  `thermal.RunningRange`.

  Args:
    run, full_size: see `translate`. prepare: of `preparation.for_translation`.
    call: of `translator.compile_chunk`. items: of `LiveReader.frames`.
    tell: called with (number of the frame from 1, finite), finite as `call` says.

  Yields:
    (item, source within its range as uint8 [H, W, C], result uint8 [H, W, C]).
  """
  data = run.config.data
  rendered, kind, carry, size = None, None, None, (0, 0)
  values = thermal.RunningRange(data.thermal_range)
  for number, item in enumerate(items, 1):
    frame = item.frame
    if rendered_streams.is_infrared(data):
      rendered = rendered or (rendering.settle(data, [frame], 'the live input'),)
      frame = rendered[0].apply(frame)
    whole, frame = frame, prepare.apply(frame) if prepare else frame
    value_range = values.of(frame)
    if item.begins or (whole.shape, whole.dtype) != kind:
      kind, carry = (whole.shape, whole.dtype), None
      size = padding.padded_size(call, frame.shape, frame.dtype, 1)
    whole, frame = (thermal.stretch(x, data.thermal_range) for x in (whole, frame))
    raw = padding.pad(frame[None], size)
    carry, result, finite = call(carry, raw[None], value_range[None])
    is_finite = bool(np.asarray(finite)[0])
    if tell:
      tell(number, is_finite)
    if not is_finite:   # else NaN would be remembered until the camera is switched off
      carry = None
    height, width = frame.shape[:2]
    result = np.asarray(result)[0, :height, :width]
    shown = thermal.to_display(whole if full_size else frame, value_range)
    if shown.shape[:2] != result.shape[:2]:
      result = enlarge.along_edges(result, shown)
    yield item, shown, result

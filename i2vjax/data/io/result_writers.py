"""Results written frame by frame in constant memory, for `translate`.

What is written are triples (label, frame, seconds): the path of a picture below an output folder,
without ending; uint8 [H, W, C], or None where there is no frame; the time in a video, None for
pictures. `data.sources.streams` reads clips in the same order.
"""

import os
from collections.abc import Iterable, Iterator
from typing import Any

from i2vjax.core import machine, notes, stages
from i2vjax.core.errors import UserError
from i2vjax.data.io import images, live_writer, output_paths, video_writer

MOST_WRITERS = 8      # threads that encode pictures
WRITE_BEHIND = 8      # frames that wait for the encoder of a video


def write_folder(output: str | os.PathLike, results: Iterable[tuple],
                 written: list | None = None) -> int:
  """Write (label, uint8 frame or None, seconds) as `output/label.png`; None leaves a gap.

  Several pictures are encoded at a time. Where the results break off, what came before is still
  written, so that the folder holds the first frames without a gap.

  Args:
    output, results: see above.
    written: gets the label of each file as soon as it is there; None: nobody asks.

  Returns:
    Number of files written.
  """
  written = [] if written is None else written

  def write(result):
    label, frame, _ = result
    images.write_image(output_paths.inside(output, f'{label}.png'), frame)
    written.append(label)
  frames = (result for result in results if result[1] is not None)
  stages.for_each(write, frames, machine.threads(MOST_WRITERS))
  return len(written)


def write_picture(output: str | os.PathLike, results: Iterable[tuple]) -> int:
  """Write the one (label, uint8 frame, seconds) as a PNG file; the number of files, 1.

  Raises:
    UserError: the frame is None, it could not be read.
  """
  (label, frame, _), = results
  if frame is None:
    raise UserError(f'{label} could not be read: {output} is not written')
  images.write_image(output, frame)
  return 1


def write_video(output: str | os.PathLike, results: Iterable[tuple], rate: Any,
                film: Any = None, lossless: bool = False) -> int:
  """Write (label, uint8 frame or None, seconds or None) as one video, whole or not at all.

  Or as a stream, to an address (at the pace of the video) or '-', as `live_writer` does; there
  `lossless` asks for raw frames. It is encoded in a thread of its own.

  For None the frame before it is written once more (at the start: the first that exists), so that
  the video keeps its length. What the file cannot keep is said.

  Args:
    output, results: see above. rate: frames per second. film: facts of the video that the frames
      were made from, see `VideoWriter`.

  Returns:
    Number of frames written.
  """
  def encode(frames):
    with (live_writer.StreamWriter(str(output), rate, lossless, paced=True)
          if live_writer.is_stream(output)
          else video_writer.VideoWriter(output, rate, film=film)) as writer:
      for frame, seconds in frames:
        writer.write(frame, seconds)
    return writer
  writer = stages.hand_over(hold_last(results), encode, WRITE_BEHIND)
  for line in writer.notes:
    notes.say_once(line)
  return writer.frames


def hold_last(results: Iterable[tuple]) -> Iterator[tuple]:
  """(frame, seconds) with every None replaced by the frame before it, or the first there is."""
  last, early = None, []   # early: times before the first frame
  for _, frame, seconds in results:
    if frame is None and last is None:
      early.append(seconds)
      continue
    last = frame if frame is not None else last
    for time in (*early, seconds):
      yield last, time
    early = []

"""Reading video files (PyAV): facts, frames in order, rotation.

A rotation that the file asks for (phones) is applied here, in `to_array`, to every frame that
leaves this module; `VideoInfo` has the size after it. Nobody else rotates.
"""

import dataclasses
import os
import pathlib
import re
import warnings
from collections.abc import Iterator
from fractions import Fraction

import av
import numpy as np

from i2vjax.core.errors import UserError
from i2vjax.data.io import cptv_files, ffv1
from i2vjax.data.io.video_writer import SIZE_TAG, VideoWriter

__all__ = ['UnreadableVideo', 'VideoInfo', 'VideoWriter', 'is_video', 'read_video', 'video_info']

ENDINGS = '.mp4 .m4v .mov .mkv .webm .avi .mpg .mpeg .ts .mts .wmv .flv .cptv'
CUT_SHORT_SECONDS = 0.5       # frames that end so long before the file does: it was cut short


class UnreadableVideo(UserError):   # noqa: N818 (named as it reads in a message)
  """A file that is no video, or is damaged; the message names file and frame."""


@dataclasses.dataclass(frozen=True)
class VideoInfo:
  """Facts about a file.

  Attributes:
    path: the file. height, width: of the frames as read, without padding and after rotation.
    frames: their number.
    rate: mean frames per second, a Fraction. seconds: from the first frame to the end of the last.
    channels: 1 or 3. dtype: 'uint8' | 'uint16'. codec: its name.
    variable: True if the time between frames varies by more than 5 ms.
  """

  path: str
  height: int
  width: int
  frames: int
  rate: Fraction
  seconds: float
  channels: int
  dtype: str
  codec: str
  variable: bool


def is_video(path: str | os.PathLike) -> bool:
  """True if the name ends like a video (any case) and is not hidden."""
  path = pathlib.PurePath(path)
  return path.suffix.lower() in ENDINGS.split() and not path.name.startswith('.')


def open_stream(path: str | os.PathLike):
  """(container, its first video stream)."""
  if not os.path.isfile(path):
    raise FileNotFoundError(f'No such video: {path}')
  try:
    container = av.open(str(path))
  except av.FFmpegError as error:
    raise UnreadableVideo(f'{path} cannot be opened as a video: {error.strerror}. It is damaged, '
                          f'cut short, or of another kind.') from error
  if not container.streams.video:
    container.close()
    raise UnreadableVideo(f'{path} has no video stream')
  stream = container.streams.video[0]
  stream.thread_type = 'AUTO'
  return container, stream


def kind_of(stream) -> tuple[str, int, str]:
  """(PyAV format, channels, dtype) that the frames of a stream are converted to."""
  name = stream.codec_context.pix_fmt or ''
  if name in ('gray', 'gray8', 'monow', 'monob'):
    return 'gray', 1, 'uint8'
  if name.startswith('gray'):           # gray10le, gray12le, gray16le: spread over 16 bits
    return 'gray16le', 1, 'uint16'
  return 'rgb24', 3, 'uint8'


def size_of(container, stream) -> tuple[int, int]:
  """(height, width) without padding, before rotation: our writer notes it where it had to pad."""
  match = re.search(SIZE_TAG + r' (\d+)x(\d+)', container.metadata.get('comment', ''))
  if match:
    return int(match.group(2)), int(match.group(1))
  return stream.codec_context.height, stream.codec_context.width


def to_array(frame: av.VideoFrame, kind: tuple, size: tuple[int, int]) -> np.ndarray:
  """Decoded frame -> uint8 [H, W, 1 or 3] or uint16 [H, W, 1], rotated as the file asks."""
  array = frame.to_ndarray(format=kind[0])
  array = (array[..., None] if array.ndim == 2 else array)[:size[0], :size[1]]
  quarter_turns = round(getattr(frame, 'rotation', 0) / 90) % 4
  return np.ascontiguousarray(np.rot90(array, quarter_turns) if quarter_turns else array)


def time_stamps(container, stream) -> list[Fraction] | None:
  """Presentation times of all frames in seconds, ascending; packets are read but not decoded.

  None where the file does not say (some AVI files).
  """
  stamps = [packet.pts for packet in container.demux(stream)
            if packet.size and not packet.is_discard]
  if not stamps or None in stamps or len(set(stamps)) < len(stamps):
    return None
  return [stamp * stream.time_base for stamp in sorted(stamps)]


def video_info(path: str | os.PathLike) -> VideoInfo:
  """VideoInfo of a file. Reads all packets, decodes one frame (for its rotation)."""
  if cptv_files.is_cptv(path):
    return _cptv_info(path)
  container, stream = open_stream(path)
  with container:
    stamps = time_stamps(container, stream)
    if stamps is None:
      container.seek(0)
      stamps = [Fraction(k) / (stream.average_rate or 25)
                for k, _ in enumerate(container.decode(stream))]
    kind, codec = kind_of(stream), stream.codec_context.name
    rate = _rate(stamps, stream.average_rate)
  steps = np.diff([float(x) for x in stamps])
  height, width = next(read_video(path))[0].shape[:2]
  return VideoInfo(str(path), height, width, len(stamps), rate, len(stamps) / float(rate), kind[1],
                   kind[2], codec, bool(len(steps) and np.ptp(steps) > 0.005))


def _rate(stamps, stated):
  """Frames per second: as stated in the file, if the time stamps agree (in .mkv whole ms)."""
  if len(stamps) < 2 or stamps[-1] <= stamps[0]:
    return Fraction(stated or 25)
  measured = Fraction(len(stamps) - 1) / (stamps[-1] - stamps[0])
  step = Fraction(1, 1000) / (stamps[-1] - stamps[0])
  close = stated and abs(measured / stated - 1) <= step
  return Fraction(stated) if close else measured.limit_denominator(1001)


def read_video(path: str | os.PathLike,
               damaged: str | None = None) -> Iterator[tuple[np.ndarray, float]]:
  """The frames of a video in order, one at a time in memory.

  Args:
    path: the file.
    damaged: what to do with a frame that cannot be decoded or is missing: 'stop' raises
      UnreadableVideo with its number, 'skip' warns, with the number of those missing, and goes on.
      None: as 'stop', but a file that merely ends early gives what it has, with a warning.

  Yields:
    (frame, seconds): uint8 [H, W, 1 or 3] or uint16 [H, W, 1], and its presentation time.
  """
  if cptv_files.is_cptv(path):
    yield from _read_cptv(path, damaged)
    return
  container, stream = open_stream(path)
  with container:
    kind, size = kind_of(stream), size_of(container, stream)
    stamps, counts = [], PacketCounts()
    # AVI has no presentation times, only a rate; what libraries report there is the coding order
    rate = stream.average_rate if container.format.name == 'avi' else None
    for k, frame in enumerate(decoded(container, stream, path, damaged or 'stop', counts)):
      stamps.append(float(k / rate if rate else frame.time or 0))
      yield to_array(frame, kind, size), stamps[-1]
    if not stamps:
      raise UnreadableVideo(f'{path} holds no frame that can be decoded')
    lost = count_missing(container, stream, stamps, counts)
  if lost <= counts.damaged:    # those were reported one by one
    return
  total = len(stamps) + lost
  if damaged == 'stop':
    raise UnreadableVideo(f'{path}: frame {len(stamps)} (from 0) is missing, and so is what comes '
                          f'after it: the file should hold about {total} frames. It was cut short '
                          'or is damaged')
  warnings.warn(f'{path}: {lost} of about {total} frames are missing; the file was cut short or is '
                'damaged', stacklevel=2)


def _read_cptv(path, damaged=None):
  """`read_video` of a .cptv file; what comes after a damaged frame cannot be read."""
  some = False
  try:
    for item in cptv_files.frames(path):
      some = True
      yield item
  except cptv_files.DamagedFile as error:
    if damaged == 'stop' or not some:
      raise UnreadableVideo(str(error)) from error
    warnings.warn(str(error), stacklevel=3)


def _cptv_info(path):
  """`video_info` of a .cptv file, which is decoded for it: frames are small."""
  stamps, shape = [], (0, 0)
  for frame, seconds in _read_cptv(path):
    stamps.append(seconds)
    shape = frame.shape
  rate = _rate([Fraction(x).limit_denominator(1000) for x in stamps], cptv_files.RATE)
  steps = np.diff(stamps)
  return VideoInfo(str(path), shape[0], shape[1], len(stamps), rate, len(stamps) / float(rate), 1,
                   'uint16', 'cptv', bool(len(steps) and np.ptp(steps) > 0.005))


@dataclasses.dataclass
class PacketCounts:
  """Coded frames read so far, and how many of them were damaged."""

  packets: int = 0
  damaged: int = 0


def count_missing(container, stream, stamps: list[float], counts: PacketCounts) -> int:
  """How many frames are missing, as far as the file says.

  MP4 states its number of frames. Others state their duration: frames that end well before it were
  cut off. Gaps between frames count only where damage was met, since cameras pause.

  Args:
    stamps: presentation times in seconds of the decoded frames, ascending, at least one.
    counts: of the whole file.
  """
  if 'mp4' in container.format.name and stream.frames:
    return counts.damaged if counts.packets >= stream.frames else stream.frames - len(stamps)
  steps = np.diff(stamps)
  usual = float(np.median(steps)) if len(steps) else float(1 / (stream.average_rate or 25))
  if usual <= 0:
    return counts.damaged
  inner = int(np.sum(np.rint(steps[steps > 0] / usual) - 1)) if counts.damaged else 0
  tail = _end(container, stream, stamps[-1]) - stamps[-1] - usual
  cut_off = round(tail / usual) if tail > CUT_SHORT_SECONDS - usual else 0
  return max(counts.damaged, inner + cut_off)


def _end(container, stream, seconds):
  """The end of the video in seconds, as the file states it; `seconds` where it does not."""
  if stream.duration:
    return float((stream.duration + (stream.start_time or 0)) * stream.time_base)
  if container.duration and len(container.streams) == 1:
    return container.duration / av.time_base
  return seconds


def decoded(container, stream, path: str | os.PathLike, damaged: str = 'stop',
            counts: PacketCounts | None = None) -> Iterator[av.VideoFrame]:
  """Decoded frames from the container's position on.

  Args:
    container, stream: from `open_stream`.
    path: for messages.
    damaged: 'stop' raises UnreadableVideo at a damaged frame, 'skip' warns and leaves it out.
    counts: incremented on the way.
  """
  count, wrong, counts = 0, set(), counts or PacketCounts()
  is_ffv1, has_checksums = stream.codec_context.name == 'ffv1', False

  def report(what, cause=None):
    counts.damaged += 1
    if damaged == 'stop':
      raise UnreadableVideo(f'{path}: frame {what}') from cause
    warnings.warn(f'{path}: frame {what}', stacklevel=4)
  for packet in container.demux(stream):
    counts.packets += bool(packet.size)
    if is_ffv1 and packet.size:
      intact = ffv1.ffv1_intact(bytes(packet))
      has_checksums = has_checksums or bool(intact)   # one intact frame proves it
      if intact is False or (intact is None and has_checksums):
        wrong.add(packet.pts)
    try:
      frames = packet.decode()
    except av.FFmpegError as error:
      frames = []
      report(f'{count} (from 0) cannot be decoded: {error.strerror}', error)
    for frame in frames:
      count += 1
      if frame.is_corrupt or frame.pts in wrong:
        report(f'{count - 1} (from 0) is damaged')
      else:
        yield frame

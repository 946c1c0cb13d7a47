"""Video files through PyAV: what they hold, reading in order, writing."""

import dataclasses
import os
import pathlib
import re
import warnings
from fractions import Fraction

import av
import numpy as np

ENDINGS = '.mp4 .m4v .mov .mkv .webm .avi .mpg .mpeg .ts .mts .wmv .flv'
SIZE_TAG = 'i2vjax size'      # in the comment of files whose frames were padded to even sides
H264 = ('.mp4', '.m4v', '.mov')
FFV1 = ('.mkv',)
TICKS = 90000                 # per second: exact for 24, 25, 30 and 30000/1001 frames a second
BT709 = 1                     # number of the colour space in the H.264 and ISO tables
SHORT_SECONDS = 0.5           # frames that end so long before the file does: it was cut short
LOSSLESS = {'level': '3', 'slicecrc': '1', 'g': '1'}   # every frame stands alone, with checksum
QUALITY = '18'                # x264's constant rate factor; 18 is held to be visually lossless


class UnreadableVideo(ValueError):   # noqa: N818 (named as it reads in a message)
  """A file that is no video, or is damaged; the message names file and frame."""


@dataclasses.dataclass(frozen=True)
class VideoInfo:
  """What a file holds, known without decoding it.

  Attributes:
    path: the file. height, width: of the frames read (without padding). frames: their number.
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


def is_video(path):
  """True if the name ends like a video (any case) and is not hidden."""
  path = pathlib.PurePath(path)
  return path.suffix.lower() in ENDINGS.split() and not path.name.startswith('.')


def open_stream(path):
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


def kind_of(stream):
  """(PyAV format, channels, dtype) the frames of a stream are read as."""
  name = stream.codec_context.pix_fmt or ''
  if name in ('gray', 'gray8', 'monow', 'monob'):
    return 'gray', 1, 'uint8'
  if name.startswith('gray'):           # gray10le, gray12le, gray16le: spread over 16 bits
    return 'gray16le', 1, 'uint16'
  return 'rgb24', 3, 'uint8'


def size_of(container, stream):
  """(height, width) of the picture proper: our own writer notes it where it had to pad."""
  match = re.search(SIZE_TAG + r' (\d+)x(\d+)', container.metadata.get('comment', ''))
  if match:
    return int(match.group(2)), int(match.group(1))
  return stream.codec_context.height, stream.codec_context.width


def to_array(frame, kind, size):
  """Decoded frame -> uint8 [H, W, 1 or 3] or uint16 [H, W, 1], rotated as the file asks."""
  array = frame.to_ndarray(format=kind[0])
  array = (array[..., None] if array.ndim == 2 else array)[:size[0], :size[1]]
  turns = round(getattr(frame, 'rotation', 0) / 90) % 4
  return np.ascontiguousarray(np.rot90(array, turns) if turns else array)


def time_stamps(container, stream):
  """Presentation times of all frames in seconds, ascending; packets are read but not decoded.

  None where the file does not say (some AVI files).
  """
  stamps = [packet.pts for packet in container.demux(stream)
            if packet.size and not packet.is_discard]
  if not stamps or None in stamps or len(set(stamps)) < len(stamps):
    return None
  return [stamp * stream.time_base for stamp in sorted(stamps)]


def video_info(path):
  """VideoInfo of a file. Reads all packets, decodes one frame (for rotation)."""
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
  """Frames per second: as stated in the file where the stamps (in .mkv whole ms) agree."""
  if len(stamps) < 2 or stamps[-1] <= stamps[0]:
    return Fraction(stated or 25)
  seen = Fraction(len(stamps) - 1) / (stamps[-1] - stamps[0])
  step = Fraction(1, 1000) / (stamps[-1] - stamps[0])
  close = stated and abs(seen / stated - 1) <= step
  return Fraction(stated) if close else seen.limit_denominator(1001)


def read_video(path, damaged='stop'):
  """The frames of a video in order, one at a time in memory.

  Args:
    path: the file.
    damaged: what to do with a frame that cannot be decoded: 'stop' raises UnreadableVideo with its
      number, 'skip' warns and goes on.

  Yields:
    (frame, seconds): uint8 [H, W, 1 or 3] or uint16 [H, W, 1], and its presentation time.
  """
  container, stream = open_stream(path)
  with container:
    kind, size, seconds = kind_of(stream), size_of(container, stream), None
    # AVI has no presentation times, only a rate; what libraries report there is the coding order
    rate = stream.average_rate if container.format.name == 'avi' else None
    for k, frame in enumerate(decoded(container, stream, path, damaged)):
      seconds = float(k / rate if rate else frame.time or 0)
      yield to_array(frame, kind, size), seconds
    if seconds is None:
      raise UnreadableVideo(f'{path} holds no frame that can be decoded')
    _warn_cut(container, stream, path, seconds)


def _warn_cut(container, stream, path, seconds):
  """Say so where the frames end well before the file's own length."""
  if stream.duration:
    end = (stream.duration + (stream.start_time or 0)) * stream.time_base
  elif container.duration and len(container.streams) == 1:
    end = container.duration / av.time_base
  else:
    return
  if end - seconds > SHORT_SECONDS:
    warnings.warn(f'{path}: says it lasts {float(end):.1f} s, but its frames end after '
                  f'{seconds:.1f} s. It looks cut short.', stacklevel=3)


def decoded(container, stream, path, damaged='stop'):
  """Decoded frames from where the container stands; damage stops, or is named and left out."""
  count = 0
  for packet in container.demux(stream):
    try:
      got = packet.decode()
    except av.FFmpegError as error:
      got, message = [], f'{path}: frame {count} (from 0) cannot be decoded: {error.strerror}'
      if damaged == 'stop':
        raise UnreadableVideo(message) from error
      warnings.warn(message, stacklevel=3)
    for frame in got:
      count += 1
      if not frame.is_corrupt:
        yield frame
        continue
      message = f'{path}: frame {count - 1} (from 0) is damaged'
      if damaged == 'stop':
        raise UnreadableVideo(message)
      warnings.warn(message, stacklevel=3)


class VideoWriter:
  """Writes a video beside its name and renames it when closed: never half a file.

  .mp4, .m4v, .mov: H.264 4:2:0, BT.709, which browsers play. Its sides must be even: odd frames get
  their last row or column repeated, the true size is noted in the file, and our readers cut it back
  (`note` says so; other players show one pixel more). .mkv: FFV1, every value kept: uint8 grey or
  RGB of any size, and uint16 grey.

  with VideoWriter(path, rate=25) as video: video.write(frame)
  """

  def __init__(self, path, rate=25):
    """path: .mp4 or .mkv and kin. rate: frames per second, used for frames without a time."""
    self.path = pathlib.Path(path)
    if self.path.suffix.lower() not in H264 + FFV1:
      raise ValueError(f'{path}: videos are written as .mp4 (H.264, plays everywhere) or .mkv '
                       f'(FFV1, lossless)')
    self.lossless = self.path.suffix.lower() in FFV1
    self.rate, self.frames, self.note = Fraction(rate).limit_denominator(1001), 0, ''
    self.part = self.path.with_name(f'.{self.path.name}.{os.getpid()}.part')
    self._container = self._first = None

  def __enter__(self):
    return self

  def __exit__(self, kind, *_):
    if kind is None:
      self.close()
    else:
      self.abort()

  def write(self, frame, seconds=None):
    """Add a frame: uint8 [H, W, 1 or 3], or uint16 [H, W, 1] (.mkv only).

    Args:
      frame: of the same shape and type as the first.
      seconds: its presentation time; the file starts at the first frame's. None: by the rate.
    """
    if self._container is None:
      self._start(frame)
    if frame.shape != self._shape or frame.dtype != self._dtype:
      raise ValueError(f'{self.path}: frame {self.frames} is {frame.shape} {frame.dtype}, the '
                       f'first was {self._shape} {self._dtype}')
    picture = self._picture(frame)
    picture.pts, picture.time_base = self._stamp(seconds), Fraction(1, TICKS)
    self._container.mux(self._stream.encode(picture))
    self.frames += 1

  def close(self):
    """Finish the file and give it its name; without a single frame it is an error."""
    if self._container is None:
      raise ValueError(f'{self.path}: no frames were written')
    self._container.mux(self._stream.encode())
    self._container.close()
    os.replace(self.part, self.path)

  def abort(self):
    """Throw away what was written."""
    if self._container is not None:
      self._container.close()
      self.part.unlink(missing_ok=True)

  def _start(self, frame):
    self._shape, self._dtype = frame.shape, frame.dtype
    height, width = frame.shape[:2]
    if self._dtype == np.uint16 and not self.lossless:
      raise ValueError(f'{self.path}: 16-bit frames need .mkv')
    self.path.parent.mkdir(parents=True, exist_ok=True)
    name = 'matroska' if self.lossless else 'mp4'
    options = {} if self.lossless else {'movflags': 'faststart'}
    self._container = av.open(str(self.part), 'w', format=name, container_options=options)
    self._pad = (0, 0) if self.lossless else (height % 2, width % 2)
    if any(self._pad):
      self._container.metadata['comment'] = f'{SIZE_TAG} {width}x{height}'
      self.note = (f'{self.path}: {width}x{height} was padded to {width + self._pad[1]}x'
                   f'{height + self._pad[0]}, H.264 needs even sides; .mkv keeps the size')
    self._add_stream(height + self._pad[0], width + self._pad[1])

  def _add_stream(self, height, width):
    codec, options = ('ffv1', LOSSLESS) if self.lossless else ('libx264', {'crf': QUALITY})
    self._stream = self._container.add_stream(codec, rate=self.rate, options=options)
    self._stream.height, self._stream.width = height, width
    self._stream.pix_fmt = self._format()
    self._stream.codec_context.time_base = Fraction(1, TICKS)
    if not self.lossless:
      context = self._stream.codec_context
      context.colorspace = context.color_primaries = context.color_trc = BT709
      context.color_range = 1            # 16 to 235, as players expect

  def _format(self):
    if not self.lossless:
      return 'yuv420p'
    if self._shape[-1] == 3:
      return 'bgr0'
    return 'gray16le' if self._dtype == np.uint16 else 'gray'

  def _picture(self, frame):
    """The frame as the encoder takes it."""
    if self.lossless:
      grey = 'gray16le' if frame.dtype == np.uint16 else 'gray'
      name = 'rgb24' if frame.shape[-1] == 3 else grey
      data = frame if frame.shape[-1] == 3 else frame[..., 0]
      return av.VideoFrame.from_ndarray(np.ascontiguousarray(data), name).reformat(
          format=self._format())
    frame = np.pad(frame, ((0, self._pad[0]), (0, self._pad[1]), (0, 0)), mode='edge')
    frame = np.ascontiguousarray(np.repeat(frame, 3 // frame.shape[-1], axis=-1))
    picture = av.VideoFrame.from_ndarray(frame, 'rgb24')
    return picture.reformat(format='yuv420p', dst_colorspace='ITU709')

  def _stamp(self, seconds):
    """Ticks since the first frame; a time that does not grow is moved on by one tick."""
    seconds = self.frames / self.rate if seconds is None else Fraction(seconds)
    if self._first is None:
      self._first, self._last = seconds, -1
    self._last = max(round((seconds - self._first) * TICKS), self._last + 1)
    return self._last

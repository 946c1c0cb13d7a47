"""Video into a network stream or the standard output, frame by frame."""

import contextlib
import os
import re
import time
from fractions import Fraction

import av
import numpy as np

from i2vjax.core.errors import UserError
from i2vjax.data.io.video_writer import BT709, TICKS, FrameClock, check_size, lossy_picture

STDOUT = '-'
# What goes over each kind of address; all of it H.264.
FORMATS = {'udp': 'mpegts', 'tcp': 'mpegts', 'srt': 'mpegts', 'rtmp': 'flv', 'rtmps': 'flv',
           'rtsp': 'rtsp'}
KEY_SECONDS = 1      # between key frames: so long does a viewer who joins wait for a picture
PACKET = 1316        # bytes that UDP carries at once: seven packets of MPEG-TS


def is_stream(output: str | os.PathLike) -> bool:
  """True for '-' and for addresses that can be written to."""
  match = re.match(r'([a-z]+)://', str(output))
  return str(output) == STDOUT or bool(match and match.group(1) in FORMATS)


class StreamWriter:
  """Sends frames as H.264, without any that wait for later ones.

  MPEG-TS over udp, tcp and srt, FLV over rtmp, RTSP, and '-' for the standard output: MPEG-TS, or
  with `lossless` NUT with raw RGB (gray: raw gray), every value kept. Odd sides get their last row
  or column repeated, as H.264 needs. Nothing is kept: a receiver that is late has missed what was
  sent before.

  with StreamWriter('udp://127.0.0.1:5000', rate=9) as stream: stream.write(frame)
  """

  def __init__(self, output: str, rate: float | Fraction = 25, lossless: bool = False,
               paced: bool = False):
    """output: of `is_stream`. rate: frames per second, for those without a time.

    lossless: '-' alone. paced: wait until a frame's time has come: files are read faster.
    """
    if lossless and output != STDOUT:
      raise UserError(f'--lossless and {output}: streams are H.264; the output - takes raw frames')
    self.path, self.lossless, self.paced = output, lossless, paced and output != STDOUT
    self.rate, self.frames = Fraction(rate).limit_denominator(1001), 0
    self.notes: list[str] = []
    self._container = self._file = None
    self._began, self._clock = 0.0, FrameClock(self.rate)

  def __enter__(self):
    return self

  def __exit__(self, kind, *_):
    if kind is not None:
      self.abort()
      return
    self.close()

  def write(self, frame: np.ndarray, seconds: float | None = None) -> None:
    """Send a frame.

    Args:
      frame: uint8 [H, W, 1 or 3], of the same shape as the first.
      seconds: its presentation time; the stream starts at the first frame's. None: by the rate.

    Raises:
      UserError: the receiver cannot be reached, or a size that no video holds. BrokenPipeError: it
        has gone.
    """
    try:
      if self._container is None:
        self._start(frame)
      if frame.shape != self._shape:
        raise UserError(f'{self.path}: frame {self.frames} is {frame.shape}, the first was '
                        f'{self._shape}: a stream has one size')
      picture = self._picture(frame)
      picture.pts, picture.time_base = self._clock.stamp(seconds), Fraction(1, TICKS)
      self._container.mux(self._stream.encode(picture))
      if self._file:
        self._file.flush()     # small frames would wait for each other
    except (av.FFmpegError, OSError) as error:
      if isinstance(error, BrokenPipeError):
        raise BrokenPipeError(f'{self.path}: the receiver has gone') from error
      raise UserError(f'{self.path}: {getattr(error, "strerror", None) or error} (is the receiver '
                      'there, and the address right?)') from error
    self.frames += 1
    if self.paced:
      self._began = self._began or time.monotonic()
      time.sleep(max(0.0, self._began + self._clock.last / TICKS - time.monotonic()))

  def close(self):
    """Send what is left; without a single frame it is an error."""
    if self._container is None:
      raise UserError(f'{self.path}: no frames were written')
    self._container.mux(self._stream.encode())
    self._end()

  def abort(self):
    """End the stream without what is left."""
    if self._container is not None:
      with contextlib.suppress(av.FFmpegError, OSError):   # the receiver may have gone
        self._end()

  def _end(self):
    self._container.close()
    if self._file:
      self._file.close()

  def _start(self, frame):
    self._shape = frame.shape
    height, width = frame.shape[:2]
    check_size(self.path, height, width, self.lossless)
    self._pad = (0, 0) if self.lossless else (height % 2, width % 2)
    if any(self._pad):
      self.notes.append(f'{self.path}: {width}x{height} was padded to {width + self._pad[1]}x'
                        f'{height + self._pad[0]}, H.264 needs even sides')
    self._container = self._open()
    self._add_stream(height + self._pad[0], width + self._pad[1])

  def _open(self):
    options = {'flush_packets': '1'}
    if self.path == STDOUT:
      # A file of its own for what stands behind number 1, as messages may take another way.
      self._file = os.fdopen(os.dup(1), 'wb')
      return av.open(self._file, 'w', format='nut' if self.lossless else 'mpegts',
                     container_options=options)
    target, scheme = self.path, self.path.partition('://')[0]
    if scheme == 'udp' and 'pkt_size' not in target:
      target += f'{"&" if "?" in target else "?"}pkt_size={PACKET}'
    return av.open(target, 'w', format=FORMATS[scheme], container_options=options)

  def _add_stream(self, height, width):
    options = {} if self.lossless else {'preset': 'veryfast', 'tune': 'zerolatency'}
    codec = 'rawvideo' if self.lossless else 'libx264'
    self._stream = self._container.add_stream(codec, rate=self.rate, options=options)
    self._stream.height, self._stream.width = height, width
    self._stream.pix_fmt = self._raw_format() if self.lossless else 'yuv420p'
    context = self._stream.codec_context
    context.time_base = Fraction(1, TICKS)
    if not self.lossless:
      context.gop_size = max(1, round(KEY_SECONDS * self.rate))
      context.colorspace = context.color_primaries = context.color_trc = BT709
      context.color_range = 1

  def _raw_format(self):
    return 'rgb24' if self._shape[-1] == 3 else 'gray'

  def _picture(self, frame):
    """The frame in the encoder's pixel format."""
    if self.lossless:
      data = frame if frame.shape[-1] == 3 else frame[..., 0]
      return av.VideoFrame.from_ndarray(np.ascontiguousarray(data), self._raw_format())
    return lossy_picture(frame, self._pad)

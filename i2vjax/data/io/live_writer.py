"""Video into a network stream or the standard output, frame by frame."""

import os
import re
import time
from fractions import Fraction

import av
import numpy as np

from i2vjax.core.errors import UserError
from i2vjax.data.io.video_writer import BT709, TICKS, VideoWriter

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


class StreamWriter(VideoWriter):
  """Sends frames as H.264, without any that wait for later ones.

  MPEG-TS over udp, tcp and srt, FLV over rtmp, RTSP, and '-' for the standard output: MPEG-TS, or
  with `lossless` NUT with raw RGB (gray: raw gray), every value kept. Odd sides get their last row
  or column repeated, as in `VideoWriter`. Nothing is kept: a receiver that is late has missed what
  was sent before.
  """

  def __init__(self, output: str, rate: float | Fraction = 25, lossless: bool = False,
               paced: bool = False):
    """output: of `is_stream`. rate: frames per second, for those without a time.

    lossless: '-' alone. paced: wait until a frame's time has come: files are read faster.
    """
    if lossless and output != STDOUT:
      raise UserError(f'--lossless and {output}: streams are H.264; the output - takes raw frames')
    self.path, self.lossless, self.paced = output, lossless, paced
    self.rate, self.frames, self.note = Fraction(rate).limit_denominator(1001), 0, ''
    self._container = self._first = None
    self._began = 0.0

  def write(self, frame: np.ndarray, seconds: float | None = None) -> None:
    """Send a frame: uint8 [H, W, 1 or 3], as `VideoWriter.write`.

    Raises:
      UserError: the receiver cannot be reached. BrokenPipeError: it has gone.
    """
    try:
      super().write(frame, seconds)
    except (av.FFmpegError, OSError) as error:
      if isinstance(error, BrokenPipeError):
        raise BrokenPipeError(f'{self.path}: the receiver has gone') from error
      raise UserError(f'{self.path}: {getattr(error, "strerror", None) or error} (is the receiver '
                      'there, and the address right?)') from error
    if self.paced and self.path != STDOUT:
      self._began = self._began or time.monotonic()
      time.sleep(max(0.0, self._began + self._last / TICKS - time.monotonic()))

  def close(self):
    """Send what is left."""
    if self._container is None:
      raise UserError(f'{self.path}: no frames were written')
    self._container.mux(self._stream.encode())
    self._container.close()

  def abort(self):
    """End the stream without what is left."""
    if self._container is not None:
      try:
        self._container.close()
      except (av.FFmpegError, OSError):
        return

  def _start(self, frame):
    self._shape, self._dtype = frame.shape, frame.dtype
    height, width = frame.shape[:2]
    self._pad = (0, 0) if self.lossless else (height % 2, width % 2)
    if any(self._pad):
      self.note = f'{self.path}: {width}x{height} was padded to even sides, which H.264 needs'
    target, form = self.path, ''
    if self.path == STDOUT:
      # A file of its own for what stands behind number 1, as messages may take another way.
      target, form = os.fdopen(os.dup(1), 'wb'), 'nut' if self.lossless else 'mpegts'
    else:
      form = FORMATS[self.path.partition('://')[0]]
    if self.path.startswith('udp') and 'pkt_size' not in self.path:
      target += f'{"&" if "?" in self.path else "?"}pkt_size={PACKET}'
    options = {'flush_packets': '1', **({'muxdelay': '0'} if form == 'mpegts' else {})}
    self._container = av.open(target, 'w', format=form, container_options=options)
    self._add_stream(height + self._pad[0], width + self._pad[1])

  def _add_stream(self, height, width):
    options = {} if self.lossless else {'preset': 'veryfast', 'tune': 'zerolatency'}
    codec = 'rawvideo' if self.lossless else 'libx264'
    self._stream = self._container.add_stream(codec, rate=self.rate, options=options)
    self._stream.height, self._stream.width = height, width
    self._stream.pix_fmt = self._format()
    context = self._stream.codec_context
    context.time_base = Fraction(1, TICKS)
    if not self.lossless:
      context.gop_size = max(1, round(KEY_SECONDS * self.rate))
      context.colorspace = context.color_primaries = context.color_trc = BT709
      context.color_range = 1

  def _format(self):
    if not self.lossless:
      return 'yuv420p'
    return 'rgb24' if self._shape[-1] == 3 else 'gray'

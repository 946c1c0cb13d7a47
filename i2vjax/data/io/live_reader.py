"""Live cameras and network streams: the newest frame, reconnection, an orderly end.

A network that is slower than the camera must not fall behind it: of the frames that arrive while
one is translated only the newest is kept, the others are dropped and counted.
"""

import contextlib
import dataclasses
import os
import re
import stat
import threading
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any, NamedTuple

import av
import numpy as np

from i2vjax.core.errors import UserError
from i2vjax.data.io import video_decoding, video_reader, video_times

SCHEMES = ('rtsp', 'rtsps', 'rtmp', 'rtmps', 'rtp', 'udp', 'tcp', 'srt', 'http', 'https')
TIMEOUT = 10.0         # seconds without a frame after which a connection is held to be lost
PAUSE = 0.5            # seconds between two tries to connect again
LOOK = 0.1             # seconds between two looks whether somebody asked to stop
# A second (in microseconds) to find out what is sent; the default waits for five.
OPTIONS = {'flags': 'low_delay', 'analyzeduration': '1000000'} | video_decoding.OPTIONS


class LiveFrame(NamedTuple):
  """A frame that has just arrived.

  Attributes:
    frame: uint8 [H, W, 1 or 3] or uint16 [H, W, 1].
    seconds: its presentation time; it goes on through a reconnection.
    arrived: `time.monotonic()` at which it was decoded.
    begins: the first frame of a connection.
  """

  frame: np.ndarray
  seconds: float
  arrived: float
  begins: bool


def is_live(place: str | os.PathLike) -> bool:
  """True for rtsp://..., udp://... and the like, and for a camera device such as /dev/video0."""
  match = re.match(r'([a-z]+)://', str(place))
  if match:
    return match.group(1) in SCHEMES
  with contextlib.suppress(OSError, ValueError):
    return stat.S_ISCHR(os.stat(place).st_mode)
  return False


class LiveReader:
  """Reads a live place in a thread of its own; iteration gives the newest frame each time.

  with LiveReader('rtsp://camera/stream') as reader:
    for item in reader: ...

  Attributes:
    name: the place without user and password, for messages.
    received, taken, dropped: frames decoded, handed out, and replaced by newer ones.
    damaged: packets and frames that could not be decoded (the first ones, mostly).
    reconnects: connections after the first.
    rate: frames per second that the stream states, 25 where it does not.
    end: why iteration ended.
  """

  def __init__(self, place: str | os.PathLike, reconnect: float = 30.0,
               timeout: float | None = None):
    """place: of `is_live`. reconnect: seconds that a lost connection is tried anew, 0: not at all.

    timeout: seconds without a frame after which a connection is held to be lost; None: TIMEOUT.
    """
    self.place, self.reconnect, self.timeout = str(place), reconnect, timeout or TIMEOUT
    self.name = re.sub('//[^/@]*@', '//', self.place)   # without a password
    self.received = self.taken = self.dropped = self.damaged = self.reconnects = 0
    self.end, self.rate = '', Fraction(25)
    self._ready, self._newest = threading.Condition(), None
    self._stop, self._failure = threading.Event(), None
    self._thread = threading.Thread(target=self._run, daemon=True, name='live reader')

  def __enter__(self):
    self._thread.start()
    return self

  def __exit__(self, *_):
    self._stop.set()
    self._thread.join(timeout=2)   # a blocked read ends by its own timeout, and with the process

  def frames(self, stopped: Callable[[], bool] = lambda: False) -> Iterator[LiveFrame]:
    """The newest frame, again and again, until the stream is over or `stopped()`.

    Raises:
      UserError: the place cannot be opened, or has no video.
    """
    while True:
      with self._ready:
        while self._newest is None and not self.end and not stopped():
          self._ready.wait(LOOK)
        item, self._newest = self._newest, None
      if stopped():
        self.end = 'stopped'
        return
      if item is None:
        if self._failure:
          raise self._failure
        return
      self.taken += 1
      frame, layout, *facts = item
      yield LiveFrame(video_reader.to_array(frame, layout), *facts)

  def __iter__(self):
    return self.frames()

  # ---- the reading thread

  def _run(self):
    try:
      self._read_until_lost()
    except Exception as error:   # handed to whoever iterates
      self._failure = error
      self._finish('failed')

  def _read_until_lost(self):
    lost_at, why = None, ''
    while not self._stop.is_set():
      try:
        container = self._open()
      except (av.FFmpegError, OSError, ValueError) as error:
        why = self._reason(error)
        if lost_at is None:
          raise self._unopened(error, why) from error
      else:
        with container:
          self.reconnects += lost_at is not None
          count, why = self._read(container)
        lost_at = time.monotonic() if count or lost_at is None else lost_at
      if time.monotonic() - lost_at >= self.reconnect:
        tried = f', not back within {self.reconnect:g} s' if self.reconnect else ''
        self._finish(f'{why}{tried}')
        return
      self._stop.wait(PAUSE)
    self._finish('stopped')

  def _open(self):
    options, form = dict(OPTIONS), None
    if self.place.startswith('rtsp'):
      options['rtsp_transport'] = 'tcp'      # lost packets of UDP smear over many frames
    if '://' not in self.place:
      options, form = {}, 'v4l2'
    return av.open(self.place, format=form, options=options, timeout=(self.timeout, self.timeout),
                   **video_decoding.TITLES)

  def _reason(self, error):
    if isinstance(error, av.error.ExitError):    # FFmpeg's word for a time limit
      return f'nothing came within {self.timeout:g} s'
    return getattr(error, 'strerror', None) or str(error)

  def _unopened(self, error, why):
    if isinstance(error, av.error.ProtocolNotFoundError):
      return UserError(f'{self.name} cannot be opened: PyAV here knows no such protocol. ffmpeg '
                       f'can hand the stream on: ffmpeg -i {self.name} -c copy -f mpegts '
                       'udp://127.0.0.1:5000')
    hint = 'is the camera there, and no other program using it' if '://' not in self.place else (
      'is the sender running, and the address right')
    return UserError(f'{self.name} cannot be opened: {why} ({hint}?)')

  def _read(self, container):
    """(frames of one connection, why it ended)."""
    streams = [stream for stream in container.streams.video if stream.codec_context is not None]
    if not streams and self.received:        # it had one: the camera may not be ready yet
      return 0, 'it came back without a video stream'
    if not streams:
      raise UserError(f'{self.name} has no video stream')
    stream = streams[0]
    stream.codec_context.options = video_decoding.OPTIONS
    stream.thread_type = 'SLICE'             # threads by frame would hold back as many frames
    layout, shift, clock, count = None, None, None, 0
    packets = container.demux(stream)
    while not self._stop.is_set():
      try:
        packet = next(packets, None)
      except (av.FFmpegError, OSError) as error:
        return count, f'connection lost ({self._reason(error)})'
      if packet is None:
        return count, 'the stream has ended'
      for frame in self._decode(packet):
        arrived = time.monotonic()
        if layout is None:
          layout = video_reader.layout_of(container, stream, self.name)
          stated = Fraction(stream.average_rate or stream.guessed_rate or 25)
          self.rate = video_times.possible(stated)
          shift, clock = arrived - (frame.time or 0), video_times.GoingOn(self.rate, [])
        layout = _of_its_size(layout, frame)
        seconds = arrived
        if frame.time is not None:
          anew, seconds = clock.falls(frame.time), clock.place(frame.time)
          shift = max(shift, arrived - seconds) if anew else shift   # the sender has begun anew
          seconds += shift
        self._put((frame, layout, seconds, arrived, count == 0))
        count += 1
    return count, 'stopped'

  def _decode(self, packet):
    try:
      frames = packet.decode()
    except av.FFmpegError:     # before the first key frame, or lost on the way
      self.damaged += 1
      return []
    intact = [frame for frame in frames if not frame.is_corrupt]
    self.damaged += len(frames) - len(intact)
    return intact

  def _put(self, item: tuple[Any, ...]):
    with self._ready:
      self.received += 1
      if self._newest is not None:
        self.dropped += 1
        item = (*item[:-1], item[-1] or self._newest[-1])   # a beginning stays one
      self._newest = item
      self._ready.notify()

  def _finish(self, why):
    with self._ready:
      self.end = self.end or why
      self._ready.notify()


def _of_its_size(layout, frame):
  """The layout of a frame of another size than the first: cameras change theirs."""
  size = frame.height, frame.width
  return layout if size == layout.coded else dataclasses.replace(layout, coded=size, size=size)

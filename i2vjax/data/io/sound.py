"""The sound of a film, copied as it is beside new pictures."""

import contextlib
import io
import os

import av

from i2vjax.core import files, notes
from i2vjax.core.errors import UserError
from i2vjax.data.io.video_decoding import open_film

FALL = 0.1           # seconds: sound whose times fall back by more begins anew


class Sound:
  """Copies the coded sound of a film into a container, packet by packet, in step with its pictures.

  Attributes:
    left_out: names of the codecs that the container cannot hold.
  """

  def __init__(self, path: str | os.PathLike, target, origin: float,
               shifts: tuple[float, ...] = ()):
    """Add the streams to `target`, which has written nothing yet.

    Args:
      path: the film. target: container of PyAV. origin: seconds of the film that become 0.
      shifts: of `video_reader.VideoInfo`: films put one behind the other.

    Raises:
      UserError: the sound does not begin anew as often as the pictures do.
    """
    self.path, self.target, self.origin, self.shifts = path, target, origin, shifts
    self.left_out: list[str] = []
    self._source = open_film(path)
    self._copies, kept, self._parts = {}, [], {}
    for stream in self._source.streams.audio:
      if stream.codec_context is None or not _fits(stream, target.format.name):
        self.left_out.append(getattr(stream.codec_context, 'name', 'unknown'))
        continue
      copy = target.add_stream_from_template(stream)
      copy.metadata.update(stream.metadata)       # its language
      self._copies[stream.index] = copy
      self._parts[stream.index] = _Parts(path, shifts)
      kept.append(stream)
    if shifts and kept:
      self._check_parts()
    self._packets = (packet for packet in self._source.demux(kept) if packet.size) if kept else None
    self._next, self._begun = None, False

  def write_until(self, seconds: float) -> None:
    """Copy what begins before this time of the film."""
    if self._packets is None:
      return
    if not self._begun:
      self._next, self._begun = self._read(), True
    while self._next is not None and self._next[1] <= seconds:
      packet, begins = self._next
      self._next = self._read()
      shift = round((begins - self.origin) / packet.time_base) - packet.dts
      packet.pts = (packet.dts if packet.pts is None else packet.pts) + shift
      packet.dts += shift
      packet.stream = self._copies[packet.stream.index]
      self._mux(packet)

  def close(self) -> None:
    """Close the film; after `write_until(inf)` all of its sound is copied."""
    self._source.close()

  def _check_parts(self):
    """Sound that cannot be put in step is refused before the work, not after it."""
    parts = {index: _Parts(self.path, self.shifts) for index in self._parts}
    with open_film(self.path) as film, contextlib.suppress(av.FFmpegError):   # `_read` tells
      for packet in film.demux([film.streams[index] for index in parts]):
        if packet.size and packet.dts is not None:
          parts[packet.stream.index].place(packet)
    for part in parts.values():
      if part.number < len(self.shifts):
        raise part.error()

  def _read(self):
    """(the next packet, when it begins in seconds of the film); None after the last."""
    try:
      packet = next(self._packets, None)
    except av.FFmpegError as error:
      raise UserError(f'the sound of {self.path} cannot be read ({error.strerror}). Make a copy '
                      f'without it: ffmpeg -i {self.path} -an -c copy NEW.mkv') from error
    if packet is None:
      return None
    if packet.dts is None:
      raise UserError(f'the sound of {self.path} has no times. Write it anew: '
                      f'ffmpeg -i {self.path} -c:v copy NEW.mkv')
    return packet, self._parts[packet.stream.index].place(packet)

  def _mux(self, packet):
    try:
      self.target.mux(packet)
    except av.FFmpegError as error:
      if error.errno in files.OF_DISKS:
        raise
      raise UserError(f'the sound of {self.path} cannot be copied ({error.strerror}): it is '
                      f'damaged. Make a copy without it: ffmpeg -i {self.path} -an -c copy '
                      'NEW.mkv') from error


class _Parts:
  """Times of one stream of sound, which go on as the pictures of joined films do."""

  def __init__(self, path, shifts):
    self.path, self.shifts, self.number, self._shift, self._last = path, shifts, 0, 0.0, None

  def place(self, packet):
    """When a packet begins, in seconds of the film."""
    begins = float(packet.dts * packet.time_base)
    if self._last is not None and begins < self._last - FALL:
      self._begin(begins)
    self._last, begins = begins, begins + self._shift
    self._end = begins + float((packet.duration or 1) * packet.time_base)
    return begins

  def _begin(self, begins):
    """The next part: as much later as its pictures, or more where the sound before lasts longer."""
    if self.number == len(self.shifts):
      raise self.error()
    shift = self.shifts[self.number]
    self.number, self._shift = self.number + 1, max(shift, self._end - begins)
    if self._shift - shift > FALL:
      notes.say_once(f'{self.path}: the sound of its part {self.number + 1} comes '
                     f'{self._shift - shift:.2f} s late, as that of the part before is longer than '
                     'its pictures')

  def error(self):
    return UserError(f'{self.path} holds files put one behind the other, and its sound does not '
                     'begin anew where the pictures do. Name the parts one by one, join them with '
                     'ffmpeg -f concat, or make a copy without sound: '
                     f'ffmpeg -i {self.path} -an -c copy NEW.mkv')


def _fits(stream, format):
  """True if files of a format can hold a stream; some refuse it no sooner than in their header."""
  try:
    with av.open(io.BytesIO(), 'w', format=format) as trial:
      trial.add_stream_from_template(stream)
      trial.start_encoding()
  except (ValueError, av.FFmpegError):
    return False
  return True

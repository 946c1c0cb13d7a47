"""The sound of a film, copied as it is beside new pictures."""

import io
import os

import av

from i2vjax.core import files
from i2vjax.core.errors import UserError
from i2vjax.data.io.video_decoding import open_film


class Sound:
  """Copies the coded sound of a film into a container, packet by packet, in step with its pictures.

  Attributes:
    left_out: names of the codecs that the container cannot hold.
  """

  def __init__(self, path: str | os.PathLike, target, origin: float):
    """Add the streams to `target`, which has written nothing yet.

    Args:
      path: the film. target: container of PyAV. origin: seconds of the film that become 0.
    """
    self.path, self.target, self.origin = path, target, origin
    self.left_out: list[str] = []
    self._source = open_film(path)
    self._copies, kept = {}, []
    for stream in self._source.streams.audio:
      if stream.codec_context is None or not _fits(stream, target.format.name):
        self.left_out.append(getattr(stream.codec_context, 'name', 'unknown'))
        continue
      copy = target.add_stream_from_template(stream)
      copy.metadata.update(stream.metadata)       # its language
      self._copies[stream.index] = copy
      kept.append(stream)
    self._packets = (packet for packet in self._source.demux(kept) if packet.size) if kept else None
    self._next, self._begun = None, False

  def write_until(self, seconds: float) -> None:
    """Copy what begins before this time of the film."""
    if self._packets is None:
      return
    if not self._begun:
      self._next, self._begun = self._read(), True
    while self._next is not None and self._time(self._next) <= seconds:
      packet = self._next
      self._next = self._read()
      shift = round(self.origin / packet.time_base)
      packet.pts = (packet.dts if packet.pts is None else packet.pts) - shift
      packet.dts -= shift
      packet.stream = self._copies[packet.stream.index]
      self._mux(packet)

  def close(self) -> None:
    """Close the film; after `write_until(inf)` all of its sound is copied."""
    self._source.close()

  def _read(self):
    try:
      return next(self._packets, None)
    except av.FFmpegError as error:
      raise UserError(f'the sound of {self.path} cannot be read ({error.strerror}). Make a copy '
                      f'without it: ffmpeg -i {self.path} -an -c copy NEW.mkv') from error

  def _mux(self, packet):
    try:
      self.target.mux(packet)
    except av.FFmpegError as error:
      if error.errno in files.OF_DISKS:
        raise
      raise UserError(f'the sound of {self.path} cannot be copied ({error.strerror}): it is '
                      f'damaged. Make a copy without it: ffmpeg -i {self.path} -an -c copy '
                      'NEW.mkv') from error

  def _time(self, packet):
    if packet.dts is None:
      raise UserError(f'the sound of {self.path} has no times. Write it anew: '
                      f'ffmpeg -i {self.path} -c:v copy NEW.mkv')
    return float(packet.dts * packet.time_base)


def _fits(stream, format):
  """True if files of a format can hold a stream; some refuse it no sooner than in their header."""
  try:
    with av.open(io.BytesIO(), 'w', format=format) as trial:
      trial.add_stream_from_template(stream)
      trial.start_encoding()
  except (ValueError, av.FFmpegError):
    return False
  return True

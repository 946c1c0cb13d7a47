"""Damage of coded frames that FFmpeg decodes without a word."""

from collections.abc import Callable

import av

from i2vjax.data.io import ffv1, picture_heads


class WrongChecksums:
  """Frames of FFV1 that are not what their checksums say."""

  def __init__(self, stream: av.VideoStream):
    self.is_asked, self.has_checksums = stream.codec_context.name == 'ffv1', False
    self.has_sizes, self.found = bool(stream.codec_context.extradata), set()

  def look_at(self, packet: av.Packet) -> None:
    """Note whether the next coded frame is damaged."""
    if not self.is_asked or not packet.size:
      return
    content = bytes(packet)
    intact = ffv1.ffv1_intact(content)
    self.has_checksums = self.has_checksums or bool(intact)   # one intact frame proves it
    is_broken = self.has_checksums or (self.has_sizes and not ffv1.sizes_fit(content))
    if intact is False or (intact is None and is_broken):
      self.found.add(packet.pts)

  def __contains__(self, frame: av.VideoFrame) -> bool:
    return frame.pts in self.found


class TornJpegs:
  """Frames of MJPEG without their end: FFmpeg makes up the rest.

  Some cameras never write an end: one frame of the film that has one proves that it is no habit.
  """

  def __init__(self, stream: av.VideoStream, open_again: Callable[[], tuple]):
    """open_again: -> (container, stream) of the same film."""
    self.is_asked, self.open_again = stream.codec_context.name == 'mjpeg', open_again
    self.has_ends, self.found = None, set()

  def look_at(self, packet: av.Packet) -> None:
    """Note whether the next coded frame is torn."""
    if not self.is_asked or not packet.size or self.has_ends is False:
      return
    if picture_heads.is_whole_jpeg(bytes(packet)):
      self.has_ends = True
      return
    if self.has_ends is None:
      self.has_ends = self._has_whole()
    if self.has_ends:
      self.found.add(packet.pts)

  def _has_whole(self):
    container, stream = self.open_again()
    with container:
      try:
        return any(packet.size and picture_heads.is_whole_jpeg(bytes(packet))
                   for packet in container.demux(stream))
      except av.FFmpegError:           # whoever reads on tells
        return False

  def __contains__(self, frame: av.VideoFrame) -> bool:
    return frame.pts is not None and frame.pts in self.found

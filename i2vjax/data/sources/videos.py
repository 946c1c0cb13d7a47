"""Videos as a frame source, with random access to any frame."""

import pathlib
import threading

from i2vjax.data.io import cptv_files, joined_films, video_reader, video_times
from i2vjax.data.source import Clip, FrameSource

PALETTE = 'pal8'              # FFmpeg's name of frames that hold places in a table of colors


class VideoFrames(FrameSource):
  """Videos as a FrameSource: any frame, bit-equal to reading in order.

  Reading on is as fast as decoding. A jump decodes from the key frame before, up to a whole group
  of pictures (often 250 frames); in files that cannot be sought exactly (.avi, .ts, .mpg, colors of
  a palette) from the start. For training use `video_cache.unpack`.
  """

  def __init__(self, paths: list, names: list[str] | None = None):
    """paths: video files; each is a clip. names: of the clips, by default the files' stems."""
    names = names or [pathlib.Path(path).stem for path in paths]
    self.place, self.paths, self.clips, self.stamps = str(paths[0]), list(map(str, paths)), [], []
    start = 0
    for name, path in zip(names, self.paths, strict=True):
      stamps = self._index(path)
      count = len(stamps or video_reader.frame_times(path))
      if not count:
        raise video_reader.UnreadableVideo(f'{path} holds no frame that can be decoded')
      self.clips.append(Clip(name, start, count))
      self.stamps.append(stamps)
      start += count
    self._reset()

  @staticmethod
  def _index(path):
    """The times of all frames in seconds, by which the file can be sought; None: it cannot."""
    if cptv_files.is_cptv(path):
      return None
    container, stream = video_reader.open_stream(path)
    with container, video_reader.refused(path):
      stamps, _, last = video_times.packet_times(container, stream)
      joined_films.say_unread(path, container.format.name, last)
      # the palette comes with the first packet alone
      return None if stream.codec_context.pix_fmt == PALETTE else stamps

  def _reset(self):
    self._lock, self._open_clip, self._next = threading.Lock(), None, None
    self._container = None

  def __getstate__(self):
    return {name: value for name, value in self.__dict__.items() if name[0] != '_'}

  def __setstate__(self, state):
    self.__dict__.update(state)
    self._reset()

  def __repr__(self):
    return f'VideoFrames({self.paths!r}, {len(self)} frames)'

  def where(self, i):
    """Where frame `i` comes from, for messages."""
    clip = self.clip_index(i)
    return f'{self.paths[clip]}, frame {i - self.clips[clip].start} (from 0)'

  def read(self, i):
    """{'frame': uint8 [H, W, 1 or 3] or uint16 [H, W, 1]}."""
    clip = self.clip_index(i)
    with self._lock, video_reader.refused(self.paths[clip]):
      return {'frame': self._read(clip, i - self.clips[clip].start)}

  def _read(self, clip, k):
    stamps = self.stamps[clip]
    goes_on = k == self._next if stamps else k >= (self._next or 0)   # on is shorter than anew
    if self._open_clip == clip and goes_on:
      return self._found(clip, k)
    self._go_to(clip, k)
    try:
      return self._found(clip, k)
    except video_reader.UnreadableVideo:
      if not self._sought or not self._counts.stamps:
        raise
    self._go_to(clip, k, self._counts)
    return self._found(clip, k)

  def _found(self, clip, k):
    """Frame `k` of a clip, decoding on from where the decoder is, before it."""
    stamps = self.stamps[clip]
    for frame in self._stream_frames:
      self._next += 1
      if stamps is None and self._next <= k:
        continue
      if stamps and (frame.pts is None or frame.time_base is None):
        continue                       # of no packet: no frame that the file tells of
      seconds = stamps and frame.pts * frame.time_base
      if stamps is None or seconds == stamps[k]:
        self._next = k + 1
        return frame if self._layout is None else video_reader.to_array(frame, self._layout)
      if seconds > stamps[k]:
        break
    self._open_clip = None
    raise video_reader.UnreadableVideo(f'{self.paths[clip]}: frame {k} (from 0) cannot be decoded')

  def _close(self):
    """Give the decoder back now: left to Python's collector, some ten of them pile up."""
    self._stream_frames = None
    if self._container is not None:
      self._container.close()
    self._container = None

  def _go_to(self, clip, k, late=None):
    """Place the decoder at the key frame before frame `k` of a clip.

    late: PacketCounts from a key frame that was too late, as frames shown before it are stored
      behind it and refer to those before: the key frame before is taken.
    """
    path, stamps = self.paths[clip], self.stamps[clip]
    self._close()
    self._counts, self._sought = video_reader.PacketCounts(), False
    if cptv_files.is_cptv(path):
      self._open_clip, self._next, self._layout = clip, 0, None
      self._stream_frames = (frame for frame, _ in video_reader.read_video(path, 'stop'))
      return
    # opened anew: after a seek some decoders still hand out frames from before it
    self._container, stream = video_reader.open_stream(path)
    self._open_clip, self._next = clip, 0
    self._layout = video_reader.layout_of(self._container, stream, path)
    if stamps and k:
      first = [x for x in (*late.slots[:1], *late.stamps[:1]) if x is not None] if late else []
      self._container.seek(min(first) - 1 if first else int(stamps[k] / stream.time_base),
                           stream=stream)
      self._sought = True
    self._stream_frames = video_reader.decoded(self._container, stream, path, counts=self._counts)

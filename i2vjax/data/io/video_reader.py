"""Reading video files (PyAV): facts, and frames in order.

What a film says about how it is shown (`video_layout`) is followed here, for every frame that
leaves this module; `VideoInfo` has the size after it. Nobody else turns a frame.
"""

import dataclasses
import os
import warnings
from collections.abc import Iterator
from fractions import Fraction

import av
import numpy as np

from i2vjax.core import notes
from i2vjax.data.io import cptv_files, film_kinds, joined_films, video_layout, video_times
from i2vjax.data.io.film_kinds import is_video
from i2vjax.data.io.video_decoding import (
  UnreadableVideo,
  decoded,
  layout_of,
  open_stream,
  refused,
  whole_frames,
)
from i2vjax.data.io.video_layout import to_array
from i2vjax.data.io.video_times import PacketCounts, time_stamps
from i2vjax.data.io.video_writer import VideoWriter

__all__ = ['PacketCounts', 'UnreadableVideo', 'VideoInfo', 'VideoWriter', 'decoded', 'is_video',
           'layout_of', 'open_stream', 'read_video', 'refused', 'time_stamps', 'to_array',
           'video_info']


@dataclasses.dataclass(frozen=True)
class VideoInfo:
  """Facts about a file.

  Attributes:
    path: the file. height, width: of the frames as read, without padding and after rotation.
    frames: their number.
    rate: mean frames per second, a Fraction. seconds: from the first frame to the end of the last.
    channels: 1 or 3. dtype: 'uint8' | 'uint16'. codec: its name.
    variable: True if the time between frames varies by more than 5 ms.
    pause: seconds that a frame is shown at most.
    ending: the usual one of files of its kind, by its content.
    pixel_aspect: width of a pixel by its height, as it is shown.
    start: seconds, of the first frame. origin: seconds, where picture or sound begins.
    others: kinds of the other streams: 'audio', 'subtitle', 'data', ...
    shifts: of a file of films put one behind the other: seconds added to the times of each film
      after the first one, so that they go on.
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
  pixel_aspect: Fraction = Fraction(1)
  start: float = 0.0
  origin: float = 0.0
  others: tuple[str, ...] = ()
  shifts: tuple[float, ...] = ()
  pause: float = 0.0
  ending: str = ''


def video_info(path: str | os.PathLike) -> VideoInfo:
  """VideoInfo of a file.

  Reads all packets and decodes one frame; where packets do not say how many frames there are (AVI,
  transport streams, half pictures), all are decoded.
  """
  if cptv_files.is_cptv(path):
    return _cptv_info(path)
  with refused(path):
    return _info(path)


def _info(path):
  container, stream = open_stream(path)
  with container:
    stamps, last, place = video_times.packet_times(container, stream)
    joined_films.say_unread(path, container.format.name, place)
    kind, codec = layout_of(container, stream, path).kind, stream.codec_context.name
    stated = stream.average_rate
    others = tuple(other.type for other in container.streams if other.type != 'video')
    begin = None if container.start_time is None else container.start_time / av.time_base
    end, ending = _stated_end(container, stream), film_kinds.ending_of(container.format.name)
  counts = PacketCounts()
  stamps = stamps or [Fraction(x).limit_denominator(10 ** 6) for x in _decoded_times(path, counts)]
  if not stamps:
    raise UnreadableVideo(f'{path} holds no frame that can be decoded')
  rate = video_times.rate_of(stamps, stated)
  steps = np.diff([float(x) for x in stamps])
  usual = Fraction(float(np.median(steps))) if len(steps) else 1 / rate
  stop = stamps[-1] + (last or usual.limit_denominator(video_times.FASTEST))
  stop = stop if end is None else max(stop, end)
  (height, width), aspect = _shown(path)
  return VideoInfo(str(path), height, width, len(stamps), rate, float(stop - stamps[0]), kind[1],
                   kind[2], codec, bool(len(steps) and np.ptp(steps) > 0.005), aspect,
                   float(stamps[0]), _origin(path, float(stamps[0]), begin), others,
                   tuple(counts.shifts), float(max([stop - stamps[-1], *steps])), ending)


def _stated_end(container, stream):
  """Where an AVI says that its film ends: frames dropped at the end have no packet. Others: None.
  """
  if container.format.name != 'avi' or not stream.duration:
    return None
  return stream.duration * stream.time_base


def _origin(path, first, stated):
  """Where picture or sound begins, in seconds; `first`: the picture. Some files do not state it."""
  if stated is not None:
    return min(stated, first)
  container, _ = open_stream(path)
  with container:
    for packet in container.demux(*container.streams.audio) if container.streams.audio else ():
      if packet.size and packet.pts is not None:
        return min(first, float(packet.pts * packet.time_base))
  return first


def frame_times(path: str | os.PathLike) -> list[float]:
  """The times in seconds of all frames, those that are damaged too, by decoding them."""
  if cptv_files.is_cptv(path):
    return [seconds for _, seconds in _read_cptv(path)]
  return _decoded_times(path, PacketCounts())


def _decoded_times(path, counts):
  with warnings.catch_warnings():
    warnings.simplefilter('ignore')       # said when the frames are read
    container, stream = open_stream(path)
    with container, refused(path):
      return [seconds for _, seconds in _times(container, stream, path, 'skip', counts, say=False)]


def frame_size(path: str | os.PathLike) -> tuple[int, int]:
  """(height, width) of the frames as read."""
  return _shown(path)[0]


def _shown(path):
  """((height, width), aspect of pixels) of the first frame, turned."""
  if cptv_files.is_cptv(path):
    return next(_read_cptv(path))[0].shape[:2], Fraction(1)
  container, stream = open_stream(path)
  with container, refused(path), warnings.catch_warnings():
    warnings.simplefilter('ignore')
    layout = layout_of(container, stream, path)
    for frame in decoded(container, stream, path, 'skip', say=False):
      turned = video_layout.is_quarter_turned(frame, layout.path)
      return to_array(frame, layout).shape[:2], video_layout.pixel_aspect(stream, turned)
  raise UnreadableVideo(f'{path} holds no frame that can be decoded')


def say_pictures(info: VideoInfo) -> None:
  """Say what pictures lose of the film whose frames they are: the shape of pixels, and pauses."""
  aspect = info.pixel_aspect
  if aspect != 1:
    width = round(info.width * aspect)
    notes.say_once(f'{info.path}: its pixels are {aspect.numerator}:{aspect.denominator}, not '
                   f'square; frames are {info.width}x{info.height} as stored, players show '
                   f'{width}x{info.height}')
  if info.variable:
    notes.say_once(f'{info.path}: the time between its frames varies, and pictures do not tell: '
                   'frames follow each other as if it did not')


def read_video(path: str | os.PathLike, damaged: str | None = None, deinterlace: bool = False,
               holes: bool = False) -> Iterator[tuple[np.ndarray | None, float]]:
  """The frames of a video in order, one at a time in memory.

  Args:
    path: the file.
    damaged: what to do with a frame that cannot be decoded or is missing: 'stop' raises
      UnreadableVideo with its number, 'skip' warns, with the number of those missing, and goes on.
      None: as 'stop', but a file that merely begins late or ends early gives what it has, with a
      warning.
    deinterlace: make whole frames of the two half pictures in each (FFmpeg's bwdif), as many.
    holes: on 'skip', None stands for each frame that the decoder says is damaged.

  Yields:
    (frame, seconds): uint8 [H, W, 1 or 3] or uint16 [H, W, 1], and its presentation time.

  Raises:
    UnreadableVideo: see `damaged`. UserError: frames change their size, or are to be shown turned
    by something else than quarter turns.
  """
  if cptv_files.is_cptv(path):
    yield from _read_cptv(path, damaged)
    return
  container, stream = open_stream(path)
  with container, refused(path):
    layout, counts, stamps = layout_of(container, stream, path), PacketCounts(), []
    for frame, seconds in _times(container, stream, path, damaged, counts, deinterlace):
      if frame is None:
        if holes:
          yield None, seconds
        continue
      if not stamps and (late := video_times.leading(counts)):
        _report_late(path, late, damaged, video_times.packets_are_frames(container, stream))
      stamps.append(seconds)
      yield to_array(frame, layout), seconds
    if not stamps:
      raise UnreadableVideo(f'{path} holds no frame that can be decoded')
    lost = video_times.count_missing(path, container, stream, stamps, counts)
    lost -= video_times.leading(counts)            # said at the beginning
  if lost <= counts.damaged and video_times.is_cut_off(path, counts):
    _report_cut(path, len(stamps), damaged)
  if lost <= counts.damaged:    # those were reported one by one
    return
  total = len(stamps) + lost
  if damaged == 'stop':
    raise UnreadableVideo(f'{path}: frame {len(stamps)} (from 0) is missing, and so is what comes '
                          f'after it: the file should hold about {total} frames. It was cut short '
                          'or is damaged')
  warnings.warn(f'{path}: {lost} of about {total} frames are missing; the file was cut short or is '
                'damaged', stacklevel=2)


def _report_cut(path, count, damaged):
  what = (f'{path} was cut short: it ends before it says, and frames may be missing after the '
          f'first {count}')
  if damaged == 'stop':
    raise UnreadableVideo(what)
  warnings.warn(what, stacklevel=3)


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
  rate = video_times.rate_of([Fraction(x).limit_denominator(1000) for x in stamps], cptv_files.RATE)
  steps = np.diff(stamps)
  return VideoInfo(str(path), shape[0], shape[1], len(stamps), rate, len(stamps) / float(rate), 1,
                   'uint16', 'cptv', bool(len(steps) and np.ptp(steps) > 0.005),
                   ending=cptv_files.ENDING)


def _report_late(path, late, damaged, exact):
  """Frames before the first key frame: missing in a file, usual where a broadcast was cut."""
  what = (f'{path}: the first {late} frames (from 0) cannot be decoded, as no key frame comes '
          'before them')
  if damaged == 'stop' and exact:
    raise UnreadableVideo(what)
  warnings.warn(what, stacklevel=3)


def _times(container, stream, path, damaged, counts, deinterlace=False, say=True):
  """(frame of PyAV, seconds) from the container's position on; films in one file go on.

  None for damaged frames, evenly between those before and after.
  """
  clock = video_times.GoingOn(stream.average_rate or Fraction(25), counts.shifts)
  stated = _stated_times(container, stream, path, damaged, counts, deinterlace, say)
  step, holes = float(1 / (stream.average_rate or 25)), 0
  for frame, seconds in stated:
    if frame is None:
      holes += 1
      continue
    if say and clock.falls(seconds):
      notes.say_once(f'{path}: its times fall back at {clock.last:.2f} s (files put one behind the '
                     'other?): what follows goes on there')
    before, now = clock.last, clock.place(seconds)
    before = now - (holes + 1) * step if before is None else before
    yield from ((None, float(x)) for x in np.linspace(before, now, holes + 2)[1:-1])
    holes = 0
    yield frame, now
  if clock.last is not None:
    yield from ((None, clock.last + (k + 1) * step) for k in range(holes))


def _stated_times(container, stream, path, damaged, counts, deinterlace, say):
  """`_times` as the file has them, without any for damaged frames."""
  is_avi, tick = container.format.name == 'avi', stream.time_base
  rate = stream.average_rate or Fraction(25)
  frames = decoded(container, stream, path, damaged, counts, say and not deinterlace, holes=True)
  if deinterlace:
    frames = whole_frames(frames, stream)
  for k, frame in enumerate(frames):
    if frame is None:
      yield None, None
      continue
    # AVI has decoding times alone. Where they are not those of the frames as well, frames may be
    # stored in another order than they are shown in: the times belong to the order shown
    if is_avi and counts.stamps != counts.slots and k < len(counts.slots):
      yield frame, float(counts.slots[k] * tick)
    else:
      yield frame, float(k / rate if frame.time is None else frame.time)

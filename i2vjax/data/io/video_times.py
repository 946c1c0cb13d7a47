"""Times of the frames of a film, and how many are missing.

A packet is a coded frame in most films, but not in all: some hold half a frame, or one that is
never shown. Where a file cannot say by its packets how many frames it has, it is decoded.
"""

import collections
import dataclasses
import os
from fractions import Fraction

import av
import numpy as np

from i2vjax.data.io import film_ends, joined_films

CUT_SHORT_SECONDS = 0.5       # frames that end so long before the file does: it was cut short
EXACT = ('mp4', 'matroska')   # formats with an index and exact times
HIDDEN = ('vp8', 'mpeg4')     # codecs with packets that hold no frame of their own
PROGRESSIVE = (0, 1)          # numbers of the field orders 'unknown' and 'progressive'
EBML, SEGMENT = b'\x1aE\xdf\xa3', b'\x18S\x80g'   # marks of Matroska
Y4M, MOST_LINE = b'YUV4MPEG2 ', 4096     # mark of Y4M; bytes of a line in front of its frames
MULTIPART = b'--'             # in front of every part
JITTER = 3                    # frames that times may fall back without a new film having begun
FASTEST = 90_000              # frames per second that our writer can state: its ticks


@dataclasses.dataclass
class PacketCounts:
  """What was read of a film so far: coded frames, how many were damaged, their times.

  Attributes:
    stamps: presentation times of packets in ticks, in the order of the file; None: not stated.
    slots: decoding times; in AVI the only ones. Dropped frames are packets without content there.
    first: presentation time of the first decoded frame.
    shifts: seconds added to the times of each film that follows the first one in the file.
    length: ticks that the latest frame is shown, as its packet states; 0: not stated.
    place: the byte where the last packet begins, 0 where it is not known. size: its bytes.
  """

  packets: int = 0
  damaged: int = 0
  stamps: list = dataclasses.field(default_factory=list)
  slots: list = dataclasses.field(default_factory=list)
  first: int | None = None
  shifts: list = dataclasses.field(default_factory=list)
  length: int = 0
  place: int = 0
  size: int = 0
  _latest: int | None = None

  def add(self, packet: av.Packet) -> None:
    """Note a packet of the stream."""
    if not packet.size:
      return
    self.packets += 1
    self.place, self.size = packet.pos or 0, packet.size
    if packet.is_discard:
      return
    self.stamps.append(packet.pts)
    self.slots.append(packet.dts)
    if packet.pts is not None and (self._latest is None or packet.pts >= self._latest):
      self._latest, self.length = packet.pts, packet.duration or 0


class GoingOn:
  """Times that go on where files were put one behind the other (`cat a.ts b.ts`, parts of a DVD).

  Such a file has the times of each part, which begin anew. Falls of up to `JITTER` frames are left:
  damaged recordings have them.
  """

  def __init__(self, rate: Fraction, shifts: list[float]):
    """rate: as stated, until times tell. shifts: gets one entry for each part after the first."""
    self.shifts, self.last = shifts, None
    self._steps = collections.deque([float(1 / rate)], maxlen=9)

  def falls(self, seconds: float) -> bool:
    """True if the next time of the file begins a new part."""
    seconds += self.shifts[-1] if self.shifts else 0.0
    return self.last is not None and self.last - seconds > JITTER * float(np.median(self._steps))

  def place(self, seconds: float) -> float:
    """The next time of the file, in seconds, as one that goes on."""
    if self.falls(seconds):           # one frame after the latest
      self.shifts.append(self.last + float(np.median(self._steps)) - seconds)
    seconds += self.shifts[-1] if self.shifts else 0.0
    if self.last is not None and seconds > self.last:
      self._steps.append(seconds - self.last)
    self.last = seconds if self.last is None else max(self.last, seconds)
    return seconds


def is_exact(container) -> bool:
  """True for formats that can be sought and state presentation times."""
  return any(kind in EXACT for kind in container.format.name.split(','))


def packets_are_frames(container, stream) -> bool:
  """True where every packet is one frame that is shown."""
  context = stream.codec_context
  return (is_exact(container) and context.name not in HIDDEN
          and context.field_order in PROGRESSIVE)


def time_stamps(container, stream) -> list[Fraction] | None:
  """Presentation times of all frames in seconds, ascending; packets are read but not decoded.

  None where the packets do not say.
  """
  return packet_times(container, stream)[0]


def packet_times(container, stream) -> tuple[list[Fraction] | None, Fraction, int]:
  """(`time_stamps`, seconds that the last frame is shown, a byte of the last packet: of MP4 the one
  behind it, of others where it begins).

  The seconds and the byte are 0 where the file does not say.
  """
  trusted, tick = packets_are_frames(container, stream), stream.time_base
  is_mp4 = 'mp4' in container.format.name          # others count bytes in several ways
  try:
    read = [(packet.pts, packet.duration or 0, packet.dts,
             (packet.pos or 0) + is_mp4 * packet.size)
            for packet in container.demux(stream) if packet.size and not packet.is_discard]
  except av.FFmpegError:     # cut off: decoding tells what is there
    read = []
  packets = [(pts, duration) for pts, duration, *_ in read]
  slots = [dts for *_, dts, _ in read if dts is not None]
  place = max((place for *_, place in read), default=0)
  trusted = trusted and slots == sorted(slots)     # else files that were put one behind the other
  stamps = [pts for pts, _ in packets]
  if not tick or not stamps or None in stamps or not is_exact(container):
    return None, Fraction(0), place
  packets.sort()
  last = packets[-1][1] * tick
  if not trusted or len(set(stamps)) < len(stamps):
    return None, last, place
  return [pts * tick for pts, _ in packets], last, place


def rate_of(stamps: list[Fraction], stated: Fraction | None) -> Fraction:
  """Frames per second: as stated in the file, if the time stamps agree (in .mkv whole ms).

  From 1 / 1001 to `FASTEST`: strange or damaged times lead to rates that no writer can state.
  """
  if len(stamps) < 2 or stamps[-1] <= stamps[0]:
    return possible(Fraction(stated or 25))
  measured = Fraction(len(stamps) - 1) / (stamps[-1] - stamps[0])
  step = Fraction(1, 1000) / (stamps[-1] - stamps[0])
  close = stated and abs(measured / stated - 1) <= step
  return possible(Fraction(stated) if close else measured.limit_denominator(1001))


def possible(rate: Fraction) -> Fraction:
  """The next rate that a writer can state: 1 / 1001 to `FASTEST` frames per second."""
  return min(max(rate, Fraction(1, 1001)), Fraction(FASTEST))


def leading(counts: PacketCounts) -> int:
  """Coded frames before the first that could be decoded: no key frame comes before them."""
  if counts.first is None or None in counts.stamps:
    return 0
  return sum(stamp < counts.first for stamp in counts.stamps)


def count_missing(path: str | os.PathLike, container, stream, stamps: list[float],
                  counts: PacketCounts) -> int:
  """How many frames are missing, as far as the file says.

  MP4 states its number of frames, and which of them are shown. Others state their duration: frames
  that end well before it were cut off. Gaps between frames count only where damage was met, since
  cameras pause.

  Args:
    path, container, stream: the film, read to its end.
    stamps: presentation times in seconds of the decoded frames, ascending, at least one.
    counts: of the whole file.
  """
  lost = counts.damaged
  if packets_are_frames(container, stream):
    lost = max(lost, len(counts.stamps) - len(stamps))
  if 'mp4' in container.format.name and stream.frames:
    # the index has them all, but for those that an edit list leaves out; cut files have it whole
    listed = min(stream.frames, len(stream.index_entries) or stream.frames)
    return lost + max(listed - counts.packets, 0)
  steps = np.diff(stamps)
  usual = float(np.median(steps)) if len(steps) else float(1 / (stream.average_rate or 25))
  if usual <= 0:
    return lost
  inner = int(np.sum(np.rint(steps[steps > 0] / usual) - 1)) if counts.damaged else 0
  shown = max(usual, _last_shown(path, container, stream, counts))
  tail = _end(container, stream, stamps[-1]) - stamps[-1] - shown
  cut_off = round(tail / usual) if tail > CUT_SHORT_SECONDS - usual else 0
  return max(lost, inner + cut_off)


def _last_shown(path, container, stream, counts):
  """Seconds that the last frame is shown, as the file states it; 0 where it does not."""
  if container.format.name == 'avi' and counts.place:
    with open(path, 'rb') as file:
      dropped = film_ends.dropped_frames(file, counts.place + counts.size)
    return float((1 + dropped) * stream.time_base)
  return float(counts.length * stream.time_base)


def _end(container, stream, seconds):
  """The end of the video in seconds, as the file states it; `seconds` where it does not."""
  if stream.duration:
    return float((stream.duration + (stream.start_time or 0)) * stream.time_base)
  if container.duration and len(container.streams) == 1:
    return container.duration / av.time_base
  return seconds


def is_cut_off(path: str | os.PathLike, counts: PacketCounts | None = None) -> bool:
  """True for a Matroska file that ends before the end that it states in its head.

  Also for Y4M, by the `counts` of the whole file, and JPEG in parts that end inside a frame. At the
  end of one nobody can tell: recordings of cameras end there.
  """
  with open(path, 'rb') as file:
    head = file.read(4096)
    file.seek(max(0, os.path.getsize(path) - len(head)))
    tail = file.read()
  if head.lstrip().startswith(MULTIPART):
    return (joined_films.first_end(path, 'mpjpeg') is None
            and not film_ends.ends_in_picture(tail))
  if head.startswith(Y4M):
    return bool(counts and counts.place) and _ends_in_y4m(path, counts)
  if not head.startswith(EBML):
    return False
  length, start = _matroska_number(head, len(EBML))
  segment = start + (length or 0)
  if head[segment:segment + len(SEGMENT)] != SEGMENT:
    return False
  length, start = _matroska_number(head, segment + len(SEGMENT))
  return length is not None and start + length > os.path.getsize(path)


def _ends_in_y4m(path, counts):
  """True if something follows the last whole frame: FFmpeg leaves out what is no whole frame."""
  with open(path, 'rb') as file:
    file.seek(counts.place)
    head = file.readline(MOST_LINE)
  end = joined_films.first_end(path, 'yuv4mpegpipe') or os.path.getsize(path)
  return counts.place + len(head) + counts.size < end


def _matroska_number(data, place):
  """(a number of Matroska, None for one that says it is not known; the place after it)."""
  first = data[place] if place < len(data) else 0
  size = 9 - first.bit_length()                  # leading zeros tell how many bytes follow
  bits = 7 * size
  value = int.from_bytes(data[place:place + size], 'big') & ((1 << bits) - 1)
  return (None if value == (1 << bits) - 1 else value), place + size

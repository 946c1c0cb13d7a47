"""Decoding films (PyAV): opening them, damaged frames, half pictures."""

import collections
import contextlib
import dataclasses
import functools
import io
import os
import warnings
from collections.abc import Iterable, Iterator

import av

from i2vjax.core import files, notes
from i2vjax.core.errors import UserError
from i2vjax.data.io import (
  damage,
  film_ends,
  film_kinds,
  hidden_damage,
  joined_films,
  video_layout,
)
from i2vjax.data.io.video_times import PacketCounts


class UnreadableVideo(UserError):   # noqa: N818 (named as it reads in a message)
  """A file that is no video, or is damaged; the message names file and frame."""


OPTIONS = {'max_pixels': str(damage.MOST_PIXELS)}
# Titles need not be UTF-8 (Latin-1 of older programs). PyAV 19 keeps such bytes.
TITLES = {'metadata_errors': 'replace'} if int(av.__version__.split('.')[0]) < 19 else {}
MOST_SECONDS = 1e10            # of a frame's time, which may count from 1970


def open_film(path: str | os.PathLike) -> av.container.InputContainer:
  """A file opened by FFmpeg as a film, its first one, and nothing else. Raises: FFmpegError."""
  film = _opened(files.for_ffmpeg(path), 'file', film_kinds.stated_format(path))
  end = joined_films.first_end(path, film.format.name)
  unpacked = film_ends.unpacked_flash(path) if film.format.name == 'swf' else None
  if end is None and unpacked is None:
    return film
  film.close()
  if unpacked is not None:    # FFmpeg reads packed ones too, but not the end of their last picture
    return _opened(io.BytesIO(unpacked), 'file', 'swf')
  return _opened(f'subfile,,start,0,end,{end},,:{files.for_ffmpeg(path)}', 'subfile,file')


def _opened(address, protocols, kind=None):
  return av.open(address, format=kind, options=OPTIONS, **TITLES,
                 container_options={'format_whitelist': film_kinds.FORMATS,
                                    'protocol_whitelist': protocols})


@contextlib.contextmanager
def refused(path: str | os.PathLike) -> Iterator[None]:
  """What FFmpeg raises of a damaged file inside becomes an UnreadableVideo that names the file."""
  try:
    yield
  except (av.FFmpegError, MemoryError, UnicodeDecodeError, OverflowError) as error:
    what = getattr(error, 'strerror', None) or str(error) or type(error).__name__
    raise UnreadableVideo(f'{path} cannot be opened as a video: {what}. It is damaged, cut short, '
                          'or of another kind.') from error


def open_stream(path: str | os.PathLike):
  """(container, its first stream of moving pictures); covers of films are none."""
  if os.path.islink(path) and not os.path.exists(path):
    raise UnreadableVideo(f'{path} is a link to nothing ({os.readlink(path)})')
  if not os.path.isfile(path):
    raise FileNotFoundError(f'No such video: {path}')
  try:
    with open(path, 'rb'), refused(path):
      container = open_film(path)
  except PermissionError as error:
    raise UnreadableVideo(f'{path} cannot be opened ({error.strerror}): make it readable') from (
        error)
  films = [stream for stream in container.streams.video
           if not stream.disposition & av.stream.Disposition.attached_pic]
  streams = [stream for stream in films if stream.codec_context is not None]
  if not streams:
    container.close()
    raise UnreadableVideo(f'{path} has no video stream'
                          + (' of a codec that is known here' if films else ''))
  context = streams[0].codec_context
  if damage.too_large(context.height, context.width):
    container.close()
    raise UnreadableVideo(damage.size_text(context.height, context.width, path))
  if len(streams) > 1:
    notes.say_once(f'{path} holds {len(streams)} films; the first is read. Another one, as a file: '
                   f'ffmpeg -i {path} -map 0:v:1 -c copy NEW.mkv')
  streams[0].thread_type, context.options = 'AUTO', OPTIONS
  return container, streams[0]


def layout_of(container, stream, path: str | os.PathLike) -> video_layout.Layout:
  """The Layout of a stream that was just opened; deep colors that are gray keep their bits.

  A file of more than 8 bits a color is decoded for it, up to the first frame that has colors.
  """
  layout, bits = video_layout.layout_of(container, stream, path), video_layout.bits_of(stream)
  if layout.kind[1] == 1 or bits <= 8:
    return layout
  if os.path.isfile(path):
    state = os.stat(path)
    if _all_gray(str(path), state.st_mtime_ns, state.st_size):
      return dataclasses.replace(layout, kind=video_layout.DEEP_GRAY)
  notes.say_once(f'{path}: its {bits} bits a color are read as 8')
  return layout


@functools.lru_cache(maxsize=1024)
def _all_gray(path, *_):
  """True for a film of RGB with frames that are all gray."""
  some = False
  container, stream = open_stream(path)
  with container, contextlib.suppress(av.FFmpegError, MemoryError):   # whoever reads on tells
    for frame in container.decode(stream):
      some = video_layout.is_deep_gray(frame)
      if not some:
        break
  return some


def decoded(container, stream, path: str | os.PathLike, damaged: str | None = 'stop',
            counts: PacketCounts | None = None, say: bool = True,
            holes: bool = False) -> Iterator[av.VideoFrame | None]:
  """Decoded frames from the container's position on.

  Frames of another size than the film's are refused.

  Args:
    container, stream: from `open_stream`.
    path: for messages.
    damaged: 'stop' raises UnreadableVideo at a damaged frame, 'skip' warns and leaves it out. None:
      as 'stop', but a JPEG that is torn because the file ends there is left out, with a warning.
    counts: incremented on the way.
    say: say once that a film is interlaced.
    holes: on 'skip', None stands for each damaged frame.
  """
  count, counts = 0, counts or PacketCounts()
  # before decoding changes what the stream says
  layout = video_layout.layout_of(container, stream, path)
  wrong = hidden_damage.WrongChecksums(stream)
  torn = hidden_damage.TornJpegs(stream, lambda: open_stream(path))
  held = ''                          # what is wrong with a torn frame, until another one follows

  def report(what, cause=None, rule=damaged or 'stop'):
    counts.damaged += 1
    if rule == 'stop':
      raise UnreadableVideo(f'{path}: frame {what}') from cause
    warnings.warn(f'{path}: frame {what}', stacklevel=5)

  def leave_out(*what):
    report(*what)
    yield from [None] * holes
  for packet in _packets(container, stream, report, counts):
    counts.add(packet)
    wrong.look_at(packet)
    torn.look_at(packet)
    try:
      frames, error = packet.decode(), None
    except av.FFmpegError as failed:
      frames, error = [], failed
    if held and error:
      yield from leave_out(held)
      held = ''
    if error:
      yield from leave_out(f'{count} (from 0) cannot be decoded: {error.strerror}', error)
      count += holes
    for frame in frames:
      count += 1
      if not all(layout.coded):        # not known before: then all are as the first
        layout = dataclasses.replace(layout, coded=(frame.height, frame.width))
      counts.first = frame.pts if counts.first is None else counts.first
      video_layout.check(frame, layout)
      if frame.interlaced_frame and say:
        _say_interlaced(path)
      if held:
        yield from leave_out(held)
        held = ''
      if frame in torn:
        held = f'{count - 1} (from 0) cannot be decoded: it was cut short, a JPEG without its end'
      elif frame.is_corrupt or frame in wrong or abs(frame.time or 0) > MOST_SECONDS:
        yield from leave_out(f'{count - 1} (from 0) is damaged')
      else:
        yield frame
  if held:
    yield from leave_out(held, None, damaged or 'skip')


def _packets(container, stream, report, counts):
  try:
    yield from container.demux(stream)
  except av.FFmpegError as error:
    report(f'after packet {counts.packets} cannot be found, nor what follows: {error.strerror}',
           error)


def _say_interlaced(path):
  notes.say_once(f'{path} is interlaced: each frame holds two half pictures of different moments, '
                 'and is read as it is. translate and prepare make whole frames with --deinterlace')


def whole_frames(frames: Iterable[av.VideoFrame | None], stream
                 ) -> Iterator[av.VideoFrame | None]:
  """Frames of half pictures as whole ones (bwdif); one for each that goes in, one late.

  Args:
    frames: decoded frames in order, None for those that are damaged. stream: theirs.
  """
  count, holes = 0, collections.deque()     # of frames that went in, and before each hole

  def without_holes():
    nonlocal count
    for frame in frames:
      if frame is None:
        holes.append(count)
      else:
        count += 1
        yield frame
  for k, frame in enumerate(_deinterlaced(without_holes(), stream)):
    while holes and holes[0] <= k:
      holes.popleft()
      yield None
    yield frame
  yield from [None] * len(holes)


def _deinterlaced(frames, stream):
  graph = av.filter.Graph()
  ends = graph.add_buffer(template=stream), graph.add('bwdif', 'mode=send_frame:deint=all')
  graph.link_nodes(*ends, graph.add('buffersink')).configure()
  for frame in frames:
    graph.push(frame)
    yield from _pulled(graph)
  graph.push(None)
  yield from _pulled(graph)


def _pulled(graph):
  with contextlib.suppress(av.BlockingIOError, av.EOFError):
    while True:
      yield graph.pull()

"""What a film says about how its frames are shown.

Followed or refused: turn and mirroring (phones), limited range of gray, sides without padding.
Colors are converted by the matrix and the range that each frame states. The shape of pixels is not
applied: frames are as they are stored, and writers hand the shape on.
"""

import dataclasses
import os
import re
from fractions import Fraction

import av
import numpy as np
from av.sidedata.sidedata import Type

from i2vjax.core import notes
from i2vjax.core.errors import UserError

SIZE_TAG = 'i2vjax size'      # in the comment of files whose frames were padded to even sides
LIMITED = 1                   # number of the range in which 16 is black and 235 white, of 8 bits
HDR = {16: 'PQ', 18: 'HLG'}   # numbers of the transfer curves of H.273 that need tone mapping
RIGHT_ANGLE = 0.01            # share of a turn's matrix that counts as zero
# Threads that convert one frame's colors. PyAV takes one for each core, begun anew for every frame:
# at 256 pixels that is four fifths of the time, and frames are read and written side by side anyway
CONVERTING = 1
MOST_SIDE_DATA = 48           # kinds of FFmpeg's side data of frames; version 8 has 32
# Kind of frames that hold 16 bits of gray as three equal colors (PNG, FFV1). Not gray16le, on the
# way to which colors are weighed and rounded
DEEP_GRAY = 'rgb48le', 1, 'uint16'


@dataclasses.dataclass(frozen=True)
class Layout:
  """How frames of a stream become arrays.

  Attributes:
    path: the file, for messages.
    kind: (PyAV format, channels, dtype).
    coded: (height, width) of decoded frames. size: the same without padding; turned later.
  """

  path: str
  kind: tuple[str, int, str]
  coded: tuple[int, int]
  size: tuple[int, int]


def layout_of(container, stream, path: str | os.PathLike) -> Layout:
  """The Layout of a stream that was just opened."""
  coded = stream.codec_context.height, stream.codec_context.width
  return Layout(str(path), kind_of(stream), coded, size_of(container, stream))


def bits_of(stream) -> int:
  """Bits of a color, at most, as they are stored; 0 where the file does not say."""
  form = stream.codec_context.format
  return max(part.bits for part in form.components) if form else 0


def is_deep_gray(frame: av.VideoFrame) -> bool:
  """True for a frame of RGB whose three colors are equal at every pixel, in all their bits."""
  if not frame.format.is_rgb:
    return False
  colors = frame.to_ndarray(format=DEEP_GRAY[0], threads=CONVERTING)
  return bool((colors == colors[..., 1:2]).all())


def kind_of(stream) -> tuple[str, int, str]:
  """(PyAV format, channels, dtype) that the frames of a stream are converted to."""
  name = stream.codec_context.pix_fmt or ''
  if name in ('gray', 'gray8', 'monow', 'monob'):
    return 'gray', 1, 'uint8'
  if name.startswith(('gray', 'ya16')):   # gray10le, gray16le, ya16be: spread over 16 bits
    return 'gray16le', 1, 'uint16'
  return 'rgb24', 3, 'uint8'


def size_of(container, stream) -> tuple[int, int]:
  """(height, width) without padding, before a turn: our writer notes it where it had to pad.

  The note outlives other programs, so it counts only where the frames have just the padded size.
  """
  coded = stream.codec_context.height, stream.codec_context.width
  match = re.search(SIZE_TAG + r' (\d{1,6})x(\d{1,6})', container.metadata.get('comment', ''))
  if match:
    size = int(match.group(2)), int(match.group(1))
    if coded == tuple(side + side % 2 for side in size):
      return size
  return coded


def pixel_aspect(stream, quarter_turned: bool) -> Fraction:
  """Width of a pixel by its height, as shown; 1 where the file does not say."""
  aspect = stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio or 0
  if aspect <= 0:
    return Fraction(1)
  return 1 / Fraction(aspect) if quarter_turned else Fraction(aspect)


def check(frame: av.VideoFrame, layout: Layout) -> None:
  """Refuse a frame of another size than the film's; say what is not followed.

  Raises:
    UserError: the sizes change inside the film.
  """
  size = frame.height, frame.width
  if all(layout.coded) and size != layout.coded:
    height, width = layout.coded
    raise UserError(f'{layout.path}: its size changes from {width}x{height} to {frame.width}x'
                    f'{frame.height} pixels at {frame.time or 0:.2f} s. Cut it there, or give it '
                    f'one size: ffmpeg -i {layout.path} -vf scale={width}:{height} NEW.mp4')
  if frame.color_trc in HDR:
    notes.say_once(f'{layout.path}: HDR ({HDR[frame.color_trc]}) is read without tone mapping: '
                   'colors are paler than players show them')


def to_array(frame: av.VideoFrame, layout: Layout) -> np.ndarray:
  """Decoded frame -> uint8 [H, W, 1 or 3] or uint16 [H, W, 1], turned as the file asks."""
  try:
    array = frame.to_ndarray(format=layout.kind[0], threads=CONVERTING)
  except (av.FFmpegError, ValueError, MemoryError) as error:
    raise UserError(f'{layout.path}: frames of the format {frame.format.name} cannot be converted '
                    f'({error}). Write it anew: ffmpeg -i {layout.path} -pix_fmt yuv420p NEW.mkv'
                    ) from error
  array = array[..., None] if array.ndim == 2 else array
  if layout.kind == DEEP_GRAY:
    array = _only_gray(array, frame, layout.path)
  if frame.color_range == LIMITED and frame.format.name.startswith('gray'):
    array = _full_range(array, frame.format.components[0].bits, layout.path)
  height, width = layout.size if all(layout.size) else array.shape[:2]
  transpose, rows, columns = _turn(frame, layout.path)
  array = array[:height, :width]
  array = array.swapaxes(0, 1) if transpose else array
  array = array[::-1] if rows else array
  return np.ascontiguousarray(array[:, ::-1] if columns else array)


def _only_gray(colors, frame, path):
  """One channel of three that are equal."""
  if (colors != colors[..., 1:2]).any():
    raise UserError(f'{path}: frames before the one at {frame.time or 0:.2f} s are gray, and it '
                    'is not. Give it 8 bits a color: '
                    f'ffmpeg -i {path} -pix_fmt bgr0 -c:v ffv1 NEW.mkv')
  return colors[..., 1:2]


def is_quarter_turned(frame: av.VideoFrame, path: str) -> bool:
  """True if a frame is shown with height and width exchanged."""
  return _turn(frame, path)[0]


def _turn(frame, path):
  """(transpose, turn the rows round, turn the columns round), in this order."""
  data = _side_data(frame).get(Type.DISPLAYMATRIX)
  if data is None:
    return False, False, False
  # a point (x, y) is shown at (a x + c y, b x + d y)
  a, b, _, c, d, *_ = (int(value) for value in np.frombuffer(bytes(data), np.int32))
  largest = max(map(abs, (a, b, c, d)))
  straight = max(abs(b), abs(c)) <= RIGHT_ANGLE * largest
  crossed = max(abs(a), abs(d)) <= RIGHT_ANGLE * largest
  if straight:                # a matrix of zeros says nothing
    return False, d < 0, a < 0
  if crossed:
    return True, b < 0, c < 0
  raise UserError(f'{path} is to be shown turned by {frame.rotation} degrees, and only quarter '
                  f'turns are followed. Take the turn out: ffmpeg -noautorotate -i {path} NEW.mp4')


def _side_data(frame):
  """What PyAV knows of a frame beside its pixels. Of a kind without a name there, such as Exif, it
  fails at all of them: then those are taken out, by FFmpeg's filter.
  """
  try:
    return frame.side_data
  except ValueError:
    pass
  graph = av.filter.Graph()
  source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format,
                            time_base=Fraction(1, 1))
  unnamed = sorted(set(range(MOST_SIDE_DATA)) - {kind.value for kind in Type})
  parts = [graph.add('sidedata', f'mode=delete:type={kind}') for kind in unnamed]
  graph.link_nodes(source, *parts, graph.add('buffersink')).configure()
  graph.push(frame)
  return graph.pull().side_data


def _full_range(array, bits, path):
  """Gray whose black and white are those of limited range, as full range; the converter leaves it.

  Args:
    array: 8 bits, or `bits` spread over 16.
  """
  white = np.iinfo(array.dtype).max
  unit = white / (2 ** bits - 1) * 2 ** (bits - 8)
  black, span = 16 * unit, 219 * unit
  values = (array.astype(np.float64) - black) * (white / span)
  if array.dtype == np.uint16 and array.min() < black / 2:
    notes.say_once(f'{path} states limited range (16 to 235 of 8 bits), but holds darker values, '
                   'which become black: should these be counts of a thermal camera, the statement '
                   'is wrong. Convert the film with ffmpeg -color_range pc -i')
  return np.rint(np.clip(values, 0, white)).astype(array.dtype)

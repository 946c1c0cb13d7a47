"""Reading and writing picture files.

Frames are `[H, W, C]` arrays: uint8 with C 1 or 3 (RGB), or uint16 with C 1 (thermal).
Radiometric JPEG are thermal: their temperatures are read, not the picture that they show.
"""

import contextlib
import os
import pathlib
from collections.abc import Iterator

import cv2
import numpy as np

from i2vjax.core import files, notes
from i2vjax.core.errors import UserError
from i2vjax.data.io import animation, picture_heads, picture_tags, radiometric, tiff
from i2vjax.data.io.damage import UnreadableFrame

EXTENSIONS = ('.jpg', '.jpeg', '.png', '.bmp', '.ppm', '.pgm', '.tif', '.tiff', '.webp')
# Of each kind whose pictures are frames, by `picture_heads`; of a GIF there may be several
USUAL_ENDINGS = {'PNG': '.png', 'JPEG': '.jpg', 'TIFF': '.tif', 'BMP': '.bmp', 'WEBP': '.webp',
                 'NETPBM': '.ppm'}
UNPACK = 'Unpack them: python -m i2vjax.main prepare --input {} --output FOLDER'

# OpenCV would print what is wrong with a picture, on top of the message that we raise.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def is_image(path: str | os.PathLike) -> bool:
  """True if the name ends like a picture (any case) and is not hidden."""
  path = pathlib.PurePath(path)
  return path.suffix.lower() in EXTENSIONS and not path.name.startswith('.')


def ending_of(path: str | os.PathLike) -> str:
  """The usual ending of the kind of picture that a file's content is; '' where it is no frame."""
  with open(path, 'rb') as file:
    return USUAL_ENDINGS.get(picture_heads.kind_of(file.read(picture_heads.MARK)), '')


def read_image(path: str | os.PathLike) -> np.ndarray:
  """A picture file as an array; gray stays gray, alpha is dropped.

  What the file says about how it is shown is followed: orientation and mirroring, white as zero
  (TIFF), the maximum of PGM and PPM.

  Returns:
    uint8 [H, W, 1 or 3] (RGB), or uint16 [H, W, 1]. Color of 16 bits is rounded to 8; where its
    three channels are equal it is thermal and keeps its 16 bits in one.

  Raises:
    FileNotFoundError: no such file. UnreadableFrame: damaged, not to be opened, a link to nothing,
    values that are not 8 or 16 bits, a TIFF of several pages, or an animation.
  """
  return decode_image(read_bytes(path), path)   # imread: ASCII names only on Windows


def read_bytes(path: str | os.PathLike) -> np.ndarray:
  """uint8 [N], the bytes of a picture file.

  Raises:
    FileNotFoundError: no such file. UnreadableFrame: a link to nothing, or not to be opened.
  """
  if os.path.islink(path) and not os.path.exists(path):
    raise UnreadableFrame(f'{path} is a link to nothing ({os.readlink(path)}). Restore the file or '
                          f'remove the link.')
  if not os.path.isfile(path):
    raise FileNotFoundError(f'No such picture: {path}')
  try:
    return np.fromfile(path, np.uint8)
  except OSError as error:
    raise UnreadableFrame(f'{path} cannot be opened ({error.strerror}). Make it readable or remove '
                          f'it.') from error


def decode_image(data: bytes | np.ndarray, name: str, as_drawn: bool = False) -> np.ndarray:
  """The bytes of a picture file as an array, as `read_image` returns it.

  Args:
    data: bytes, or uint8 [N]. name: file, for messages.
    as_drawn: of a radiometric JPEG the 8-bit picture that it shows.
  """
  data = np.frombuffer(data, np.uint8)
  if not as_drawn and radiometric.kind_of(data):
    try:
      return picture_tags.turned(radiometric.read(data, name), picture_tags.orientation(data))
    except UserError:
      raise
    except ValueError as error:
      raise UnreadableFrame(f'{name}: {error}. Replace or remove it.') from error
  tags = tiff.directories(data.tobytes())
  of_frame = tiff.first_frame(tags)
  frame = _decoded(data, name, of_frame if tiff.frame_places(tags)[0] else {})
  if lost := tiff.unseen_frames(data, tags) or _lost(frame, of_frame):
    raise UnreadableFrame(f'{name} {lost}.')
  if frame.dtype not in (np.uint8, np.uint16):
    raise UnreadableFrame(f'{name} holds {frame.dtype} values; frames are 8 or 16 bits without '
                          f'sign. Convert it first: degrees, say, as round(100 * kelvin).')
  _check_single(data, tags, name)
  _say_others(data, str(name))
  frame = picture_tags.full_range(tiff.positive(frame, of_frame), data)
  return picture_tags.turned(_channels_last(frame), picture_tags.orientation(data))


def _check_single(data, tags, name):
  """Refuse files of several pages or frames."""
  if (pages := len(tiff.frame_places(tags))) > 1:
    raise UnreadableFrame(f'{name} holds {pages} pages, and a frame is one. {UNPACK.format(name)}')
  if (count := animation.count_frames(data)) > 1:
    raise UnreadableFrame(f'{name} is an animation of {count} frames, and a frame is one picture. '
                          + UNPACK.format(name))


def _say_others(data, name):
  """Tell of pictures behind the first one, for the first such file of each folder."""
  if (count := picture_tags.pictures_in(data)) > 1:
    folder = os.path.dirname(name)
    notes.say_once(f'{name} holds {count} pictures (MPO), of which the first is read; so of others '
                   'like it in its folder', f'pictures behind the first, in {folder}')


def _lost(page, tags):
  """What a decoded page of a TIFF has lost without a word, for messages, or ''."""
  multiplied = (tags.get(tiff.EXTRA) == tiff.ALPHA_TO_MULTIPLY and page.dtype == np.uint8
                and page.ndim == 3 and page.shape[-1] == 4 and page[..., 3].min() < 255)
  return 'is transparent in places: write it without alpha' if multiplied else (
      tiff.lost_bands(tags))


def _decoded(data, name, page):
  """The picture as OpenCV decodes it, unless its head asks for more than a picture may.

  page: its tags, where it is a TIFF that does not begin with its frame; else {}.
  """
  picture_heads.check(data, name)
  try:
    frame = tiff.decoded(data, page) if page else cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
  except (cv2.error, MemoryError):
    frame = None
  if frame is None:
    raise UnreadableFrame(f'{name} cannot be decoded ({data.size} bytes): damaged, or of a kind '
                          'that is not read. Replace or remove it.')
  return frame


def is_radiometric(path: str | os.PathLike) -> bool:
  """True for a JPEG that holds temperatures besides the picture that it shows."""
  return (pathlib.PurePath(path).suffix.lower() in ('.jpg', '.jpeg')
          and bool(radiometric.kind_of(read_bytes(path))))


def read_drawn(path: str | os.PathLike) -> np.ndarray:
  """The picture that a radiometric JPEG shows, uint8 [H, W, 1 or 3]; others as `read_image`."""
  return decode_image(read_bytes(path), str(path), as_drawn=True)


def read_pages(path: str | os.PathLike,
               as_drawn: bool = False) -> Iterator[np.ndarray | UnreadableFrame]:
  """The pages of a TIFF or an animation in order, one at a time, as `read_image` returns them.

  Any other picture is one page. as_drawn: of a radiometric JPEG the 8-bit picture that it shows.

  Yields:
    An array, or the UnreadableFrame of a damaged page.
  """
  data = read_bytes(path)
  if (count := animation.count_frames(data)) > 1 and animation.is_cut(data):
    yield UnreadableFrame(f'{path} is an animation of {count} frames of 16-bit color or alpha, '
                          'which would be cut to 8 bits. Write them as single pictures: '
                          f'ffmpeg -i {path} frame_%06d.png')
    return
  if count > 1:
    for k, frame in enumerate(animation.frames(data)):
      yield UnreadableFrame(f'{path}: frame {k} (from 0) cannot be decoded') if frame is None else (
          frame)
    return
  tags = tiff.directories(data.tobytes())
  if not tags:
    yield _or_error(data, path, as_drawn)
    return
  if unseen := tiff.unseen_frames(data, tags):
    yield UnreadableFrame(f'{path} {unseen}.')
    return
  for k, (page, of_page) in enumerate(tiff.pages(data, tags)):
    if page is None or page.dtype not in (np.uint8, np.uint16):
      kind = 'cannot be decoded' if page is None else f'holds {page.dtype} values'
      yield UnreadableFrame(f'{path}: page {k} (from 0) {kind}; pages are 8 or 16 bits')
    elif lost := _lost(page, of_page):
      yield UnreadableFrame(f'{path}: page {k} (from 0) {lost}.')
    else:
      yield _channels_last(tiff.positive(page, of_page))


def _or_error(data, path, as_drawn):
  try:
    return decode_image(data, str(path), as_drawn)
  except UnreadableFrame as error:
    return error


def picture_size(path: str | os.PathLike) -> tuple[int, int]:
  """(height, width) of a picture file as it is read; nothing is decoded, but radiometric JPEG.

  Raises:
    UnreadableFrame: no picture.
  """
  return _size_in(read_bytes(path), path)


def _size_in(data, path):
  if radiometric.kind_of(data):             # shows a drawn picture of another size
    with contextlib.suppress(UserError):    # no library for it: said when it is read
      height, width = decode_image(data, str(path)).shape[:2]
      return height, width
  tags = tiff.directories(data.tobytes())
  turn = (tiff.first_frame(tags).get(tiff.ORIENTATION, 1) if tags
          else picture_tags.orientation(data))
  return picture_tags.upright_size(picture_heads.check(data, path), turn)


def single_size(path: str | os.PathLike) -> tuple[int, int]:
  """`picture_size` of a file that is one frame.

  Raises:
    UnreadableFrame: no picture, or one of several pages or frames.
  """
  data = read_bytes(path)
  _check_single(data, tiff.directories(data.tobytes()), path)
  return _size_in(data, path)


def _channels_last(frame):
  """A picture decoded by OpenCV -> [H, W, C] in RGB order."""
  if frame.ndim == 2:
    return frame[..., None]
  if frame.shape[-1] < 3:                          # gray with alpha
    return np.ascontiguousarray(frame[..., :1])
  if frame.dtype == np.uint16:
    if (frame[..., :1] == frame[..., :3]).all():   # thermal, stored three times
      return np.ascontiguousarray(frame[..., :1])
    np.minimum(frame, 65407, out=frame)            # in place: large frames are gigabytes
    frame += 128
    frame //= 257
    frame = frame.astype(np.uint8)
  return np.ascontiguousarray(frame[..., 2::-1])


def write_image(path: str | os.PathLike, frame: np.ndarray) -> None:
  """Write a frame; the format follows the ending. Never half a file.

  Args:
    path: where to; folders are made. 16 bits need png or tif.
    frame: uint8 [H, W], [H, W, 1 or 3] (RGB), or uint16 [H, W] or [H, W, 1].
  """
  path, frame = pathlib.Path(path), np.atleast_3d(frame)
  if frame.dtype == np.uint16 and path.suffix.lower() not in ('.png', '.tif', '.tiff'):
    raise UserError(f'{path}: 16-bit frames can be written as .png or .tif')
  if path.suffix.lower() not in EXTENSIONS:
    raise UserError(f'{path}: pictures are written as {" ".join(EXTENSIONS)}')
  if path.suffix.lower() == '.ppm':      # has no gray
    frame = np.broadcast_to(frame, (*frame.shape[:2], 3))
  _, data = cv2.imencode(path.suffix.lower(), np.ascontiguousarray(frame[..., ::-1]))
  files.save_atomic(path, lambda part: part.write_bytes(data.tobytes()))

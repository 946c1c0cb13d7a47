"""Writing video files: H.264 that plays everywhere, or lossless FFV1."""

import contextlib
import os
import pathlib
from fractions import Fraction
from typing import Any

import av
import numpy as np

from i2vjax.core import files
from i2vjax.core.errors import UserError
from i2vjax.data.io import damage
from i2vjax.data.io.sound import Sound
from i2vjax.data.io.video_decoding import open_film
from i2vjax.data.io.video_layout import CONVERTING, SIZE_TAG

H264 = ('.mp4', '.m4v', '.mov')
FFV1 = ('.mkv',)
TICKS = 90000                 # per second: exact for 24, 25, 30 and 30000/1001 frames a second
H264_SIDE = 16384              # pixels that x264 takes; FFV1 has no such limit
LONGEST = 2 ** 31 - 1         # ticks that MP4 can show a frame: 6.6 hours
BT709 = 1                     # number of the color space in the H.264 and ISO tables
LOSSLESS = {'level': '3', 'slicecrc': '1', 'g': '1'}   # every frame stands alone, with checksum
# Frames that refer to later ones make files smaller, but are stored before their time, by which MP4
# loses the end of films with pauses: only where the rate is constant
IN_ORDER = {'bf': '0'}
QUALITY = 18                  # x264's constant rate factor; 18 is held to be visually lossless
# What the headers of a film say of its file alone, and not of what it shows
OF_THE_FILE = ('major_brand', 'minor_version', 'compatible_brands', 'encoder', 'duration')


class FrameClock:
  """Time stamps of frames in ticks since the first one.

  Attributes:
    rate: frames per second, for frames without a time.
    first: seconds that become 0; None: those of the first frame.
    last: ticks of the latest frame, -1 before the first.
  """

  def __init__(self, rate: Fraction, first: Fraction | None = None):
    self.rate, self.first, self.last, self._frames = rate, first, -1, 0

  def stamp(self, seconds: float | Fraction | None) -> int:
    """Ticks of the next frame; a time that does not grow is moved on by one tick."""
    seconds = self._frames / self.rate if seconds is None else Fraction(seconds)
    self.first = seconds if self.first is None else self.first
    self.last = max(round((seconds - self.first) * TICKS), self.last + 1)
    self._frames += 1
    return self.last


def lossy_picture(frame: np.ndarray, pad: tuple[int, int]) -> av.VideoFrame:
  """uint8 [H, W, 1 or 3] as 4:2:0 of BT.709, the last rows and columns repeated `pad` times."""
  frame = np.pad(frame, ((0, pad[0]), (0, pad[1]), (0, 0)), mode='edge')
  frame = np.ascontiguousarray(np.repeat(frame, 3 // frame.shape[-1], axis=-1))
  picture = av.VideoFrame.from_ndarray(frame, 'rgb24')
  return picture.reformat(format='yuv420p', dst_colorspace='ITU709', threads=CONVERTING)


def check_size(path: str | os.PathLike, height: int, width: int, lossless: bool) -> None:
  """Refuse frames that a video cannot hold. lossless: True for FFV1, False for H.264.

  Raises:
    UserError: sides of more than `H264_SIDE`, or more pixels than any film that is read has.
  """
  if damage.too_large(height, width):
    raise UserError(f'{path}: frames of {width}x{height} pixels, and films hold up to '
                    f'{damage.MOST_PIXELS}: name a folder as output, for pictures')
  if not lossless and max(height, width) > H264_SIDE:
    raise UserError(f'{path}: frames of {width}x{height} pixels, and sides in H.264 have up to '
                    f'{H264_SIDE}: name the output .mkv, which holds more')


class VideoWriter:
  """Writes a video under a temporary name and renames it when closed: never half a file.

  .mp4, .m4v, .mov: H.264 4:2:0, BT.709, which browsers play. Its sides must be even: odd frames get
  their last row or column repeated, the true size is noted in the file, and our readers cut it back
  (other players show one pixel more). .mkv: FFV1, every value kept: uint8 gray or RGB of any size,
  and uint16 gray. Every frame lasts until the next one, so that any rate is kept to the frame.

  with VideoWriter(path, rate=25) as video: video.write(frame)

  Attributes:
    notes: lines for the user: what the file cannot keep.
  """

  def __init__(self, path: str | os.PathLike, rate: float | Fraction = 25, quality: int = QUALITY,
               film: Any = None):
    """Nothing is written before the first frame.

    Args:
      path: .mp4, .m4v, .mov or .mkv.
      rate: frames per second, used for frames without a time.
      quality: H.264's constant rate factor: more is smaller and worse, 6 more halve the file.
      film: `video_reader.VideoInfo` of the film that the frames were made from: its sound, title
        and so on, shape of pixels, beginning and end are kept.
    """
    self.path = pathlib.Path(path)
    if self.path.suffix.lower() not in H264 + FFV1:
      raise UserError(f'{path}: videos are written as .mp4 (H.264, plays everywhere) or .mkv '
                       f'(FFV1, lossless)')
    self.lossless = self.path.suffix.lower() in FFV1
    self.quality = str(quality)
    self.rate, self.frames = Fraction(rate).limit_denominator(1001), 0
    self.notes: list[str] = []
    self.film, self._sound, self._said = film, None, {}
    self.part = self.path.with_name(f'{files.part_prefix()}{self.path.name}')
    self._container = self._held = None
    self._clock = FrameClock(self.rate, None if film is None else Fraction(film.origin))
    self._durations = {}

  @property
  def note(self) -> str:
    """The notes as one text."""
    return '\n'.join(self.notes)

  def __enter__(self):
    return self

  def __exit__(self, kind, *_):
    if kind is not None:
      self.abort()
      return
    try:
      self.close()
    except BaseException:
      self.abort()
      raise

  def write(self, frame: np.ndarray, seconds: float | None = None) -> None:
    """Add a frame: uint8 [H, W, 1 or 3], or uint16 [H, W, 1] (.mkv only).

    Args:
      frame: of the same shape and type as the first.
      seconds: its presentation time; the file starts at the first frame's, or where the film does.
        None: by the rate.

    Raises:
      UserError: another size or type than the first; 16 bits, or a pause of 6.6 hours, in .mp4; a
        size that no video holds.
    """
    if self._container is None:
      self._steady = seconds is None if self.film is None else not self.film.variable
      self._start(frame)
    if frame.shape != self._shape or frame.dtype != self._dtype:
      raise UserError(f'{self.path}: frame {self.frames} is {frame.shape} {frame.dtype}, the '
                       f'first was {self._shape} {self._dtype}: a video has one size and type')
    picture = self._picture(frame)
    picture.pts, picture.time_base = self._clock.stamp(seconds), Fraction(1, TICKS)
    self._encode_held(picture.pts)
    self._held = picture
    self.frames += 1

  def _encode_held(self, end):
    """Encode the frame before, which lasts until `end`, in ticks."""
    if self._held is not None:
      self._check_pause(end - self._held.pts)
      self._durations[self._held.pts] = end - self._held.pts
      if self._sound is not None:
        self._sound.write_until(float(self._held.pts / TICKS + self._clock.first))
      self._mux(self._stream.encode(self._held))

  def _check_pause(self, ticks):
    if not self.lossless and ticks > LONGEST:
      raise UserError(f'{self.path}: a frame is shown for {ticks / TICKS / 3600:.1f} h, and '
                      f'{self.path.suffix} holds up to {LONGEST / TICKS / 3600:.1f}: name the '
                      'output .mkv, or cut the film there')

  def _mux(self, packets):
    for packet in packets:
      packet.duration = self._durations.pop(packet.pts)
      self._container.mux(packet)

  def close(self):
    """Finish the file and give it its name; without a single frame it is an error."""
    if self._container is None:
      raise UserError(f'{self.path}: no frames were written')
    end = self._held.pts + round(TICKS / self.rate)
    if self.film is not None:
      stated = round((Fraction(self.film.start + self.film.seconds) - self._clock.first) * TICKS)
      end = max(stated, self._held.pts + 1)
    self._encode_held(end)
    self._mux(self._stream.encode())
    if self._sound is not None:
      self._sound.write_until(float('inf'))
      self._sound.close()
    self._container.close()
    self._note_lost_texts()
    os.replace(self.part, self.path)

  def _note_lost_texts(self):
    """MP4 has places for some names of texts; FFmpeg's others are where players find no title."""
    if not self._said:
      return
    with open_film(self.part) as result:
      kept = {name.lower() for name in result.metadata}
    lost = sorted(name for name in self._said if name.lower() not in kept)
    if lost:
      others = '' if self.lossless else '; .mkv keeps them'
      self.notes.append(f'{self.path}: left out of what {self.film.path} says: '
                        f'{", ".join(lost)}{others}')

  def abort(self):
    """Delete the unfinished file."""
    if self._container is not None:
      with contextlib.suppress(OSError):   # closing flushes: a full disk would raise once more
        self._container.close()
    if self._sound is not None:
      self._sound.close()
    self.part.unlink(missing_ok=True)

  def _start(self, frame):
    self._shape, self._dtype = frame.shape, frame.dtype
    height, width = frame.shape[:2]
    check_size(self.path, height, width, self.lossless)
    if self._dtype == np.uint16 and not self.lossless:
      raise UserError(f'{self.path}: 16-bit frames need .mkv')
    self._check_pause(0 if self.film is None else round(self.film.pause * TICKS))
    self.path.parent.mkdir(parents=True, exist_ok=True)
    name = 'matroska' if self.lossless else 'mp4'
    options = {} if self.lossless else {'movflags': 'faststart'}
    self._container = av.open(files.for_ffmpeg(self.part), 'w', format=name,
                              container_options=options)
    self._pad = (0, 0) if self.lossless else (height % 2, width % 2)
    if any(self._pad):
      self._container.metadata['comment'] = f'{SIZE_TAG} {width}x{height}'
      self.notes.append(f'{self.path}: {width}x{height} was padded to {width + self._pad[1]}x'
                        f'{height + self._pad[0]}, H.264 needs even sides; .mkv keeps the size')
    self._add_stream(height + self._pad[0], width + self._pad[1])
    if self.film is not None:
      self._keep_of_film()

  def _keep_of_film(self):
    """Take from the film what frames do not hold; note what the file cannot take."""
    film, kind = self.film, self.path.suffix
    if film.pixel_aspect != 1 and self.lossless:
      aspect = f'{film.pixel_aspect.numerator}:{film.pixel_aspect.denominator}'
      self.notes.append(f'{self.path}: pixels of {film.path} are {aspect}, not square, which '
                        f'{kind} does not keep; .mp4 does')
    left_out = sorted({other for other in film.others if other != 'audio'})
    if 'audio' in film.others:
      self._sound = Sound(film.path, self._container, film.origin, film.shifts)
      left_out += [f'sound ({codec}, which {kind} cannot hold)' for codec in self._sound.left_out]
    with open_film(film.path) as source:
      said = {name: text for name, text in source.metadata.items()
              if name.lower() not in OF_THE_FILE and SIZE_TAG not in text}
      left_out += ['chapters'] if source.chapters() else []
    own = self._container.metadata.get('comment')
    if own and 'comment' in said:
      said['comment'] = f'{own}; {said["comment"]}'
    self._container.metadata.update(said)
    self._said = said
    if abs(film.origin) >= 1 / self.rate:
      self.notes.append(f'{self.path}: begins at 0, {film.path} at {film.origin:.3f} s')
    if left_out:
      self.notes.append(f'{self.path}: left out of what {film.path} holds: {", ".join(left_out)}')

  def _add_stream(self, height, width):
    lossy = {'crf': self.quality} | ({} if self._steady else IN_ORDER)
    codec, options = ('ffv1', LOSSLESS) if self.lossless else ('libx264', lossy)
    self._stream = self._container.add_stream(codec, rate=self.rate, options=options)
    self._stream.height, self._stream.width = height, width
    self._stream.pix_fmt = self._format()
    self._stream.codec_context.time_base = Fraction(1, TICKS)
    if self.film is not None:
      self._stream.codec_context.sample_aspect_ratio = self.film.pixel_aspect
    if not self.lossless:
      context = self._stream.codec_context
      context.colorspace = context.color_primaries = context.color_trc = BT709
      context.color_range = 1            # 16 to 235, as players expect

  def _format(self):
    if not self.lossless:
      return 'yuv420p'
    if self._shape[-1] == 3:
      return 'bgr0'
    return 'gray16le' if self._dtype == np.uint16 else 'gray'

  def _picture(self, frame):
    """The frame in the encoder's pixel format."""
    if self.lossless:
      gray = 'gray16le' if frame.dtype == np.uint16 else 'gray'
      name = 'rgb24' if frame.shape[-1] == 3 else gray
      data = frame if frame.shape[-1] == 3 else frame[..., 0]
      return av.VideoFrame.from_ndarray(np.ascontiguousarray(data), name).reformat(
          format=self._format(), threads=CONVERTING)
    return lossy_picture(frame, self._pad)

"""What translations are written as: rate, size, and what stands beside."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from i2vjax.core import notes, ops
from i2vjax.core.errors import UserError
from i2vjax.data.io import live_writer, output_paths, video_reader, video_writer
from i2vjax.data.sources.streams import Stream
from i2vjax.data.transforms import enlarge

Path = str | os.PathLike[str]

SLOWEST = 1 / 1001         # frames per second: rates are fractions of that denominator at most
RATE_OF_PICTURES = 25.0    # frames per second of a video made from pictures, which have no rate


def rate_of(info: Any, rate: float | None, output: Path, to_video: bool) -> Any:
  """Frames per second of the result: a video's own, or what was asked for, or the default.

  Args:
    info: `video_reader.video_info` of the source; None: pictures. rate: asked for, or None.
    output, to_video: what is written, and whether it is a video.

  Raises:
    UserError: a rate beside one that the source has, for pictures, or that no film can state.
  """
  if rate is not None and info:
    raise UserError(f'--rate is for pictures: {info.path} has its own times, which are kept')
  if rate is not None and not to_video:
    raise UserError(f'--rate is for videos, and {output} is none: leave it away')
  if rate is not None and not SLOWEST <= rate <= 1000:
    raise UserError(f'--rate={rate:g}: frames per second, from 1/1001 (0.001) to 1000')
  if info:
    return info.rate
  if rate is None and to_video:
    notes.say_once(f'{output}: {RATE_OF_PICTURES:g} frames per second, as pictures do not say '
                   'their rate; --rate sets another')
  return Fraction(rate or RATE_OF_PICTURES).limit_denominator(1001)


def film_of(info: Any, prepared: bool) -> Any:
  """The facts of a video that its translation keeps, or None; resized frames have other pixels."""
  if not info or info.codec == 'cptv':      # which holds frames alone, and PyAV does not open it
    return None
  if not prepared or info.pixel_aspect == 1:
    return info
  notes.say_once(f'{info.path}: its pixels are {info.pixel_aspect.numerator}:'
                 f'{info.pixel_aspect.denominator}, not square, which is not kept: frames are '
                 'resized as in training; --as_is leaves that out')
  return dataclasses.replace(info, pixel_aspect=Fraction(1))


def of_possible_size(clip: Stream, videos: Mapping[Path | None, int], lossless: bool,
                     size: Callable[[tuple[int, ...]], tuple[int, ...]]) -> Stream:
  """A clip that is refused, before it is translated, where a video cannot hold its frames.

  Args:
    videos: {path or None: frames side by side in it}. lossless: streams get raw frames.
    size: shape of a frame -> (height, width) of its result.
  """
  def check(frame):
    height, width = size(frame.shape)
    for path, count in videos.items():
      if path is not None:
        kept = (lossless if live_writer.is_stream(path)
                else str(path).lower().endswith(video_writer.FFV1))
        video_writer.check_size(path, height, count * width, kept)

  def read(damaged='stop'):
    for label, frame, seconds in clip.read(damaged):
      if not isinstance(frame, Exception):
        check(frame)
      yield label, frame, seconds
  return dataclasses.replace(clip, read=read)


def one_size(results: Iterable[tuple], output: Path) -> Iterator[tuple]:
  """The results unchanged; a frame of another size than the first is refused: a video has one.

  results: (label, uint8 frame or None, seconds).
  """
  first_label, first_shape = None, None
  for label, frame, seconds in results:
    if frame is not None:
      if first_shape is None:
        first_label, first_shape = label, frame.shape
      if frame.shape != first_shape:
        raise UserError(
            f'frame {label} comes out with {ops.size_text(frame.shape)} pixels, {first_label} with '
            f'{ops.size_text(first_shape)}: a video has one size. Name a folder as output, not '
            f'{output}')
    yield label, frame, seconds


def check_beside(beside: Path, place: Path, output: Path, to_video: bool,
                 overwrite: bool) -> None:
  """Raises UserError or FileExistsError where the second video cannot be written."""
  if not to_video or live_writer.is_stream(output) or not output_paths.is_video_output(
      beside, lossless=False):
    raise UserError(f'beside={beside}: a second video, where the output is a video file too')
  if pathlib.Path(beside).absolute() == pathlib.Path(output).absolute():
    raise UserError(f'beside={beside} is the output itself: choose another name')
  output_paths.check_output(place, beside, True, overwrite)


@contextlib.contextmanager
def second_film(path: Path | None, rate: Any, film: Any, fuse: bool) -> Iterator[Callable | None]:
  """(source, result, seconds) -> None that writes both side by side to `path`; None without."""
  if path is None:
    yield None
    return
  with video_reader.VideoWriter(path, rate, film=film) as writer:
    yield lambda source, result, seconds: writer.write(compose(source, result, True, fuse), seconds)


def compose(source: np.ndarray, result: np.ndarray, side_by_side: bool = False,
            fuse: bool = False) -> np.ndarray:
  """What is written for one frame.

  Args:
    source, result: uint8 [H, W, 1 or 3].
    side_by_side: source left of the result.
    fuse: the colors (chroma) of the result on the brightness of the source, BT.601:
      result + (luma(source) - luma(result)).
  """
  if fuse:
    change = enlarge.brightness(source) - enlarge.brightness(result)
    result = result + change[..., None]
    result = np.rint(np.clip(result, 0, 255)).astype(np.uint8)
  if side_by_side:
    channels = max(source.shape[2], result.shape[2])
    result = np.concatenate([np.broadcast_to(x, (*x.shape[:2], channels))
                             for x in (source, result)], axis=1)
  return result

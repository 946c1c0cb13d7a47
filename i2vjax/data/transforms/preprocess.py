"""Resize and center crop of all frames, before everything else.

`data.prepare.resize` and `data.prepare.crop` are sizes as WIDTHxHEIGHT: every frame is resized
(bicubic), then its middle is cut out; training and testing see the result. FLIR and KAIST, 640x512,
become 360x288 by way of 500x400 (public PearlGAN code); KAIST's test frames are cropped only:
`data.prepare.resize_test=False`. Published sets as records have their own (prepare/published).
"""

import re
from collections.abc import Callable

import numpy as np
from ml_collections import ConfigDict

from i2vjax.core.errors import UserError
from i2vjax.data.source import FrameSource, Wrapper
from i2vjax.data.transforms import resize


def apply(source: FrameSource, data: ConfigDict, split: str) -> FrameSource:
  """A source resized and cropped as `data.prepare` asks; the source itself where that is empty."""
  size = read_size(data.prepare.resize, 'data.prepare.resize')
  crop = read_size(data.prepare.crop, 'data.prepare.crop')
  if split != 'train' and not data.prepare.resize_test:
    size = None
  return Preprocessed(source, size, crop) if size or crop else source


def read_size(text: str | None, name: str = '--size') -> tuple[int, int] | None:
  """'320x240' (width x height) -> (240, 320); None for '' or None. name: of the field or flag."""
  match = re.fullmatch(r'([1-9]\d*)x([1-9]\d*)', text or '')
  if text and not match:
    raise UserError(f'{name}={text}: write WIDTHxHEIGHT, as in 320x240')
  return (int(match.group(2)), int(match.group(1))) if text else None


class Preprocessed(Wrapper):
  """Frames resized, and then only the middle of them."""

  def __init__(self, source: FrameSource, size: tuple[int, int] | None,
               crop: tuple[int, int] | None):
    """size: (height, width) to resize to, or None. crop: (height, width) of the middle, or None."""
    super().__init__(source)
    self.size, self.crop = size, crop

  def __repr__(self):
    return f'Preprocessed({self.source!r}, size={self.size}, crop={self.crop})'

  def read(self, i):
    """The source's record with its frame resized and cropped; 'original': its size before that."""
    record = self.source.read(i)
    original = record['frame'].shape[:2]
    try:
      frame = self.follow(record['frame'], resize.resize_frame)
    except ValueError as error:
      raise UserError(f'{self.where(i)}: {error}') from error
    return {**record, 'original': original, 'frame': frame}

  def follow(self, picture: np.ndarray, resize: Callable) -> np.ndarray:
    """Resize and crop any picture [H, W, ...] of the frame's original size.

    Args:
      resize: function (picture, (height, width)) -> picture.
    """
    if self.size:
      picture = resize(picture, self.size)
    if not self.crop:
      return picture
    (H, W), (height, width) = picture.shape[:2], self.crop
    if height > H or width > W:
      raise UserError(f'{W}x{H} pixels are less than data.prepare.crop={width}x{height}')
    top, left = (H - height) // 2, (W - width) // 2
    return picture[top:top + height, left:left + width]

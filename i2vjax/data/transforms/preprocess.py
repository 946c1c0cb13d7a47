"""Frames in folders brought to the form of a published set before all else.

`data.prepare.resize` and `data.prepare.crop` are sizes as WIDTHxHEIGHT: every frame is resized
(bicubic), then the middle of it is cut out; training and testing see what is left. FLIR and KAIST,
640x512, become 360x288 by 500x400 (public PearlGAN code), for KAIST's test frames without the
resize: `data.prepare.resize_test=False`. Published sets as records bring theirs (builders).
"""

import re

from i2vjax.core.errors import UserError
from i2vjax.data import source
from i2vjax.data.transforms import resize


def apply(found, data, split):
  """A FrameSource as `data.prepare` wants it; the source itself where that is empty."""
  prepare = data.get('prepare', None)
  if not prepare:
    return found
  resize, crop = (read_size(prepare[name], f'data.prepare.{name}') for name in ('resize', 'crop'))
  if split != 'train' and not prepare.resize_test:
    resize = None
  return Preprocessed(found, resize, crop) if resize or crop else found


def read_size(text, name='--size'):
  """'320x240' (width x height) -> (240, 320); None for '' or None. name: of the field or flag."""
  match = re.fullmatch(r'([1-9]\d*)x([1-9]\d*)', text or '')
  if text and not match:
    raise UserError(f'{name}={text}: write WIDTHxHEIGHT, as in 320x240')
  return (int(match.group(2)), int(match.group(1))) if text else None


class Preprocessed(source.Wrapper):
  """Frames resized, and then only the middle of them."""

  def __init__(self, source, resize, crop):
    """resize, crop: (height, width) or None."""
    super().__init__(source)
    self.resize, self.crop = resize, crop

  def __repr__(self):
    return f'Prepared({self.source!r}, resize={self.resize}, crop={self.crop})'

  def read(self, i):
    """The source's record with its frame prepared, and 'original': (height, width) before."""
    record = self.source.read(i)
    shape = record['frame'].shape[:2]
    try:
      return {
        **record,
        'original': shape,
        'frame': self.follow(record['frame'], resize.resize_frame),
      }
    except ValueError as error:
      raise UserError(f'{self.where(i)}: {error}') from error

  def follow(self, picture, resize):
    """What `read` does to a frame, of any picture [H, W, ...] of its size.

    Args:
      resize: function (picture, (height, width)) -> picture.
    """
    picture = resize(picture, self.resize) if self.resize else picture
    if not self.crop:
      return picture
    (H, W), (height, width) = picture.shape[:2], self.crop
    if height > H or width > W:
      raise UserError(f'{W}x{H} pixels are less than data.prepare.crop={width}x{height}')
    top, left = (H - height) // 2, (W - width) // 2
    return picture[top:top + height, left:left + width]

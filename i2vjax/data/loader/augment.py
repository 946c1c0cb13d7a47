"""Random crop, flip and time reversal of a whole window."""

import grain
import numpy as np

from i2vjax.core import ops
from i2vjax.core.errors import UserError


def center_crop(item: dict, size: int | tuple[int, int]) -> dict:
  """The middle of a window; see `crop`."""
  height, width = item['frames'].shape[1:3]
  size = ops.hw(size)
  return crop(item, ((height - size[0]) // 2, (width - size[1]) // 2), size)


def crop(item: dict, corner: tuple[int, int], size: tuple[int, int], flip: bool = False,
         reverse: bool = False) -> dict:
  """The same crop, flip and direction of time for all frames, maps and flows of a window.

  A mirrored flow points the other way along x; played backwards, the flow to the frame before is
  what was the flow to the next. Flows may lead out of the crop.

  Args:
    item: from a WindowSource. corner: (row, column). size: (height, width).
    flip: mirror left and right. reverse: last frame first.
  """
  (row, col), (height, width) = corner, size
  item, flows = dict(item), {'flow', 'flow_fwd'} & set(item)
  for name in {'frames', 'labels', 'edges'} & set(item) | flows:
    part = item[name][::-1 if reverse else 1, row:row + height, col:col + width]
    item[name] = np.ascontiguousarray(part[:, :, ::-1] if flip else part)
  if flip:
    for name in flows:
      item[name] = item[name] * np.float32([-1, 1])
  if reverse and flows:
    item['flow'], item['flow_fwd'] = item['flow_fwd'], item['flow']
  return item


class RandomCrop(grain.transforms.RandomMap):
  """Random crop, flip and (STC) reversal of time.

  Takes a window, or a tuple of aligned windows, which one draw crops alike.
  """

  def __init__(self, size: int | tuple[int, int], flip: bool = False, flip_time: float = 0.0):
    """size: int or (height, width). flip: half of the windows. flip_time: share reversed."""
    self.size, self.flip, self.flip_time = ops.hw(size), flip, flip_time

  def random_map(self, element, rng):
    """Crop corners are uniform, both ends included."""
    windows = element if isinstance(element, tuple) else (element,)
    shape = windows[0]['frames'].shape[1:3]
    for item in windows:
      self._check_size(item['frames'].shape[1:3], shape)
    corner = random_corner(shape, self.size, rng)
    flip = bool(rng.random() < 0.5) and self.flip
    reverse = bool(rng.random() < self.flip_time)
    cropped = tuple(crop(item, corner, self.size, flip, reverse) for item in windows)
    return cropped if isinstance(element, tuple) else cropped[0]

  def _check_size(self, shape, first):
    if shape != first:
      raise UserError(f'paired frames have different sizes, {first} and {shape} (height, width)')
    if shape[0] < self.size[0] or shape[1] < self.size[1]:
      raise UserError(f'frames of {shape} (height, width) are smaller than data.crop_size='
                       f'{self.size}: use --config.data.resize=square or a smaller crop')


def random_corner(shape: tuple[int, int], size: tuple[int, int],
                  rng: np.random.Generator) -> tuple[int, int]:
  """(row, column) of a crop of `size` in a frame of `shape`, both (height, width); row first."""
  row = int(rng.integers(0, shape[0] - size[0] + 1))
  column = int(rng.integers(0, shape[1] - size[1] + 1))
  return row, column

"""Random crop, mirroring and reversal, the same for all frames of a window."""


import grain
import numpy as np

from i2vjax.core import ops
from i2vjax.core.errors import UserError


def center_crop(item, size):
  """The middle of a window; see `crop`."""
  height, width = item['frames'].shape[1:3]
  size = ops.hw(size)
  return crop(item, ((height - size[0]) // 2, (width - size[1]) // 2), size)


def crop(item, corner, size, flip=False, reverse=False):
  """Same crop, flip and direction of time for all frames, maps and flows of a window.

  A mirrored flow points the other way along x; played backwards, the flow to the frame before is
  what was the flow to the next. Flows may lead out of the crop.

  Args:
    item: of a WindowSource. corner: (row, column). size: (height, width).
    flip: mirror left and right. reverse: last frame first.
  """
  (row, col), (height, width) = corner, size
  cut = (slice(None, None, -1 if reverse else 1), slice(row, row + height))
  item, flows = dict(item), {'flow', 'flow_fwd'} & set(item)
  for name in {'frames', 'labels', 'edges'} & set(item) | flows:
    part = item[name][cut][:, :, col:col + width]
    item[name] = np.ascontiguousarray(part[:, :, ::-1] if flip else part)
  if flip:
    item |= {name: item[name] * np.float32([-1, 1]) for name in flows}
  if reverse and flows:
    item['flow'], item['flow_fwd'] = item['flow_fwd'], item['flow']
  return item


class RandomCrop(grain.transforms.RandomMap):
  """Random crop, flip and (STC) reversal of time.

  Takes a window, cut by its own draw, or a tuple of aligned windows, cut by one draw.
  """

  def __init__(self, size, flip=False, flip_time=0.0):
    """size: int or (height, width). flip: half of the windows. flip_time: share reversed."""
    self.size, self.flip, self.flip_time = ops.hw(size), flip, flip_time

  def random_map(self, element, rng):
    """Crop corners are uniform, both ends included."""
    windows = element if isinstance(element, tuple) else (element,)
    shape = windows[0]['frames'].shape[1:3]
    for item in windows:
      self._fits(item['frames'].shape[1:3], shape)
    corner = [int(rng.integers(0, a - b + 1)) for a, b in zip(shape, self.size, strict=True)]
    flip = bool(rng.random() < 0.5) and self.flip
    reverse = bool(rng.random() < self.flip_time)
    done = tuple(crop(item, corner, self.size, flip, reverse) for item in windows)
    return done if isinstance(element, tuple) else done[0]

  def _fits(self, shape, first):
    if shape != first:
      raise UserError(f'paired frames have different sizes, {first} and {shape} (height, width)')
    if shape[0] < self.size[0] or shape[1] < self.size[1]:
      raise UserError(f'frames of {shape} (height, width) are smaller than data.crop_size='
                       f"{self.size}: use data.resize='square' or a smaller crop")

"""Tasks that need no second camera: the input is made from the target, or the target from labels.

`data.task`: 'translate' takes both domains as they are. 'color': a is b in gray. 'superres': a is
b at half its size, enlarged again. 'segmentation': b is a mask, white where something moves.
"""

import functools
import types

import numpy as np

from i2vjax.core import ops
from i2vjax.core.errors import UserError
from i2vjax.data.source import Wrapper
from i2vjax.data.transforms import resize

TASKS = ('translate', 'color', 'superres', 'segmentation')
MOVERS = range(11, 19)   # persons and vehicles of the Cityscapes train ids


class Derived(Wrapper):
  """A source with other frames in the place of its own."""

  def __init__(self, source, change, size):
    """source: FrameSource. change: (record, size) -> frame. size: (height, width) -> the same."""
    super().__init__(source)
    self.change, self.size = change, size

  def __repr__(self):
    return f'Derived({self.change.__name__}, {self.source!r})'

  def read(self, i):
    """The source's record with the frame that was made of it."""
    record = self.source.read(i)
    try:
      return {**record, 'frame': self.change(record, self.size)}
    except ValueError as error:
      raise UserError(f'{self.where(i)}: {error}') from error


def apply(data, split, domain, given, missing):
  """The frames of a domain under `data.task`.

  Args:
    data: config.data. split: 'train' | 'test' | 'val'. domain: 'a' | 'b'.
    given: domain -> FrameSource or None, the frames as they are.
    missing: (split, domain as the files count) -> what to say where training frames are not given.

  Returns:
    FrameSource or None.

  Raises:
    ValueError: an unknown task, or training frames that nothing can be made of because there are
      none.
  """
  task = data.get('task', 'translate')
  if task not in TASKS:
    raise UserError(f"data.task='{task}' is unknown: {', '.join(TASKS)}")
  change = {('color', 'a'): gray, ('superres', 'a'): half, ('segmentation', 'b'): mask}.get(
      (task, domain))
  if change is None:
    return given(domain)
  source = given('b')
  if source is None and split == 'train':
    side = 'a' if data.direction == 'b2a' else 'b'
    raise UserError(f"data.task='{task}': {missing(split, side)}")
  if source is None:
    return None
  # What is made depends on the size that the networks see; the loader's own resizing, to that very
  # size, then changes nothing. Copied: a locked config cannot be sent to other processes.
  sizes = types.SimpleNamespace(load_size=data.load_size, crop_size=data.crop_size,
                                resize=data.resize)
  rule = resize.train_size if split == 'train' else resize.test_size
  return Derived(source, change, functools.partial(rule, data=sizes))


def gray(record, size):
  """Luma of a color frame, uint8 [H, W, 1]."""
  del size
  frame = record['frame']
  if frame.shape[-1] != 3:
    raise UserError("data.task='color' learns from color frames, and this one is gray")
  return np.rint(frame @ np.asarray(ops.LUMA)).astype(np.uint8)[..., None]


def half(record, size):
  """The frame at `size`, less what does not survive at half of it (bicubic both ways)."""
  frame = record['frame']
  height, width = size(frame.shape[:2])
  small = resize.resize_frame(frame, (-(-height // 2), -(-width // 2)))
  return resize.resize_frame(small, (height, width))


def mask(record, size):
  """255 where an object is, else 0: uint8 [height, width, 1].

  An object is what a label says moves (persons, vehicles); where there are no labels the frame is
  the annotation itself, and everything that is not 0 in it is one (DAVIS: all objects merged).
  """
  if 'label' in record:
    found = np.isin(record['label'], MOVERS)
  else:
    found = np.any(record['frame'] != 0, axis=-1)
  found = np.where(found, 255, 0).astype(np.uint8)
  return resize.resize_labels(found, size(found.shape))[..., None]

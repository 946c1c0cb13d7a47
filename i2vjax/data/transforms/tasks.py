"""Tasks whose domains are derived from each other (`data.task`).

'translate' takes both domains as they are. 'color': a is b in gray. 'superres': a is b at half its
size, enlarged again. 'segmentation': b is a mask, white where objects are.
"""

import functools
import types
from collections.abc import Callable

import numpy as np
from ml_collections import ConfigDict

from i2vjax.core import ops
from i2vjax.core.errors import UserError
from i2vjax.data.source import FrameSource, Wrapper
from i2vjax.data.transforms import resize

TASKS = ('translate', 'color', 'superres', 'segmentation')
MOVERS = range(11, 19)   # persons and vehicles of the Cityscapes train ids


def task_of(data: ConfigDict) -> str:
  """`data.task`; 'translate' in configs of methods that do not have the field."""
  return data.get('task', 'translate')


class Derived(Wrapper):
  """A source whose frames are computed from those of another."""

  def __init__(self, source: FrameSource, change: Callable, size: Callable):
    """source: FrameSource. change: (record, size) -> frame. size: (height, width) -> the same."""
    super().__init__(source)
    self.change, self.size = change, size

  def __repr__(self):
    return f'Derived({self.change.__name__}, {self.source!r})'

  def read(self, i):
    """The source's record with the derived frame in place of its own."""
    record = self.source.read(i)
    if self.change is mask and 'label' not in record:
      _refuse_loss(self.where(i))
    try:
      return {**record, 'frame': self.change(record, self.size)}
    except ValueError as error:
      raise UserError(f'{self.where(i)}: {error}') from error


def apply(data: ConfigDict, split: str, domain: str, open_domain: Callable,
          missing: Callable) -> FrameSource | None:
  """The frames of a domain under `data.task`.

  Args:
    data: config.data. split: 'train' | 'test' | 'val'. domain: 'a' | 'b'.
    open_domain: domain -> FrameSource or None, the frames as they are.
    missing: (split, domain as in the fields of `data`) -> message where there are no frames.

  Returns:
    FrameSource or None.

  Raises:
    UserError: an unknown task, or no training frames to derive others from.
  """
  task = task_of(data)
  if task not in TASKS:
    raise UserError(f"data.task='{task}' is unknown: {', '.join(TASKS)}")
  changes = {('color', 'a'): gray, ('superres', 'a'): half, ('segmentation', 'b'): mask}
  change = changes.get((task, domain))
  if change is None:
    return open_domain(domain)
  source = open_domain('b')
  if source is None and split == 'train':
    letter = 'a' if data.direction == 'b2a' else 'b'
    raise UserError(f"data.task='{task}': {missing(split, letter)}")
  if source is None:
    return None
  # Derived frames depend on the size that the networks see; the loader's own resizing, to that very
  # size, then changes nothing. Copied: a locked config cannot be sent to other processes.
  sizes = types.SimpleNamespace(load_size=data.load_size, crop_size=data.crop_size,
                                resize=data.resize)
  rule = resize.train_size if split == 'train' else resize.test_size
  return Derived(source, change, functools.partial(rule, data=sizes))


def gray(record: dict, size: Callable) -> np.ndarray:
  """Luma of a color frame, uint8 [H, W, 1]."""
  del size
  frame = record['frame']
  if frame.shape[-1] != 3:
    raise UserError("data.task='color' learns from color frames, and this one is gray")
  return np.rint(frame @ np.asarray(ops.LUMA)).astype(np.uint8)[..., None]


def half(record: dict, size: Callable) -> np.ndarray:
  """The frame at `size`, without what is lost at half of it (bicubic both ways)."""
  frame = record['frame']
  height, width = size(frame.shape[:2])
  small = resize.resize_frame(frame, (-(-height // 2), -(-width // 2)))
  return resize.resize_frame(small, (height, width))


def _refuse_loss(where):
  if where.lower().endswith(('.jpg', '.jpeg')):
    raise UserError(f'{where} is a JPEG, in which objects grow rims of values that are not 0: '
                    'write masks as PNG')


def mask(record: dict, size: Callable) -> np.ndarray:
  """255 where an object is, else 0: uint8 [height, width, 1].

  With labels, objects are the pixels of classes that move (persons, vehicles). Without labels the
  frame itself is the annotation: every pixel that is not 0 is an object (DAVIS, objects merged).
  """
  if 'label' in record:
    objects = np.isin(record['label'], MOVERS)
  else:
    objects = np.any(record['frame'] != 0, axis=-1)
  image = np.where(objects, 255, 0).astype(np.uint8)
  return resize.resize_labels(image, size(image.shape))[..., None]

"""Class maps in folders, beside the frames they belong to."""

import pathlib
import re

import numpy as np
from PIL import Image

from i2vjax.core.errors import UserError
from i2vjax.data.io import images
from i2vjax.data.sources import alignment, folders

MODES = ('L', 'P', '1')   # gray, palette, black and white


def read(path):
  """Ids of a label picture; of one with a palette the indices, not the colors.

  Returns:
    uint8 [H, W].

  Raises:
    FileNotFoundError: no such file. ValueError: damaged, or colors instead of ids.
  """
  return picture(path, MODES, 'labels are 8-bit pictures of one channel (gray or palette) that '
                              'hold class ids, not colors').astype(np.uint8)


def picture(path, modes, meaning):
  """What a picture of one of Pillow's `modes` stores; `meaning`: what it should be, in words.

  Returns:
    uint8 [H, W]; of black and white bool.

  Raises:
    FileNotFoundError: no such file. ValueError: damaged, or of another mode.
  """
  if not pathlib.Path(path).is_file():
    raise FileNotFoundError(f'No such picture: {path}')
  try:
    with Image.open(path) as opened:
      mode, stored = opened.mode, np.asarray(opened)
  except OSError as error:
    raise images.UnreadableFrame(f'{path} cannot be decoded: {error}') from error
  if mode not in modes:
    raise UserError(f'{path} is a picture of mode {mode}; {meaning}')
  return stored


def label_source(data, place):
  """The label pictures of a folder or glob, as a FolderFrames whose files `read` reads.

  Args:
    data: a `data` config block, for how folders are read.
    place: folder (sub-folders are clips) or glob.
  """
  found = folders.open_place(data, place)
  if not isinstance(found, folders.FolderFrames) or any(x[2] != 1 for x in found.files):
    raise UserError(f'{place}: maps are single 8-bit PNG pictures, neither videos nor strips')
  return found


def match(frames, labels):
  """Which label belongs to which frame: same clip, and the same file name or last number in it.

  Clips are matched by name, a single clip with a single one whatever their names. Frames may be
  without a label (Cityscapes labels one in 30), labels may not be without a frame.

  Args:
    frames, labels: FrameSources.

  Returns:
    One list for each clip of `frames`: index into `labels` or None for every frame.

  Raises:
    ValueError: names the first label without a frame, or the clip.
  """
  names = {name: (start, length) for name, start, length in labels.clips}
  alone = len(frames.clips) == len(labels.clips) == 1
  unknown = sorted(names.keys() - {name for name, _, _ in frames.clips})
  if unknown and not alone:
    raise UserError(f'clip {unknown[0]} of {labels!r} is not among the clips of {frames!r}')
  found = []
  for name, start, length in frames.clips:
    first, count = next(iter(names.values())) if alone else names.get(name, (0, 0))
    keys = _keys(*([str(x) for x in alignment.frame_names(*place)]
                   for place in ((frames, start, length), (labels, first, count))), name, labels)
    found.append([None if k is None else first + k for k in keys])
  return found


def _keys(frames, labels, clip, source):
  """For each name of a frame the position of its label or None."""
  for key in (str, alignment.last_number, _long_number):
    left, right = [key(x) for x in frames], [key(x) for x in labels]
    distinct = len(set(left)) == len(left) and len(set(right)) == len(right)
    if distinct and set(right) <= set(left) and None not in right:
      place = {x: k for k, x in enumerate(right)}
      return [place.get(x) for x in left]
  numbers = {alignment.last_number(x) for x in frames}
  lost = next((x for x in labels if alignment.last_number(x) not in numbers), labels[0])
  raise UserError(f'clip {clip}: label {lost} of {source!r} has no frame of that name or number '
                   f'(frames {frames[0]} to {frames[-1]})')


def _long_number(name):
  """The last number of 3 digits or more (19 in aachen_000000_000019_leftImg8bit), or None."""
  found = re.findall(r'\d{3,}', name)
  return int(found[-1]) if found else None


def read_clip(labels, indices, size, where='the frames'):
  """The labels of one clip.

  Args:
    labels: of `source`. indices: those of the clip that are not None (an entry of `match`).
    size: (height, width) they must have. where: whose size that is, for the message.

  Returns:
    [uint8 [H, W]] in order.

  Raises:
    ValueError: another size; names the file.
  """
  found = []
  for i in indices:
    path = labels.files[i][0]
    ids = read(path)
    if ids.shape != tuple(size):
      raise UserError(f'{path} has {ids.shape[1]}x{ids.shape[0]} pixels, {where} '
                       f'{size[1]}x{size[0]}; labels need one size with what they judge, and '
                       f'nothing is resized here')
    found.append(ids)
  return found

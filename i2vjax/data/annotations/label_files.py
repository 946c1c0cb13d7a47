"""Files of class maps: reading them, and matching them to frames."""

import io
import os
import re

import numpy as np
from ml_collections import ConfigDict
from PIL import Image, ImageOps

from i2vjax.core.errors import UserError
from i2vjax.data.io import animation, damage, images, picture_heads, tiff
from i2vjax.data.source import FrameSource
from i2vjax.data.sources import alignment, clip_splitting, folders, listing

MODES = ('L', 'P', '1')   # gray, palette, black and white


def read(path: str | os.PathLike) -> np.ndarray:
  """Ids of a label picture; of one with a palette the indices, not the colors.

  Returns:
    uint8 [H, W].

  Raises:
    FileNotFoundError: no such file. UserError: damaged, colors instead of ids, or a JPEG.
  """
  ids = read_picture(path, MODES, 'labels are 8-bit pictures of one channel (gray or palette) that '
                                  'hold class ids, not colors', ids=True)
  return ids.astype(np.uint8)


def read_picture(path: str | os.PathLike, modes: tuple[str, ...], expected: str,
                 ids: bool = False) -> np.ndarray:
  """The stored values of a picture in one of Pillow's `modes`.

  Args:
    path: of the picture. modes: of Pillow. expected: ends the message about another mode.
    ids: the values are class ids, which no JPEG holds.

  Returns:
    uint8 [H, W]; of black and white bool.

  Raises:
    FileNotFoundError: no such file. UserError: damaged, of another mode, or several pictures.
  """
  data = images.read_bytes(path)
  picture_heads.check(data, path, checksums=True)
  if ids:
    picture_heads.check_ids(data, path)
  places = tiff.frame_places(tiff.directories(data.tobytes()))
  if len(places) > 1 or animation.count_frames(data) > 1:
    raise UserError(f'{path} holds several pictures; a map is one')
  try:
    with Image.open(io.BytesIO(data.tobytes()), formats=damage.FORMATS) as opened:
      opened.seek(places[0])     # past a preview
      mode, stored = opened.mode, np.asarray(ImageOps.exif_transpose(opened))
  except damage.OF_PILLOW as error:
    raise images.UnreadableFrame(f'{path} cannot be decoded: {error}') from error
  if mode not in modes:
    raise UserError(f'{path} is a picture of mode {mode}; {expected}')
  return stored


def label_source(data: ConfigDict, place: str) -> folders.FolderFrames:
  """The label pictures of a folder or glob, as a FolderFrames whose files `read` reads.

  Args:
    data: a `data` config block, for how folders are read.
    place: folder (sub-folders are clips) or glob.
  """
  pictures, video_files = listing.find_files(place)
  if video_files:
    raise UserError(f'{place}: maps are single 8-bit PNG pictures, no videos')
  clips = clip_splitting.split_clips(place, pictures, data.clip_regex, data.max_gap)
  return folders.FolderFrames(place, clips)


def match(frames: FrameSource, labels: FrameSource) -> list[list[int | None]]:
  """The label of each frame: same clip, and the same file name or last number in it.

  Clips are matched by name, a single clip with a single one whatever their names. Frames may be
  without a label (Cityscapes labels one in 30), labels may not be without a frame.

  Args:
    frames, labels: FrameSources.

  Returns:
    One list for each clip of `frames`: index into `labels` or None for every frame.

  Raises:
    UserError: names the first label without a frame, or the clip.
  """
  label_clips = {clip.name: clip for clip in labels.clips}
  single = len(frames.clips) == len(labels.clips) == 1
  unknown = sorted(label_clips.keys() - {clip.name for clip in frames.clips})
  if unknown and not single:
    raise UserError(f'clip {unknown[0]} of {labels!r} is not among the clips of {frames!r}')
  matches = []
  for clip in frames.clips:
    label_clip = labels.clips[0] if single else label_clips.get(clip.name)
    if label_clip is None:
      matches.append([None] * clip.length)
      continue
    positions = match_names(_names(frames, clip), _names(labels, label_clip), clip.name, labels)
    matches.append([None if k is None else label_clip.start + k for k in positions])
  return matches


def _names(source, clip):
  return [str(name) for name in alignment.frame_names(source, clip.start, clip.length)]


def match_names(frame_names: list[str], label_names: list[str], clip: str,
                labels: FrameSource) -> list[int | None]:
  """For each name of a frame the position of its label or None: by name, or by a number in it.

  Args:
    frame_names, label_names: of one clip. clip: its name, labels: their source; for the message.

  Raises:
    UserError: names a label without a frame.
  """
  for key in (str, alignment.last_number, _long_number):
    frame_keys = [key(name) for name in frame_names]
    label_keys = [key(name) for name in label_names]
    distinct = (len(set(frame_keys)) == len(frame_keys)
                and len(set(label_keys)) == len(label_keys))
    if distinct and set(label_keys) <= set(frame_keys) and None not in label_keys:
      position = {x: k for k, x in enumerate(label_keys)}
      return [position.get(x) for x in frame_keys]
  numbers = {alignment.last_number(name) for name in frame_names}
  without_frame = [name for name in label_names if alignment.last_number(name) not in numbers]
  label = (without_frame or label_names)[0]
  raise UserError(f'clip {clip}: label {label} of {labels!r} has no frame of that name or number '
                   f'(frames {frame_names[0]} to {frame_names[-1]})')


def _long_number(name):
  """The last number of 3 digits or more (19 in aachen_000000_000019_leftImg8bit), or None."""
  numbers = re.findall(r'\d{3,}', name)
  return int(numbers[-1]) if numbers else None


def read_clip(labels: folders.FolderFrames, indices: list[int], size: tuple[int, int],
              where: str = 'the frames') -> list[np.ndarray]:
  """The labels of one clip.

  Args:
    labels: from `label_source`. indices: those of the clip that are not None (an entry of `match`).
    size: (height, width) they must have. where: whose size that is, for the message.

  Returns:
    [uint8 [H, W]] in order.

  Raises:
    UserError: another size; names the file.
  """
  maps = []
  for i in indices:
    path = labels.files[i][0]
    ids = read(path)
    if ids.shape != tuple(size):
      raise UserError(f'{path} has {ids.shape[1]}x{ids.shape[0]} pixels, {where} '
                       f'{size[1]}x{size[0]}; labels need one size with what they judge, and '
                       f'nothing is resized here')
    maps.append(ids)
  return maps

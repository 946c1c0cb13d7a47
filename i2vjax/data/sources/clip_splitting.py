"""Files as clips: where one ends and the next begins, and how many frames lie in a file."""

import collections
import pathlib
import re

import numpy as np
from PIL import Image

from i2vjax.core.errors import UserError
from i2vjax.data.io import images


def parts_of(path):
  """Frames side by side in a picture: 3 if it is three times as wide as high, 2 if twice."""
  try:
    with Image.open(path) as picture:
      width, height = picture.size
  except OSError as error:
    raise images.UnreadableFrame(f'{path} cannot be decoded: {error}') from error
  return {3 * height: 3, 2 * height: 2}.get(width, 1)


def cut_clips(place, groups, clip_regex='', max_gap=0, parts=1):
  """Files by folder -> clips.

  Args:
    place: for names and messages.
    groups: {relative folder: files in natural order} of `search`.
    clip_regex: its group 1, searched in the path relative to `place`, names the clip.
    max_gap: a clip ends where the number in the file name jumps by more, or does not grow. 0: twice
      the usual step, in flat folders only (a sub-folder is one clip).
    parts: as of FolderFrames; strips are never cut by their numbers.

  Returns:
    List of (name, files); name '' for a flat folder in one piece, 000, 001 ... where it was cut.
  """
  if clip_regex:
    groups = _by_regex(place, groups, clip_regex)
  clips = []
  for name, files in groups.items():
    whole = not max_gap and name != '' and not clip_regex
    if whole or (parts_of(files[0]) if parts == 'auto' else parts) > 1:
      clips.append((name, files))
    else:
      clips += _named(name, cut_runs(files, max_gap))
  return clips


def _by_regex(place, groups, clip_regex):
  clips = collections.defaultdict(list)
  for folder, files in groups.items():
    for file in files:
      path = f'{folder}/{pathlib.Path(file).name}'.lstrip('/')
      match = re.search(clip_regex, path)
      if not match or not match.groups():
        raise UserError(f"data.clip_regex='{clip_regex}' does not fit {path} in {place}: its "
                         f'first (group) must name the clip of every file')
      clips[match.group(1)].append(file)
  return clips


def _named(name, runs):
  if len(runs) == 1:
    return [(name, runs[0])]
  return [(f'{name}_{k:03d}'.lstrip('_'), run) for k, run in enumerate(runs)]


def cut_runs(files, max_gap=0):
  """Split files where the frame number jumps; names without a number that varies are not cut."""
  numbers = frame_numbers([pathlib.Path(file).stem for file in files])
  if not numbers:
    return [files]
  steps = np.diff(numbers)
  grow = steps[steps > 0]
  values, counts = np.unique(grow, return_counts=True)
  gap = max_gap or (2 * values[np.argmax(counts)] if len(grow) else 1)
  cuts = np.flatnonzero((steps <= 0) | (steps > gap)) + 1
  return [files[i:j] for i, j in zip([0, *cuts], [*cuts, len(files)], strict=True)]


def frame_numbers(stems):
  """The last number in each name that is not the same in all of them; [] where there is none."""
  found = [[int(x) for x in re.findall(r'\d+', stem)][::-1] for stem in stems]
  for column in zip(*found, strict=False):
    if len(set(column)) > 1:
      return list(column)
  return []

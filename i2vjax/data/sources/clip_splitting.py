"""Splitting files into clips."""

import collections
import os
import pathlib
import re

import numpy as np

from i2vjax.core.errors import UserError
from i2vjax.data.sources import strips


def split_clips(place: str | os.PathLike, groups: dict[str, list[str]], clip_regex: str = '',
                max_gap: int = 0, parts: strips.Parts = 1) -> list[tuple[str, list[str]]]:
  """Files by folder -> clips.

  Args:
    place: for names and messages.
    groups: {relative folder: files in natural order}, from `folders.find_files`.
    clip_regex: its group 1, searched in the path relative to `place`, names the clip.
    max_gap: a clip ends where the number in the file name jumps by more, or does not grow. 0: twice
      the usual step, in flat folders only (a sub-folder is one clip).
    parts: frames side by side in a file, or a rule; strips are never split by their numbers.

  Returns:
    List of (name, files); name '' for a flat folder in one piece, 000, 001 ... where it was split.
  """
  if clip_regex:
    groups = _by_regex(place, groups, clip_regex)
  clips = []
  for name, files in groups.items():
    is_sub_folder = name != '' and not clip_regex
    if (is_sub_folder and not max_gap) or strips.count_of(parts, files) > 1:
      clips.append((name, files))
    else:
      clips += _named(name, split_runs(files, max_gap))
  return clips


def _by_regex(place, groups, clip_regex):
  """{clip name: files} by the first group of the pattern."""
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


def split_runs(files: list[str], max_gap: int = 0) -> list[list[str]]:
  """Split files where the frame number jumps; names without a varying number are not split."""
  numbers = frame_numbers([pathlib.Path(file).stem for file in files])
  if not numbers:
    return [files]
  steps = np.diff(numbers)
  growing = steps[steps > 0]
  values, counts = np.unique(growing, return_counts=True)
  gap = max_gap or (2 * values[np.argmax(counts)] if len(growing) else 1)
  cuts = np.flatnonzero((steps <= 0) | (steps > gap)) + 1
  return [files[i:j] for i, j in zip([0, *cuts], [*cuts, len(files)], strict=True)]


def frame_numbers(stems: list[str]) -> list[int]:
  """The last number in each name that is not the same in all of them; [] where there is none."""
  numbers = [_numbers_from_the_end(stem) for stem in stems]
  for column in zip(*numbers, strict=False):
    if len(set(column)) > 1:
      return list(column)
  return []


def _numbers_from_the_end(stem):
  return [int(x) for x in reversed(re.findall(r'\d+', stem))]

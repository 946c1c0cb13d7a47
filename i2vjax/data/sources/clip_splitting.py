"""Splitting files into clips."""

import collections
import os
import pathlib
import re

import numpy as np
from ml_collections import ConfigDict

from i2vjax.core import notes
from i2vjax.core.errors import UserError
from i2vjax.data.io import output_paths
from i2vjax.data.sources import frame_numbers, strips


def split_clips(place: str | os.PathLike, groups: dict[str, list[str]], clip_regex: str = '',
                max_gap: int = 0, parts: strips.Parts = 1) -> list[tuple[str, list[str]]]:
  """Files by folder -> clips.

  Args:
    place: for names and messages.
    groups: {relative folder: files in natural order}, from `listing.find_files`.
    clip_regex: its group 1, searched in the path relative to `place`, names the clip.
    max_gap: a clip ends where the number that counts frames (`frame_numbers.read_names`) jumps by
      more, or starts again. 0: twice the usual step, in flat folders only (a sub-folder is cut
      only where its numbers start again).
    parts: frames side by side in a file, or a rule; strips are never split by their numbers.

  Returns:
    List of (name, files); name '' for a flat folder in one piece, 000, 001 ... where it was split.
  """
  groups = _by_regex(place, groups, clip_regex) if clip_regex else groups
  clips = []
  for name, files in groups.items():
    is_sub_folder = name != '' and not clip_regex
    if strips.count_of(parts, files) > 1:
      clips.append((name, files))
      continue
    runs = split_runs(files, max_gap, gaps=bool(max_gap) or not is_sub_folder)
    say_runs(os.path.join(str(place), name) if is_sub_folder else place, files, runs)
    clips += _named(name, runs)
  return clips


def of_domain(data: ConfigDict, domain: str) -> ConfigDict:
  """A copy of config.data whose `clip_regex` is that of a domain, 'a' or 'b', where it has one."""
  data = data.copy_and_resolve_references()
  own = data.get(f'clip_regex_{domain}', '') if domain else ''
  if own:
    data.clip_regex = own
  return data


def say_runs(place: str | os.PathLike, files: list[str], runs: list[list[str]],
             otherwise: str = 'data.clip_regex or data.max_gap decides otherwise') -> None:
  """Say how a folder was cut into several clips, since names are all there is to go by."""
  if len(runs) < 2:
    return
  lengths = sorted({len(run) for run in runs})
  sizes = f'{lengths[0]}' if len(lengths) == 1 else f'{lengths[0]} to {lengths[-1]}'
  where = frame_numbers.read_names([pathlib.Path(file).stem for file in files]).where
  notes.say_once(f'{place}: {len(files)} frames in {len(runs)} clips of {sizes}, counted by '
                 f'{where} in {pathlib.Path(files[0]).name} ({otherwise})')


def _by_regex(place, groups, clip_regex):
  """{clip name: files} by the first group of the pattern."""
  clips = collections.defaultdict(list)
  try:
    pattern = re.compile(clip_regex)
  except re.error as error:
    raise UserError(f"data.clip_regex='{clip_regex}' is no regular expression: {error}") from error
  for folder, files in groups.items():
    for file in files:
      path = f'{folder}/{pathlib.Path(file).name}'.lstrip('/')
      match = pattern.search(path)
      if not match or not match.groups() or match.group(1) is None:
        raise UserError(f"data.clip_regex='{clip_regex}' does not fit {path} in {place}: its "
                         f'first (group) must name the clip of every file')
      name = match.group(1)
      if not output_paths.stays_below(name):
        raise UserError(f"data.clip_regex='{clip_regex}' names a clip {name!r} for {path} in "
                        f'{place}, which leads out of a folder: its first (group) must not begin '
                        'with a slash')
      clips[name].append(file)
  return clips


def _named(name, runs):
  if len(runs) == 1:
    return [(name, runs[0])]
  start = f'{name}_' if name else ''
  return [(f'{start}{k:03d}', run) for k, run in enumerate(runs)]


def split_runs(files: list[str], max_gap: int = 0, gaps: bool = True) -> list[list[str]]:
  """Files in the order of time, split into clips; names without a varying number are not split.

  Files of several folders (`clip_regex` joins them) whose numbers are alike are split by folder.

  Args:
    files: in natural order. max_gap: see `split_clips`.
    gaps: a jump of the frame number ends a clip; False: only where numbers start again.
  """
  reading = frame_numbers.read_names([pathlib.Path(file).stem for file in files])
  if not reading.numbers:
    return [[files[k] for k in clip] for clip in reading.clips]
  numbers, runs = np.array(reading.numbers), []
  folders = _by_folder(files)
  if len(folders) > 1 and any(np.any(np.diff(numbers[clip]) <= 0) for clip in reading.clips):
    return [run for group in folders for run in split_runs(group, max_gap, gaps)]
  usual = frame_numbers.usual_step(numbers, reading.clips)
  for clip in reading.clips:
    steps = np.diff(numbers[clip])
    step = frame_numbers.usual_step(numbers, [clip]) if len(clip) > 3 else usual
    too_far = steps > (max_gap or 2 * step) if gaps else np.zeros(len(steps), bool)
    cuts = np.flatnonzero((steps <= 0) | too_far) + 1
    runs += [[files[k] for k in part] for part in np.split(np.array(clip), cuts)]
  return runs


def _by_folder(files):
  """The files of each folder, in their order."""
  groups = collections.defaultdict(list)
  for file in files:
    groups[os.path.dirname(file)].append(file)
  return list(groups.values())

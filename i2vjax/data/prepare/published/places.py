"""Locating the files of a set below the folder of the downloads."""

import os
import pathlib
import re
from collections.abc import Callable, Iterable

import ml_collections

from i2vjax.core.errors import UserError
from i2vjax.data.prepare.published import records
from i2vjax.data.sources import clip_splitting, folders, listing, locate, strips

DEPTH = 3        # levels of folders below the manual folder that are searched
MAX_LISTED = 12  # names in a message
ARCHIVES = ('.zip', '.tar', '.gz', '.tgz', '.rar', '.7z')


class MissingFiles(FileNotFoundError):   # noqa: N818 (named as it reads in a message)
  """The manual folder lacks something; the message says what was looked for and where."""


def missing(builder: records.FrameBuilder, manual: str | pathlib.Path,
            description: str) -> MissingFiles:
  """The error to raise where nothing below `manual` fits the description."""
  manual = pathlib.Path(manual)
  content = sorted(x.name for x in manual.iterdir()) if manual.is_dir() else []
  packed = [name for name in content if name.endswith(ARCHIVES)]
  advice = f' Unpack {packed[0]} there first.' if packed else ''
  listed = ', '.join(content[:MAX_LISTED]) or 'nothing'
  more = ' ...' if len(content) > MAX_LISTED else ''
  return MissingFiles(
      f'{builder.name}/{builder.builder_config.name}: {manual} lacks {description} (looked for '
      f'there, {DEPTH} folders deep). It holds {listed}{more}.{advice}\n'
      f'  It must hold {builder.HOLDS}\n  The set can be had from {builder.PAGE}')


def read_lines(path: pathlib.Path) -> list[str]:
  """The lines of a list of names that are not empty.

  Raises:
    UserError: no text in UTF-8.
  """
  try:
    lines = path.read_text('utf-8-sig').splitlines()
  except ValueError as error:
    raise UserError(f'{path} is no list of names: {error}') from error
  return [line.strip() for line in lines if line.strip()]


def plain(name: str) -> str:
  """'Sub-1' -> 'sub1': names are compared without case and punctuation."""
  return re.sub(r'[^a-z0-9]', '', name.lower())


def find(manual: str | pathlib.Path, names: Iterable[str], depth: int = DEPTH,
         what: Callable = os.path.isdir) -> pathlib.Path | None:
  """The first folder (or, by `what`, file) of one of the `names`, nearest to the top; or None."""
  level, plain_names = [pathlib.Path(manual)], [plain(name) for name in names]
  for _ in range(depth):
    inner = [child for folder in level for child in _children(folder)]
    for name in plain_names:
      for path in inner:
        if plain(path.name) == name and what(path):
          return path
    level = [path for path in inner if path.is_dir()]
  return None


def find_all(manual: str | pathlib.Path, names: Iterable[str],
             depth: int = DEPTH + 1) -> list[pathlib.Path]:
  """Every folder of one of the `names`, nearest to the top first, none inside another of them."""
  level, plain_names, found = [pathlib.Path(manual)], {plain(name) for name in names}, []
  for _ in range(depth):
    inner = [path for folder in level for path in _children(folder, folders_only=True)]
    found += [path for path in inner if plain(path.name) in plain_names]
    level = [path for path in inner if plain(path.name) not in plain_names]
  return found


def _children(folder, folders_only=False):
  with os.scandir(folder) as entries:
    return sorted((pathlib.Path(x.path) for x in entries if not x.name.startswith('.')
                   and (x.is_dir() or not folders_only)), key=listing.natural_key)


def domain_splits(root: str | pathlib.Path, prefix: str = '') -> dict[str, records.Split]:
  """{'train_a': Split, ...} of the pairs of folders known from CycleGAN: trainA, train/A, ...

  Files may be frames or strips of them (`strips.Auto`).

  Args:
    root: folder. prefix: of the clips' names.
  """
  data = ml_collections.ConfigDict(dict(root=str(root)))
  splits = {}
  for split in ('train', 'test'):
    for domain in 'ab':
      place = locate.find_split(data, split, domain)
      if place:
        parts = strips.Auto(folders.other_sizes(data, split, domain))
        splits[f'{split}_{domain}'] = folder_split(place, prefix, parts)
  return splits


def collected_splits(roots: Iterable[pathlib.Path], last: str,
                     prefix: str = '') -> tuple[dict[str, records.Split], dict[str, pathlib.Path]]:
  """The splits of a scene whose frames are in several folders; each split comes from one folder.

  Single frames come before strips of them, and folders below one called `last` after the others.

  Args:
    roots: of `domain_splits`. last: name of a folder. prefix: of the clips' names.

  Returns:
    ({'train_a': Split, ...}, {'train_a': the root it is from, ...}).
  """
  choices = {}
  for root in roots:
    for name, split in domain_splits(root, prefix).items():
      is_strip = any(parts > 1 for _, _, parts in split.clips)
      is_last = last in map(plain, root.parts)
      choices.setdefault(name, []).append((is_strip, is_last, split, root))
  splits, origin = {}, {}
  for name, entries in choices.items():
    _, _, splits[name], origin[name] = min(entries, key=lambda entry: entry[:2])
  return splits, origin


def folder_split(place: str | pathlib.Path, prefix: str = '',
                 parts: strips.Parts | None = None) -> records.Split:
  """The Split of one folder of frames, of strips, or of folders of either.

  Args:
    place: folder. prefix: of the clips' names. parts: frames in each file, or a rule; None:
      `strips.Auto`.
  """
  parts = strips.Auto() if parts is None else parts
  pictures, video_files = listing.find_files(place)
  if video_files:
    raise UserError(f'{place} holds videos, and records are made of pictures. Unpack them first: '
                     f'python -m i2vjax.main prepare --input {place} --output FOLDER')
  clips = clip_splitting.split_clips(place, pictures, parts=parts)
  # A flat folder gets no clip name: trainA and trainB may be aligned, and clips match by name.
  clips = [(prefix + name if name else prefix.rstrip('/'), files) for name, files in clips]
  source = folders.FolderFrames(place, clips, parts)
  split_clips = []
  for name, start, length in source.clips:
    count = source.files[start][2]
    files = [file for file, part, _ in source.files[start:start + length] if part == 0]
    split_clips.append((name, [records.Picture(file) for file in files], count))
  return records.Split(split_clips)


def joined(parts: Iterable[dict[str, records.Split]]) -> dict[str, records.Split]:
  """Several {split: Split} as one, the clips of the same split one after the other."""
  union = {}
  for splits in parts:
    for name, split in splits.items():
      before = union[name].clips if name in union else []
      union[name] = records.Split(before + split.clips)
  return union

"""Where the files of a set lie below the folder a person downloaded by hand."""

import os
import pathlib
import re

import ml_collections

from i2vjax.core.errors import UserError
from i2vjax.data.prepare.published import records
from i2vjax.data.sources import clip_splitting, folders, locate

DEPTH = 3      # folders below the manual folder that are looked into
LISTED = 12    # names told in a message


class MissingFiles(FileNotFoundError):   # noqa: N818 (named as it reads in a message)
  """The manual folder lacks something; says what was looked for and where."""


def missing(builder, manual, wanted):
  """The error to raise: `wanted` in words was not found below `manual`."""
  manual = pathlib.Path(manual)
  held = sorted(x.name for x in manual.iterdir()) if manual.is_dir() else []
  packed = [name for name in held if name.endswith(('.zip', '.tar', '.gz', '.tgz', '.rar', '.7z'))]
  advice = f' Unpack {packed[0]} there first.' if packed else ''
  more = ' ...' if len(held) > LISTED else ''
  return MissingFiles(
      f'{builder.name}/{builder.builder_config.name}: {manual} lacks {wanted} (looked for there, '
      f'{DEPTH} folders deep). It holds {", ".join(held[:LISTED]) or "nothing"}{more}.{advice}\n'
      f'  It must hold {builder.HOLDS}\n  The set can be had from {builder.PAGE}')


def plain(name):
  """'Sub-1' -> 'sub1': names are compared without case and signs."""
  return re.sub(r'[^a-z0-9]', '', name.lower())


def find(manual, names, depth=DEPTH, what=os.path.isdir):
  """The first folder (or, by `what`, file) of one of the `names`, nearest to the top; or None."""
  level, wanted = [pathlib.Path(manual)], [plain(name) for name in names]
  for _ in range(depth):
    inner = [child for folder in level for child in _children(folder)]
    for name in wanted:
      for path in inner:
        if plain(path.name) == name and what(path):
          return path
    level = [path for path in inner if path.is_dir()]
  return None


def _children(folder):
  with os.scandir(folder) as entries:
    return sorted((pathlib.Path(x.path) for x in entries if not x.name.startswith('.')),
                  key=folders.natural)


def domain_splits(root, prefix='', clip_regex='', parts='auto'):
  """{'train_a': Split, ...} of the pairs of folders known from CycleGAN: trainA, train/A, ...

  Args:
    root: folder. prefix: of the clips' names. clip_regex, parts: as of `clip_splitting.cut_clips`.
  """
  data = ml_collections.ConfigDict(dict(root=str(root)))
  places = {f'{split}_{domain}': locate.find_split(data, split, domain)
            for split in ('train', 'test') for domain in 'ab'}
  return {name: folder_split(place, prefix, clip_regex, parts)
          for name, place in places.items() if place}


def folder_split(place, prefix='', clip_regex='', parts='auto', max_gap=0):
  """The Split of one folder of frames, of strips, or of folders of either."""
  pictures, videos = folders.search(place)
  if videos:
    raise UserError(f'{place} holds videos, and records are made of pictures. Unpack them first: '
                     f'python -m i2vjax.main prepare --input {place} --output FOLDER')
  clips = clip_splitting.cut_clips(place, pictures, clip_regex, max_gap, parts)
  # no name of its own for a flat folder: trainA and trainB may be aligned, and names tell that
  clips = [(prefix + name if name else prefix.rstrip('/'), files) for name, files in clips]
  source = folders.FolderFrames(place, clips, parts)
  found = []
  for name, start, length in source.clips:
    count = source.files[start][2]
    files = [file for file, part, _ in source.files[start:start + length] if part == 0]
    found.append((name, [records.Picture(file) for file in files], count))
  return records.Split(found)


def joined(parts):
  """Several {split: Split} as one: the clips of the same split after each other."""
  union = {}
  for splits in parts:
    for name, split in splits.items():
      before = union[name].clips if name in union else []
      union[name] = records.Split(before + split.clips)
  return union

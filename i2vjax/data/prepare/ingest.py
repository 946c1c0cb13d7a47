"""Clips in whatever people keep them: videos, TIFF sequences, folders, frames side by side."""

import collections
import dataclasses
import pathlib
from typing import Any

import numpy as np
import tqdm

from i2vjax.core.errors import UserError
from i2vjax.data.io import images, video_reader
from i2vjax.data.sources import clip_splitting, folders

SKIP = 'Or leave such frames out: --on_damage=skip'


@dataclasses.dataclass(frozen=True)
class Clip:
  """A clip to be written.

  Attributes:
    name: folder below the output. unit: clips of one unit go to the same split.
    count: frames, None where that is not known. read: () -> iterator of (where, frame, name of
      the file to write, file to copy if nothing is changed or '').
  """

  name: str
  unit: str
  count: int | None
  read: Any


def find_clips(input, data, on_damage='stop', show=True):
  """The clips of a video, a TIFF of several pages, or a folder or glob of videos or pictures."""
  if pathlib.Path(input).is_file() and images.is_image(input):
    return [_pages_clip(input)]
  pictures, videos = folders.search(input)
  if videos:
    return [_video_clip(path, name, on_damage)
            for path, name in folders.unique_names(videos).items()]
  parts = folders.strips(data.frames_per_image)
  if parts == 1:
    folders.warn_strips(pictures)
  clips = clip_splitting.cut_clips(input, pictures, data.clip_regex, data.max_gap, parts)
  source = folders.FolderFrames(input, clips, parts)
  if any(count > 1 for _, _, count in source.files):
    return join_strips(source, show)
  return [Clip(name, name, length, _reader(source, start, length, on_damage))
          for name, start, length in source.clips]


def _pages_clip(path):
  def read():
    for k, frame in enumerate(images.read_pages(path)):
      yield f'{path}, page {k}', frame, f'{k:06d}', ''
  return Clip(pathlib.Path(path).stem, path, None, read)


def _video_clip(path, name, on_damage):
  def read():
    try:
      for k, (frame, _) in enumerate(video_reader.read_video(path, on_damage)):
        yield f'{path}, frame {k}', frame, f'{k:06d}', ''
    except video_reader.UnreadableVideo as error:
      raise video_reader.UnreadableVideo(f'{error}. {SKIP}' if on_damage == 'stop' else str(error)
                                  ) from error
  return Clip(name, name, video_reader.video_info(path).frames, read)


def _reader(source, start, length, on_damage):
  stems = [pathlib.Path(file).stem for file, _, _ in source.files[start:start + length]]
  unique = len(set(stems)) == length

  def read():
    for k in range(length):
      path = source.files[start + k][0]
      try:
        frame = source.read(start + k)['frame']
      except images.UnreadableFrame as error:
        if on_damage == 'stop':
          raise images.UnreadableFrame(f'{error} {SKIP}') from error
        tqdm.tqdm.write(f'skipped: {error}')
        continue
      yield path, frame, stems[k] if unique else f'{k:06d}', path
  return read


def join_strips(source, show=True):
  """Strips as clips; strips that share frames, bit for bit, become one longer clip.

  Recycle-GAN's tools cut a strip for every frame, so that each frame lies in three of them.
  """
  chains, chain, tail = [], [], None
  first = source.read(0)['frame'].shape
  for name, start, length in tqdm.tqdm(source.clips, 'comparing', unit='strip',
                                       disable=None if show else True):
    pieces = [source.read(start + k)['frame'] for k in range(length)]
    if pieces[0].shape[:2] != first[:2]:
      raise UserError(f'{source.files[start][0]}: {length} frames of {_size(pieces[0].shape)} '
                       f'pixels, but {source.files[0][0]} has {_size(first)}. Strips of one '
                       f'folder must have one size.')
    folder = str(pathlib.PurePosixPath(name).parent) if '/' in name else ''
    overlap = _overlap(tail, pieces) if chain and chain[0][1] == folder else 0
    if not overlap and chain:
      chains.append(chain)
      chain = []
    chain.append((name, folder, range(start + overlap, start + length)))
    tail = pieces
  chains.append(chain)
  alone = collections.Counter(chain[0][1] for chain in chains)
  return [_chain_clip(source, chain, alone[chain[0][1]] == 1) for chain in chains]


def _size(shape):
  return f'{shape[1]}x{shape[0]}'


def _overlap(before, after):
  """Frames that the end of one strip shares with the beginning of the next."""
  for count in range(len(after) - 1, 0, -1):
    pairs = list(zip(before[-count:], after[:count], strict=True))
    if all(np.array_equal(x, y) and np.ptp(x) > 0 for x, y in pairs):
      return count
  return 0


def _chain_clip(source, chain, alone):
  name, folder, _ = chain[0]
  name = folder if alone and folder else name
  indices = [i for _, _, part in chain for i in part]

  def read():
    for k, i in enumerate(indices):
      yield source.where(i), source.read(i)['frame'], f'{k:06d}', ''
  # strips that do not overlap may still be neighbors in time: then their folder is one recording
  return Clip(name, name if len(chain) > 1 else f'{folder}/', len(indices), read)

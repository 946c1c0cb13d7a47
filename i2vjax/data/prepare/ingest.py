"""Reading any footage as recordings: videos, TIFF sequences, folders, strips."""

import collections
import dataclasses
import os
import pathlib
from collections.abc import Callable, Iterator

import numpy as np
import tqdm
from ml_collections import ConfigDict

from i2vjax.core import notes, ops
from i2vjax.core.errors import UserError
from i2vjax.data.io import animation, images, video_reader
from i2vjax.data.sources import clip_splitting, folders, listing, streams

ADVICE = 'Or leave such frames out: --on_damage=skip'


@dataclasses.dataclass(frozen=True)
class Recording:
  """A clip to be written to a folder of frames.

  Attributes:
    name: folder below the output.
    unit: recordings of one unit go to the same split.
    count: frames, None where that is not known.
    read: () -> iterator of (where, frame, name without ending of the file to write, no two alike,
      file to copy if nothing is changed or '').
  """

  name: str
  unit: str
  count: int | None
  read: Callable[[], Iterator[tuple[str, np.ndarray, str, str]]]


def find_recordings(input: str | os.PathLike, data: ConfigDict, on_damage: str = 'stop',
                    show: bool = True, deinterlace: bool = False,
                    as_drawn: bool = False) -> list[Recording]:
  """The clips of a video, a TIFF of several pages, or a folder or glob of videos or pictures.

  as_drawn: of radiometric JPEG the 8-bit picture that it shows, not the temperatures.
  """
  is_file = pathlib.Path(input).is_file()
  if is_file and (images.is_image(input) or animation.is_animation(input)) and not deinterlace:
    return [_from_pages(input, on_damage, as_drawn)]
  pictures, video_files = listing.find_files(input)
  if video_files:
    names = listing.unique_names(video_files)
    files = streams.readable_videos(video_files, on_damage)
    return [_from_video(path, names[path], on_damage, deinterlace) for path in files]
  if deinterlace:
    raise UserError(f'--deinterlace is for videos, and {input} holds pictures: leave it away')
  parts = folders.frames_per_file(data.frames_per_image)
  if parts == 1:
    folders.warn_strips(pictures)
  clips = clip_splitting.split_clips(input, pictures, data.clip_regex, data.max_gap, parts)
  source = folders.FolderFrames(input, clips, parts)
  if any(count > 1 for _, _, count in source.files):
    return join_strips(source, show, on_damage)
  return [_from_pictures(source, clip, on_damage, as_drawn) for clip in source.clips]


def _from_pages(path, on_damage='stop', as_drawn=False):
  def read():
    for k, frame in enumerate(images.read_pages(path, as_drawn)):
      if isinstance(frame, images.UnreadableFrame):
        _stop_or_skip(frame, on_damage)
        continue
      yield f'{path}, page {k}', frame, f'{k:06d}', ''
  return Recording(pathlib.Path(path).stem, path, None, read)


def _stop_or_skip(error, on_damage):
  if on_damage == 'stop':
    raise images.UnreadableFrame(f'{error} {ADVICE}') from error
  tqdm.tqdm.write(notes.printable(f'skipped: {error}'))


def _from_video(path, name, on_damage, deinterlace):
  info = video_reader.video_info(path)
  video_reader.say_pictures(info)

  def read():
    try:
      count, lost = 0, 0
      for k, (frame, _) in enumerate(streams.video_frames(path, on_damage, deinterlace)):
        count += 1
        if isinstance(frame, images.UnreadableFrame):
          lost += 1
          continue
        yield f'{path}, frame {k}', frame, f'{k:06d}', ''
      if lost:
        notes.say_once(f'{path}: {lost} of {count} frames are left out, damaged; numbers in the '
                       'names of files have gaps there')
    except video_reader.UnreadableVideo as error:
      message = f'{error}. {ADVICE}' if on_damage == 'stop' else str(error)
      raise video_reader.UnreadableVideo(message) from error
  return Recording(name, name, info.frames, read)


def _from_pictures(source, clip, on_damage, as_drawn):
  files = [file for file, _, _ in source.files[clip.start:clip.start + clip.length]]
  stems = [pathlib.Path(file).stem for file in files]
  unique = len(set(stems)) == clip.length

  def read():
    for k, file in enumerate(files):
      try:
        decode = images.is_radiometric(file)   # a copy would have to be decoded at every reading
        frame = (images.read_drawn(file) if as_drawn and decode
                 else source.read(clip.start + k)['frame'])
      except images.UnreadableFrame as error:
        _stop_or_skip(error, on_damage)
        continue
      yield file, frame, stems[k] if unique else f'{k:06d}', '' if decode else file
  return Recording(clip.name, clip.name, clip.length, read)


# ---- strips


def join_strips(source: folders.FolderFrames, show: bool = True,
                on_damage: str = 'stop') -> list[Recording]:
  """Strips as recordings; strips that share frames, bit for bit, become one longer recording.

  Recycle-GAN's tools write a strip for every frame, so that each frame is in three of them.
  """
  chains, chain, previous, first, first_file = [], [], None, None, ''
  for name, start, length in tqdm.tqdm(source.clips, 'comparing', unit='strip',
                                       disable=None if show else True):
    try:
      frames = [source.read(start + k)['frame'] for k in range(length)]
    except images.UnreadableFrame as error:
      _stop_or_skip(error, on_damage)
      continue
    if first is None:
      first, first_file = frames[0].shape, source.files[start][0]
    if frames[0].shape[:2] != first[:2]:
      raise UserError(f'{source.files[start][0]}: {length} frames of '
                      f'{ops.size_text(frames[0].shape)} pixels, but {first_file} has '
                      f'{ops.size_text(first)}. Strips of one folder must have one size.')
    folder = str(pathlib.PurePosixPath(name).parent) if '/' in name else ''
    overlap = _overlap(previous, frames) if chain and chain[0][1] == folder else 0
    if not overlap and chain:
      chains.append(chain)
      chain = []
    chain.append((name, folder, range(start + overlap, start + length)))
    previous = frames
  if not chain:
    raise UserError(f'{source.place}: no file there can be read')
  chains.append(chain)
  chains_in = collections.Counter(chain[0][1] for chain in chains)   # each folder
  return [_from_chain(source, chain, chains_in[chain[0][1]] == 1) for chain in chains]


def _overlap(before, after):
  """Number of frames that the end of one strip shares with the beginning of the next."""
  for count in range(len(after) - 1, 0, -1):
    pairs = zip(before[-count:], after[:count], strict=True)
    if all(np.array_equal(x, y) and np.ptp(x) > 0 for x, y in pairs):
      return count
  return 0


def _from_chain(source, chain, only_one):
  """Strips that overlap as one recording, named after the folder if that has no other chain."""
  name, folder, _ = chain[0]
  name = folder if only_one and folder else name
  indices = []
  for _, _, frames in chain:
    indices += frames

  def read():
    for k, i in enumerate(indices):
      yield source.where(i), source.read(i)['frame'], f'{k:06d}', ''
  # strips that do not overlap may still be neighbors in time: then their folder is one recording
  return Recording(name, name if len(chain) > 1 else f'{folder}/', len(indices), read)

"""VIPER (rendered by a game), Cityscapes sequences, and DAVIS (moving objects)."""

import pathlib

import numpy as np

from i2vjax.core.errors import UserError
from i2vjax.data.annotations import classes
from i2vjax.data.io import images, output_paths
from i2vjax.data.prepare.published import places, records
from i2vjax.data.sources import listing

SNIPPET = 30   # frames of a Cityscapes snippet
VIDEO_SPLITS = {'train': ('train',), 'validation': ('val', 'validation'), 'test': ('test',)}


def consecutive_runs(files: list, numbers: list[int], block: int = 0) -> list[list]:
  """Files split where the number is not the next one, and after `block` files if that is not 0."""
  cuts = (np.flatnonzero(np.diff(numbers) != 1) + 1).tolist()
  runs = []
  for i, j in zip([0, *cuts], [*cuts, len(files)], strict=True):
    step = block or max(1, j - i)
    runs += [files[k:min(k + step, j)] for k in range(i, j, step)]
  return runs


def pictures_in(folder: pathlib.Path) -> list[str]:
  """The picture files of a folder in natural order."""
  files = [str(x) for x in folder.iterdir() if images.is_image(x)]
  return sorted(files, key=listing.natural_key)


def _number(text, file, form):
  """The number that a part of a file's name is."""
  if not (text.isascii() and text.isdecimal()):
    raise UserError(f'{file} is not named {form}')
  return int(text)


class Viper(records.FrameBuilder):
  """Richter et al., "Playing for Benchmarks", ICCV 2017.

  img: frames. img_cls: frames that have labels, as Cityscapes train ids. img_flow: frames with
  motion to the next and, in flowbw, back. A clip is a run of neighboring frames.
  """

  CONFIGS = ('img', 'img_cls', 'img_flow')
  PAGE = 'the form at the site of the benchmark "Playing for Benchmarks" (VIPER).'
  HOLDS = 'train/img/001/001_00001.jpg and so on, val likewise; with cls, flow, flowbw beside img.'
  CITATION = 'Richter et al., Playing for Benchmarks, ICCV 2017'

  def layout(self, manual: pathlib.Path, config: str) -> dict[str, records.Split]:
    """{'train', 'validation', 'test': Split}, those that exist."""
    kind = config.removeprefix('img').lstrip('_')
    ids = tuple(classes.id_table('viper').tolist()) if kind == 'cls' else None
    splits = {}
    for split, names in VIDEO_SPLITS.items():
      folder = places.find(manual, names)
      if folder and (folder / 'img').is_dir():
        splits[split] = records.Split(viper_clips(folder, kind), label_ids=ids)
    if not splits or not any(map(len, splits.values())):
      beside = f' with {kind} beside it' if kind else ''
      raise places.missing(self, manual, f'train/img or val/img{beside}')
    return splits


def viper_clips(folder: pathlib.Path, kind: str) -> list[tuple]:
  """Clips of one split; with a `kind` only of frames that have it."""
  clips = []
  for sequence in sorted(x for x in (folder / 'img').iterdir() if x.is_dir()):
    pictures, numbers = [], []
    for file in pictures_in(sequence):
      stem = pathlib.Path(file).stem
      picture = viper_picture(folder, sequence.name, file, stem, kind)
      if not kind or picture.label or picture.flow:
        pictures.append(picture)
        numbers.append(_number(stem.split('_')[-1], file, '001_00001.jpg'))
    runs = consecutive_runs(pictures, numbers) if pictures else []
    for k, run in enumerate(runs):
      name = sequence.name if len(runs) == 1 else f'{sequence.name}_{k:03d}'
      clips.append((name, run, 1))
  return clips


def viper_picture(folder: pathlib.Path, sequence: str, file: str, stem: str,
                  kind: str) -> records.Picture:
  """The Picture of a frame with its label or flow files, as far as they exist."""
  picture, path = {'file': file}, f'{sequence}/{stem}'
  for name, file_kind, other in (('label', 'cls', f'cls/{path}.png'),
                                 ('flow', 'flow', f'flow/{path}.npz'),
                                 ('flow_back', 'flow', f'flowbw/{path}.npz')):
    if kind == file_kind and (folder / other).is_file():
      picture[name] = str(folder / other)
  return records.Picture(**picture)


class CityscapesSequence(records.FrameBuilder):
  """Cordts et al., "The Cityscapes Dataset", CVPR 2016: snippets of 30 frames.

  full: as published. 512x256 (STC-V2V trains on it), or any other size: stored at that size.
  """

  CONFIGS = ('full', '512x256')
  COUNTS = {'full': {'train': 89250, 'validation': 15000, 'test': 45750}}
  PAGE = 'the Cityscapes site, after registration: leftImg8bit_sequence_trainvaltest.zip.'
  HOLDS = 'leftImg8bit_sequence/train/CITY/CITY_000000_000000_leftImg8bit.png and so on.'
  CITATION = 'Cordts et al., The Cityscapes Dataset for Semantic Urban Scene Understanding, 2016'

  def layout(self, manual: pathlib.Path, config: str) -> dict[str, records.Split]:
    """{'train', 'validation', 'test': Split}, those that exist."""
    top = places.find(manual, ['leftImg8bit_sequence']) or pathlib.Path(manual)
    splits = {}
    for split, names in VIDEO_SPLITS.items():
      folders_of_split = [top / name for name in names if (top / name).is_dir()]
      if folders_of_split:
        splits[split] = records.Split(cityscapes_clips(folders_of_split[0]))
    if not splits:
      raise places.missing(self, manual, 'leftImg8bit_sequence/train')
    return splits


def cityscapes_clips(folder: pathlib.Path) -> list[tuple]:
  """Runs of neighboring frames of one city and sequence, in blocks of 30."""
  clips = []
  for city in sorted(x for x in folder.iterdir() if x.is_dir()):
    groups = {}
    for file in pictures_in(city):
      parts = pathlib.Path(file).stem.split('_')   # CITY_SEQUENCE_FRAME_leftImg8bit
      form = 'CITY_SEQUENCE_FRAME_leftImg8bit.png'
      _number(parts[-3] if len(parts) > 3 else '', file, form)
      number = _number(parts[-2], file, form)
      groups.setdefault(parts[-3], []).append((number, records.Picture(file)))
    for sequence, members in groups.items():
      for block in consecutive_runs(members, [number for number, _ in members], SNIPPET):
        name = f'{city.name}_{sequence}_{block[0][0]:06d}'
        clips.append((name, [picture for _, picture in block], 1))
  return clips


class Davis2017Frames(records.FrameBuilder):
  """Pont-Tuset et al., "The 2017 DAVIS Challenge", 480p.

  train_masks and validation_masks hold the annotations as frames, for `data.task=segmentation`.
  """

  CONFIGS = ('480p',)
  COUNTS = {'480p': {'train': 4209, 'validation': 1999}}
  PAGE = 'the DAVIS site: DAVIS-2017-trainval-480p.zip.'
  HOLDS = 'DAVIS with JPEGImages/480p, Annotations/480p, ImageSets/2017/train.txt and val.txt.'
  CITATION = 'Pont-Tuset et al., The 2017 DAVIS Challenge on Video Object Segmentation, 2017'

  def layout(self, manual: pathlib.Path, config: str) -> dict[str, records.Split]:
    """{'train', 'validation' and the same with _masks: Split}."""
    top = places.find(manual, ['DAVIS']) or pathlib.Path(manual)
    splits = {}
    for split, name in (('train', 'train'), ('validation', 'val')):
      listed = top / 'ImageSets' / '2017' / f'{name}.txt'
      if not listed.is_file():
        raise places.missing(self, manual, f'DAVIS/ImageSets/2017/{name}.txt')
      names = places.read_lines(listed)
      for kind, folder in (('', 'JPEGImages'), ('_masks', 'Annotations')):
        clips = []
        for name_of_sequence in names:
          sequence = top / folder / '480p' / name_of_sequence
          if '/' in name_of_sequence or not output_paths.stays_below(name_of_sequence):
            raise UserError(f'{listed} names {name_of_sequence!r}, which is no name of a folder')
          if not sequence.is_dir():
            raise places.missing(self, manual, f'{sequence}, which {listed} names')
          pictures = [records.Picture(file) for file in pictures_in(sequence)]
          if not pictures:
            raise places.missing(self, manual, f'pictures in {sequence}')
          clips.append((sequence.name, pictures, 1))
        splits[split + kind] = records.Split(clips)
    return splits

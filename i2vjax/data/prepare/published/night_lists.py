"""FLIR and KAIST stills by the lists of PearlGAN and MornGAN.

The published lists call day color A; here a is thermal, so their trainB is `train_a`. The frames
are far apart in time, so each is a clip of its own.
"""

import functools
import pathlib
import re
import reprlib
import warnings
from collections.abc import Callable

from i2vjax.core import json_files
from i2vjax.core.errors import UserError
from i2vjax.data.prepare.published import places, records

SPLITS = {'train_a': 'trainB', 'train_b': 'trainA', 'test_a': 'testB', 'test_b': 'testA'}
LISTS = ('the lists {0}_trainA_list.txt, {0}_trainB_list.txt, {0}_testA_list.txt, '
         '{0}_testB_list.txt of the GitHub repository FuyaLuo/PearlGAN (img_list/{0})')
CITATION = ('Luo et al., Thermal Infrared Image Colorization for Nighttime Driving Scenes With '
            'Top-Down Guided Attention, T-ITS 2022')
RESIZE, CROP = (400, 500), (56, 70, 288, 360)      # then the middle, without black borders
FLIR_CLASSES = {1: 'person', 2: 'bicycle', 3: 'car', 18: 'dog', 91: 'other vehicle'}
MIDDLE = (112, 140, 288, 360)                      # the same size from the middle of 640x512
MOST_ID = 2 ** 24        # records keep the class of a box as a float32


def read_list(builder: records.FrameBuilder, manual: pathlib.Path, set_name: str,
              part: str) -> list[str]:
  """Names in SET_PART_list.txt below the manual folder."""
  file = f'{set_name}_{part}_list.txt'
  path = places.find(manual, [file], what=pathlib.Path.is_file)
  if path is None:
    raise places.missing(builder, manual, file)
  return places.read_lines(path)


def stills(builder: records.FrameBuilder, manual: pathlib.Path, names: list[str],
           path_of: Callable, resize: tuple | None, crop: tuple | None,
           boxes: dict | None = None, categories: dict[int, str] | None = None) -> records.Split:
  """A Split of single pictures.

  Args:
    builder, manual: for messages. names: in the list. path_of: name -> path, or None where it is
      missing. resize, crop: see `records.Split`. boxes: {stem: boxes}, categories: {class: name} of
      them.
  """
  clips, missing = [], []
  for name in names:
    path = path_of(name)
    stem = pathlib.Path(name).stem
    if path is None:
      missing.append(name)
    picture = records.Picture(str(path), boxes=(boxes or {}).get(stem, ()))
    clips.append((stem, [picture], 1))
  if missing:
    raise places.missing(builder, manual, f'{len(missing)} of {len(names)} pictures of a list, the '
                         f'first of them {missing[0]}')
  unknown = [name for name in names if boxes and pathlib.Path(name).stem not in boxes]
  if unknown:
    warnings.warn(f'{builder.name}: {len(unknown)} of {len(names)} frames, the first of them '
                  f'{unknown[0]}, are in no thermal_annotations.json: they count as without boxes',
                  stacklevel=2)
  return records.Split(clips, resize, crop, categories=categories)


class FlirNtir2dc(records.FrameBuilder):
  """FLIR thermal starter set v1: 640x512 to 500x400, the middle 360x288 of that.

  The boxes of the thermal frames, cropped likewise, are written beside the records as COCO files.
  """

  COUNTS = {'default': {'train_a': 2899, 'train_b': 5447, 'test_a': 490, 'test_b': 10}}
  PAGE = 'the license form of the maker ("FLIR Thermal Starter Dataset", version 1.3).'
  HOLDS = ('train, val and video with RGB and thermal_8_bit in each (version 1, FLIR_00001.jpeg), '
           'and ' + LISTS.format('FLIR') + '.')
  CITATION = CITATION

  def layout(self, manual: pathlib.Path, config: str) -> dict[str, records.Split]:
    """{split: Split}; boxes (COCO ids) where thermal_annotations.json is there."""
    files, boxes, classes = {'thermal_8_bit': {}, 'RGB': {}}, {}, dict(FLIR_CLASSES)
    for part in ('video', 'val', 'train'):
      folder = places.find(manual, [part])
      if folder is None:
        continue
      for kind, path_of in files.items():
        if (folder / kind).is_dir():
          path_of.update({x.stem: x for x in (folder / kind).iterdir()})
      annotations = folder / 'thermal_annotations.json'
      if annotations.is_file():
        table, names_of = read_boxes(annotations)
        boxes, classes = boxes | table, classes | names_of
    splits = {}
    for split, part in SPLITS.items():
      path_of = files['thermal_8_bit' if split.endswith('a') else 'RGB']
      names = read_list(self, manual, 'FLIR', part)
      known = (boxes, classes) if split.endswith('a') else (None, None)
      splits[split] = stills(self, manual, names, lambda x, path_of=path_of: path_of.get(x[:-4]),
                             RESIZE, CROP, *known)
    return splits


def read_boxes(path: pathlib.Path) -> tuple[dict[str, tuple], dict[int, str]]:
  """({stem of the picture: ((x0, y0, x1, y1, class), ...)}, {class: name}) of a COCO file."""
  table = json_files.read(path)
  try:
    pictures, entries = (_list(table[name]) for name in ('images', 'annotations'))
    stems = {_id(x['id']): pathlib.PurePosixPath(x['file_name']).stem for x in pictures}
    boxes = {stem: [] for stem in stems.values()}
    for x in entries:
      boxes[stems[_id(x['image_id'])]].append((*_corners(x['bbox']), _id(x['category_id'])))
    names = {_id(x['id']): str(x['name']) for x in _list(table.get('categories', []))}
  except (KeyError, TypeError, ValueError, AttributeError) as error:
    raise UserError(f'{path} is no COCO file of images and annotations ({error!r})') from error
  if len(stems) < len(pictures) or len(boxes) < len(stems):
    raise UserError(f'{path}: two of its images have one id or one name, and boxes could be of '
                    'either')
  return {stem: tuple(rows) for stem, rows in boxes.items()}, names


def _list(value):
  if not isinstance(value, list):
    raise ValueError(f'{type(value).__name__} instead of a list')
  return value


def _id(value):
  if not json_files.is_count(value, most=MOST_ID):
    raise ValueError(f'{reprlib.repr(value)} is no id')
  return value


def _corners(value):
  if not json_files.is_box(value):
    raise ValueError(f'{reprlib.repr(value)} is no bbox [x, y, width, height]')
  left, top, width, height = value
  return left, top, left + width, top + height


class KaistNtir2dc(records.FrameBuilder):
  """KAIST multispectral; as in the published code, `default` crops test frames without resizing.

  `test_resized` treats test frames as training frames. `detection`: the pictures of a list of
  yours, KAIST_detection_list.txt (the authors' was not published).
  """

  CONFIGS = ('default', 'test_resized', 'detection')
  COUNTS = {name: {'train_a': 1359, 'train_b': 1674, 'test_a': 500}
            for name in ('default', 'test_resized')}
  PAGE = 'the readme of the GitHub repository SoonminHwang/rgbt-ped-detection.'
  HOLDS = ('set00 to set11 with V000/visible and V000/lwir and so on in each, and '
           + LISTS.format('KAIST') + '.')
  CITATION = CITATION

  def layout(self, manual: pathlib.Path, config: str) -> dict[str, records.Split]:
    """{split: Split}."""
    parts = {'test_a': 'detection'} if config == 'detection' else SPLITS
    set_folder = functools.cache(lambda name: places.find(manual, [name]))   # asked very often
    splits = {}
    for split, part in parts.items():
      if split == 'test_b' and not places.find(manual, ['KAIST_testA_list.txt'],
                                               what=pathlib.Path.is_file):
        continue
      camera = 'lwir' if split.endswith('a') else 'visible'
      whole = split.startswith('test') and config != 'test_resized'
      splits[split] = stills(
          self, manual, read_list(self, manual, 'KAIST', part),
          lambda name, camera=camera: kaist_path(set_folder, name, camera),
          None if whole else RESIZE, MIDDLE if whole else CROP)
    return splits


def kaist_path(set_folder: Callable, name: str, camera: str) -> pathlib.Path | None:
  """set4_1_I02120.png -> SET/V001/lwir/I02120.jpg; None where there is no such file.

  Args:
    set_folder: 'set04' -> its folder or None. name: in a list. camera: 'lwir' | 'visible'.
  """
  match = re.fullmatch(r'set(\d{1,4})_V?(\d{1,4})_(I\d{1,9})\.\w+', name)
  if not match:
    raise UserError(f'{name} in a list of KAIST is not of the form set4_1_I02120.png')
  folder = set_folder(f'set{int(match.group(1)):02d}')
  if folder is None:
    return None
  folder = folder / f'V{int(match.group(2)):03d}' / camera
  for ending in ('.jpg', '.png', '.jpeg'):
    path = folder / f'{match.group(3)}{ending}'
    if path.is_file():
      return path
  return None

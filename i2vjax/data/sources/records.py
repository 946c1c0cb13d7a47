"""Frames in TFDS records, as written by `prepare`. TensorFlow is not needed."""

import bisect
import json
import os
import pathlib
import re
import threading

import numpy as np
from ml_collections import ConfigDict

from i2vjax.core import files
from i2vjax.core.errors import UserError
from i2vjax.data.io import images
from i2vjax.data.source import Clip, FrameSource
from i2vjax.data.sources import folders, locate, record_index
from i2vjax.data.transforms import shaping

DATA_DIR = '~/tensorflow_datasets'   # the default of tensorflow_datasets itself
FEATURE = re.compile(r'tensorflow_datasets\.core\.features\.\w+\.(FeaturesDict|Sequence|Scalar|'
                     r'Tensor|Text)')
_cache = threading.local()           # the record decoded last: the frames of a strip share one


def open_split(data: ConfigDict, split: str, domain: str) -> FrameSource | None:
  """The frames of `data.<split>_<domain>` or of `data.name`; None where there are none.

  Args:
    data: config.data. `name`: 'irvi/traffic'; its splits train_a, train_b, test_a, test_b are
      used. Fields such as `train_a` win over it: 'viper/img:train'. `root`: the folder of all
      records, by default $TFDS_DATA_DIR or ~/tensorflow_datasets.
    split: 'train' | 'test' | 'val'; domain: 'a' | 'b'.

  Raises:
    FileNotFoundError: no such records. UserError: they have no such split, though it was named
    (or is needed for training).
  """
  field = f'{split}_{domain}'
  text = locate.named_place(data, split, domain)
  if not (text or data.name):
    return None
  name, colon, named_split = (text or data.name).partition(':')
  folder = find_records(data.root, name)
  splits = record_index.read(folder)
  record_split = named_split if colon else field
  if record_split in splits:
    return TfdsFrames(folder, name, record_split)
  if not (text or split == 'train'):
    return None
  raise UserError(f'{name} in {folder} has no split {record_split}, but {", ".join(splits)}: '
                   f'name one, as in data.{field}={name}:{next(iter(splits))}')


def find_records(root: str, name: str) -> pathlib.Path:
  """The folder of the newest version of a set's records.

  Args:
    root: data_dir, or ''. name: 'irvi/traffic', or 'viper' where it has one config only.
  """
  top = files.expanded(root or os.environ.get('TFDS_DATA_DIR') or DATA_DIR)
  folder = top / name
  versions = [path.parent for path in folder.glob('[0-9]*.*/clips.json')]
  versions = versions or [path.parent for path in folder.glob('*/[0-9]*.*/clips.json')]
  if len({path.parent for path in versions}) > 1:
    configs = ', '.join(sorted(f'{name}/{path.parent.name}' for path in versions))
    raise UserError(f'{folder} holds several configs: name one of {configs}')
  if not versions:
    raise FileNotFoundError(
        f'no records of {name} in {top} (data.root). Make them once of the files you downloaded:\n'
        f'  python -m i2vjax.main prepare --dataset {name} --manual_dir FOLDER --data_dir {top}')
  return max(versions, key=_version)


def _version(folder):
  """'1.10.0' -> [1, 10, 0]."""
  return [int(x) for x in folder.name.split('.') if x.isdecimal()]


def _check_features(folder):
  """Refuse records whose fields are of classes that ours are not: TFDS imports what they name."""
  path = pathlib.Path(folder, 'features.json')
  try:
    named = set(_classes(json.loads(path.read_text('utf-8'))))
  except (OSError, ValueError, RecursionError) as error:
    raise UserError(f'{path} cannot be read ({error}): prepare the set again') from error
  foreign = sorted(name for name in named if not FEATURE.fullmatch(name))
  if foreign:
    raise UserError(f'{path} asks for {ascii(foreign[0])[:80]}, which would be imported and could '
                    'run code: records are read that the command prepare wrote')


def _classes(tree):
  """All names of classes in a features.json; `type` is the older key."""
  if isinstance(tree, list):
    tree = dict(enumerate(tree))
  for name, value in tree.items() if isinstance(tree, dict) else ():
    if name in ('pythonClassName', 'type'):
      yield str(value)
    yield from _classes(value)


class TfdsFrames(FrameSource):
  """One split of a set as a FrameSource; a record is read and decoded when its frame is asked for.

  Attributes:
    clips: list of Clip. has_flow: the motion is known, both ways, but not what is hidden.
  """

  knows_hidden = False

  def __init__(self, folder: str | os.PathLike, name: str, split: str):
    """folder: of the records; name: of the set, for messages; split: of the records."""
    self.folder, self.name, self.split = str(folder), name, split
    self.index = record_index.read(folder)[split]
    self.clips, start = [], 0
    for title, _, count, parts in self.index['clips']:
      self.clips.append(Clip(title, start, count * parts))
      start += count * parts
    self.has_flow, self._starts = self.index['flow'], [clip.start for clip in self.clips]
    self._reset()

  def _reset(self):
    self._lock, self._records = threading.Lock(), None

  def __getstate__(self):
    return self.__dict__ | {'_lock': None, '_records': None}

  def __setstate__(self, state):
    self.__dict__.update(state)
    self._reset()

  def __repr__(self):
    return (f'TfdsFrames({self.name}:{self.split} in {self.folder}, {len(self.clips)} clips, '
            f'{len(self)} frames)')

  def where(self, i):
    """Where frame `i` comes from, for messages."""
    clip, _, _ = self._locate(i)
    return f'{self.name}:{self.split}, clip {self.clips[clip].name}, frame {i - self._starts[clip]}'

  def parts(self, clip):
    """Frames in each file of clip number `clip`: more than 1 where it is a strip."""
    return self.index['clips'][clip][3]

  def names(self, start, length):
    """File names of frames without folder and ending (of strips with the part), as published."""
    files, names = self.index.get('names'), []
    for clip, number, part in map(self._locate, range(start, start + length)):
      # records of earlier versions have no list of names: each record has its own
      file = files[number] if files else self._stored(number)['file'].decode(errors='replace')
      names.append(folders.frame_name(file, part, self.index['clips'][clip][3]))
    return names

  def _locate(self, i):
    """Frame -> (clip, record, part of it)."""
    if not 0 <= i < len(self):
      raise IndexError(f'frame {i} of {len(self)} in {self!r}')
    clip = bisect.bisect_right(self._starts, i) - 1
    _, first, _, parts = self.index['clips'][clip]
    k = i - self._starts[clip]
    return clip, first + k // parts, k % parts

  def records(self):
    """The records, fields as bytes as they were stored; opened at first use."""
    with self._lock:
      if self._records is None:
        self._records = self._open()
    return self._records

  def _open(self):
    for path in pathlib.Path(self.folder).iterdir():
      if path.exists() and not (path.is_file() or path.is_dir()):     # reading it would never end
        raise UserError(f'{path} is no file: it is damaged, prepare the records anew')
    _check_features(self.folder)
    import tensorflow_datasets as tfds  # here: it is slow to import
    try:
      records = tfds.builder_from_directory(self.folder).as_data_source(self.split)
      length = len(records)
    except Exception as error:    # the library raises whatever its damaged files lead to
      raise self._damaged('they cannot be opened', error) from error
    expected = sum(count for _, _, count, _ in self.index['clips'])
    if length != expected:
      raise UserError(f'{self.folder} holds {length} records of {self.split}, but its '
                       f'clips.json tells of {expected}: it is damaged, prepare it again')
    return records

  def read(self, i):
    """{'frame': uint8 [H, W, 1 or 3] or uint16 [H, W, 1]} and, if the set has them, 'label' uint8
    [H, W] and 'boxes' float32 [N, 5] (x0, y0, x1, y1, class); 'original' where it is resized or
    cropped on reading."""
    clip, number, part = self._locate(i)
    if getattr(_cache, 'records', None) is not self.records() or _cache.number != number:
      record = self._decoded(number)
      _cache.record, _cache.number, _cache.records = record, number, self._records
    record, parts = dict(_cache.record), self.index['clips'][clip][3]
    if parts > 1:
      width = record['frame'].shape[1] // parts
      if width * parts != record['frame'].shape[1]:
        raise UserError(f'{self.where(i)}: {record["frame"].shape[1]} pixels wide, which {parts} '
                         f'frames side by side cannot share')
      record['frame'] = np.ascontiguousarray(
          record['frame'][:, part * width:(part + 1) * width])
    return record

  def _stored(self, number):
    records = self.records()
    try:
      return records[number]
    except Exception as error:
      raise self._damaged(f'record {number} cannot be read', error) from error

  def _damaged(self, what, error):
    return UserError(f'{self.name}:{self.split} in {self.folder}: {what} ({error!r}). They are '
                     'damaged: prepare them anew')

  def _decoded(self, number):
    stored = self._stored(number)
    file = stored['file'].decode(errors='replace')
    record = {'frame': images.decode_image(stored['image'], f'{self.name}: {file}')}
    if self.index['label']:
      label = shaping.read_label(stored['label'], f'{self.name}: label of {file}')
      ids = self.index['label_ids']
      record['label'] = np.array(ids, np.uint8)[label] if ids else label
    if self.index['boxes']:
      pairs = zip(stored['boxes']['bbox'], stored['boxes']['category'], strict=True)
      boxes = [(*box, category) for box, category in pairs]
      record['boxes'] = np.asarray(boxes, np.float32).reshape(-1, 5)
    if self.index['resize'] or self.index['crop']:
      record['original'] = record['frame'].shape[:2]
    return shaping.resize_and_crop(record, self.index['resize'], self.index['crop'])

  def follow(self, picture, resize):
    """A map of a frame's published size, resized and cropped as the set's frames are."""
    if self.index['resize']:
      picture = resize(picture, tuple(self.index['resize']))
    if self.index['crop']:
      top, left, height, width = self.index['crop']
      picture = np.ascontiguousarray(picture[top:top + height, left:left + width])
    return picture

  def flow(self, i):
    """True motion between frames i and i + 1 of a clip: see `FrameSource.flow`.

    NaN where the set does not know it; `forward_visible` and `backward_visible` are 0 there and 1
    elsewhere.
    """
    clip, number, _ = self._locate(i)
    if i + 1 == self._starts[clip] + self.clips[clip].length:
      raise IndexError(f'frame {i} is the last of its clip: no flow to a next one')
    motion = {}
    for name, stored, field in (('forward', number, 'flow'), ('backward', number + 1, 'flow_back')):
      flow, known = shaping.read_flow(self._stored(stored)[field], self.where(i))
      motion |= {name: flow, f'{name}_visible': known}
    return motion

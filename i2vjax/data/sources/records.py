"""Frames in TFDS records, as `prepare` wrote them (builders/). TensorFlow is not needed."""

import bisect
import json
import os
import pathlib
import threading

import numpy as np

from i2vjax.core.errors import UserError
from i2vjax.data.io import images
from i2vjax.data.source import Clip, FrameSource
from i2vjax.data.sources import folders
from i2vjax.data.transforms import shaping

DATA_DIR = '~/tensorflow_datasets'   # what tensorflow_datasets itself takes
_last = threading.local()            # the record decoded last: the frames of a strip share one


def source(data, split, domain):
  """The frames of `data.<split>_<domain>` or of `data.name`; None where there are none.

  Args:
    data: config.data. `name`: 'irvi/traffic'; its splits train_a, train_b, test_a, test_b are
      taken. `train_a` and kin win over it: 'viper/img:train'. `root`: the folder of all records,
      by default $TFDS_DATA_DIR or ~/tensorflow_datasets.
    split: 'train' | 'test' | 'val'; domain: 'a' | 'b'.

  Raises:
    FileNotFoundError: no such records. ValueError: they have no such split, though it was named
    (or is needed for training).
  """
  field, wanted = f'{split}_{domain}', f'{split}_{domain}'
  text = data.get(field, '')
  if not (text or data.name):
    return None
  name, colon, asked = (text or data.name).partition(':')
  folder = find(data.root, name)
  splits = json.loads((folder / 'clips.json').read_text())
  wanted = asked if colon else wanted
  if wanted in splits:
    return TfdsFrames(folder, name, wanted)
  if not (text or split == 'train'):
    return None
  raise UserError(f'{name} in {folder} has no split {wanted}, but {", ".join(splits)}: name one, '
                   f'as in data.{field}={name}:{next(iter(splits))}')


def find(root, name):
  """The folder of the newest version of a set's records.

  Args:
    root: data_dir, or ''. name: 'irvi/traffic', or 'viper' where it has one config only.
  """
  top = pathlib.Path(root or os.environ.get('TFDS_DATA_DIR') or DATA_DIR).expanduser()
  folder = top / name
  found = [path.parent for path in folder.glob('[0-9]*.*/clips.json')]
  found = found or [path.parent for path in folder.glob('*/[0-9]*.*/clips.json')]
  if len({path.parent for path in found}) > 1:
    configs = ', '.join(sorted(f'{name}/{path.parent.name}' for path in found))
    raise UserError(f'{folder} holds several configs: name one of {configs}')
  if not found:
    raise FileNotFoundError(
        f'no records of {name} in {top} (data.root). Make them once of the files you downloaded:\n'
        f'  python -m i2vjax.main prepare --dataset {name} --manual_dir FOLDER --data_dir {top}')
  return max(found, key=lambda path: [int(x) for x in path.name.split('.') if x.isdigit()])


class TfdsFrames(FrameSource):
  """One split of a set as a FrameSource; a record is read and decoded when its frame is asked for.

  Attributes:
    clips: list of (name, start, length). has_flow: the motion is known, both ways.
  """

  def __init__(self, folder, name, split):
    """folder: of the records; name: of the set, for messages; split: of the records."""
    self.folder, self.name, self.split = str(folder), name, split
    self.index = json.loads((pathlib.Path(folder) / 'clips.json').read_text())[split]
    self.clips, start = [], 0
    for title, _, count, parts in self.index['clips']:
      self.clips.append(Clip(title, start, count * parts))
      start += count * parts
    self.has_flow, self._starts = self.index['flow'], [clip[1] for clip in self.clips]
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
    """Frame `i` in words, for messages."""
    clip, _, _ = self._locate(i)
    return f'{self.name}:{self.split}, clip {self.clips[clip][0]}, frame {i - self._starts[clip]}'

  def names(self, start, length):
    """File names of frames without folder and ending (of strips with the part), as published."""
    known, found = self.index.get('names'), []
    for clip, number, part in map(self._locate, range(start, start + length)):
      # records of earlier versions tell names only one by one
      file = known[number] if known else self.records()[number]['file'].decode()
      found.append(folders.stem(file, part, self.index['clips'][clip][3]))
    return found

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
    import tensorflow_datasets as tfds  # here: it is slow to import
    records = tfds.builder_from_directory(self.folder).as_data_source(self.split)
    told = sum(count for _, _, count, _ in self.index['clips'])
    if len(records) != told:
      raise UserError(f'{self.folder} holds {len(records)} records of {self.split}, but its '
                       f'clips.json tells of {told}: it is damaged, prepare it again')
    return records

  def read(self, i):
    """{'frame': uint8 [H, W, 1 or 3] or uint16 [H, W, 1]} and, if the set has them, 'label' uint8
    [H, W] and 'boxes' float32 [N, 5] (x0, y0, x1, y1, class)."""
    clip, number, part = self._locate(i)
    if getattr(_last, 'of', None) is not self.records() or _last.number != number:
      record = self._decoded(number)
      _last.record, _last.number, _last.of = record, number, self._records
    record, parts = dict(_last.record), self.index['clips'][clip][3]
    if parts > 1:
      width = record['frame'].shape[1] // parts
      if width * parts != record['frame'].shape[1]:
        raise UserError(f'{self.where(i)}: {record["frame"].shape[1]} pixels wide, which {parts} '
                         f'frames side by side cannot share')
      record['frame'] = np.ascontiguousarray(
          record['frame'][:, part * width:(part + 1) * width])
    return record

  def _decoded(self, number):
    stored = self.records()[number]
    file = stored['file'].decode()
    record = {'frame': images.decode_image(stored['image'], f'{self.name}: {file}')}
    if self.index['label']:
      label = shaping.read_label(stored['label'], f'{self.name}: label of {file}')
      ids = self.index['label_ids']
      record['label'] = np.array(ids, np.uint8)[label] if ids else label
    if self.index['boxes']:
      boxes = zip(stored['boxes']['bbox'], stored['boxes']['category'], strict=True)
      boxes = [(*box, kind) for box, kind in boxes]
      record['boxes'] = np.asarray(boxes, np.float32).reshape(-1, 5)
    return shaping.shaped(record, self.index['resize'], self.index['crop'])

  def flow(self, i):
    """True motion between frame i and i + 1 of a clip, as of `scenes.source.Scenes.flow`.

    NaN where the set does not know it; `forward_visible` and `backward_visible` are 0 just there.
    """
    clip, number, _ = self._locate(i)
    if i + 1 == self._starts[clip] + self.clips[clip][2]:
      raise IndexError(f'frame {i} is the last of its clip: no flow to a next one')
    found = {}
    for name, stored, field in (('forward', number, 'flow'), ('backward', number + 1, 'flow_back')):
      flow, known = shaping.read_flow(self.records()[stored][field], self.where(i))
      found |= {name: flow, f'{name}_visible': known}
    return found

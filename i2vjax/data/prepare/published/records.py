"""Writing published sets as TFDS records.

One record per picture file, its bytes unchanged, in order of time. No TensorFlow is needed, neither
to write nor to read (the files are array_record). A set knows where its files are (`layout`);
everything else is here.
"""

import contextlib
import dataclasses
import io
import itertools
import json
import logging
import pathlib
import re
import warnings
from collections.abc import Iterator

import numpy as np
import tensorflow_datasets as tfds
import tqdm

from i2vjax.core.errors import UserError
from i2vjax.data.io import images
from i2vjax.data.transforms import shaping

INDEX = 'clips.json'   # clips as ranges of records, so that opening a set reads no record
SIZE = re.compile(r'(?:^|_)(\d+)x(\d+)$')


@dataclasses.dataclass(frozen=True)
class Picture:
  """One picture file and its annotations; paths are '' where there is none.

  Attributes:
    file: the frame, or several side by side. label: picture of class ids. flow: .npz of the motion
      to the next frame. flow_back: to the frame before. boxes: ((x0, y0, x1, y1, class), ...).
  """

  file: str
  label: str = ''
  flow: str = ''
  flow_back: str = ''
  boxes: tuple = ()


@dataclasses.dataclass(frozen=True)
class Split:
  """The clips of one split.

  Attributes:
    clips: list of (name, [Picture], frames side by side in each file).
    resize: (height, width) | None, then crop: (top, left, height, width) | None: as in all
      published experiments on these frames; done when they are read.
    label_ids: 256 class ids that replace those in the label files, or None.
    categories: {class of a box: name}, or None.
  """

  clips: list
  resize: tuple | None = None
  crop: tuple | None = None
  label_ids: tuple | None = None
  categories: dict[int, str] | None = None

  def __len__(self):
    return sum(len(pictures) for _, pictures, _ in self.clips)


def parse_config(name: str) -> tuple[str, tuple[int, int] | None]:
  """'img_cls_512x256' -> ('img_cls', (256, 512)): a size at the end means resized frames."""
  match = SIZE.search(name)
  if not match:
    return name, None
  return name[:match.start()], (int(match.group(2)), int(match.group(1)))


class FrameBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
  """A set of clips. Its subclasses know where the files are.

  Attributes:
    CONFIGS: names that may stand after the slash; OPEN: others may, too.
    COUNTS: {config: {split: frames}} as published; another number gives a warning.
    PAGE: where the set can be obtained, as text. HOLDS: what the manual folder must hold.
    CITATION: of the paper.
  """

  VERSION = tfds.core.Version('1.0.0')
  CONFIGS, OPEN, COUNTS, PAGE, HOLDS, CITATION = ('default',), False, {}, '', '', ''
  show, limit = True, 0   # progress bar; records per split, 0: all
  code_path = pathlib.Path(__file__)   # TFDS' own search needs a package that it does not require

  def __init_subclass__(cls, **kwargs):
    cls.BUILDER_CONFIGS = [tfds.core.BuilderConfig(name=name) for name in cls.CONFIGS]
    cls.MANUAL_DOWNLOAD_INSTRUCTIONS = f'The folder must hold {cls.HOLDS} From {cls.PAGE}'
    super().__init_subclass__(**kwargs)

  @property
  def base(self):
    """The config without the size at its end; the first one where nothing else is left."""
    return parse_config(self.builder_config.name)[0] or self.CONFIGS[0]

  def layout(self, manual: pathlib.Path, config: str) -> dict[str, Split]:
    """{split: Split} of the files below the folder `manual`; raises MissingFiles."""
    raise UserError(f'{self.name} has no layout')

  def _info(self):
    box = {'bbox': tfds.features.Tensor(shape=(4,), dtype=np.float32),
           'category': tfds.features.Scalar(np.int32)}
    fields = {name: tfds.features.Text() for name in
              ('image', 'file', 'clip_name', 'label', 'flow', 'flow_back')}
    fields |= {name: tfds.features.Scalar(np.int32) for name in ('clip', 'frame')}
    fields['boxes'] = tfds.features.Sequence(box)
    return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(fields),
                                 disable_shuffling=True, citation=self.CITATION)

  def _split_generators(self, dl_manager):
    manual = pathlib.Path(dl_manager.manual_dir)
    splits = {name: shortened(split, self.limit)
              for name, split in self.layout(manual, self.base).items() if len(split)}
    if not self.limit:
      self._compare_counts(splits)
    size = parse_config(self.builder_config.name)[1]
    (self.data_path / INDEX).write_text(json.dumps(clip_index(splits, size)))
    return {name: self._generate_examples(name, split, manual, size)
            for name, split in splits.items()}

  def _compare_counts(self, splits):
    for name, count in self.COUNTS.get(self.base, {}).items():
      split = splits.get(name, Split([]))
      if count not in (len(split), frames_of(split)):   # strips: it is not said what was counted
        warnings.warn(f'{self.name}/{self.base}: {frames_of(split)} frames in {name}, published '
                      f'are {count}', stacklevel=2)

  def _generate_examples(self, name, split, manual, size):
    key = 0
    with tqdm.tqdm(total=len(split), desc=name, unit='file', disable=None if self.show else True,
                   dynamic_ncols=True) as bar:
      for clip, (title, pictures, parts) in enumerate(split.clips):
        shape = None   # of the clip's frames
        for frame, picture in enumerate(pictures):
          record, frame_shape = encode(picture, split, parts, size)
          shape = shape or frame_shape
          if frame_shape != shape:
            raise UserError(f'{picture.file}: {frame_shape[1]}x{frame_shape[0]} pixels, but '
                             f'{pictures[0].file} has {shape[1]}x{shape[0]}. The frames of a clip '
                             f'must have one size.')
          file = pathlib.Path(picture.file)
          file = file.relative_to(manual) if file.is_relative_to(manual) else file
          yield key, record | {'clip': clip, 'frame': frame, 'clip_name': title, 'file': str(file)}
          key += 1
          bar.update()


def frames_of(split: Split) -> int:
  """Frames in a split; strips count for each of theirs."""
  return sum(len(pictures) * parts for _, pictures, parts in split.clips)


def shortened(split: Split, limit: int) -> Split:
  """The first `limit` files of a split, in whole clips as far as that goes; 0: all."""
  clips, left = [], limit or len(split)
  for title, pictures, parts in split.clips:
    if left > 0:
      clips.append((title, pictures[:left], parts))
      left -= len(pictures)
  return dataclasses.replace(split, clips=clips)


def clip_index(splits: dict[str, Split], size: tuple[int, int] | None) -> dict[str, dict]:
  """The content of `INDEX`: for each split its clips, resize and crop, and annotations."""
  index = {}
  for name, split in splits.items():
    clips, first = [], 0
    for title, pictures, parts in split.clips:
      clips.append((title, first, len(pictures), parts))
      first += len(pictures)
    every = [picture for _, pictures, _ in split.clips for picture in pictures]
    has_motion = []   # of each pair of neighbors
    for _, pictures, _ in split.clips:
      has_motion += [bool(x.flow and y.flow_back) for x, y in itertools.pairwise(pictures)]
    index[name] = {
        'clips': clips, 'names': [pathlib.Path(x.file).name for x in every],
        'label_ids': split.label_ids, 'categories': split.categories,
        'resize': None if size else split.resize, 'crop': None if size else split.crop,
        'label': all(x.label for x in every), 'boxes': any(x.boxes for x in every),
        'flow': bool(has_motion) and all(has_motion)}
  return index


def encode(picture: Picture, split: Split, parts: int,
           size: tuple[int, int] | None) -> tuple[dict, tuple[int, int]]:
  """(fields of a record, (height, width) of its file). Decodes it, so damage is noticed here."""
  data = {'image': _bytes(picture.file), 'label': _bytes(picture.label),
          'flow': _bytes(picture.flow), 'flow_back': _bytes(picture.flow_back)}
  frame = images.decode_image(data['image'], picture.file)
  if frame.shape[1] % parts:
    raise UserError(f'{picture.file}: {frame.shape[1]} pixels wide, which {parts} frames side by '
                     f'side cannot share. Remove it, or cut it to the width of the others.')
  _check_fits(picture, data, (frame.shape[0], frame.shape[1] // parts))
  boxes = np.asarray(picture.boxes, np.float32).reshape(-1, 5)
  if size:
    data, boxes = shaping.resize_files(data, frame, boxes, parts, size, split.resize, split.crop)
  boxes = [{'bbox': box[:4], 'category': int(box[4])} for box in boxes]
  return data | {'boxes': boxes}, frame.shape[:2]


def _check_fits(picture, data, size):
  """Refuse class ids or motion of another size than their frame, and damaged ones."""
  sizes = {}
  if data['label']:
    sizes[picture.label] = shaping.read_label(data['label'], picture.label).shape
  for file, content in ((picture.flow, data['flow']), (picture.flow_back, data['flow_back'])):
    if content:
      sizes[file] = shaping.read_flow(content, file)[1].shape
  for file, other in sizes.items():
    if other != size:
      raise UserError(f'{file} has {other[1]}x{other[0]} pixels, its frame {picture.file} '
                      f'{size[1]}x{size[0]}')


def _bytes(path):
  if path and not pathlib.Path(path).is_file():     # a pipe would be waited for without end
    raise FileNotFoundError(f'No such file: {path}')
  return pathlib.Path(path).read_bytes() if path else b''


@contextlib.contextmanager
def quiet() -> Iterator[None]:
  """Without the messages of TFDS, which it prints and logs."""
  logger = logging.getLogger('absl')
  level = logger.level
  logger.setLevel(logging.ERROR)
  try:
    with contextlib.redirect_stdout(io.StringIO()):
      yield
  finally:
    logger.setLevel(level)


def make(kind: type[FrameBuilder], config: str, data_dir: str | pathlib.Path, show: bool,
         limit: int) -> FrameBuilder:
  """An instance of a builder class."""
  if config not in kind.CONFIGS:
    config = tfds.core.BuilderConfig(name=config)
  with quiet():
    builder = kind(data_dir=str(data_dir), file_format='array_record', config=config)
  builder.show, builder.limit = show, limit
  return builder


def write(builder: FrameBuilder, manual: pathlib.Path) -> dict[str, int]:
  """Run a builder. Returns {split: frames}."""
  tfds.disable_progress_bar()   # a bar of ours, with the number of files known
  with quiet():
    builder.download_and_prepare(download_config=tfds.download.DownloadConfig(
        manual_dir=str(manual), compute_stats=tfds.download.ComputeStatsMode.SKIP))
  index = json.loads((builder.data_path / INDEX).read_text())
  counts = {}
  for name, split in index.items():
    counts[name] = sum(count * parts for _, _, count, parts in split['clips'])
  return counts

"""Class maps of training frames: read, merged, denoised, or made noisy.

`data.labels_b` is a folder of label pictures of frames of `data.train_b`; `labels_a` likewise.
A frame without one counts as without classes, and the number of those that have one is said.
MornGAN (arXiv 2208.02960) merges the maps of two parsers (segmentation networks) and
denoises them; that is `data.labels_b_aux` and `data.labels_b_denoise`. `data.label_noise` adds the
errors of a parser to the exact maps of scenes.
"""

import os

import numpy as np
from ml_collections import ConfigDict
from scipy import ndimage

from i2vjax.core.class_names import CITYSCAPES, IGNORE
from i2vjax.core.errors import UserError
from i2vjax.data.annotations import label_files, matching
from i2vjax.data.source import FrameSource, Wrapper
from i2vjax.data.transforms import resize

BUILDING, POLE, VEGETATION, SKY = (
    CITYSCAPES.index(name) for name in ('building', 'pole', 'vegetation', 'sky'))
PERSON, RIDER, CAR, TRUCK = (
    CITYSCAPES.index(name) for name in ('person', 'rider', 'car', 'truck'))
# (class, those it is confused with), in this order.
CONFUSED = ((VEGETATION, (SKY,)), (POLE, (SKY,)), (SKY, (VEGETATION, POLE)))


def apply(source: FrameSource, data: ConfigDict, domain: str) -> FrameSource:
  """The frames of a training domain with the class maps that its config names, if any.

  The fields of `data` read here are in the configs of some methods only.

  Args:
    source: FrameSource. data: config.data. domain: 'a' | 'b', as in the fields of `data`.

  Raises:
    UserError, FileNotFoundError: no frame has a map, or one that does not fit; named.
  """
  place, aux_place = data.get(f'labels_{domain}', ''), data.get(f'labels_{domain}_aux', '')
  if place:
    places = [place, aux_place] if aux_place else [place]
    clean = bool(data.get(f'labels_{domain}_denoise', False))
    classes = data.get('label_classes', len(CITYSCAPES))
    source = matching.check_first(ClassMaps(source, places, data, classes, clean))
  noise = float(data.get('label_noise', 0.0)) if domain == 'b' else 0.0
  return NoisyLabels(source, noise) if noise else source


class ClassMaps(matching.PictureMaps):
  """Frames with the class maps of one or two parsers."""

  KIND, EVERY, RESIZE = 'label', False, staticmethod(resize.resize_labels)

  def __init__(self, source: FrameSource, places: list[str], data: ConfigDict,
               classes: int = len(CITYSCAPES), clean: bool = False):
    """Class maps in folders.

    Args:
      places: one folder, or that of a parser of streets and that of a parser of objects.
      data: config.data. classes: number of class ids. clean: denoise the maps.
    """
    super().__init__(source, places, data)
    self.classes, self.clean = classes, clean

  def read(self, i):
    """The source's record and 'label', uint8 [H, W] ids, 255 = no class."""
    record = self.source.read(i)
    maps = self.read_maps(i, record, self.read_ids)
    if not maps:
      return {**record, 'label': np.full(record['frame'].shape[:2], IGNORE, np.uint8)}
    label = merge_parsers(*maps) if len(maps) == 2 else maps[0]
    if self.clean:
      frame = resize.resize_frame(record['frame'], label.shape)
      label = denoise(label, frame.astype(np.float32))
    return {**record, 'label': label}

  def read_ids(self, path: str | os.PathLike) -> np.ndarray:
    """The ids of a class map; ids that are no class are refused."""
    label = label_files.read(path)
    wrong = label[(label >= self.classes) & (label != IGNORE)]
    if wrong.size:
      raise UserError(f'{path}: id {wrong[0]} is no class (0 to {self.classes - 1}, or {IGNORE} = '
                       f'none)')
    return label


class NoisyLabels(Wrapper):
  """Exact class maps with the errors of a parser, the same for a frame every time."""

  def __init__(self, source: FrameSource, share: float):
    """share: of connected regions that lose their label."""
    super().__init__(source)
    self.share = share

  def read(self, i):
    """The source's record with noise in its 'label'."""
    record = self.source.read(i)
    label = add_label_noise(record['label'], self.share, np.random.default_rng(i))
    return {**record, 'label': label}


def add_label_noise(label: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
  """Vegetation and poles grow into the sky; borders and a share of the regions lose their label.

  Args:
    label: uint8 [H, W]. share: of connected regions. rng: numpy Generator.

  Returns:
    uint8 [H, W].
  """
  label = label.copy()
  for c in (VEGETATION, POLE):
    grown = ndimage.binary_dilation(label == c, iterations=int(rng.integers(1, 3)))
    label[grown & (label == SKY)] = c
  lost = np.zeros(label.shape, bool)
  for c in np.unique(label):
    regions, count = ndimage.label(label == c)
    lost |= np.isin(regions, 1 + np.flatnonzero(rng.random(count) < share))
  border = ndimage.maximum_filter(label, 3) != ndimage.minimum_filter(label, 3)
  return np.where(lost | border, IGNORE, label).astype(np.uint8)


def merge_parsers(label: np.ndarray, other: np.ndarray) -> np.ndarray:
  """One map from a parser of streets and a parser of objects (MornGAN; as in the public code).

  The first decides; persons, cars and buildings count only where the second agrees. Riders count
  as persons and become persons; a car that the second calls a truck becomes a truck.

  Args:
    label, other: uint8 [H, W], train ids.

  Returns:
    uint8 [H, W].
  """
  if label.shape != other.shape:
    raise UserError(f'label maps of {label.shape} and {other.shape} cannot be fused')
  table = {PERSON: (PERSON,), RIDER: (PERSON,), CAR: (CAR, TRUCK), BUILDING: (BUILDING,)}
  merged = label.copy()
  for c, agreeing in table.items():
    merged[label == c] = np.where(np.isin(other, agreeing), other, IGNORE)[label == c]
  return merged


def denoise(label: np.ndarray, features: np.ndarray) -> np.ndarray:
  """Labels without those whose pixel is closer to the mean of a class it is confused with.

  Semantic denoising of a visible frame (MornGAN, Eq. 5 to 7), in the order of CONFUSED: a class
  that was treated is compared by its new mean.

  The NumPy twin of `losses.pseudo_labels.denoised`: this one cleans given maps in the loader's
  threads and processes, which must not touch the device; the other cleans predictions inside the
  training step. tests/data/annotations/test_class_maps.py holds the two together.

  Args:
    label: uint8 [H, W]. features: float32 [H, W, C].

  Returns:
    uint8 [H, W].
  """
  label = label.copy()
  present = [k for k in (VEGETATION, POLE, SKY) if (label == k).any()]
  mean = {k: features[label == k].mean(axis=0) for k in present}
  for c, confused_with in CONFUSED:
    if c not in mean:
      continue
    mask = label == c
    v = features[mask]
    distance = np.square(v - mean[c]).sum(axis=-1)
    reject = np.zeros(len(v), bool)
    for k in confused_with:
      if k in mean:
        reject |= distance > np.square(v - mean[k]).sum(axis=-1)
    label[mask] = np.where(reject, IGNORE, c)
    if not reject.all():
      mean[c] = v[~reject].mean(axis=0)
  return label

"""Class maps that another program gave to training frames: found, fused, denoised, or spoilt.

`data.labels_b` is a folder of label pictures, one for every frame of `data.train_b`; `labels_a`
likewise. MornGAN (arXiv 2208.02960) fuses the maps of two parsers and denoises them; that is
`data.labels_b_aux` and `data.labels_b_denoise`. `data.label_noise` spoils the exact maps of scenes
as a parser would.
"""

import numpy as np
from scipy import ndimage

from i2vjax.core.errors import UserError
from i2vjax.data import source
from i2vjax.data.annotations import label_files, matching
from i2vjax.data.transforms import resize

IGNORE = 255
BUILDING, POLE, VEGETATION, SKY, PERSON, RIDER, CAR, TRUCK = 2, 5, 8, 10, 11, 12, 13, 14
# (class, those it is confused with), in this order.
CONFUSED = ((VEGETATION, (SKY,)), (POLE, (SKY,)), (SKY, (VEGETATION, POLE)))


def apply(found, data, domain):
  """The frames of a training domain with the class maps that its config names.

  Args:
    found: FrameSource. data: config.data. domain: 'a' | 'b', as the fields of `data` count.

  Raises:
    ValueError, FileNotFoundError: a frame without a map, or one that does not fit; named.
  """
  places = [place for place in (data.get(f'labels_{domain}{x}', '') for x in ('', '_aux')) if place]
  noise = data.get('label_noise', 0.0) if domain == 'b' else 0.0
  if data.get(f'labels_{domain}', ''):
    clean = bool(data.get(f'labels_{domain}_denoise', False))
    found = matching.checked(WithLabels(found, places, data, clean))
  return NoisyLabels(found, float(noise)) if noise else found


class WithLabels(matching.WithPictures):
  """Frames with the class maps of one or two programs."""

  KIND, RESIZE = 'label', staticmethod(resize.resize_labels)

  def __init__(self, source, places, data, clean):
    """places: one folder, or that of a parser of streets and of one of things. clean: denoise."""
    super().__init__(source, places, data)
    self.classes, self.clean = data.get('label_classes', 19), clean

  def read(self, i):
    """The source's record and 'label', uint8 [H, W] ids, 255 = no class."""
    record = self.source.read(i)
    found = self.pictures(i, record, self.ids)
    label = merge_parsers(*found) if len(found) == 2 else found[0]
    if self.clean:
      frame = resize.resize_frame(record['frame'], label.shape)
      label = denoise(label, frame.astype(np.float32))
    return {**record, 'label': label}

  def ids(self, path):
    """The ids of a class map; others than classes are refused."""
    label = label_files.read(path)
    wrong = label[(label >= self.classes) & (label != IGNORE)]
    if wrong.size:
      raise UserError(f'{path}: id {wrong[0]} is no class (0 to {self.classes - 1}, or {IGNORE} = '
                       f'none)')
    return label


class NoisyLabels(source.Wrapper):
  """Exact class maps with the mistakes of a parser, the same for a frame every time."""

  def __init__(self, source, share):
    """share: of connected regions that lose their label."""
    super().__init__(source)
    self.share = share

  def read(self, i):
    """The source's record with its 'label' spoilt."""
    record = self.source.read(i)
    return {
      **record,
      'label': add_label_noise(record['label'], self.share, np.random.default_rng(i)),
    }


def add_label_noise(label, share, rng):
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
  around = [ndimage.maximum_filter(label, 3), ndimage.minimum_filter(label, 3)]
  return np.where(lost | (around[0] != around[1]), IGNORE, label).astype(np.uint8)


def merge_parsers(label, other):
  """Maps of a parser of streets and of one of things: what the first says, persons, cars and
  buildings only where the second agrees (MornGAN; details of the public code).

  Riders count as persons and become ones; a car that the second calls a truck becomes one.

  Args:
    label, other: uint8 [H, W], train ids.

  Returns:
    uint8 [H, W].
  """
  if label.shape != other.shape:
    raise UserError(f'label maps of {label.shape} and {other.shape} cannot be fused')
  table = {PERSON: (PERSON,), RIDER: (PERSON,), CAR: (CAR, TRUCK), BUILDING: (BUILDING,)}
  found = label.copy()
  for c, agreeing in table.items():
    found[label == c] = np.where(np.isin(other, agreeing), other, IGNORE)[label == c]
  return found


def denoise(label, features):
  """Labels less those whose pixel is closer to the mean of a class it is confused with.

  Semantic denoising of a visible frame (MornGAN, Eq. 5 to 7), in the order of CONFUSED: a class
  that was treated is compared by its new mean.

  Args:
    label: uint8 [H, W]. features: float32 [H, W, C].

  Returns:
    uint8 [H, W].
  """
  label = label.copy()
  mean = {k: features[label == k].mean(axis=0) for k in (VEGETATION, POLE, SKY)
          if (label == k).any()}
  for c, near in CONFUSED:
    if c not in mean:
      continue
    place = label == c
    v = features[place]
    own = np.square(v - mean[c]).sum(axis=-1)
    reject = np.zeros(len(v), bool)
    for k in near:
      if k in mean:
        reject |= own > np.square(v - mean[k]).sum(axis=-1)
    label[place] = np.where(reject, IGNORE, c)
    if not reject.all():
      mean[c] = v[~reject].mean(axis=0)
  return label

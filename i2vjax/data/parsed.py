"""Class maps that another program gave to training frames: found, fused, denoised, or spoilt.

`data.labels_b` is a folder of label pictures, one for every frame of `data.train_b`; `labels_a`
likewise. MornGAN (arXiv 2208.02960) fuses the maps of two parsers and denoises them; that is
`data.labels_b_aux` and `data.labels_b_denoise`. `data.label_noise` spoils the exact maps of scenes
as a parser would.
"""

import types

import numpy as np
from scipy import ndimage

from i2vjax.data import crops, labels
from i2vjax.data import frames as images

IGNORE = 255
BUILDING, POLE, VEGETATION, SKY, PERSON, RIDER, CAR, TRUCK = 2, 5, 8, 10, 11, 12, 13, 14
# (class, those it is confused with), in this order.
CONFUSED = ((VEGETATION, (SKY,)), (POLE, (SKY,)), (SKY, (VEGETATION, POLE)))


def apply(found, data, domain):
  """The frames of a training domain with the class maps that its config names.

  Args:
    found: FrameSource or None. data: config.data. domain: 'a' | 'b'.

  Returns:
    FrameSource or None.

  Raises:
    ValueError, FileNotFoundError: a frame without a map, or a map without a frame; named.
  """
  place = data.get(f'labels_{domain}', '')
  noise = data.get('label_noise', 0.0) if domain == 'b' else 0.0
  if found is not None and place:
    extra = data.get(f'labels_{domain}_aux', '')
    maps = [_matched(found, labels.source(data, x)) for x in (place, extra) if x]
    found = Labelled(found, maps, bool(data.get(f'labels_{domain}_denoise', False)), data)
  return Spoilt(found, float(noise)) if found is not None and noise else found


class Wrapped:
  """A FrameSource around another, whose records it changes."""

  def __init__(self, source):
    self.source, self.clips, self.has_flow = source, source.clips, source.has_flow

  def __len__(self):
    return len(self.source)

  def __repr__(self):
    return f'{type(self).__name__}({self.source!r})'

  def where(self, i):
    """Frame `i` in words, for messages."""
    return crops.where(self.source, i)

  def flow(self, i):
    """As the source's."""
    return self.source.flow(i)


class Labelled(Wrapped):
  """Frames with the class maps of one or two programs."""

  def __init__(self, source, maps, clean, data):
    """maps: list of the label file of each frame. clean: denoise them. data: for sizes."""
    super().__init__(source)
    self.maps, self.clean = maps, clean
    self.classes = data.get('label_classes', 19)
    self.sizes = types.SimpleNamespace(load_size=data.load_size, crop_size=data.crop_size,
                                       resize=data.resize)

  def read(self, i):
    """The source's record and 'label', uint8 [H, W] ids, 255 = no class."""
    record = self.source.read(i)
    found = [self._checked(paths[i], record['frame'].shape[:2]) for paths in self.maps]
    label = fused(*found) if len(found) == 2 else found[0]
    if self.clean:
      frame = images.resize(record['frame'], label.shape)
      label = denoised(label, frame.astype(np.float32))
    return {**record, 'label': label}

  def _checked(self, path, size):
    label = labels.read(path)
    wrong = label[(label >= self.classes) & (label != IGNORE)]
    if wrong.size:
      raise ValueError(f'{path}: id {wrong[0]} is no class (0 to {self.classes - 1}, or {IGNORE} = '
                       f'none)')
    allowed = {tuple(size), tuple(images.train_size(size, self.sizes))}
    if label.shape not in allowed:
      sizes = ' or '.join(f'{w}x{h}' for h, w in sorted(allowed))
      raise ValueError(f'{path} has {label.shape[1]}x{label.shape[0]} pixels; its frame needs a '
                       f'label map of {sizes} (width x height)')
    return label


def _matched(frames, maps):
  """The label file of each frame, in order."""
  found = [k for clip in labels.match(frames, maps) for k in clip]
  if None in found:
    i = found.index(None)
    raise ValueError(f'{crops.where(frames, i)} has no label map in {maps!r}')
  return [maps.files[k][0] for k in found]


class Spoilt(Wrapped):
  """Exact class maps with the mistakes of a parser, the same for a frame every time."""

  def __init__(self, source, share):
    """share: of connected regions that lose their label."""
    super().__init__(source)
    self.share = share

  def read(self, i):
    """The source's record with its 'label' spoilt."""
    record = self.source.read(i)
    return {**record, 'label': spoilt(record['label'], self.share, np.random.default_rng(i))}


def spoilt(label, share, rng):
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


def fused(label, other):
  """Maps of a parser of streets and of one of things: what the first says, persons, cars and
  buildings only where the second agrees (MornGAN; details of the public code).

  Riders count as persons and become ones; a car that the second calls a truck becomes one.

  Args:
    label, other: uint8 [H, W], train ids.

  Returns:
    uint8 [H, W].
  """
  if label.shape != other.shape:
    raise ValueError(f'label maps of {label.shape} and {other.shape} cannot be fused')
  table = {PERSON: (PERSON,), RIDER: (PERSON,), CAR: (CAR, TRUCK), BUILDING: (BUILDING,)}
  found = label.copy()
  for c, agreeing in table.items():
    found[label == c] = np.where(np.isin(other, agreeing), other, IGNORE)[label == c]
  return found


def denoised(label, features):
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

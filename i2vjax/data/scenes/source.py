"""The procedural street as a frame source; frames are drawn on demand."""

from __future__ import annotations

import bisect
import functools

import numpy as np
from ml_collections import ConfigDict

from i2vjax.core import machine
from i2vjax.core.errors import UserError
from i2vjax.core.ops import hw
from i2vjax.data.scenes import cameras, hashing, render, surface, truth, world
from i2vjax.data.scenes import flow as scenes_flow
from i2vjax.data.scenes import palette as p
from i2vjax.data.source import Clip, FrameSource

SPLITS = {'train': ('clips', 1), 'test': ('test_clips', 2), 'val': ('val_clips', 3)}
FIELDS = ('camera', 'weather', 'gain_jumps', 'thermal_bits', 'thermal_noise', 'heat_spread',
          'clip_length', 'paired', 'seed', 'cache_mb')
MOST_CACHE_MB = 1024   # holds all frames of the street at 286 pixels
# 'mix' draws from these, once per clip.
CAMERA_MIX = ('driving', 'driving', 'monitoring')
WEATHER_MIX = ('clear', 'clear', 'clear', 'clear', 'overcast', 'overcast', 'rain', 'snow')


@functools.lru_cache(maxsize=256)
def _world(seed, camera, weather, length):
  return world.build(seed, camera, weather, length)


class Scenes(FrameSource):
  """Clips of the street seen by one camera.

  Train clips of the two domains are different streets unless `paired`; test and val clips of a and
  b show the same moments. Drawn frames and flows are kept in memory up to `cache_mb` (2^20 bytes
  each).
  """
  has_flow = True

  def __init__(self, split: str, domain: str, size: tuple[int, int], count: int, fields: dict):
    """size: (height, width). count: of clips. fields: those of `FIELDS` in `data.scenes`."""
    self.split, self.domain, self.size = split, domain, size
    self.fields = dict(fields)
    length = self.fields['clip_length']
    self.clips = [Clip(f'{split}_{k:03d}', k * length, length) for k in range(count)]
    self.cache, self.cached_bytes = {}, 0
    if split == 'train' and not self.fields['paired']:
      self.unpaired = 'training clips of a and b are different streets (data.scenes.paired=false)'

  def __len__(self):
    return len(self.clips) * self.fields['clip_length']

  def __repr__(self):
    fields = ', '.join(f'{k}={v!r}' for k, v in self.fields.items())
    return (f'Scenes(split={self.split!r}, domain={self.domain!r}, size={self.size}, '
            f'clips={len(self.clips)}, {fields})')

  def __getstate__(self):
    return {**self.__dict__, 'cache': {}, 'cached_bytes': 0}

  def world(self, clip: int) -> world.World:
    """The `world.World` of clip number `clip`."""
    f, code = self.fields, SPLITS[self.split][1]
    aligned = self.split != 'train' or f['paired']
    keys = (f['seed'], code) if aligned else (f['seed'], code, 1 + 'ab'.index(self.domain))
    seed = hashing.fold_int(*keys, clip)
    camera, sky = f['camera'], f['weather']
    camera = hashing.pick(CAMERA_MIX, seed, 1) if camera == 'mix' else camera
    sky = hashing.pick(WEATHER_MIX, seed, 2) if sky == 'mix' else sky
    return _world(seed, camera, sky, f['clip_length'])

  def locate(self, i: int) -> tuple[world.World, int]:
    """Frame number -> (its world, frame within the clip)."""
    if not 0 <= i < len(self):
      raise IndexError(f'frame {i} of {len(self)} in {self!r}')
    clip = bisect.bisect_right(self.clips, i, key=lambda c: c.start) - 1
    return self.world(clip), i - self.clips[clip].start

  def read(self, i):
    """Frame i: {'frame', 'label' uint8 [H, W], 'boxes' float32 [N, 5] (x0, y0, x1, y1, class)}.

    The frame is uint8 [H, W, 3] (b), uint8 [H, W, 1] or uint16 [H, W, 1] (a). Boxes hug what is
    seen of an object, in pixel edges.
    """
    return self._cached(('frame', i), lambda: self._draw(*self.locate(i)))

  def _draw(self, scene, t):
    f, color = self.fields, self.domain == 'b'
    view = render.raster(scene, t, self.size, shadows=color)
    look = surface.look(scene, view)
    label = truth.labels(scene, view, look)
    if color:
      frame = cameras.visible(scene, view, look, t)
    else:
      spread = f['heat_spread'] if self.split == 'train' else 0.0
      warmer = cameras.heat_of_kinds(scene, spread).take(label) if spread else 0.0
      frame = cameras.thermal(scene, view, look, t, f['thermal_bits'], f['thermal_noise'],
                              f['gain_jumps'], warmer)
    return {'frame': frame, 'label': label, 'boxes': truth.boxes(scene, view)}

  def _cached(self, key, make):
    """The record of arrays under `key`: from the cache, or made and cached while there is room."""
    record = self.cache.get(key)
    if record is None:
      record = make()
      size = sum(a.nbytes for a in record.values())
      if self.cached_bytes + size <= self.fields['cache_mb'] * 2 ** 20:
        for a in record.values():
          a.setflags(write=False)                          # the cache hands out its own arrays
        self.cache[key] = record
        self.cached_bytes += size
    return dict(record)

  def flow(self, i):
    """True motion between frame i and i + 1 of a clip.

    Returns:
      {'forward', 'backward': float32 [H, W, 2], (x, y) pixels; 'forward_visible',
      'backward_visible': float32 [H, W], 1 where the other frame shows the same point}:
      frame_i(p) = frame_i+1(p + forward(p)), frame_i+1(p) = frame_i(p + backward(p)).
    """
    scene, t = self.locate(i)
    if t + 1 == self.fields['clip_length']:
      raise IndexError(f'frame {i} is the last of its clip: no flow to a next one')
    return self._cached(('flow', i), lambda: self._motion(scene, t))

  def _motion(self, scene, t):
    record = {}
    for name, start, end in (('forward', t, t + 1), ('backward', t + 1, t)):
      motion, visible = scenes_flow.between(scene, start, end, self.size)
      record[name] = motion.astype(np.float32)
      record[f'{name}_visible'] = visible.astype(np.float32)
    return record

  def gain(self, i: int) -> float:
    """The thermal camera's gain in frame i (1 where it never jumps)."""
    return cameras.gain(*self.locate(i), self.fields['gain_jumps'])


def open_split(data: ConfigDict, split: str, domain: str) -> Scenes | None:
  """The procedural street of one split and domain.

  Args:
    data: config.data; fields `data.scenes.*`. `size` 0 draws at `load_size`; crops come later.
      `data.paired` and `data.scenes.paired` both ask for the same streets in a and b.
    split: 'train' | 'test' | 'val'; domain: 'a' thermal by night, 'b' color by day.

  Returns:
    `Scenes`, or None where the split has 0 clips.

  Raises:
    UserError: a field that makes no sense; named.
  """
  fields = {name: getattr(data.scenes, name) for name in FIELDS}
  fields['paired'] = bool(fields['paired'] or data.paired)
  if fields['cache_mb'] is None:   # a and b have one each, in each of the reading processes
    share = machine.memory() // (16 * max(1, data.workers))
    fields['cache_mb'] = min(MOST_CACHE_MB, share // 2 ** 20)
  size = hw(data.scenes.size or data.load_size)
  _check(fields, size)
  count = getattr(data.scenes, SPLITS[split][0])
  return Scenes(split, domain, size, count, fields) if count > 0 else None


def _check(fields, size):
  """Refuse fields that cannot be drawn."""
  choices = {'camera': (*p.CAMERAS, 'mix'), 'weather': (*p.WEATHERS, 'mix'),
             'thermal_bits': (8, 16)}
  for name, allowed in choices.items():
    if fields[name] not in allowed:
      listed = ', '.join(str(a) for a in allowed)
      raise UserError(f'data.scenes.{name}={fields[name]!r} is unknown: {listed}')
  if not all(16 <= n <= 1024 for n in size):
    raise UserError(f'data.scenes.size: frames of {size[0]}x{size[1]} pixels cannot be drawn; '
                     '16 to 1024 a side (size 0 takes data.load_size)')
  if fields['clip_length'] < 1:
    raise UserError(f"data.scenes.clip_length={fields['clip_length']}: a clip has 1 frame or more")

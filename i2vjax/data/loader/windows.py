"""Windows: T frames of a clip, resized, with their annotations."""

import warnings
from collections.abc import Callable, Iterable

import numpy as np

from i2vjax.core import ops
from i2vjax.core.errors import UserError
from i2vjax.data.source import FrameSource
from i2vjax.data.transforms import resize, thermal

PROBED_CLIPS = 8       # whose first frames show the type and channels of a source
FIELDS = {'labels': 'label', 'edges': 'edges'}   # of a window -> of a frame's record
MIN_FILLED_SHARE = 0.1  # of the value range that 16-bit frames should fill


class WindowSource:
  """All windows of `length` frames of a source; none crosses the border of a clip.

  Attributes:
    frames: the FrameSource. starts: first frame of each window. clip: its clip, as an index.
    items: what an epoch consists of, [N, 2] int: (first window, number of windows), of which one is
      drawn. An item is a window, but a strip that is longer than a window is one item: public code
      takes one window of each training file an epoch.
  """

  def __init__(self, frames: FrameSource, length: int, stride: int = 1, step: int = 1, *,
               size: Callable | None = None, rule: str | tuple = 'clip',
               fields: Iterable[str] = ()):
    """All windows of a source.

    Args:
      frames: FrameSource.
      length: T. stride: frames between the starts of neighboring windows; where it equals the
        extent of a window (blocks), a last block shifted back covers what remains.
      step: frames between neighboring frames of a window.
      size: function (height, width) -> size to resize to; None leaves frames as they are.
      rule: `data.thermal_range`.
      fields: further fields of a window: 'labels', 'edges', 'flow' (where the source knows it) and
        'index'.

    Raises:
      UserError: no clip is long enough (names place, longest clip and T).
    """
    self.frames, self.length, self.step, self.stride = frames, length, step, stride
    self.size, self.rule, self.fields = size, thermal.thermal_rule(rule), tuple(fields)
    self.has_flow = bool('flow' in self.fields and step == 1 and length > 1
                         and frames.has_flow)
    extent = (length - 1) * step + 1
    _warn_short(frames, extent)
    clips, starts = [], []
    for k, clip in enumerate(frames.clips):
      clip_starts = window_starts(clip.length, extent, stride)
      clips += [k] * len(clip_starts)
      starts += [clip.start + start for start in clip_starts]
    self.clip, self.starts = np.array(clips, np.int64), np.array(starts, np.int64)
    self.items = _items(frames, self.clip)
    self.channels, self.dtype = channels_and_dtype(frames)
    _warn_flat(frames, self.rule, self.dtype)
    if self.rule == 'frame' and self.dtype == np.uint16 and length > 1:
      warnings.warn(f"{frames!r}: data.thermal_range='frame' scales each frame by itself, so "
                    f"windows flicker; 'clip' does not", stacklevel=2)
    self._value_ranges = {}   # by clip

  def __len__(self):
    return len(self.starts)

  def __repr__(self):
    return (f'WindowSource({self.frames!r}, length={self.length}, stride={self.stride}, '
            f'step={self.step})')

  def __getitem__(self, i):
    """{'frames': [T, H, W, C], 'range': [2] float32} and further fields, resized, not cropped."""
    i = int(i)
    indices = [int(self.starts[i]) + k * self.step for k in range(self.length)]
    records = [self.frames.read(k) for k in indices]
    raw = [self._to_source_kind(k, record['frame'])
           for k, record in zip(indices, records, strict=True)]
    self._check_same_size(indices, raw)
    size = self.size(raw[0].shape[:2]) if self.size else raw[0].shape[:2]
    raw = [resize.resize_frame(thermal.stretch(x, self.rule), size) for x in raw]
    item = {'frames': np.stack(raw), 'range': self.value_range(int(self.clip[i]))}
    for name, resize_map in (('labels', resize.resize_labels), ('edges', resize.resize_gray)):
      if name in self.fields:
        maps = [self._map(name, k, record) for k, record in zip(indices, records, strict=True)]
        item[name] = np.stack([resize_map(x, size) for x in maps])
    if self.has_flow:
      item |= self._flow(indices, size)
    if 'index' in self.fields:
      item['index'] = np.int32(i)
    return item

  def _flow(self, indices, size):
    """True motion between neighboring frames, at the size of the resized frames.

    Returns:
      {'flow': [T-1, H, W, 2] float32, entry k on frame k + 1 and pointing to frame k,
      'flow_fwd': the same, entry k on frame k and pointing to k + 1}: pixels, (x, y),
      frame k + 1 (p) = frame k (p + flow_k(p)); NaN where it is unknown.
    """
    truth = [self.frames.flow(k) for k in indices[:-1]]
    backward = [resize.resize_flow(pair['backward'], size) for pair in truth]
    forward = [resize.resize_flow(pair['forward'], size) for pair in truth]
    return {'flow': np.stack(backward), 'flow_fwd': np.stack(forward)}

  def value_range(self, clip: int) -> np.ndarray:
    """Raw values of one clip that become -1 and 1, [2] float32; measured once per clip."""
    if clip not in self._value_ranges:
      self._value_ranges[clip] = value_range(self.frames, clip, self.rule)
    return self._value_ranges[clip]

  def _map(self, name, i, record):
    if FIELDS[name] not in record:
      raise UserError(f'{self.frames.where(i)} has no {name}, which this method needs of every '
                       f'training frame')
    return record[FIELDS[name]]

  def _to_source_kind(self, i, frame):
    """The frame with as many channels as the source; refused where its type differs."""
    if frame.dtype == self.dtype and frame.shape[-1] == self.channels:
      return frame
    if frame.dtype != self.dtype or frame.shape[-1] == 3:
      raise UserError(f'{self.frames.where(i)}: {frame.dtype} with {frame.shape[-1]} channels '
                       f'among frames of {self.dtype} with {self.channels}. Convert them to one '
                       f'kind.')
    return np.repeat(frame, self.channels, axis=-1)

  def _check_same_size(self, indices, raw):
    for i, frame in zip(indices, raw, strict=True):
      if frame.shape != raw[0].shape:
        raise UserError(f'{self.frames.where(i)}: {ops.size_text(frame.shape)} pixels, but '
                         f'{self.frames.where(indices[0])} has {ops.size_text(raw[0].shape)}. '
                         'The frames of a clip must have one size (width x height); unrelated '
                         'stills of any size: --config.data.frames=1')


def _items(frames, clip):
  """`WindowSource.items` of windows of these clips."""
  is_strip = np.array([frames.parts(k) > 1 for k in range(len(frames.clips))])
  goes_on = np.zeros(len(clip), bool)   # a window of the same strip as the one before
  goes_on[1:] = is_strip[clip[1:]] & (np.diff(clip) == 0)
  first = np.flatnonzero(~goes_on)
  return np.stack([first, np.diff(first, append=len(clip))], axis=1)


def window_starts(count: int, extent: int, stride: int) -> list[int]:
  """First frames of the windows inside a clip of `count` frames."""
  starts = list(range(0, count - extent + 1, stride))
  if stride == extent and starts and starts[-1] + extent < count:
    starts.append(count - extent)
  return starts


def _warn_short(frames, extent):
  """Refuse a source without any window; warn of clips that have none."""
  lengths = [clip.length for clip in frames.clips]
  short = [clip for clip in frames.clips if clip.length < extent]
  if len(short) == len(lengths):
    raise UserError(f'{frames!r}: a window needs {extent} consecutive frames (data.frames), but '
                     f'the longest clip has {max(lengths, default=0)}. Use longer clips, a larger '
                     f'data.max_gap, or fewer frames.')
  if short:
    warnings.warn(f'{frames!r}: {len(short)} of {len(lengths)} clips are left out, shorter than '
                  f'the {extent} frames of a window ({short[0].name} has {short[0].length}); of '
                  'unrelated stills take --config.data.frames=1',
                  stacklevel=3)


def _warn_flat(frames, rule, dtype):
  """Warn if 16-bit frames fill next to nothing of the range that the rule gives them."""
  if dtype != np.uint16 or rule in ('clip', 'frame'):
    return
  low, high = thermal.value_range(_probes(frames), rule)
  used_low, used_high = thermal.value_range(_probes(frames), 'clip')
  inside = min(used_high, high) - max(used_low, low)
  if inside < MIN_FILLED_SHARE * (high - low):
    warnings.warn(f'{frames!r}: data.thermal_range={rule} spans {low:g} to {high:g}, but most '
                  f'values lie from {used_low:g} to {used_high:g}, so frames look flat. '
                  f'data.thermal_range={used_low:g},{used_high:g} would fit, or clip', stacklevel=3)


def _probes(frames):
  """The first frames of some clips, spread over the source."""
  clips = np.unique(np.linspace(0, len(frames.clips) - 1, PROBED_CLIPS).astype(int))
  return [frames.read(frames.clips[k].start)['frame'] for k in clips]


def channels_and_dtype(frames: FrameSource) -> tuple[int, np.dtype]:
  """(channels, dtype) of a source, judging by the first frames of some clips.

  A source of gray and color pictures counts as color (gray is repeated when read).
  """
  probes = _probes(frames)
  return max(frame.shape[-1] for frame in probes), probes[0].dtype


def value_range(frames: FrameSource, clip: int, rule: str | tuple) -> np.ndarray:
  """`thermal.value_range` of one clip, from frames spread evenly over it. [2] float32."""
  _, start, length = frames.clips[clip]
  count = min(length, thermal.RANGE_FRAMES)
  sample = start + np.unique(np.linspace(0, length - 1, count).astype(int))
  return thermal.value_range((frames.read(int(i))['frame'] for i in sample), rule)

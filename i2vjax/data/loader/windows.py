"""A window of frames: cut from a clip, resized, cropped, flipped; the same for all its frames."""

import warnings

import numpy as np

from i2vjax.core.errors import UserError
from i2vjax.data.transforms import resize, thermal

PROBES = 8          # clips looked into to learn the type and channels of a source
FIELDS = {'labels': 'label', 'edges': 'edges'}   # extra -> its field in a record
LEAST_SHARE = 0.1   # of the range of 16 bits that frames should fill


class WindowSource:
  """All windows of `length` frames of a source; none crosses the border of a clip.

  Attributes:
    frames: the FrameSource. starts: first frame of each window. clip: its clip, as an index.
  """

  def __init__(self, frames, length, stride=1, step=1, *, size=None, rule='clip', extras=()):
    """What a window is.

    Args:
      frames: FrameSource.
      length: T. stride: frames between the starts of neighboring windows; where it equals the
        extent of a window (blocks), a last block shifted back covers what remains.
      step: frames between neighboring frames of a window.
      size: function (height, width) -> size to resize to; None leaves frames as they are.
      rule: `data.thermal_range`.
      extras: of 'labels', 'edges', 'flow' (where the source knows it) and 'index'.

    Raises:
      ValueError: no clip is long enough (names place, longest clip and T).
    """
    self.frames, self.length, self.step, self.stride = frames, length, step, stride
    self.size, self.rule, self.extras = size, thermal.thermal_rule(rule), tuple(extras)
    self.has_flow = bool('flow' in self.extras and step == 1 and length > 1
                         and frames.has_flow)
    extent = (length - 1) * step + 1
    _warn_short(frames, extent)
    spans = [(clip, start + k) for clip, (_, start, count) in enumerate(frames.clips)
             for k in window_starts(count, extent, stride)]
    self.clip, self.starts = (np.array(x, np.int64) for x in zip(*spans, strict=True))
    self.channels, self.dtype = layout(frames)
    _warn_flat(frames, self.rule, self.dtype)
    if self.rule == 'frame' and self.dtype == np.uint16 and length > 1:
      warnings.warn(f"{frames!r}: data.thermal_range='frame' scales each frame by itself, so "
                    f"windows flicker; 'clip' does not", stacklevel=2)
    self._limits = {}

  def __len__(self):
    return len(self.starts)

  def __repr__(self):
    return (f'WindowSource({self.frames!r}, length={self.length}, stride={self.stride}, '
            f'step={self.step})')

  def __getitem__(self, i):
    """{'frames': [T, H, W, C], 'limits': [2] float32} and the extras, resized but not cropped."""
    i = int(i)
    indices = [int(self.starts[i]) + k * self.step for k in range(self.length)]
    records = [self.frames.read(k) for k in indices]
    raw = [self._checked(k, record['frame']) for k, record in zip(indices, records, strict=True)]
    self._same_size(indices, raw)
    size = self.size(raw[0].shape[:2]) if self.size else raw[0].shape[:2]
    raw = [resize.resize_frame(thermal.stretch(x, self.rule), size) for x in raw]
    item = {'frames': np.stack(raw), 'limits': self.limits(int(self.clip[i]))}
    for name, follow in (('labels', resize.resize_labels), ('edges', resize.resize_gray)):
      if name in self.extras:
        item[name] = np.stack([follow(self._map(name, k, record), size)
                               for k, record in zip(indices, records, strict=True)])
    if self.has_flow:
      item |= self._flow(indices, size)
    if 'index' in self.extras:
      item['index'] = np.int32(i)
    return item

  def _flow(self, indices, size):
    """True motion between neighboring frames, at the size of the resized frames.

    Returns:
      {'flow': [T-1, H, W, 2] float32, entry k lies on frame k + 1 and points to frame k,
      'flow_fwd': the same, entry k on frame k and pointing to k + 1}: pixels, (x, y),
      frame k + 1 (p) = frame k (p + flow_k(p)); NaN where it is not known.
    """
    truth = [self.frames.flow(k) for k in indices[:-1]]
    return {name: np.stack([resize.resize_flow(pair[kind], size) for pair in truth])
            for name, kind in (('flow', 'backward'), ('flow_fwd', 'forward'))}

  def limits(self, clip):
    """Raw values of one clip that become -1 and 1, [2] float32; reads the clip's sample once."""
    if clip not in self._limits:
      self._limits[clip] = limits(self.frames, clip, self.rule)
    return self._limits[clip]

  def _map(self, name, i, record):
    if FIELDS[name] not in record:
      raise UserError(f'{self.frames.where(i)} has no {name}, which this method needs of every '
                       f'training frame')
    return record[FIELDS[name]]

  def _checked(self, i, frame):
    """The frame in the source's own channels; refused where its kind differs."""
    if frame.dtype == self.dtype and frame.shape[-1] == self.channels:
      return frame
    if frame.dtype != self.dtype or frame.shape[-1] == 3:
      raise UserError(f'{self.frames.where(i)}: {frame.dtype} with {frame.shape[-1]} channels '
                       f'among frames of {self.dtype} with {self.channels}. Convert them to one '
                       f'kind.')
    return np.repeat(frame, self.channels, axis=-1)

  def _same_size(self, indices, raw):
    for i, frame in zip(indices, raw, strict=True):
      if frame.shape != raw[0].shape:
        raise UserError(f'{self.frames.where(i)}: {_size(frame)} pixels, but '
                         f'{self.frames.where(indices[0])} has {_size(raw[0])}. The frames of a '
                         f'clip must have one size (width x height).')


def _size(frame):
  return f'{frame.shape[1]}x{frame.shape[0]}'


def window_starts(count, extent, stride):
  """First frames of the windows inside a clip of `count` frames."""
  starts = list(range(0, count - extent + 1, stride))
  if stride == extent and starts and starts[-1] + extent < count:
    starts.append(count - extent)
  return starts


def _warn_short(frames, extent):
  """Refuse a source without any window; say what is left out of one with some."""
  lengths = [length for _, _, length in frames.clips]
  short = [clip for clip in frames.clips if clip[2] < extent]
  if len(short) == len(lengths):
    raise UserError(f'{frames!r}: a window needs {extent} consecutive frames (data.frames), but '
                     f'the longest clip has {max(lengths, default=0)}. Use longer clips, a larger '
                     f'data.max_gap, or fewer frames.')
  if short:
    warnings.warn(f'{frames!r}: {len(short)} of {len(lengths)} clips are left out, shorter than '
                  f'the {extent} frames of a window ({short[0][0]} has {short[0][2]})',
                  stacklevel=3)


def _warn_flat(frames, rule, dtype):
  """Say so where 16-bit frames fill next to nothing of the range that the rule gives them."""
  if dtype != np.uint16 or rule in ('clip', 'frame'):
    return
  low, high = thermal.thermal_limits(_probes(frames), rule)
  held = thermal.thermal_limits(_probes(frames), 'clip')
  inside = min(held[1], high) - max(held[0], low)
  if inside < LEAST_SHARE * (high - low):
    warnings.warn(f'{frames!r}: data.thermal_range={rule} spans {low:g} to {high:g}, but most '
                  f'values lie from {held[0]:g} to {held[1]:g}, so frames look flat. '
                  f'data.thermal_range={held[0]:g},{held[1]:g} would fit, or clip', stacklevel=3)


def _probes(frames):
  some = np.unique(np.linspace(0, len(frames.clips) - 1, PROBES).astype(int))
  return [frames.read(frames.clips[k][1])['frame'] for k in some]


def layout(frames):
  """(channels, dtype) of a source, seen in the first frames of some clips.

  A source of gray and color pictures counts as color (gray is repeated when read).
  """
  seen = _probes(frames)
  return max(x.shape[-1] for x in seen), seen[0].dtype


def limits(frames, clip, rule):
  """`thermal.thermal_limits` of one clip, from frames spread evenly over it. [2] float32."""
  _, start, length = frames.clips[clip]
  count = min(length, thermal.LIMIT_FRAMES)
  some = start + np.unique(np.linspace(0, length - 1, count).astype(int))
  return thermal.thermal_limits((frames.read(int(i))['frame'] for i in some), rule)

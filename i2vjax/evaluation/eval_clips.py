"""Test clips with all that is known of them, of sources whose frames answer each other."""

import dataclasses
from typing import Any

import numpy as np

from i2vjax.core import files, ops
from i2vjax.core.errors import UserError
from i2vjax.data.loader import whole_clips
from i2vjax.data.transforms import resize, thermal


@dataclasses.dataclass(frozen=True)
class EvalClip:
  """What one test clip is judged with.

  Attributes:
    name: of the clip.
    raw: [T, H, W, C] frames of the source; value_range: [2], raw values that become -1 and 1.
    shown: the source as uint8 [T, H, W, C], or None.
    target: uint8 (or float in [-1, 1]) [T, H, W, C] in the channels of domain b, or None.
    motion: (flow [T-1, H, W, 2], visible [T-1, H, W]), the source's own truth at its own size, or
      None.
    labels: [T, H, W] uint8 classes, or None.
  """

  name: str
  raw: Any
  value_range: Any = None
  shown: Any = None
  target: Any = None
  motion: Any = None
  labels: Any = None


def of_run(config, paired, quantize=True, with_motion=True, max_clips=0):
  """The test clips of a run's data, one `Material` at a time.

  Args:
    config: of the run.
    paired: give the target too; the domains are aligned.
    quantize: targets as uint8, what saved files would hold; otherwise float in [-1, 1].
    with_motion: give the true flow; the source must have it.
    max_clips: stop after so many; 0: all.
  """
  channels = config.data.channels_b
  targets = whole_clips.test_clips(config, 'b') if paired else None
  for count, clip in enumerate(whole_clips.test_clips(config, 'a')):
    if max_clips and count >= max_clips:
      return
    partner = next(targets) if targets else None
    target = partner and as_saved(partner.frames, partner.value_range, channels, quantize)
    yield EvalClip(
      clip.name,
      clip.frames,
      clip.value_range,
      thermal.to_display(clip.frames, clip.value_range),
      target,
      motion(clip) if with_motion else None,
      labels(clip),
    )


def of_folders(found, max_clips=0):
  """The clips of folders, one `Material` at a time; `raw` is the result itself.

  Args:
    found: {'result', 'reference' and perhaps 'source': FrameSource}, paired
      (`alignment.check_frames`).

  Raises:
    ValueError: 16-bit results, or sizes that differ.
  """
  for count, (name, _, length) in enumerate(found['result'].clips):
    if max_clips and count >= max_clips:
      return
    read = {kind: read_clip(source, source.clips[count][1], length)
            for kind, source in found.items()}
    raw, target = read['result'], read['reference']
    for kind in ('result', 'reference'):
      if read[kind].dtype != np.uint8:
        raise UserError(f'{found[kind]!r} holds 16-bit frames; scores are of 8-bit frames: '
                         f'convert them first')
    if raw.shape[:3] != target.shape[:3]:
      sizes = [f'{x.shape[2]}x{x.shape[1]}' for x in (raw, target)]
      raise UserError(f'clip {name}: the result has {sizes[0]} pixels, the reference {sizes[1]}; '
                       f'scores need one size, and nothing is resized here')
    channels = max(raw.shape[-1], target.shape[-1])
    raw, target = (np.repeat(x, channels // x.shape[-1], axis=-1) for x in (raw, target))
    yield EvalClip(
      name, raw, None, thermal.to_display(read['source']) if 'source' in read else None, target
    )


def as_saved(frames, value_range, channels, quantize=True):
  """Raw frames [T, H, W, C] in the networks' channels: uint8 as a file would hold, or floats."""
  value_range = np.asarray(value_range)[None]

  def saved(frame):
    frame = ops.to_float(frame[None, None], value_range, channels)[0, 0]
    return np.asarray(ops.to_uint8(frame) if quantize else frame)
  return files.stack_stream(map(saved, frames), len(frames))


def motion(clip):
  """(flow [T-1, H, W, 2], visible [T-1, H, W]) between the frames of a clip, None for one frame."""
  truth = [clip.source.flow(clip.start + t) for t in range(len(clip.frames) - 1)]
  if not truth:
    return None
  return tuple(np.stack([entry[name] for entry in truth])
               for name in ('forward', 'forward_visible'))


def labels(clip):
  """[T, H, W] classes at the size of the clip's frames, or None where the source has none."""
  if 'label' not in clip.source.read(clip.start):
    return None
  size = clip.frames.shape[1:3]
  return np.stack([resize.resize_labels(clip.source.read(clip.start + t)['label'], size)
                   for t in range(len(clip.frames))])


def read_clip(source, start, length):
  """[T, H, W, C] raw frames; gray and color mixed become color.

  Raises:
    ValueError: the clip mixes sizes.
  """
  whole = None
  for t in range(length):
    frame = source.read(start + t)['frame']
    if whole is None:
      whole = files.allocate((length, *frame.shape), frame.dtype)
    if frame.shape[:2] != whole.shape[1:3]:
      raise UserError(f'{source.where(start + t)}: differs in size from the first of its clip')
    if frame.shape[2] > whole.shape[3]:   # all were gray so far
      whole = np.repeat(whole, frame.shape[2], axis=3)
    whole[t] = frame
  return whole

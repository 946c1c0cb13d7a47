"""Test clips for evaluation: source, aligned target, motion and labels."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator

import numpy as np
from ml_collections import ConfigDict

from i2vjax.core import files, ops
from i2vjax.core.errors import UserError
from i2vjax.data.loader import whole_clips
from i2vjax.data.source import FrameSource
from i2vjax.data.transforms import resize, thermal
from i2vjax.metrics import warping

Shapes = dict[str, list[tuple[int, int, int]]]   # kind of frames -> (H, W, C) of each clip


@dataclasses.dataclass(frozen=True)
class EvalClip:
  """A test clip with all that scorers may need of it.

  Attributes:
    name: of the clip.
    source: [T, H, W, C] raw frames, uint8 or uint16, that were or shall be translated, or None.
    value_range: [2], raw values of the source that become -1 and 1, or None.
    shown: the source as uint8 [T, H, W, C], or None.
    target: uint8 (or float in [-1, 1]) [T, H, W, C] in the channels of domain b, or None.
    motion: (flow [T-1, H, W, 2], visible [T-1, H, W]) of the source, at a size of its own, or
      None.
    labels: [T, H, W] uint8 classes, or None.
    result: uint8 [T, H, W, C] frames that another program made, or None: a run translates `source`.
    origin: the source clip as it was loaded, or None.
  """

  name: str
  source: np.ndarray | None = None
  value_range: np.ndarray | None = None
  shown: np.ndarray | None = None
  target: np.ndarray | None = None
  motion: tuple[np.ndarray, np.ndarray] | None = None
  labels: np.ndarray | None = None
  result: np.ndarray | None = None
  origin: whole_clips.LoadedClip | None = None

  @property
  def length(self) -> int:
    """Number of frames."""
    return len(self.source if self.result is None else self.result)


def of_run(config: ConfigDict, paired: bool, quantize: bool = True, with_motion: bool = True,
           max_clips: int = 0, split: str = 'test') -> Iterator[EvalClip]:
  """The test clips of a run's data, one at a time in memory.

  Args:
    config: of the run.
    paired: with targets; the domains are aligned.
    quantize: targets as uint8, what saved files would hold; otherwise float in [-1, 1].
    with_motion: with the true flow, which the source must have.
    max_clips: stop after so many; 0: all.
    split: 'test' | 'val' | 'train', all as test frames.
  """
  channels = config.data.channels_b
  targets = whole_clips.test_clips(config, 'b', split) if paired else None
  for clip in itertools.islice(whole_clips.test_clips(config, 'a', split), max_clips or None):
    target = None
    if paired:
      partner = next(targets)
      target = as_saved(partner.frames, partner.value_range, channels, quantize)
    yield EvalClip(
      clip.name,
      clip.frames,
      clip.value_range,
      thermal.to_display(clip.frames, clip.value_range),
      target,
      true_motion(clip) if with_motion else None,
      true_labels(clip),
      origin=clip,
    )


def first_shapes(sources: dict[str, FrameSource], max_clips: int = 0) -> Shapes:
  """The (H, W, C) of the first frame of each clip, which is read for it; see `of_folders`."""
  return {kind: [source.read(clip.start)['frame'].shape
                 for clip in source.clips[:max_clips or None]]
          for kind, source in sources.items()}


def of_folders(sources: dict[str, FrameSource], max_clips: int = 0,
               shapes: Shapes | None = None) -> Iterator[EvalClip]:
  """The clips of frames that another program made, one at a time in memory.

  Args:
    sources: {'result' and perhaps 'reference' and 'source': frames}, aligned
      (`alignment.check_frames`).
    max_clips: stop after so many; 0: all.
    shapes: `first_shapes` of the same clips, where they are known already.

  Yields:
    Clips whose `result` and `target` have the same channels: where any is in color, gray ones are
    repeated.

  Raises:
    UserError: 16-bit results, or sizes that differ.
  """
  most = _most_channels(shapes or first_shapes(sources, max_clips))
  for count, (name, _, length) in enumerate(sources['result'].clips):
    if max_clips and count >= max_clips:
      return
    frames = {kind: read_clip(source, source.clips[count].start, length)
              for kind, source in sources.items()}
    result, target, source = (frames.get(kind) for kind in ('result', 'reference', 'source'))
    for kind in sources.keys() - {'source'}:
      if frames[kind].dtype != np.uint8:
        raise UserError(f'{sources[kind]!r} holds 16-bit frames; scores are of 8-bit frames: '
                        f'convert them first')
    if target is not None:
      if result.shape[:3] != target.shape[:3]:
        raise UserError(f'clip {name}: the result has {ops.size_text(result.shape[1:])} pixels, '
                        f'the reference {ops.size_text(target.shape[1:])}; scores need one size, '
                        'and nothing is resized here')
      most = max(most, result.shape[-1], target.shape[-1])
      target = _with_channels(target, most)
    result = _with_channels(result, most)
    yield EvalClip(name, source, shown=None if source is None else thermal.to_display(source),
                   target=target, result=result)


def _most_channels(shapes):
  """3 where the first frame of any clip of the result or the reference is in color, else 1."""
  return max(shape[-1] for kind, of_kind in shapes.items() if kind != 'source' for shape in of_kind)


def _with_channels(frames, channels):
  """Gray frames are repeated, as where a gray result meets a reference in color."""
  if frames.shape[-1] == channels:
    return frames
  return files.stack_stream((np.repeat(frame, channels, axis=-1) for frame in frames), len(frames))


def as_saved(frames: np.ndarray, value_range: np.ndarray, channels: int,
             quantize: bool = True) -> np.ndarray:
  """Raw frames [T, H, W, C] in the networks' channels: uint8 as a file would hold, or floats."""
  value_range = np.asarray(value_range)[None]

  def saved(frame):
    frame = ops.to_float(frame[None, None], value_range, channels)[0, 0]
    return np.asarray(ops.to_uint8(frame) if quantize else frame)
  return files.stack_stream(map(saved, frames), len(frames))


def true_motion(clip: whole_clips.LoadedClip) -> tuple[np.ndarray, np.ndarray] | None:
  """(flow [T-1, H, W, 2], visible [T-1, H, W]) between the frames of a clip, None for one frame.

  Where the source only tells where its motion is known (VIPER), what is hidden is found by the
  motion there and back, as the public code of Lai et al. (ECCV 2018) does it for estimated flow.
  """
  if len(clip.frames) < 2:
    return None
  flow, visible = [], []
  for t in range(len(clip.frames) - 1):
    pair = clip.source.flow(clip.start + t)
    flow.append(pair['forward'])
    seen = pair['forward_visible']
    if not clip.source.knows_hidden:
      seen = seen * np.asarray(warping.seen_again(pair['forward'][None], pair['backward'][None]))[0]
    visible.append(seen)
  return np.stack(flow), np.stack(visible)


def true_labels(clip: whole_clips.LoadedClip) -> np.ndarray | None:
  """[T, H, W] classes at the size of the clip's frames, or None where the source has none."""
  if 'label' not in clip.source.read(clip.start):
    return None
  size = clip.frames.shape[1:3]
  return np.stack([resize.resize_labels(clip.source.read(clip.start + t)['label'], size)
                   for t in range(len(clip.frames))])


def true_boxes(clip: whole_clips.LoadedClip) -> Iterator[np.ndarray | None]:
  """[N, 5] (x0, y0, x1, y1, class) in pixels of each frame of a clip; None where it has none."""
  height, width = clip.frames.shape[1:3]
  for t in range(len(clip.frames)):
    record = clip.source.read(clip.start + t)
    if 'boxes' not in record:
      yield None
      continue
    H, W = record['frame'].shape[:2]
    yield record['boxes'] * np.float32([width / W, height / H] * 2 + [1])


def read_clip(source: FrameSource, start: int, length: int) -> np.ndarray:
  """[T, H, W, C] raw frames; gray and color mixed become color.

  Raises:
    UserError: the clip mixes sizes, or 8-bit and 16-bit frames.
  """
  frames = None
  for t in range(length):
    frame = source.read(start + t)['frame']
    if frames is None:
      frames = files.allocate((length, *frame.shape), frame.dtype)
    if frame.shape[:2] != frames.shape[1:3]:
      raise UserError(f'{source.where(start + t)}: differs in size from the first of its clip')
    if frame.dtype != frames.dtype:   # its values would wrap around without a word
      raise UserError(f'{source.where(start + t)}: {frame.dtype} among frames of {frames.dtype}; '
                      'convert them to one kind')
    if frame.shape[2] > frames.shape[3]:   # all were gray so far
      frames = _with_channels(frames, frame.shape[2])
    frames[t] = frame
  return frames

"""Rows of the score table: the run's frames, and baselines.

A row is a function: eval_clips.EvalClip -> frames [T, H, W, C], uint8 or float in [-1, 1].
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable, Iterable
from typing import Any

import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from i2vjax.core import files, notes, ops
from i2vjax.core.errors import UserError
from i2vjax.evaluation import class_colors, eval_clips
from i2vjax.evaluation.eval_clips import EvalClip
from i2vjax.evaluation.plan import Plan
from i2vjax.metrics import clips
from i2vjax.run import load, translator

Row = Callable[[EvalClip], np.ndarray]
NOT_A_NUMBER = -1   # of frames that are marked


def translated(run: load.Run) -> Row:
  """The source frames, translated by a run.

  With `eval.quantize` they are uint8; a clip that holds NaN or infinity, which no file could, is
  the same values as floats, with NaN where they are: scores count them, and do not see black or
  white. The terminal names the clip.
  """
  settings = run.config.eval
  call = translator.compile_chunk(_marking(run) if settings.quantize else run, quantize=False)

  def row(clip):
    items = ((None, frame) for frame in clip.source)
    results = translator.translate_clip(call, items, None, settings.batch, clip.value_range)
    frames = (frame for _, _, frame in results)
    frames = (_without_marks if settings.quantize else files.stack_stream)(frames, clip.length)
    if frames.dtype != np.uint8 and (bad := sum(not np.isfinite(x).all() for x in frames)):
      notes.say_once(f'clip {clip.name}: the networks give NaN or infinity in {bad} of '
                     f'{clip.length} frames, which pictures show as black or white; no score of '
                     'this clip means anything')
    return frames
  return row


def _marking(run):
  """The run, giving int16: what uint8 would hold, and `NOT_A_NUMBER`."""
  def translate(*args):
    carry, frames = run.method.translate(*args)
    values = ops.to_uint8(frames).astype(jnp.int16)
    return carry, jnp.where(jnp.isfinite(frames), values, NOT_A_NUMBER)
  method: Any = types.SimpleNamespace(translate=translate)
  return dataclasses.replace(run, method=method)


def _without_marks(frames, length):
  """Marked frames [H, W, C] of a clip as uint8 [T, H, W, C], or floats where there are marks."""
  masks = {}

  def eight_bits():
    for t, frame in enumerate(frames):
      if (mask := frame == NOT_A_NUMBER).any():
        masks[t] = mask
      yield frame.astype(np.uint8)
  values = files.stack_stream(eight_bits(), length)
  if not masks:
    return values
  return files.stack_stream(
      (np.where(masks.get(t, False), np.float32(np.nan), frame / np.float32(127.5) - 1)
       for t, frame in enumerate(values)), length)


def reference_rows(run: load.Run, plan: Plan) -> dict[str, Row]:
  """{label: row}: what the scores of the run have to be read against.

  source: the input itself. untrained: the same networks with fresh weights. constant: the single
  color with the highest mean PSNR on these very targets (it has seen the answers). ceiling, on
  scenes: the true class of each pixel in the mean training color of that class.
  """
  config = run.config
  rows = {'source': lambda clip: eval_clips.as_saved(
              clip.source, clip.value_range, config.data.channels_b, config.eval.quantize),
          'untrained': translated(load.untrained(run))}
  if plan.paired:
    rows['constant'] = constant(plan.clips())
  if plan.paired and config.data.source == 'scenes' and config.data.direction == 'a2b':
    rows['ceiling'] = ceiling(config.data)
  return rows


def source(clip: EvalClip) -> np.ndarray:
  """The 8-bit source frames in the channels of the result, which are those of the target."""
  shape = clip.result.shape
  if clip.shown.shape[-1] == 1:
    return np.broadcast_to(clip.shown, shape)
  frames = (np.rint(ops.match_channels(frame, shape[-1])).astype(np.uint8) for frame in clip.shown)
  return files.stack_stream(frames, len(clip.shown))


def constant(test_clips: Iterable[EvalClip]) -> Row:
  """The one color with the best mean PSNR on the targets of these clips.

  Raises:
    UserError: some are gray, some in color.
  """
  means, variances = [], []
  for clip in test_clips:
    mean, variance = clips.moments(clip.target)
    if means and mean.shape[1] != means[0].shape[1]:   # its first frames were gray, a later one not
      raise UserError(f'clip {clip.name}: {mean.shape[1]} channels, the clip before has '
                      f'{means[0].shape[1]}; convert gray frames to color')
    means.append(mean)
    variances.append(variance)
  color = clips.best_color(np.concatenate(means), np.concatenate(variances))
  value = np.rint(color * 255).astype(np.uint8)

  def row(clip):
    return np.broadcast_to(value, clip.target.shape)
  return row


def ceiling(data: ConfigDict) -> Row:
  """Frames of `scenes` whose pixels have the mean training color of their true class."""
  colors = class_colors.class_color_ceiling(data, test_frames=1)['colors']
  colors = np.rint(colors).astype(np.uint8)

  def row(clip):
    frames = colors[clip.labels]
    return np.rint(ops.match_channels(frames, clip.target.shape[-1])).astype(np.uint8)
  return row

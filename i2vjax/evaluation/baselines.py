"""Rows of the score table: the run's frames, and baselines.

A row is a function: eval_clips.EvalClip -> frames [T, H, W, C], uint8 or float in [-1, 1].
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from ml_collections import ConfigDict

from i2vjax.core import files, ops
from i2vjax.evaluation import class_colors, eval_clips
from i2vjax.evaluation.eval_clips import EvalClip
from i2vjax.evaluation.plan import Plan
from i2vjax.metrics import clips
from i2vjax.run import load, translator

Row = Callable[[EvalClip], np.ndarray]


def translated(run: load.Run) -> Row:
  """The source frames, translated by a run."""
  settings = run.config.eval
  call = translator.compile_chunk(run, settings.quantize)

  def row(clip):
    items = ((None, frame) for frame in clip.source)
    results = translator.translate_clip(call, items, None, settings.batch, clip.value_range)
    return files.stack_stream((frame for _, _, frame in results), clip.length)
  return row


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
  """The one color with the best mean PSNR on the targets of these clips."""
  means, variances = [], []
  for clip in test_clips:
    mean, variance = clips.moments(clip.target)
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

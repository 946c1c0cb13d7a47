"""Rows of the table: what is judged, and what its scores have to be read against.

A row is a function: eval_clips.EvalClip -> frames [T, H, W, C], uint8 or float in [-1, 1].
"""

import numpy as np

from i2vjax import translate
from i2vjax.core import files, ops
from i2vjax.evaluation import class_colors, eval_clips
from i2vjax.metrics import clips
from i2vjax.run import load


def translated(run):
  """Frames of the run."""
  settings = run.config.eval
  call = translate.program(run, settings.quantize)

  def row(material):
    items = ((None, frame) for frame in material.raw)
    done = translate.clip(call, items, None, settings.batch, material.value_range)
    return files.stack_stream((result for _, _, result in done), len(material.raw))
  return row


def reference(run, plan):
  """{label: row}: what the scores of the run have to be read against.

  source: the input itself. constant: the single color with the highest mean PSNR on these very
  targets (it has seen the answers). untrained: the same networks with fresh weights. ceiling, on
  scenes: the true class of each pixel in the mean training color of that class.
  """
  config = run.config
  rows = {'source': lambda m: eval_clips.as_saved(m.raw, m.value_range, config.data.channels_b,
                                             config.eval.quantize),
          'untrained': translated(load.untrained(run))}
  if plan.paired:
    rows['constant'] = constant(plan.materials())
  if plan.paired and config.data.source == 'scenes' and config.data.direction == 'a2b':
    rows['ceiling'] = classes(config.data)
  return rows


def source(material):
  """The source in the channels of the target."""
  shape = material.target.shape
  if material.shown.shape[-1] == 1:
    return np.broadcast_to(material.shown, shape)
  return files.stack_stream((np.rint(ops.match_channels(frame, shape[-1])).astype(np.uint8)
                        for frame in material.shown), len(material.shown))


def constant(materials):
  """The one color with the best mean PSNR on the targets of these clips."""
  found = [clips.moments(material.target) for material in materials]
  color = clips.best_color(*(np.concatenate(x) for x in zip(*found, strict=True)))
  value = np.rint(color * 255).astype(np.uint8)

  def row(material):
    return np.broadcast_to(value, material.target.shape)
  return row


def classes(data):
  """Frames of `scenes` whose pixels have the mean training color of their class."""
  colors = class_colors.class_color_ceiling(data, test_frames=1)['colors']
  colors = np.rint(colors).astype(np.uint8)

  def row(material):
    frames = colors[material.labels]
    return np.rint(ops.match_channels(frames, material.target.shape[-1])).astype(np.uint8)
  return row

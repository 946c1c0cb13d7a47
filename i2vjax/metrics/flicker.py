"""Flicker and brightness jitter of a clip, measured without optical flow (ours).

Read beside the warping error, never alone: a frozen picture has flicker 0. What counts is the ratio
to the source's own value, which holds the true motion.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np

from i2vjax.core import ops
from i2vjax.core.errors import UserError

Frames = Any   # an array, or `clips.UnitFrames`, which reads one frame at a time


def flicker(frames: Frames) -> float:
  """mean_t mean_p |y_{t+1} - y_t| on luma.

  Args:
    frames: [T, H, W, C] in [0, 1], T at least 2.

  Returns:
    Float in [0, 1].
  """
  if len(frames) < 2:
    raise UserError('flicker needs a clip of at least 2 frames')
  values = [jnp.mean(jnp.abs(ops.luma(frames[t + 1]) - ops.luma(frames[t])))
            for t in range(len(frames) - 1)]
  return float(np.mean(np.asarray(values, np.float64)))


def brightness_jitter(frames: Frames) -> float:
  """std_t of the second difference of the frame mean: 0 for steady or evenly changing light.

  Args:
    frames: [T, H, W, C] in [0, 1], T at least 4 (one second difference has no spread).
  """
  if len(frames) < 4:
    raise UserError('brightness jitter needs a clip of at least 4 frames')
  means = np.array([np.mean(np.asarray(ops.luma(frame)), dtype=np.float64) for frame in frames])
  return float(np.std(np.diff(means, n=2)))


def clip_values(frames: Frames, source: Frames) -> dict[str, float]:
  """Flicker figures of one translated clip beside its source.

  Args:
    frames, source: [T, H, W, C] in [0, 1]; C may differ.

  Returns:
    {'flicker', 'flicker_source', 'flicker_ratio', 'brightness_jitter',
    'brightness_jitter_source'}; the ratio is NaN where the source stands perfectly still, the
    jitter is missing in clips shorter than 4 frames.
  """
  value, reference = flicker(frames), flicker(source)
  values = {'flicker': value, 'flicker_source': reference,
            'flicker_ratio': value / reference if reference else float('nan')}
  if len(frames) >= 4:
    values.update(brightness_jitter=brightness_jitter(frames),
                  brightness_jitter_source=brightness_jitter(source))
  return values

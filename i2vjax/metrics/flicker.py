"""Flicker and brightness jitter of a clip, measured without optical flow (ours).

Read beside the warping error, never alone: a frozen picture has flicker 0. What counts is the ratio
to the true frames' own value; where there are none, to the source's, which holds the true motion
but not the texture of daylight: true frames may well change twice as much.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from i2vjax.core import ops
from i2vjax.core.errors import UserError

Frames = Any   # an array, or `clips.UnitFrames`, which converts what is read
BLOCK = 16     # frames at a time


def flicker(frames: Frames) -> float:
  """mean_t mean_p |y_{t+1} - y_t| on luma.

  Args:
    frames: [T, H, W, C] in [0, 1], T at least 2.

  Returns:
    Float in [0, 1].
  """
  _check_length(frames, 2, 'flicker')
  return float(np.mean(luma_series(frames)[0]))


def brightness_jitter(frames: Frames) -> float:
  """std_t of the second difference of the frame mean: 0 for steady or evenly changing light.

  Args:
    frames: [T, H, W, C] in [0, 1], T at least 4 (one second difference has no spread).
  """
  _check_length(frames, 4, 'brightness jitter')
  return _jitter(luma_series(frames)[1])


def _check_length(frames, least, name):
  if len(frames) < least:
    raise UserError(f'{name} needs a clip of at least {least} frames')


def _jitter(means):
  return float(np.std(np.diff(means, n=2)))


def luma_series(frames: Frames) -> tuple[np.ndarray, np.ndarray]:
  """What both need of a clip, each frame read once, `BLOCK` at a time.

  Args:
    frames: [T, H, W, C] in [0, 1], T at least 1.

  Returns:
    (changes [T-1]: mean_p |y_{t+1} - y_t|, means [T]: mean_p y_t), float64.
  """
  count, changes, means = len(frames), [], []
  for start in range(0, count, BLOCK):
    index = np.minimum(np.arange(start, start + BLOCK + 1), count - 1)   # of one shape: one program
    change, mean = (np.asarray(part, np.float64) for part in _block(jnp.asarray(frames[index])))
    changes.append(change[:count - 1 - start])
    means.append(mean[:BLOCK][:count - start])
  return np.concatenate(changes), np.concatenate(means)


@jax.jit
def _block(frames):
  luma = ops.luma(frames)
  return jnp.mean(jnp.abs(luma[1:] - luma[:-1]), (1, 2, 3)), jnp.mean(luma, (1, 2, 3))


def clip_values(frames: Frames, source: Frames, target: Frames | None = None) -> dict[str, float]:
  """Flicker figures of one translated clip beside its source, and its truth if there is one.

  Args:
    frames, source, target: [T, H, W, C] in [0, 1]; C may differ.

  Returns:
    {'flicker', 'flicker_source', 'flicker_ratio', with a target 'flicker_true_ratio',
    'brightness_jitter', 'brightness_jitter_source'}; a ratio is NaN where what it divides by stands
    perfectly still, the jitter is missing in clips shorter than 4 frames.
  """
  for clip in (frames, source):
    _check_length(clip, 2, 'flicker')
  (changes, means), (source_changes, source_means) = luma_series(frames), luma_series(source)
  value, reference = float(np.mean(changes)), float(np.mean(source_changes))
  values = {'flicker': value, 'flicker_source': reference,
            'flicker_ratio': _ratio(value, reference)}
  if target is not None:
    values['flicker_true_ratio'] = _ratio(value, flicker(target))
  if len(frames) >= 4:
    _check_length(source, 4, 'brightness jitter')
    values.update(brightness_jitter=_jitter(means), brightness_jitter_source=_jitter(source_means))
  return values


def _ratio(value, reference):
  return value / reference if reference else float('nan')

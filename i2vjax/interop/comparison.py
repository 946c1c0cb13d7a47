"""An exported program compared with its run, on made frames.

Frames of the built-in street, and random ones.
"""

import functools

import jax
import numpy as np

from i2vjax import data, defaults
from i2vjax.interop import portable
from i2vjax.run import translator

TOLERANCE = 2e-3   # of frames in [-1, 1]: a quarter of one of 256 levels
BFLOAT16_TOLERANCE = 5e-2   # sums in another order move the last of its 8 bits
CHECKED_FRAMES = 3          # in a row, so that what is carried is compared too


class Differs(RuntimeError):
  """An exported program that does not compute what the run computes."""


def compare(program, call):
  """Largest difference between a program and the run, over clips of the sizes it is for.

  Clips are of the built-in street, and of random numbers.

  Args:
    program: Program. call: (frames, *carried) as NumPy -> (frames, *carried) of what was exported.

  Returns:
    {'largest_difference', 'mean_difference', 'tolerance', 'frames', 'sizes': [[B, H, W], ...]}.

  Raises:
    Differs: a difference above the tolerance, or what is no number.
  """
  run, worst, sums, shapes = program.run, 0.0, [], check_shapes(program)
  tolerance = BFLOAT16_TOLERANCE if run.config.compute == 'bfloat16' else TOLERANCE
  reference = jax.jit(lambda carry, frames: portable.translate_frame(run, carry, frames))
  for shape in shapes:
    begin = [np.zeros(spec.shape, spec.dtype) for spec in program.specs((*shape,
                                                                         program.channels))[1:]]
    for clip in (street(shape, program.channels), noise(shape, program.channels)):
      carry, carried = None, begin
      for frames in clip:
        carry, expected = reference(carry, frames)
        result, *carried = call(frames, *carried)
        if np.shape(result) != expected.shape:
          raise Differs(f'what was exported gives {np.shape(result)} where the network gives '
                        f'{expected.shape}: nothing is written')
        difference = np.abs(np.asarray(result, np.float32) - np.asarray(expected, np.float32))
        worst = max(worst, float(np.max(difference)))
        sums.append(float(np.mean(difference)))
        if not np.all(np.isfinite(difference)) or worst > tolerance:
          raise Differs(f'what was exported differs from the network by {worst:.3g} on frames of '
                        f'{shape[2]}x{shape[1]} pixels, more than {tolerance:g}: nothing is '
                        'written')
  return {'largest_difference': worst, 'mean_difference': float(np.mean(sums)),
          'tolerance': tolerance, 'frames': len(sums), 'sizes': [list(shape) for shape in shapes]}


def check_shapes(program):
  """[(B, H, W), ...] to compare: two where sizes are free."""
  if program.size:
    return [(batch, *program.size) for batch in ((program.batch,) if program.batch else (1, 2))]
  multiple = program.multiple
  small = max(program.least, -(-2 * translator.MIN_SIDE // multiple))
  return [(1, multiple * small, multiple * (small + 1)),
          (2, multiple * (small + 1), multiple * small)]


def noise(shape, channels):
  """A clip of random numbers: [[B, H, W, C] for each frame]."""
  draw = np.random.default_rng(0)
  return [draw.uniform(-1, 1, (*shape, channels)).astype(np.float32)
          for _ in range(CHECKED_FRAMES)]


def street(shape, channels):
  """A clip of the built-in street of that size, the same for all of the batch."""
  frames = _drawn()
  frames = translator.pad(frames, [max(a, b) for a, b in zip(shape[1:], frames.shape[1:3],
                                                             strict=True)])
  frames = frames[:, :shape[1], :shape[2]].astype(np.float32) / 127.5 - 1
  if frames.shape[-1] != channels:
    frames = np.repeat(frames[..., :1], channels, axis=-1)
  return [np.repeat(frame[None], shape[0], axis=0) for frame in frames]


@functools.cache
def _drawn():
  """The first infrared frames of the street, uint8 [T, H, W, 1]."""
  source = data.open_source(defaults.get_config().data, 'test', 'a')
  return np.stack([source.read(t)['frame'] for t in range(CHECKED_FRAMES)])

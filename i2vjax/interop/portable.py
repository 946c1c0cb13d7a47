"""A run's translation of one frame as a function of arrays alone.

What a method carries from frame to frame becomes further inputs and outputs, zeros at a clip's
start. The weights are constants of the function.
"""

import dataclasses
from collections.abc import Callable

import jax
import numpy as np
from jax import export as jax_export

from i2vjax.core import ops, precision
from i2vjax.core.errors import UserError
from i2vjax.networks import conv
from i2vjax.run import translator


@dataclasses.dataclass(frozen=True)
class Program:
  """The translation of one frame.

  Attributes:
    function: (frames [B, H, W, C], *carried) -> (frames [B, H, W, C'], *carried); with no carried
      arrays it begins a clip.
    run: load.Run it was made of.
    carried: names of the arrays from frame to frame; (): frames stand alone.
    multiple: H and W must be multiples of it.
    size: (H, W) where these are the only ones, else None.
    batch: B where it is the only one, else None.
    least: of these multiples, where sizes are free.
    reason: why sizes are fixed, or ''.
  """

  function: Callable
  run: object
  carried: tuple[str, ...]
  multiple: int
  size: tuple[int, int] | None = None
  batch: int | None = None
  least: int = 1
  reason: str = ''

  @property
  def channels(self):
    """Of the frames that go in."""
    return self.run.config.data.channels_a

  def attempts(self, size):
    """The same with what stays open, less and less: all, the batch, nothing.

    Args:
      size: (height, width) where it cannot stay open; None: of the run's crops.
    """
    if not self.size and self.multiple:
      least = -(-translator.MIN_SIDE // self.multiple)
      yield dataclasses.replace(self, least=least)
      if least == 1:   # a single pixel, inside, cannot be mirrored
        yield dataclasses.replace(self, least=2)
    fixed = dataclasses.replace(self, size=self.size or size or crop(self.run.config))
    yield fixed
    yield dataclasses.replace(fixed, batch=1)

  def symbolic(self):
    """Shape of frames [B, H, W, C] with symbols for what is open."""
    if self.size:   # symbols that no input has are refused
      batch = self.batch or jax_export.symbolic_shape('batch')[0]
      return (batch, *self.size, self.channels)
    batch, h, w = jax_export.symbolic_shape(
        'batch, h, w', constraints=[f'{side} >= {self.least}' for side in 'hw'])
    return (batch, self.multiple * h, self.multiple * w, self.channels)

  def specs(self, shape):
    """Shapes and types of all inputs for frames of `shape`."""
    frames = jax.ShapeDtypeStruct(shape, np.float32)
    _, *carried = jax.eval_shape(self.function, frames)
    return frames, *(jax.ShapeDtypeStruct(x.shape, x.dtype) for x in carried)


def widest(program, size, make):
  """(the Program that stays open as far as `make` allows, what it made of that).

  Args:
    program: Program. size: see `Program.attempts`.
    make: Program -> anything; raises where it cannot, for which it has many ways.

  Raises:
    Exception: of the last attempt.
  """
  reason = program.reason
  *attempts, last = program.attempts(size)
  for attempt in attempts:
    attempt = dataclasses.replace(attempt, reason=reason if attempt.size else '')
    try:
      return attempt, make(attempt)
    except Exception as error:
      reason = first_line(error)
  last = dataclasses.replace(last, reason=reason)
  return last, make(last)


def first_line(error):
  """An error of another library in one line."""
  lines = str(error).strip().splitlines() or ['']
  return f'{type(error).__name__}: {lines[0][:200]}'


def program(run, size=None):
  """The Program of a run.

  Args:
    run: load.Run, in the direction it is to translate (run/direction.py).
    size: (height, width) of the only frames it is to take; None: any size, if the method allows.

  Raises:
    UserError: the networks do not take frames of that size.
  """
  side = crop(run.config) if size is None else size
  spec = jax.ShapeDtypeStruct((1, *side, run.config.data.channels_a), np.float32)
  _check_size(run, spec)
  carry, _ = jax.eval_shape(lambda x: translate_frame(run, None, x), spec)
  paths, tree = jax.tree.flatten_with_path(carry)
  names = tuple('carry' + ''.join(f'_{_key(part)}' for part in path) for path, _ in paths)

  def function(frames, *carried):
    with conv.portable():
      carry = jax.tree.unflatten(tree, carried) if carried else None
      carry, out = translate_frame(run, carry, frames)
    return out, *jax.tree.leaves(carry)
  if size is not None:
    return Program(function, run, names, 1, size, reason='asked for')
  return Program(function, run, names, find_multiple(function, run.config.data.channels_a, side))


def crop(config):
  """(height, width) of the frames a run is trained on."""
  return ops.hw(config.data.crop_size)


def _key(part):
  return str(getattr(part, 'key', getattr(part, 'idx', part)))


def translate_frame(run, carry, frames):
  """(carry, frames [B, H, W, C']): the method's own translation of one frame [B, H, W, C]."""
  with precision.of(run.config):
    carry, out = run.method.translate(run.model, run.params, run.model_state, carry,
                                      frames[:, None])
  return carry, jax.numpy.squeeze(out, 1)


def _check_size(run, spec):
  try:
    out = jax.eval_shape(lambda x: translate_frame(run, None, x)[1], spec)
  except (ValueError, TypeError) as error:
    raise UserError(f'frames of {spec.shape[2]}x{spec.shape[1]} pixels do not fit this network: '
                    f'{str(error).strip().splitlines()[0]}') from error
  if out.shape[1:3] != spec.shape[1:3]:
    raise UserError(f'frames of {spec.shape[2]}x{spec.shape[1]} pixels come out as '
                    f'{out.shape[2]}x{out.shape[1]}: give another --size')


def find_multiple(function, channels, side):
  """The number that sides must be multiples of; 0 where only `side` was found to fit."""
  for multiple in translator.SIDE_MULTIPLES:
    odd = -(-translator.MIN_SIDE // multiple) | 1   # odd: no multiple of the next one
    size = (multiple * odd, multiple * (odd + 2))
    spec = jax.ShapeDtypeStruct((1, *size, channels), np.float32)
    try:
      if jax.eval_shape(function, spec)[0].shape[1:3] == size:
        return multiple
    except (ValueError, TypeError):
      continue
  return 0

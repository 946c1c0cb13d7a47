"""Tells of frames that are no numbers, which no file can say."""

import sys
from typing import Any

import tqdm

from i2vjax.core import notes
from i2vjax.core.errors import UserError
from i2vjax.run.load import Run


class FiniteWatch:
  """Counts the frames of a translation that hold NaN or infinity; the first is told at once.

  Attributes:
    frames: looked at. bad: those of them that hold NaN or infinity.
  """

  def __init__(self, run: Run) -> None:
    self.frames = self.bad = 0
    self._remedy = _remedy(run)

  def add(self, label: Any, finite: bool) -> None:
    """One frame; `label` names it for people."""
    self.frames += 1
    if finite:
      return
    self.bad += 1
    if self.bad == 1:
      _tell(f'frame {label}: the networks give NaN or infinity there, which pictures show as black '
            f'or white. {self._remedy}')

  def end(self, output: Any) -> None:
    """Say how many there were, if any."""
    if self.bad:
      _tell(f'{output}: in {self.bad} of {self.frames} frames the networks gave NaN or infinity')

  def refuse_all(self) -> None:
    """Raises UserError where there were frames, and no network gave numbers for any of them."""
    if self.bad and self.bad == self.frames:
      raise UserError(f'the networks give NaN or infinity in each of {self.frames} frames: no '
                      f'picture is worth keeping. {self._remedy}')


def _remedy(run):
  others = 'an earlier --checkpoint'
  if run.weights == 'ema':
    others += ', or --weights raw'
  if run.config.compute == 'bfloat16':
    others = f'--config.compute=float32, whose numbers end later; or {others}'
  return f'Try {others}'


def _tell(text):
  tqdm.tqdm.write(notes.printable(f'warning: {text}'), file=sys.stderr)

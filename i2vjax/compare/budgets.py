"""Budgets of a table: as many steps, epochs or frames everywhere.

Papers of this field give every method the same number of epochs. An epoch is not the same number of
steps for every method: it depends on the batch and on the frames of a window. Nor are steps the
same number of frames.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from ml_collections import ConfigDict

from i2vjax.core.errors import UserError, did_you_mean

BUDGETS = {   # name -> what is counted
    'steps': 'updates of the networks',
    'epochs': 'passes over the domain with more windows',
    'frames': 'frames of one domain that are trained on, repeated ones counted again',
}
MATCH = 1e-3   # share by which epochs may differ: a run ends with a whole step


class Run(Protocol):
  """What is asked of a run here; `experiments.RunSpec` has it."""

  row: str
  config: ConfigDict
  total: int
  per_epoch: int


def check(budget: str) -> None:
  """Raises UserError where `budget` is none of `BUDGETS`."""
  if budget not in BUDGETS:
    raise UserError(f'--budget {budget}: choose one of {", ".join(BUDGETS)}.'
                    + did_you_mean(budget, BUDGETS))


def frames_per_step(item: Run) -> int:
  """Frames of one domain in a step."""
  return item.config.data.batch * item.config.data.frames


def amount(item: Run, budget: str) -> float:
  """How much of its budget a run takes until the step at which it is scored."""
  if budget == 'frames':
    return item.total * frames_per_step(item)
  return item.total / item.per_epoch if budget == 'epochs' else item.total


def number(value: float) -> str:
  """'17,000', or '1.5'."""
  return f'{round(value):,}' if abs(value - round(value)) < 1e-6 else f'{value:.4g}'


def differences(items: Iterable[Run], budget: str) -> list[str]:
  """[why rows are not trained with as much of `budget`, and what to give], [] where they are.

  Frames may differ by less than those of one step, epochs by the last step alone.
  """
  rows = {item.row: item for item in items}
  amounts = {row: amount(item, budget) for row, item in rows.items()}
  least, most = min(amounts.values()), max(amounts.values())
  tolerance = {'steps': 0.0, 'epochs': MATCH * most,
               'frames': max(map(frames_per_step, rows.values())) - 1}[budget]
  if most - least <= tolerance:
    return []
  line = f'{budget} is {by_value({row: number(value) for row, value in amounts.items()})}'
  advice = [f'--config.train.steps={_steps_for(item, budget, most)} in {row}'
            for row, item in rows.items() if most - amounts[row] > tolerance]
  return [f'{line} (as many as the longest has: {", ".join(advice)})']


def _steps_for(item, budget, target):
  """Steps with which a row reaches `target`."""
  share = {'steps': 1, 'epochs': item.per_epoch, 'frames': 1 / frames_per_step(item)}[budget]
  return round(target * share)


def by_value(value_of_row: Mapping[str, str]) -> str:
  """'1 in A, C and 2 in B' of {'A': '1', 'B': '2', 'C': '1'}."""
  rows_with_value = {}
  for row, value in value_of_row.items():
    rows_with_value.setdefault(value, []).append(row)
  return ' and '.join(f'{value} in {", ".join(rows)}' for value, rows in rows_with_value.items())


def statement(items: Iterable[Run], budget: str) -> str:
  """How long rows are trained: '100 epochs (17,000 steps in CUT and 8,500 in ROMA)'."""
  rows = {item.row: item for item in items}
  amounts = [amount(item, budget) for item in rows.values()]
  least, most = number(min(amounts)), number(max(amounts))
  what = f'{most if least == most else f"{least} to {most}"} {budget}'
  what = what.removesuffix('s') if most == '1' else what
  steps = {row: f'{item.total:,}' for row, item in rows.items()}
  if budget == 'steps':
    return what
  first, _, rest = by_value(steps).partition(' in ')
  return f'{what} ({first} steps)' if ' and ' not in rest else f'{what} ({first} steps in {rest})'

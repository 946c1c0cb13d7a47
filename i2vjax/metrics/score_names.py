"""Names of scores: write and read 'warping_mse[tvl1]', 'fid_RANDOM', 'iou[road]'.

A name has up to three parts: the base ('warping_mse', the key of a column in `report/text.py`), a
qualifier in brackets (what estimated the motion, or the class that is meant), and the mark
'_RANDOM' of scores that were measured by networks with random weights. Such names are the keys of
scores.json and of the log of a training run.
"""

from __future__ import annotations

from typing import NamedTuple

RANDOM = '_RANDOM'
COUNT = 'num_'            # names that count things: their total is a sum, not a mean
OF_SOURCE = '_source'     # values of the source frames, the same for every method


class ScoreName(NamedTuple):
  """The parts of a score's name; `str()` is the name.

  Attributes:
    base: the score itself.
    qualifier: the text in brackets, or ''.
    random: networks with random weights measured it.
  """

  base: str
  qualifier: str = ''
  random: bool = False

  def __str__(self) -> str:
    return make(*self)


def make(base: str, qualifier: str = '', random: bool = False) -> str:
  """The name of a score: make('warping_mse', 'tvl1') is 'warping_mse[tvl1]'."""
  brackets = f'[{qualifier}]' if qualifier else ''
  return f'{base}{brackets}{RANDOM if random else ""}'


def parse(name: str) -> ScoreName:
  """The parts of a name that `make` wrote."""
  base, _, qualifier = name.removesuffix(RANDOM).partition('[')
  return ScoreName(base, qualifier.removesuffix(']'), name.endswith(RANDOM))


def find(base: str, names) -> str | None:
  """The first of `names` that has this base, or None."""
  return next((name for name in names if parse(name).base == base), None)


def is_count(name: str) -> bool:
  """True for 'num_nonfinite' and the like: results are sums, not means."""
  return name.startswith(COUNT)


def describes_source(name: str) -> bool:
  """True for 'flicker_source' and the like: a fact of the source, no score of a translation."""
  return name.endswith(OF_SOURCE)

"""Positions in a stream of batches, whatever number of processes reads it.

grain has reading processes take every n-th batch each, in turn: the batches are the same, only the
state of the iterator is of another form.
"""

import copy
from typing import Any

from i2vjax.core.errors import UserError


def count(state: dict[str, Any]) -> int:
  """Batches that were handed out by then.

  Args:
    state: of a grain iterator, as runs store it: {'next_index': n}, or with the states of the
      reading processes, in older runs.

  Raises:
    UserError: it has another form.
  """
  try:
    if 'next_index' in state:
      return int(state['next_index'])
    return sum(int(part['next_index']) for part in state['iterators_in_use_states'])
  except (KeyError, TypeError) as error:
    raise UserError(f'the position {state} of this run in its data cannot be read: it was written '
                    'by another version of grain') from error


def at(fresh: dict[str, Any], batches: int) -> dict[str, Any]:
  """The state of an iterator that has handed out so many batches.

  Args:
    fresh: state of an iterator at its beginning, of the form that is wanted.
  """
  state = copy.deepcopy(fresh)
  if 'next_index' in state:
    return {**state, 'next_index': batches}
  parts = state['iterators_in_use_states']
  rounds, in_round = divmod(batches, len(parts))
  for k, part in enumerate(parts):
    part['next_index'] = rounds + (k < in_round)
  return {**state, 'next_index_in_cycle': in_round}

"""A position in the batches means the same for any number of reading processes."""

import pytest

from i2vjax.core.errors import UserError
from i2vjax.data.loader import positions

THREADS = {'next_index': 0}
THREE = {'next_index_in_cycle': 0, 'next_index_in_datasets': 3,
         'iterators_in_use_indices': [0, 1, 2],
         'iterators_in_use_states': [{'next_index': 0} for _ in range(3)], 'exhausted': [0, 0, 0],
         'future_states': {}}


def test_five_batches_by_three_processes():
  """As grain itself has it: printed after five batches of three workers."""
  state = positions.at(THREE, 5)
  assert state == {**THREE, 'next_index_in_cycle': 2,
                   'iterators_in_use_states': [{'next_index': n} for n in (2, 2, 1)]}
  assert positions.count(state) == 5
  assert positions.count(THREE) == 0   # what it was made from is as it was


@pytest.mark.parametrize('batches', [0, 1, 6, 17])
def test_there_and_back(batches):
  for fresh in (THREADS, THREE):
    assert positions.count(positions.at(fresh, batches)) == batches


def test_a_position_of_another_form_is_refused():
  with pytest.raises(UserError, match='another version of grain'):
    positions.count({'somewhere': 3})

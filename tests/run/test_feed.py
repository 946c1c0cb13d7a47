"""The stream of training batches, resumed by another number of reading processes."""

import pytest
from window_tools import equal, folders_config

from i2vjax.run.feed import Feed


@pytest.mark.slow
def test_a_run_goes_on_with_another_number_of_reading_processes(tmp_path):
  config = folders_config(tmp_path)
  whole = Feed(config)
  first = next(whole)
  next(whole)
  position = whole.get_state()
  expected = [next(whole) for _ in range(4)]
  config.data.workers = 2
  processes = Feed(config)
  processes.set_state(position)
  assert all(map(equal, expected[:3], [next(processes) for _ in range(3)]))
  assert position == {'next_index': 2} and not equal(first, expected[0])
  as_older_runs_stored_it = processes._iterator.get_state()
  config.data.workers = 0
  for state in (processes.get_state(), as_older_runs_stored_it):
    again = Feed(config)
    again.set_state(state)
    assert equal(next(again), expected[3])

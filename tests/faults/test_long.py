"""Commands that run long hold the same memory and the same files at their end as early on."""

import json
import multiprocessing
import time
from concurrent import futures

import fault_server
import fault_tools
import long_runs
import pytest
from tiny_runs import make_footage

from i2vjax import main

LEAK = 40   # MB: noise of allocators; 100,000 frames would be 300


@pytest.mark.slow
@pytest.mark.parametrize('name, count', [
    ('translate', 1_500), ('train', 2_000),
    pytest.param('translate', 100_000, marks=pytest.mark.nightly),
    pytest.param('evaluate', 100_000, marks=pytest.mark.nightly),
    pytest.param('train', 216_000, marks=pytest.mark.nightly)])
def test_memory_and_open_files_stay_flat(name, count):
  # In a process of its own: what other tests have left here is taken and given back meanwhile.
  with futures.ProcessPoolExecutor(1, multiprocessing.get_context('spawn')) as pool:
    found = pool.submit(long_runs.measure, name, count).result()
  assert found['mb_end'] - found['mb'] < LEAK, found
  assert found['files_end'] <= found['files'] + 2, found


@pytest.mark.slow
def test_a_run_with_a_long_log_opens_as_fast(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  fault_server.add_methods()
  footage = make_footage(tmp_path / 'footage')
  call = ['i2vjax', *map(str, fault_tools.arguments(tmp_path / 'run', footage))]
  assert main.main(call) == 0
  times = []
  for lines in (0, 10_000):   # the second time with a log as of weeks; nothing is left to train
    log = tmp_path / 'run' / 'metrics.jsonl'
    first = json.loads(log.read_text().splitlines()[0])
    log.write_text(''.join(json.dumps(first) + '\n' for _ in range(lines)) + log.read_text())
    began = time.monotonic()
    assert main.main(call) == 0
    times.append(time.monotonic() - began)
  assert times[1] < times[0] + 2, times

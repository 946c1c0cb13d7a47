"""Seconds and memory of what runs in this process.

No import of jax: its memory must not be counted where another library is measured.
"""

from __future__ import annotations

import pathlib
import re
import resource
import sys
import time
from collections.abc import Callable, Mapping

import numpy as np


def alternate(steps: Mapping[str, Callable[[], object]], rounds: int,
              threads: int = 1) -> dict[str, np.ndarray]:
  """Time several functions in turn, so that what disturbs one disturbs all.

  Args:
    steps: {side: function that returns when its work is done}; each is called once before.
    rounds: how often each is timed.
    threads: processor seconds are divided by them.

  Returns:
    {side: [rounds, 2]} wall and processor seconds of each round.
  """
  times: dict[str, list] = {side: [] for side in steps}
  for step in steps.values():
    step()
  for _ in range(rounds):
    for side, step in steps.items():
      began = time.perf_counter(), time.process_time()
      step()
      times[side].append((time.perf_counter() - began[0],
                          (time.process_time() - began[1]) / threads))
  return {side: np.asarray(pairs) for side, pairs in times.items()}


def seconds(function: Callable[[], object], rounds: int = 5) -> float:
  """Least wall time of one call, after one that is not timed."""
  return float(alternate({'': function}, rounds)[''][:, 0].min())


def resident() -> int:
  """Largest resident size of this process so far, bytes.

  Linux hands `ru_maxrss` down from the process that started this one, so its own record is read.
  """
  status = pathlib.Path('/proc/self/status')
  if status.is_file():
    found = re.search(r'VmHWM:\s+(\d+) kB', status.read_text())
    if found:
      return 1024 * int(found[1])
  size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
  return size * (1 if sys.platform == 'darwin' else 1024)

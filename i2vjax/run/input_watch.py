"""How long devices wait for input, and what helps."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from typing import Any

import jax
from ml_collections import ConfigDict

from i2vjax.core import machine

SHARE = 0.3    # of the time, from which on waiting is worth a line
STEPS = 200    # over which it is measured
MOST_WORKERS = 8


class InputWatch:
  """Measures the time in which devices had nothing to do because no batch was there.

  Steps are begun long before they are done, so that waiting for a batch costs nothing while the
  device is still at work. A thread waits for each step to be done, and so knows from when on it
  was not.
  """

  def __init__(self, active: bool = True) -> None:
    """active: False: nothing is measured, as on processes that write no log."""
    self.active = active
    self._steps: queue.SimpleQueue[Any] = queue.SimpleQueue()
    self._idle, self._done = 0.0, 0.0
    self._thread = threading.Thread(target=self._follow, daemon=True)
    if active:
      self._thread.start()

  def close(self) -> None:
    """Nothing is measured any more."""
    self.active = False
    if self._thread.is_alive():
      self._steps.put(None)
      self._thread.join()

  def step(self, asked: float, came: float, results: Any) -> None:
    """A step was begun.

    Args:
      asked, came: `time.perf_counter()` when its batch was asked for, and when it was there.
      results: arrays that it computes; they must not be donated.
    """
    if self.active:
      self._steps.put((asked, came, results))

  def taken(self) -> float:
    """Seconds without a batch since the last call. Waits for the steps that were begun."""
    if not self.active:
      return 0.0
    reached = threading.Event()
    self._steps.put(reached)
    reached.wait()
    idle, self._idle = self._idle, 0.0
    return idle

  def _follow(self):
    while (entry := self._steps.get()) is not None:
      if isinstance(entry, threading.Event):
        entry.set()
        continue
      asked, came, results = entry
      self._idle += max(0.0, came - max(asked, self._done))
      with contextlib.suppress(Exception):   # the loop meets it again when it reads the terms
        jax.block_until_ready(results)
      self._done = time.perf_counter()
      del entry, results


class Advice:
  """Says once, of a run whose devices wait for input, how long they do and what helps."""

  def __init__(self, config: ConfigDict) -> None:
    """config: of the run."""
    self.config, self.said = config, False
    self._begun = False
    self._steps, self._idle, self._elapsed = 0, 0.0, 0.0

  def after(self, steps: int, idle: float, elapsed: float) -> str | None:
    """The line to say, or None.

    Args:
      steps: since the last call; those of the first call, which compile, do not count.
      idle: seconds of them in which devices had no batch. elapsed: seconds altogether.
    """
    if not self._begun or self.said:
      self._begun = True
      return None
    self._steps, self._idle = self._steps + steps, self._idle + idle
    self._elapsed += elapsed
    if self._steps < STEPS:
      return None
    share, count = self._idle / max(self._elapsed, 1e-9), self._steps
    self._steps, self._idle, self._elapsed = 0, 0.0, 0.0
    if share < SHARE:
      return None
    self.said = True
    return (f'the devices waited for input in {share:.0%} of the time of the last {count} steps. '
            + remedy(self.config))


def remedy(config: ConfigDict) -> str:
  """What makes batches come faster in this run, on this machine."""
  data, cores = config.data, machine.cores()
  threads = machine.threads() if data.threads is None else data.threads
  ways = []
  if data.source == 'scenes':
    ways.append('streets are drawn anew until all are in the cache (larger: '
                '--config.data.scenes.cache_mb)')
  else:
    ways.append('frames are read fastest at data.load_size already (python -m i2vjax.main prepare '
                '--size)')
  if threads < machine.threads():
    ways.append(f'--config.data.threads={machine.threads()}')
  elif not data.workers and cores >= 4:
    ways.append(f'processes instead of threads, --config.data.workers='
                f'{min(MOST_WORKERS, cores // 2)}')
  else:
    ways.append(f'this process may use {cores} cores of the machine: give it more (launch/slurm.sh '
                '--cpus)')
  return 'What helps: ' + '; '.join(ways)

"""The time that devices wait for input: measured, and told once with what helps."""

import contextlib
import threading
import time

import jax
import pytest

from i2vjax import defaults
from i2vjax.core import machine
from i2vjax.run import input_watch


class Work:
  """A result that is ready when told so; and when it was."""

  def __init__(self):
    self.ready, self.since = threading.Event(), None

  def block_until_ready(self):
    assert self.ready.wait(60)
    return self


@pytest.fixture
def clock(monkeypatch):
  """Times as they are put here; the watching thread reads the same."""
  now = [0.0]
  monkeypatch.setattr(time, 'perf_counter', lambda: now[0])
  monkeypatch.setattr(jax, 'block_until_ready', lambda work: work.block_until_ready())
  return now


def finished(watch, work, clock, at):
  """A step ends at this time; the watch has seen it."""
  clock[0] = at
  work.ready.set()
  return watch.taken()


def test_waiting_counts_only_while_the_device_has_nothing_to_do(clock):
  """Step 1 runs until 10. The batch of step 2 is waited for from 3 to 8: the device was at work.

  That of step 3 is waited for from 9 to 14: from 10 on it was not.
  """
  first, second, third = Work(), Work(), Work()
  with contextlib.closing(input_watch.InputWatch()) as watch:
    watch.step(0.0, 1.0, first)
    assert finished(watch, first, clock, 10.0) == 1.0    # until its first batch
    watch.step(3.0, 8.0, second)
    assert finished(watch, second, clock, 10.0) == 0.0
    watch.step(9.0, 14.0, third)
    assert finished(watch, third, clock, 20.0) == 4.0
    assert watch.taken() == 0.0


def test_a_step_that_fails_leaves_its_error_to_the_loop(clock, monkeypatch):
  def fail(work):
    raise RuntimeError('out of memory')
  monkeypatch.setattr(jax, 'block_until_ready', fail)
  with contextlib.closing(input_watch.InputWatch()) as watch:
    watch.step(0.0, 2.0, Work())
    assert watch.taken() == 2.0
  assert not watch._thread.is_alive()


def test_without_a_log_nothing_is_measured():
  with contextlib.closing(input_watch.InputWatch(active=False)) as watch:
    watch.step(0.0, 5.0, None)
    assert watch.taken() == 0.0 and not watch._thread.is_alive()


def advice(share, steps=100, calls=6, **data):
  """What is said in so many calls of so many steps, with this share of waiting."""
  config = defaults.get_config()
  config.data.update(data)
  one = input_watch.Advice(config)
  return [one.after(steps, 10.0 * share, 10.0) for _ in range(calls)]


def test_waiting_is_told_once_over_200_steps_that_do_not_compile():
  said = advice(0.5)
  assert [line is not None for line in said] == [False, False, True, False, False, False]
  assert 'waited for input in 50% of the time of the last 200 steps' in said[2]


def test_little_waiting_is_not_worth_a_line():
  assert advice(0.2) == [None] * 6


@pytest.mark.parametrize('cores, data, ways', [
    (16, dict(threads=2), ['--config.data.threads=16']),
    (16, {}, ['--config.data.workers=8']),
    (2, {}, ['may use 2 cores', 'launch/slurm.sh --cpus']),
    (16, dict(workers=4), ['may use 16 cores']),
    (16, dict(source='folders'), ['prepare --size', '--config.data.workers=8']),
    (16, dict(source='scenes'), ['--config.data.scenes.cache_mb'])])
def test_the_line_names_what_helps_here(monkeypatch, cores, data, ways):
  monkeypatch.setattr(machine, 'cores', lambda: cores)
  line = advice(0.9, **data)[2]
  assert all(way in line for way in ways), line

"""One, two, four, eight devices and several processes: equal losses, and what is sent."""

import pathlib

import numpy as np
import own_processes
import pytest
from collectives import collectives

ROOT = pathlib.Path(__file__).parents[2]
PROGRAM = ROOT / 'tests' / 'helpers' / 'scaled_run.py'
METHODS = ('cyclegan', 'cut')   # the generator's update first, the critic's first
STEPS = 3


def start(method, devices):
  return own_processes.start(PROGRAM, method, STEPS, devices=devices)


def result(process):
  return own_processes.result(process, patience=1800)


def on_processes(method, count, devices):
  """Results of so many processes on loopback, each with so many devices."""
  started = own_processes.start_together(count, PROGRAM, method, STEPS, devices=devices)
  try:
    return [result(process) for process in started]
  finally:
    for process in started:   # of those that wait for one that failed
      process.kill()


def assert_same_run(one, other):
  for left, right in zip(one['terms'], other['terms'], strict=True):
    assert left.keys() == right.keys()
    for term, value in left.items():
      assert right[term] == pytest.approx(value, rel=1e-4, abs=1e-5), term
  for name, sums in one['sums'].items():
    np.testing.assert_allclose(other['sums'][name], sums, rtol=2e-3, atol=1e-4, err_msg=name)


def check_what_is_sent(got):
  """Gradients once, terms once: sums alone, no gathering, nothing else.

  Biases that an instance norm takes out again have no gradient, so a few are never sent.
  """
  sent = got['collectives']
  assert set(sent) == {'all-reduce'}
  numbers = sum(sent['all-reduce'])
  assert 0.98 * got['parameters'] <= numbers <= got['parameters'] + 100


def test_collectives_are_read_off_a_program():
  text = """
  %a = f32[3,4]{1,0} all-reduce(f32[3,4]{1,0} %x), replica_groups={{0,1}}
  %b = (f32[5]{0}, f32[]) all-reduce-start(f32[5]{0} %y, f32[] %z)
  %c = (f32[5]{0}, f32[]) all-reduce-done((f32[5]{0}, f32[]) %b)
  %d = bf16[8]{0} all-gather(bf16[4]{0} %w)
  """
  assert collectives(text) == {'all-reduce': [12, 6], 'all-gather': [8]}


@pytest.mark.slow
def test_eight_devices_lose_as_one_and_send_gradients_alone():
  one, eight = start('cyclegan', 1), start('cyclegan', 8)
  one, eight = result(one), result(eight)
  assert (one['devices'], eight['devices']) == (1, 8)
  assert_same_run(one, eight)
  check_what_is_sent(eight)


@pytest.mark.nightly
@pytest.mark.parametrize('method', METHODS)
def test_one_two_four_and_eight_devices_lose_alike(method):
  runs = {count: result(start(method, count)) for count in (1, 2, 4, 8)}
  for count in (2, 4, 8):
    assert_same_run(runs[1], runs[count])
    check_what_is_sent(runs[count])
    assert runs[count]['collectives'] == runs[2]['collectives']   # as many, as large


@pytest.mark.nightly
@pytest.mark.parametrize('method', METHODS)
@pytest.mark.parametrize('processes, devices', [(2, 1), (2, 2), (4, 1), (4, 2)])
def test_processes_lose_as_one(method, processes, devices):
  one, many = result(start(method, 1)), on_processes(method, processes, devices)
  assert {run['devices'] for run in many} == {processes * devices}
  assert all(run['terms'] == many[0]['terms'] for run in many)
  assert_same_run(one, many[0])
  check_what_is_sent(many[0])

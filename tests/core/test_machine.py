"""Cores and memory of this process, also inside a container."""

import os

import pytest

from i2vjax.core import machine


@pytest.fixture
def groups(tmp_path, monkeypatch):
  """Writes files as a container's limits; the machine has 64 cores, of which 12 are given."""
  monkeypatch.setattr(machine, 'GROUPS', tmp_path)
  monkeypatch.setattr(os, 'cpu_count', lambda: 64)
  monkeypatch.setattr(os, 'sched_getaffinity', lambda _: set(range(12)), raising=False)

  def put(**texts):
    for name, text in texts.items():
      path = tmp_path / name.replace('__', '/').replace('-', '.')
      path.parent.mkdir(exist_ok=True)
      path.write_text(text)
  return put


@pytest.mark.parametrize('files, cores', [
    ({}, 12), ({'cpu-max': 'max 100000\n'}, 12), ({'cpu-max': '250000 100000\n'}, 2),
    ({'cpu-max': '50000 100000\n'}, 1), ({'cpu-max': '9900000 100000\n'}, 12),
    ({'cpu__cpu-cfs_quota_us': '400000', 'cpu__cpu-cfs_period_us': '100000'}, 4),
    ({'cpu__cpu-cfs_quota_us': '-1', 'cpu__cpu-cfs_period_us': '100000'}, 12)])
def test_cores_are_those_of_this_process(groups, files, cores):
  groups(**files)
  assert machine.cores() == cores


def test_threads_are_one_a_core_up_to_a_most(groups):
  assert (machine.threads(), machine.threads(4)) == (12, 4)
  groups(**{'cpu-max': '300000 100000\n'})
  assert (machine.threads(), machine.threads(2)) == (3, 2)


def test_memory_is_the_least_of_machine_and_container(groups):
  whole = machine.memory()
  assert whole > 2**28
  groups(**{'memory-max': 'max\n'})
  assert machine.memory() == whole
  groups(**{'memory-max': '123456789\n'})
  assert machine.memory() == 123456789


def test_a_machine_that_says_nothing_counts_as_one_of_8_gb(groups, monkeypatch):
  monkeypatch.delattr(os, 'sysconf')
  assert machine.memory() == 8 * 2**30


def test_whose_processor_it_is(tmp_path, monkeypatch):
  said = tmp_path / 'cpuinfo'
  monkeypatch.setattr(machine, 'CPUINFO', said)
  assert not machine.intel()
  for vendor, intel in (('AuthenticAMD', False), ('GenuineIntel', True)):
    said.write_text(f'processor\t: 0\nvendor_id\t: {vendor}\n')
    assert machine.intel() is intel

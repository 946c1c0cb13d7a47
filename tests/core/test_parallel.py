"""One device, eight devices, two processes: the same run."""

import json
import os
import pathlib
import socket
import subprocess
import sys

import jax
import numpy as np
import pytest

from i2vjax.core import parallel

TOY = pathlib.Path(__file__).parents[1] / 'helpers' / 'toy.py'


def start(workdir, steps, devices=1, **environment):
  env = {**os.environ, 'JAX_PLATFORMS': 'cpu',
         'XLA_FLAGS': f'--xla_force_host_platform_device_count={devices}', **environment}
  return subprocess.Popen([sys.executable, TOY, workdir, str(steps)], env=env, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def result(process):
  out, err = process.communicate(timeout=150)
  assert process.returncode == 0, err[-3000:]
  return json.loads(out.strip().splitlines()[-1])


def two_processes(workdir, steps):
  with socket.socket() as free:
    free.bind(('localhost', 0))
    port = free.getsockname()[1]
  where = dict(I2VJAX_COORDINATOR=f'localhost:{port}', I2VJAX_PROCESSES='2')
  return [result(p) for p in [start(workdir, steps, devices=2, I2VJAX_PROCESS_ID=str(i), **where)
                              for i in range(2)]]


@pytest.fixture(scope='module')
def runs(tmp_path_factory):
  """The same four steps on one device, on eight, and on two processes of two devices."""
  folders = {name: tmp_path_factory.mktemp(name) for name in ('one', 'eight', 'two')}
  one, eight = start(folders['one'], 4), start(folders['eight'], 4, devices=8)
  return {'one': result(one), 'eight': result(eight), 'two': two_processes(folders['two'], 4),
          'folders': folders}


def test_eight_devices_equal_one(runs):
  assert (runs['one']['devices'], runs['eight']['devices']) == (1, 8)
  np.testing.assert_allclose(runs['eight']['params'], runs['one']['params'], atol=1e-6)
  np.testing.assert_allclose(runs['eight']['ema'], runs['one']['ema'], atol=1e-6)
  assert runs['eight']['seen'] == pytest.approx(runs['one']['seen'], abs=1e-6)


def test_two_processes_equal_one_and_each_other(runs):
  first, second = runs['two']
  assert first['devices'] == 4 and first == second
  np.testing.assert_allclose(first['params'], runs['one']['params'], atol=1e-6)


def test_devices_draw_differently_and_processes_alike(runs):
  pools = np.asarray(runs['eight']['local'])
  assert len(np.unique(pools[:, 0])) == 8
  assert len(np.unique(np.asarray(runs['two'][0]['local'])[:, 0])) == 4


def test_two_processes_resume_their_pools(runs, tmp_path):
  two_processes(tmp_path, 2)
  resumed, _ = two_processes(tmp_path, 4)
  assert resumed == runs['two'][0]


def test_a_run_of_two_processes_goes_on_with_one(runs, tmp_path):
  two_processes(tmp_path, 2)
  resumed = result(start(tmp_path, 4))
  np.testing.assert_allclose(resumed['params'], runs['one']['params'], atol=1e-6)
  assert len(resumed['local']) == 1


def test_batch_that_devices_cannot_share_names_one_they_can(monkeypatch):
  monkeypatch.setattr(jax, 'device_count', lambda: 8)
  with pytest.raises(ValueError, match=r'data.batch=12 .* 8 devices: try --config.data.batch=16'):
    parallel.local_batch(12)


def test_shard_deals_rows_in_order():
  count = jax.local_device_count()
  rows = np.arange(2 * count)
  np.testing.assert_array_equal(parallel.shard({'x': rows})['x'].ravel(), rows)


def test_no_coordinator_needs_no_start_up(monkeypatch):
  called = []
  monkeypatch.setattr(jax.distributed, 'initialize', lambda *a: called.append(a))
  for name in ('I2VJAX_COORDINATOR', 'SLURM_STEP_NUM_TASKS', 'I2VJAX_TPU_POD'):
    monkeypatch.delenv(name, raising=False)
  parallel.initialize()
  assert not called
  monkeypatch.setenv('SLURM_STEP_NUM_TASKS', '2')
  parallel.initialize()
  assert called == [()]

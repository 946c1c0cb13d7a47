"""Several processes of one run, of which one is killed, lost or given something else.

The others end within `WITHIN` seconds and say why; started again, all go on.
"""

import os
import pathlib
import signal
import socket
import tempfile
import time

import fault_tools
import pytest
from fault_server import Server

from i2vjax.compare import experiments

CACHE = os.environ.get('I2VJAX_TEST_CACHE', f'{tempfile.gettempdir()}/i2vjax-test-cache')
WITHIN = 90     # seconds, most of them for slow machines; one that stands still: 100 more
LONG = ('--config.train.steps=100000', '--config.eval.every=0', '--config.log.samples_every=0',
        '--config.train.checkpoint_steps=10', '--config.log.every=5', '--config.data.batch=4')
pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def server():
  with Server(CACHE) as running:
    yield running


def start(server, folder, footage, count, plans, more, **environment):
  """Process ids of a run of so many processes."""
  with socket.socket() as free:
    free.bind(('localhost', 0))
    port = free.getsockname()[1]
  return [server.start(
      fault_tools.arguments(folder / 'run', footage,
                            *experiments.with_changes(LONG, more.get(k, ()))),
      folder / f'{k}', plans.get(k), I2VJAX_COORDINATOR=f'localhost:{port}',
      I2VJAX_PROCESSES=str(count), I2VJAX_PROCESS_ID=str(k), **environment) for k in range(count)]


def rest_of(server, pids, but):
  """Exit codes of all but one, and the seconds they took."""
  began = time.monotonic()
  return [server.wait(pid) for k, pid in enumerate(pids) if k != but], time.monotonic() - began


def said(folder, k):
  return (folder / f'{k}').read_text(errors='replace')


@pytest.mark.parametrize('count, killed', [
    (2, 1), pytest.param(2, 0, marks=pytest.mark.nightly),
    pytest.param(4, 2, marks=pytest.mark.nightly)])
def test_one_is_killed(server, footage, tmp_path, count, killed):
  pids = start(server, tmp_path, footage, count, {}, {})
  while not fault_tools.steps(tmp_path / 'run'):
    assert server.wait(pids[killed], 0.1) is None, said(tmp_path, killed)
  os.kill(pids[killed], signal.SIGKILL)
  assert server.wait(pids[killed]) == -signal.SIGKILL
  codes, seconds = rest_of(server, pids, killed)
  assert all(codes) and seconds < WITHIN, codes
  for k in range(count):
    if k != killed and (killed or codes[0] > 0):   # without process 0 jax may abort first
      assert 'another process of this run has ended or does not answer' in said(tmp_path, k)
  saved = fault_tools.steps(tmp_path / 'run')
  again = start(server, tmp_path, footage, count, {0: {
      'at': 'step', 'count': 4, 'signals': ['SIGTERM']}}, {})
  assert [server.wait(pid) for pid in again] == [0] * count, said(tmp_path, 0)
  assert f'from step {saved[-1]} of' in said(tmp_path, 0)


@pytest.mark.parametrize('more, text', [
    (('--config.optim.lr=0.5',), 'optim.lr: 0.01 on process 0, 0.5 on process 1'),
    pytest.param(('--config.data.batch=8',), 'data.batch: 4 on process 0, 8 on process 1',
                 marks=pytest.mark.nightly),
    pytest.param(('--config.data.root=/nowhere',), 'data.root=/nowhere: no such folder',
                 marks=pytest.mark.nightly)])
def test_one_has_another_config_or_no_data(server, footage, tmp_path, more, text):
  pids = start(server, tmp_path, footage, 2, {}, {1: more})
  assert [server.wait(pid) for pid in pids] == [2, 2]
  assert all(text in said(tmp_path, k) for k in range(2))
  assert not (tmp_path / 'run' / 'config.json').exists()


@pytest.mark.nightly
def test_one_has_other_footage(server, footage, tmp_path):
  other = fault_tools.make_footage(tmp_path / 'other')
  for path in (other / 'train_ir' / 'clip1').glob('*.png'):
    path.unlink()
  pids = start(server, tmp_path, footage, 2, {}, {1: (f'--config.data.root={other}',)})
  assert [server.wait(pid) for pid in pids] == [2, 2]
  assert all('clips of a: 2 on process 0, 1 on process 1' in said(tmp_path, k) for k in range(2))


@pytest.mark.nightly
def test_one_that_stands_still_is_given_up(server, footage, tmp_path):
  plans = {1: {'at': 'step', 'count': 13, 'signals': ['SIGSTOP']}}
  pids = start(server, tmp_path, footage, 2, plans, {})
  stat = pathlib.Path(f'/proc/{pids[1]}/stat')
  while stat.read_text().split(')')[1].split()[0] != 'T':
    time.sleep(0.1)
  codes, seconds = rest_of(server, pids, 1)
  os.kill(pids[1], signal.SIGKILL)
  server.wait(pids[1])
  assert codes[0] and seconds < 100 + WITHIN
  assert 'Terminating process because the JAX distributed service detected' in said(tmp_path, 0)


def test_another_number_of_devices_reads_the_same_batches_and_says_what_starts_anew(
    server, footage, tmp_path):
  """Terms that the networks have no part in show the batches: brightness of a and b."""
  def train(name, devices, plan=None):
    code, text = server.run(
        fault_tools.arguments(tmp_path / name, footage), tmp_path / 'said', plan,
        XLA_FLAGS=f'--xla_force_host_platform_device_count={devices}')
    assert code == 0, text
    return text
  train('one', 1)
  assert 'stopped at step' in train('both', 1, {'at': 'step', 'count': 7, 'signals': ['SIGTERM']})
  text = train('both', 2)
  assert 'was made on 1 devices, this run has 2: image pools start anew' in text
  one, both = fault_tools.log(tmp_path / 'one'), fault_tools.log(tmp_path / 'both')
  for left, right in zip([x for x in one if 'a' in x], [x for x in both if 'a' in x], strict=True):
    assert (left['a'], left['b']) == pytest.approx((right['a'], right['b']), abs=1e-6)

"""What is set before a device is used: threads, compilers, and the tasks of a Slurm step."""

import os

import jax
import pytest
from jax._src.clusters import ClusterEnv  # no public door, and no promise

from i2vjax.core import start_up
from i2vjax.core.errors import UserError


@pytest.mark.parametrize(('cores', 'pixels', 'environment', 'left'), [
    (2, 64 * 64, {}, True),
    (2, 32 * 32, {}, True),
    (2, 128 * 128, {}, False),                    # work enough for two
    (1, 64 * 64, {}, False),
    (8, 64 * 64, {}, False),
    (2, 64 * 64, {'NPROC': '2'}, False),          # said by hand
    (2, 64 * 64, {'JAX_PLATFORMS': 'cuda'}, False),
])
def test_small_frames_leave_one_of_two_cores_to_the_loader(monkeypatch, cores, pixels, environment,
                                                           left):
  monkeypatch.delenv('NPROC', raising=False)
  monkeypatch.setenv('JAX_PLATFORMS', 'cpu')
  monkeypatch.setattr(start_up.machine, 'cores', lambda: cores)
  for name, value in environment.items():
    monkeypatch.setenv(name, value)
  assert start_up.leave_a_core_to_the_loader(pixels) is left
  assert os.environ.pop('NPROC', None) == ('1' if left else environment.get('NPROC'))


def test_no_coordinator_needs_no_start_up(monkeypatch):
  called = []
  monkeypatch.setattr(jax.distributed, 'initialize', lambda *a, **b: called.append((a, b)))
  for name in ('I2VJAX_COORDINATOR', 'SLURM_STEP_NUM_TASKS', 'I2VJAX_TPU_POD'):
    monkeypatch.delenv(name, raising=False)
  start_up.initialize()
  assert not called
  monkeypatch.setenv('SLURM_STEP_NUM_TASKS', '2')
  start_up.initialize()
  assert called == [((), {'local_device_ids': None})]   # no GPUs: jax chooses


@pytest.mark.parametrize(('arguments', 'environment', 'said'), [
    (('here:1',), {}, 'here:1 needs --processes, a whole number'),
    (('here:1', 2), {}, 'here:1 needs --process_id, a whole number'),
    ((), {'I2VJAX_COORDINATOR': 'here:1', 'I2VJAX_PROCESSES': 'two'},
     'needs --processes, a whole number, not I2VJAX_PROCESSES=two')])
def test_a_coordinator_needs_to_know_how_many_there_are(monkeypatch, arguments, environment, said):
  for name in ('PROCESSES', 'PROCESS_ID'):
    monkeypatch.delenv(f'I2VJAX_{name}', raising=False)
  for name, value in environment.items():
    monkeypatch.setenv(name, value)
  with pytest.raises(UserError, match=said):
    start_up.initialize(*arguments)


@pytest.mark.parametrize('there, before, after', [
    ('jax_cuda13_plugin', None, '--xla_gpu_enable_triton_gemm=false'),
    ('jax_cuda12_plugin', '--xla_x=1', '--xla_x=1 --xla_gpu_enable_triton_gemm=false'),
    ('jax_cuda13_plugin', '--xla_gpu_enable_triton_gemm=true', '--xla_gpu_enable_triton_gemm=true'),
    ('libtpu', '--xla_x=1', '--xla_x=1'), ('', None, None)])
def test_products_on_nvidia_gpus_are_left_to_cublas(monkeypatch, there, before, after):
  monkeypatch.setattr(start_up.importlib.util, 'find_spec', lambda name: name == there or None)
  monkeypatch.setenv('XLA_FLAGS', '')   # so that it is put back
  monkeypatch.delenv('XLA_FLAGS', raising=False)
  if before is not None:
    monkeypatch.setenv('XLA_FLAGS', before)
  start_up.prefer_library_products()
  assert os.environ.get('XLA_FLAGS') == after


# ---- Slurm: variables as its tasks find them


FOUR_NODES_OF_EIGHT = dict(
    SLURM_JOB_ID='4242', SLURM_STEP_NODELIST='node[1-4]', SLURM_NTASKS='4', SLURM_PROCID='2',
    SLURM_LOCALID='0', SLURM_NODEID='2', SLURM_STEP_NUM_NODES='4', SLURM_STEP_NUM_TASKS='4',
    SLURM_STEP_TASKS_PER_NODE='1(x4)', SLURM_GPUS_ON_NODE='8',
    CUDA_VISIBLE_DEVICES='0,1,2,3,4,5,6,7')


@pytest.fixture
def slurm(monkeypatch):
  """Sets the variables of a task: four nodes of eight GPUs, with changes."""
  def put(**changes):
    for name in (*start_up.VISIBLE, 'JAX_LOCAL_DEVICE_IDS', 'I2VJAX_COORDINATOR',
                 'I2VJAX_LOCAL_DEVICES', 'I2VJAX_TPU_POD'):
      monkeypatch.delenv(name, raising=False)
    for name, value in {**FOUR_NODES_OF_EIGHT, **changes}.items():
      monkeypatch.setenv(name, value)
  return put


def test_one_slurm_task_a_node_takes_all_its_gpus(slurm):
  """jax's own detection takes one; with our numbers it keeps the rest of what it finds."""
  slurm()
  def detected(ids):
    return ClusterEnv.auto_detect_unset_distributed_params(None, None, None, ids, None, 300)
  address, *found = detected(None)
  assert found == [4, 2, [0]]
  assert detected(start_up.slurm_devices()) == (address, 4, 2, list(range(8)))


@pytest.mark.parametrize('changes, numbers', [
    (dict(SLURM_STEP_TASKS_PER_NODE='8(x4)', SLURM_LOCALID='5'), [5]),
    (dict(SLURM_STEP_TASKS_PER_NODE='2(x4)', SLURM_LOCALID='1'), [4, 5, 6, 7]),
    (dict(SLURM_STEP_TASKS_PER_NODE='2,1,4(x2)', SLURM_LOCALID='3'), [6, 7]),
    # --gpus-per-task=1: each task sees its own alone, under the number 0.
    (dict(SLURM_STEP_TASKS_PER_NODE='8(x4)', SLURM_LOCALID='5', CUDA_VISIBLE_DEVICES='0'), [0]),
    (dict(SLURM_STEP_TASKS_PER_NODE='2(x4)', SLURM_LOCALID='1', CUDA_VISIBLE_DEVICES='0,1,2,3'),
     [0, 1, 2, 3]),
    (dict(CUDA_VISIBLE_DEVICES='4,5'), [0, 1]),   # numbered among those that are visible
    (dict(CUDA_VISIBLE_DEVICES='', SLURM_GPUS_ON_NODE='0'), None),
    (dict(JAX_LOCAL_DEVICE_IDS='0,1'), None)])
def test_slurm_tasks_share_the_gpus_of_their_node(slurm, changes, numbers):
  slurm(**changes)
  assert start_up.slurm_devices() == numbers


def test_gpus_that_slurm_tasks_cannot_share_are_refused(slurm):
  slurm(SLURM_STEP_TASKS_PER_NODE='3(x4)')
  with pytest.raises(UserError, match='8 GPUs .* 3 Slurm tasks.*--ntasks-per-node=1'):
    start_up.slurm_devices()


@pytest.mark.parametrize('coordinator', [None, 'node1:1234'])
def test_initialize_hands_the_gpus_to_jax_and_counts_what_came(slurm, monkeypatch, coordinator):
  called = []
  monkeypatch.setattr(jax.distributed, 'initialize', lambda *a, **b: called.append(b))
  monkeypatch.setattr(jax, 'local_device_count', lambda: 8)
  slurm(JAX_PLATFORMS='cuda')
  start_up.initialize(coordinator, 4, 2)
  assert called == [{'local_device_ids': list(range(8))}]
  monkeypatch.setattr(jax, 'local_device_count', lambda: 1)
  with pytest.raises(UserError, match='should have 8 devices, and jax finds 1'):
    start_up.initialize(coordinator, 4, 2)


def test_devices_that_were_asked_for_are_counted_in_one_process_too(monkeypatch):
  count = jax.local_device_count()
  monkeypatch.setenv('I2VJAX_LOCAL_DEVICES', str(count))
  monkeypatch.setenv('SLURM_STEP_NUM_TASKS', '1')
  start_up.initialize()
  monkeypatch.setenv('I2VJAX_LOCAL_DEVICES', str(count + 7))
  with pytest.raises(UserError, match=f'should have {count + 7} devices'):
    start_up.initialize()

"""One device, eight devices, two processes: the same run."""

import os
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import own_processes
import pytest
from jax._src.clusters import ClusterEnv  # no public door, and no promise

from i2vjax.core import parallel
from i2vjax.core.errors import UserError
from i2vjax.core.state import State

TOY = pathlib.Path(__file__).parents[1] / 'helpers' / 'toy.py'


def start(workdir, steps, devices=1):
  return own_processes.start(TOY, workdir, steps, devices=devices)


def result(process):
  return own_processes.result(process, patience=150)


def two_processes(workdir, steps):
  started = own_processes.start_together(2, TOY, workdir, steps, devices=2)
  return [result(process) for process in started]


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


def test_a_step_for_devices_that_are_named_is_that_of_all_there_are():
  """`map_step` with a mesh, as it is compiled ahead of time, against the one that trains."""
  def step(state, batch, frozen, key):
    noise = jax.random.normal(key)
    moved = jax.tree.map(lambda w: w - batch['x'].mean() * frozen, state.params)
    local = state.device_state + batch['x'].sum()
    return state.replace(params=moved, device_state=local), {'noise': noise}
  x = np.arange(6, dtype=np.float32).reshape(1, 2, 3)
  found = []
  for mesh in (None, parallel.mesh_of()):
    before = State({'w': np.ones(3, np.float32)}, {}, {}, np.zeros((1,), np.float32), np.int32(4),
                   jax.random.key(2))
    after, terms = parallel.map_step(step, mesh)(before, {'x': x}, np.float32(0.5))
    found.append((after.params['w'], after.device_state, after.step, terms['noise']))
  for ours, theirs in zip(*found, strict=True):
    np.testing.assert_array_equal(ours, theirs)
  assert found[1][2] == 5 and found[1][1].shape == (1,)


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


def test_a_step_is_ordered_for_little_memory():
  """Branches that do not wait for each other run one after the other on a CPU."""
  weights = {str(i): jnp.ones((64, 64)) for i in range(8)}

  def branches(weights, x):
    return sum(jnp.sum(jnp.tanh(jnp.tanh(x @ w) @ w)) for w in weights.values())

  def bytes_of(options):
    program = jax.jit(jax.grad(branches), compiler_options=options)
    plan = program.lower(weights, jnp.ones((4096, 64))).compile().memory_analysis()
    return plan.temp_size_in_bytes
  assert bytes_of(parallel._options('cpu')) < 0.6 * bytes_of(None)
  assert parallel._options('gpu') is None


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
  monkeypatch.setattr(parallel.machine, 'cores', lambda: cores)
  for name, value in environment.items():
    monkeypatch.setenv(name, value)
  assert parallel.leave_a_core_to_the_loader(pixels) is left
  assert os.environ.pop('NPROC', None) == ('1' if left else environment.get('NPROC'))


def test_no_coordinator_needs_no_start_up(monkeypatch):
  called = []
  monkeypatch.setattr(jax.distributed, 'initialize', lambda *a, **b: called.append((a, b)))
  for name in ('I2VJAX_COORDINATOR', 'SLURM_STEP_NUM_TASKS', 'I2VJAX_TPU_POD'):
    monkeypatch.delenv(name, raising=False)
  parallel.initialize()
  assert not called
  monkeypatch.setenv('SLURM_STEP_NUM_TASKS', '2')
  parallel.initialize()
  assert called == [((), {'local_device_ids': None})]   # no GPUs: jax chooses


@pytest.mark.parametrize('there, before, after', [
    ('jax_cuda13_plugin', None, '--xla_gpu_enable_triton_gemm=false'),
    ('jax_cuda12_plugin', '--xla_x=1', '--xla_x=1 --xla_gpu_enable_triton_gemm=false'),
    ('jax_cuda13_plugin', '--xla_gpu_enable_triton_gemm=true', '--xla_gpu_enable_triton_gemm=true'),
    ('libtpu', '--xla_x=1', '--xla_x=1'), ('', None, None)])
def test_products_on_nvidia_gpus_are_left_to_cublas(monkeypatch, there, before, after):
  monkeypatch.setattr(parallel.importlib.util, 'find_spec', lambda name: name == there or None)
  monkeypatch.setenv('XLA_FLAGS', '')   # so that it is put back
  monkeypatch.delenv('XLA_FLAGS', raising=False)
  if before is not None:
    monkeypatch.setenv('XLA_FLAGS', before)
  parallel.prefer_library_products()
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
    for name in (*parallel.VISIBLE, 'JAX_LOCAL_DEVICE_IDS', 'I2VJAX_COORDINATOR',
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
  assert detected(parallel.slurm_devices()) == (address, 4, 2, list(range(8)))


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
  assert parallel.slurm_devices() == numbers


def test_gpus_that_slurm_tasks_cannot_share_are_refused(slurm):
  slurm(SLURM_STEP_TASKS_PER_NODE='3(x4)')
  with pytest.raises(UserError, match='8 GPUs .* 3 Slurm tasks.*--ntasks-per-node=1'):
    parallel.slurm_devices()


@pytest.mark.parametrize('coordinator', [None, 'node1:1234'])
def test_initialize_hands_the_gpus_to_jax_and_counts_what_came(slurm, monkeypatch, coordinator):
  called = []
  monkeypatch.setattr(jax.distributed, 'initialize', lambda *a, **b: called.append(b))
  monkeypatch.setattr(jax, 'local_device_count', lambda: 8)
  slurm(JAX_PLATFORMS='cuda')
  parallel.initialize(coordinator, 4, 2)
  assert called == [{'local_device_ids': list(range(8))}]
  monkeypatch.setattr(jax, 'local_device_count', lambda: 1)
  with pytest.raises(UserError, match='should have 8 devices, and jax finds 1'):
    parallel.initialize(coordinator, 4, 2)


def test_devices_that_were_asked_for_are_counted_in_one_process_too(monkeypatch):
  count = jax.local_device_count()
  monkeypatch.setenv('I2VJAX_LOCAL_DEVICES', str(count))
  monkeypatch.setenv('SLURM_STEP_NUM_TASKS', '1')
  parallel.initialize()
  monkeypatch.setenv('I2VJAX_LOCAL_DEVICES', str(count + 7))
  with pytest.raises(UserError, match=f'should have {count + 7} devices'):
    parallel.initialize()


def test_a_run_says_how_many_devices_its_processes_have(monkeypatch):
  monkeypatch.setattr(jax, 'process_count', lambda: 4)
  monkeypatch.setattr(jax, 'device_count', lambda: 32)
  monkeypatch.setattr(jax, 'local_device_count', lambda: 8)
  assert parallel.describe().startswith('32 x ')
  assert parallel.describe().endswith(' (4 processes of 8)')

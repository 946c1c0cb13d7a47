"""One device, eight devices, two processes: the same run."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import own_processes
import pytest

from i2vjax.core import parallel
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


def test_large_steps_on_intel_multiply_by_eigen(monkeypatch):
  """With YNNPACK XLA holds more (docs/performance.md); an option XLA lacks is left out."""
  assert 'xla_cpu_experimental_ynn_fusion_type' not in parallel._options('cpu')
  options = parallel._options('cpu', plain_products=True)
  assert options == {**parallel._options('cpu'), 'xla_cpu_experimental_ynn_fusion_type': ''}
  x = jnp.ones((256, 256))
  program = jax.jit(lambda x: x @ x, compiler_options=options).lower(x).compile()
  assert 'ynn' not in program.as_text() and (program(x) == 256).all()
  assert not parallel._is_known('xla_cpu_no_such_option', '')
  asked = []
  monkeypatch.setattr(parallel, '_options', lambda platform, plain: asked.append(plain))
  for intel in (True, False):
    monkeypatch.setattr(parallel.machine, 'intel', lambda intel=intel: intel)
    for pixels in (128 * 128, 256 * 256):
      parallel.map_step(lambda *inputs: inputs, pixels=pixels)
  assert asked == [False, True, False, False]


def test_a_run_says_how_many_devices_its_processes_have(monkeypatch):
  monkeypatch.setattr(jax, 'process_count', lambda: 4)
  monkeypatch.setattr(jax, 'device_count', lambda: 32)
  monkeypatch.setattr(jax, 'local_device_count', lambda: 8)
  assert parallel.describe().startswith('32 x ')
  assert parallel.describe().endswith(' (4 processes of 8)')

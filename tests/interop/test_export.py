"""export: parameters that flax and orbax alone restore."""

import errno
import json
import os
import pydoc
import subprocess
import sys

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import stub_runs as stubs

from i2vjax.core import files
from i2vjax.core.model import Model
from i2vjax.interop import export
from i2vjax.networks import generators
from i2vjax.run import load


@pytest.fixture(scope='module')
def run():
  return stubs.halving_run()


@pytest.fixture(scope='module')
def exported(run, tmp_path_factory):
  return export.export(run, None, tmp_path_factory.mktemp('export') / 'generator')


def test_the_folder_restores_to_the_same_bits(run, exported):
  restored = export.restore(exported / 'params')
  jax.tree.map(np.testing.assert_array_equal, restored, run.params['gen_ab'])


def test_flax_alone_restores_and_runs_it(run, exported, tmp_path):
  """A process that never imports this package gets the same frames."""
  x = np.linspace(-1, 1, 16 * 16 * 3, dtype=np.float32).reshape(1, 16, 16, 3)
  np.save(tmp_path / 'x.npy', x)
  program = f'''
import sys
import numpy as np
import orbax.checkpoint as ocp
import flax.linen as nn
params = ocp.StandardCheckpointer().restore({str(exported / 'params')!r})
x = np.load({str(tmp_path / 'x.npy')!r})
y = nn.Conv(3, (1, 1)).apply({{'params': params['Conv_0']}}, np.concatenate([x, x], -1))
np.save({str(tmp_path / 'y.npy')!r}, y)
assert not any(name.split('.')[0] == 'i2vjax' for name in sys.modules)
'''
  subprocess.run([sys.executable, '-c', program], check=True, cwd=tmp_path, timeout=120)
  kernel, bias = (run.params['gen_ab']['Conv_0'][name] for name in ('kernel', 'bias'))
  expected = np.concatenate([x, x], -1) @ np.asarray(kernel)[0, 0] + np.asarray(bias)
  np.testing.assert_allclose(np.load(tmp_path / 'y.npy'), expected, atol=1e-5)


def test_network_json_says_how_to_build_it(exported):
  notes = json.loads((exported / 'network.json').read_text())
  assert notes['network'] == 'gen_ab'
  assert notes['module'].endswith('.Halving')
  assert notes['arguments'] == {'channels': 3}
  assert notes['inputs'] == [{'shape': [1, 32, 32, 3], 'dtype': 'float32'}]
  assert notes['parameters'] == 6 * 3 + 3


def test_arguments_as_json():
  assert export.plain({'act': nn.relu, 'sizes': (1, 2), 'dtype': jnp.float32}) == {
      'act': f'{nn.relu.__module__}.{nn.relu.__qualname__}', 'sizes': [1, 2], 'dtype': 'float32'}


@pytest.mark.parametrize('kind', generators.KINDS)
def test_generator_is_built_again_from_its_notes(tmp_path, kind):
  """What docs/scores.md says: its module by name, with the restored parameters."""
  config = stubs.config()
  config.gen = dict(width=4, blocks=1, down='stride', up='deconv', kind=kind, levels=2)
  module = generators.generator(config, 3, 3)
  x = jax.random.uniform(jax.random.key(0), (1, 16, 16, 3))
  params = jax.jit(module.init)(jax.random.key(1), x)['params']
  method = stubs.method(None, inputs=lambda config: {'gen': (x,)})
  run = load.Run(method, Model(config, {'gen': module}), {'gen': params}, {}, 1)
  folder = export.export(run, None, tmp_path / 'gen')
  notes = json.loads((folder / 'network.json').read_text())
  again = pydoc.locate(notes['module'])(**notes['arguments'])
  restored = export.restore(folder / 'params')
  frames = [jax.jit(net.apply)({'params': tree}, x)
            for net, tree in ((again, restored), (module, params))]
  np.testing.assert_allclose(*frames, atol=1e-6)


def test_unknown_network_lists_those_there_are(run, tmp_path):
  with pytest.raises(ValueError, match='gen_ba.*gen_ab'):
    export.export(run, 'gen_ba', tmp_path / 'x')
  assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten_but_an_earlier_export_on_request(run, exported, tmp_path):
  with pytest.raises(FileExistsError, match='--overwrite'):
    export.export(run, 'gen_ab', exported)
  assert export.export(run, 'gen_ab', exported, overwrite=True) == exported
  (tmp_path / 'mine.txt').write_text('keep')
  with pytest.raises(FileExistsError, match='no export'):
    export.export(run, 'gen_ab', tmp_path, overwrite=True)
  assert (tmp_path / 'mine.txt').read_text() == 'keep'


def test_an_export_that_was_put_aside_is_there_again_before_the_next_one_looks(run, tmp_path):
  """Killed between the two renames of --overwrite: the old one lies in a hidden folder."""
  child = subprocess.run([sys.executable, '-c', 'import os; print(os.getpid())'], text=True,
                         capture_output=True, check=True)
  aside = files.part_prefix().replace(f'-{os.getpid()}-', f'-{int(child.stdout)}-') + 'old-0'
  (tmp_path / aside / 'out').mkdir(parents=True)
  (tmp_path / aside / 'out' / 'network.json').write_text('{}')
  with pytest.raises(FileExistsError, match='--overwrite'):
    export.export(run, 'gen_ab', tmp_path / 'out')
  assert os.listdir(tmp_path) == ['out'] and os.listdir(tmp_path / 'out') == ['network.json']


def test_a_copy_that_differs_is_noticed_and_removed(run, tmp_path, monkeypatch):
  read = export.restore

  def bent(folder):
    return jax.tree.map(lambda x: x + 1e-7, read(folder))
  monkeypatch.setattr(export, 'restore', bent)
  with pytest.raises(RuntimeError, match='differs'):
    export.export(run, 'gen_ab', tmp_path / 'x')
  assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('error', [
    OSError(errno.ENOSPC, 'No space left on device'), ValueError('RESOURCE_EXHAUSTED: write')])
def test_a_full_disk_is_told_in_one_line_and_leaves_nothing(run, tmp_path, monkeypatch, error):
  def full(*_):
    raise error
  monkeypatch.setattr(export.ocp.StandardCheckpointer, 'save', full)
  with pytest.raises(OSError, match=r'out: the disk is full \(\d+ MiB free\)'):
    export.export(run, 'gen_ab', tmp_path / 'out')
  assert not list(tmp_path.iterdir())

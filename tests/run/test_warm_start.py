"""A training that begins at the weights of another run."""

import re
import shutil

import jax
import numpy as np
import pytest
import toy
from tiny_runs import TINY

from i2vjax import main, train
from i2vjax.cli import parse
from i2vjax.compare import experiments
from i2vjax.core.errors import UserError
from i2vjax.run import checkpoint, folder, load, settle, starter, warm_start

STILL = '--config.optim.lr=1e-12'   # weights stay where they begin
CYCLEGAN, CUT = 'configs/cyclegan.py:demo', 'configs/cut.py:demo'


@pytest.fixture(scope='module')
def source(tiny, tmp_path_factory):
  """Two steps of CycleGAN: averages and last weights differ."""
  workdir = tmp_path_factory.mktemp('source') / 'run'
  assert main.main(tiny(CYCLEGAN, workdir, '--config.train.steps=2', '--config.seed=5')) == 0
  return workdir


@pytest.fixture(scope='module')
def small(source, tmp_path_factory):
  """The same as a starter."""
  run, place = load.load(source), tmp_path_factory.mktemp('small')
  params = {name: run.params[name] for name in ('gen_ab', 'gen_ba')}
  starter.write(place, run.config, starter.Weights(params, {}, run.step, 'ema'), 'float32')
  return place


def begun(source, *more, config=CYCLEGAN):
  """(method, fresh state, state that begins at `source`, lines)."""
  config = settle.settle(parse.row_config(
      [f'--config={config}', f'--config.train.init_from={source}',
       *experiments.with_changes(TINY, more)]))
  method, model = load.assemble(config)
  model = train.with_optimizers(method, model, 1)
  fresh = load.fresh_state(method, model)
  return fresh, *warm_start.begin(method, model, fresh)


def equal(left, right):
  return all(np.array_equal(x, y)
             for x, y in zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True))


def test_all_networks_of_the_same_config_begin_at_the_averages(source):
  fresh, state, lines = begun(source)
  there, raw = load.load(source), load.load(source, weights='raw')
  assert equal(state.params, there.params) and not equal(state.params, raw.params)
  assert equal(state.ema, {name: there.params[name] for name in ('gen_ab', 'gen_ba')})
  assert all(x is not y for x, y in zip(jax.tree.leaves(state.ema),
                                        jax.tree.leaves(state.params), strict=False))
  assert equal(state.opt, fresh.opt) and int(state.step) == 0
  assert equal(jax.random.key_data(state.key), jax.random.key_data(fresh.key))
  assert lines == [f'begins at the averaged weights of {source}, step 2: '
                   'disc_a, disc_b, gen_ab, gen_ba']


def test_networks_of_other_shapes_begin_anew_and_say_where_they_differ(source):
  fresh, state, lines = begun(source, '--config.disc.width=8')
  there = load.load(source)
  assert equal(state.params['gen_ab'], there.params['gen_ab'])
  assert equal(state.params['disc_a'], fresh.params['disc_a'])
  assert lines[0].endswith(': gen_ab, gen_ba')
  assert lines[1].startswith('begin anew: disc_a (') and ' there, ' in lines[1]
  assert '--config.optim.warmup=500' in lines[2]
  assert len(begun(source, '--config.disc.width=8', '--config.optim.warmup=9')[2]) == 2


def test_a_starter_has_no_critics(small):
  fresh, state, lines = begun(small)
  assert equal(state.params['gen_ba'], load.load(small).params['gen_ba'])
  assert equal(state.params['disc_b'], fresh.params['disc_b'])
  assert lines[1] == 'begin anew: disc_a (not there), disc_b (not there)'


def test_nothing_that_fits_is_refused_with_the_fields_at_fault(source):
  with pytest.raises(ValueError, match=r'none of its networks fits: .*disc_a .*gen_ab .*'
                     r'--config.disc.width=8 \(there 4\), --config.gen.width=8 \(there 4\)'):
    begun(source, '--config.gen.width=8', '--config.disc.width=8')


def test_another_method_may_share_critics_alone_and_that_is_told(source):
  _, state, lines = begun(source, config=CUT)
  assert lines[0].endswith(', step 2: disc_b') and 'gen (not there)' in lines[1]
  assert equal(state.params['disc_b'], load.load(source).params['disc_b'])
  assert lines[2] == 'not used, this method has no such networks: disc_a, gen_ab, gen_ba'
  assert lines[-1] == 'none of them translates: the generators begin anew'
  with pytest.raises(ValueError, match=r'gen \(not there\).*--config.method=cut \(there cyclegan'):
    begun(source, '--config.disc.width=8', config=CUT)


def test_the_other_direction_is_told(source):
  assert 'its generators lead the other way' in begun(source, '--config.data.direction=b2a')[2][-1]


def test_the_first_difference_of_two_trees():
  here = {'a': {'w': np.ones((3, 4)), 'b': np.ones(4)}}
  assert warm_start.difference(here, here) == ''
  assert warm_start.difference(here, None) == 'not there'
  assert warm_start.difference(here, {'a': {'w': np.ones((3, 5))}}) == 'a/b: none there, 4 here'
  assert warm_start.difference({'a': {'b': np.ones(())}}, here) == 'a/b: 4 there, a number here'


def test_statistics_follow_their_network():
  own = {'gen': {'mean': np.zeros(2)}, 'spectral': {'disc': np.zeros(3), 'other': np.zeros(3)}}
  there = {'gen': {'mean': np.ones(2)}, 'spectral': {'disc': np.ones(3), 'other': np.ones(3)}}
  got = warm_start.with_statistics(own, there, {'gen', 'disc'})
  assert equal(got, {'gen': {'mean': np.ones(2)},
                     'spectral': {'disc': np.ones(3), 'other': np.zeros(3)}})
  assert equal(warm_start.with_statistics(own, {'gen': {'mean': np.ones(5)}}, {'gen'}), own)
  assert warm_start.with_statistics({}, there, {'gen'}) == {}


def test_training_begins_there_and_goes_on_without_it(source, tiny, tmp_path, capsys, caplog):
  there, gone, workdir = load.load(source), tmp_path / 'gone', tmp_path / 'run'
  shutil.copytree(source, gone)
  begin = f'--config.train.init_from={gone}'

  def command(*more):
    return main.main(tiny(CYCLEGAN, workdir, STILL, *more))
  assert command(begin, '--config.train.steps=1') == 0
  assert f'begins at the averaged weights of {gone}, step 2: disc_a' in capsys.readouterr().out
  for weights in ('ema', 'raw'):
    run = load.load(workdir, weights=weights)
    assert run.step == 1
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, atol=1e-9), run.params,
                 there.params)
  assert folder.read_config(workdir).train.init_from == str(gone)
  shutil.rmtree(gone)
  assert command(begin, '--config.train.steps=2') == 0
  assert 'begins at' not in capsys.readouterr().out and 'init_from' not in caplog.text
  assert command('--config.train.steps=3') == 0   # and without the field
  assert "train.init_from='' is not looked at" in caplog.text
  assert checkpoint.any_in(workdir) and load.load(workdir).step == 3
  assert folder.read_config(workdir).train.init_from == str(gone)


@pytest.mark.parametrize(('name', 'said'), [
    ('nowhere', 'train.init_from=.*nowhere is no run folder'),
    ('untrained', 'train.init_from=.*untrained holds no checkpoint yet'),
    ('damaged', 'train.init_from: checkpoint 2 of .*damaged cannot be read')])
def test_a_source_without_weights_is_told_before_the_folder_is_made(
    source, tiny, tmp_path, capsys, name, said):
  if name != 'nowhere':
    (tmp_path / name).mkdir()
    shutil.copy(source / 'config.json', tmp_path / name)
  if name == 'damaged':
    shutil.copytree(source / 'checkpoints', tmp_path / name / 'checkpoints')
    shutil.rmtree(tmp_path / name / 'checkpoints' / '2' / 'params')
  assert main.main(tiny(CYCLEGAN, tmp_path / 'new', '--config.train.steps=1',
                        f'--config.train.init_from={tmp_path / name}')) == 2
  assert re.search(said, capsys.readouterr().err)
  assert not (tmp_path / 'new').exists()


def test_a_changed_bit_of_the_source_is_told(tmp_path):
  """The arrays on disk have no checksums: orbax reads another number, without a word."""
  numbers = np.random.default_rng(0).normal(size=(100, 500)).astype(np.float32)
  state = toy.toy_state({p: toy.optax.adam(1) for p in toy.PLAYERS},
                        {'gen': toy.nn.Dense(3), 'disc': toy.nn.Dense(1)})
  state = state.replace(step=np.int32(2), ema={}, params={'gen': {'seen': numbers}})
  checkpoints = checkpoint.manager(tmp_path)
  checkpoint.save(checkpoints, state, {'next_index': 2})
  checkpoint.finish(checkpoints)
  np.testing.assert_array_equal(warm_start.read(tmp_path).params['gen']['seen'], numbers)
  largest = max((path for path in (tmp_path / 'checkpoints' / '2' / 'params').rglob('*')
                 if path.is_file()), key=lambda path: path.stat().st_size)
  data = bytearray(largest.read_bytes())
  data[len(data) // 2] ^= 4
  largest.write_bytes(data)
  with pytest.raises(UserError, match='checkpoint 2 of .* cannot be read .its params are not what '
                                      'was stored: the checksum differs'):
    warm_start.read(tmp_path)


def test_runs_of_before_began_at_initial_weights(tmp_path, source):
  config = folder.read_config(source)
  del config.train['init_from']
  folder.write_config(tmp_path, config)
  assert folder.read_config(tmp_path).train.init_from == ''

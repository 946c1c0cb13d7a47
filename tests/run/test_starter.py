"""Starter weights: made of a run, used like a run folder, never written to."""

import json
import os
import pathlib
import re
import stat
import tomllib

import jax
import make_starter
import numpy as np
import pytest
from PIL import Image
from tiny_runs import TINY

from i2vjax import main
from i2vjax.run import folder, load, starter

ROOT = pathlib.Path(__file__).parents[2]
STREET = ('--config.data.scenes.clips=2', '--config.data.scenes.test_clips=1',
          '--config.data.scenes.clip_length=4', '--config.data.scenes.cache_mb=8')


def train(workdir, *more, config='cyclegan'):
  path = ROOT / 'configs' / f'{config}.py'
  return main.main(['i2vjax', '--config', f'{path}:demo', '--workdir', str(workdir), *TINY,
                    *STREET, '--config.train.steps=1', *more])


@pytest.fixture(scope='module')
def run(tmp_path_factory):
  workdir = tmp_path_factory.mktemp('street') / 'run'
  assert train(workdir) == 0
  return workdir


@pytest.fixture(scope='module')
def made(run, tmp_path_factory):
  output = tmp_path_factory.mktemp('made') / 'starter'
  make_starter.make(run, output, show=False)
  return output


@pytest.fixture
def shipped(made, monkeypatch, tmp_path):
  """`made` as what the package brings, read only; the current folder is an empty one."""
  monkeypatch.setattr(folder, 'STARTER_FOLDER', made)
  monkeypatch.chdir(tmp_path)
  before = {path.name: path.read_bytes() for path in made.iterdir()}
  made.chmod(stat.S_IRUSR | stat.S_IXUSR)
  yield made
  made.chmod(0o755)
  assert {path.name: path.read_bytes() for path in made.iterdir()} == before


def pictures(place):
  place.mkdir()
  for t in range(2):
    pixels = np.random.default_rng(t).integers(0, 255, (32, 36, 3), np.uint8)
    Image.fromarray(pixels).save(place / f'{t}.png')


def test_it_holds_the_networks_that_translate_and_says_how_they_came_about(run, made):
  names = {path.name for path in made.iterdir()}
  assert names == set(make_starter.FILES)
  card = json.loads((made / 'card.json').read_text())
  assert (card['method'], card['step'], card['weights']) == ('cyclegan', 1, 'ema')
  assert card['about'].startswith('Made from synthetic footage only') and not card['began_at']
  assert card['networks'].keys() == {'gen_ab', 'gen_ba'}
  assert {'psnr', 'ssim'} <= card['scores']['translated'].keys()
  assert card['bytes'] < 2.5 * sum(card['networks'].values()) + 20000   # two bytes a parameter
  page = (made / 'card.md').read_text()
  assert card['about'] in page and '| psnr |' in page and '1 steps' in page
  assert 'num_identical' not in page and (run / 'report-starter' / 'index.html').is_file()


def test_it_stores_the_averages_to_half_precision(run, made):
  whole, stored = load.load(run), load.load(made)
  assert (stored.step, stored.weights, set(stored.params)) == (1, 'ema', {'gen_ab', 'gen_ba'})
  for name, params in stored.params.items():
    for x, y in zip(jax.tree.leaves(params), jax.tree.leaves(whole.params[name]), strict=True):
      assert x.dtype == np.float32
      np.testing.assert_array_equal(x, np.asarray(y, np.float16).astype(np.float32))
  rounding = json.loads((made / 'card.json').read_text())['rounding']
  assert rounding['frames'] == 4 and rounding['largest_levels'] <= 2


def test_translate_and_export_by_name_from_any_folder(shipped, tmp_path, capsys):
  pictures(tmp_path / 'in')
  command = ['i2vjax', 'translate', '--workdir', 'starter', '--input', 'in', '--show=false']
  assert main.main([*command, '--output', 'by_name']) == 0
  assert main.main(['i2vjax', 'export', '--workdir=starter', '--output=gen']) == 0
  assert json.loads((tmp_path / 'gen' / 'network.json').read_text())['weights'] == 'ema'
  command[3] = str(shipped)   # the same weights by their folder
  assert main.main([*command, '--output', 'by_folder']) == 0
  for name in ('0.png', '1.png'):
    pixels = [np.asarray(Image.open(tmp_path / x / name)) for x in ('by_name', 'by_folder')]
    np.testing.assert_array_equal(*pixels)
  assert sorted(os.listdir(tmp_path)) == ['by_folder', 'by_name', 'gen', 'in']


def test_evaluate_reports_in_the_current_folder(shipped, tmp_path, capsys):
  assert main.main(['i2vjax', 'evaluate', '--workdir', 'starter', '--show=false',
                    '--config.eval.metrics=psnr']) == 0
  assert os.listdir(tmp_path) == ['report-starter']
  scores = json.loads((tmp_path / 'report-starter' / 'scores.json').read_text())
  card = json.loads((shipped / 'card.json').read_text())
  assert scores['rows']['translated']['psnr'] == pytest.approx(
      card['scores']['translated']['psnr'], abs=1e-4)


def test_a_folder_of_that_name_is_another_and_told(shipped, tmp_path, capsys, caplog):
  (tmp_path / 'starter').mkdir()
  given = ['i2vjax', 'export', '--output=gen', '--workdir']
  assert main.main([*given, './starter']) == 2
  assert 'is no run folder' in capsys.readouterr().err and not caplog.records
  assert main.main([*given, 'starter']) == 0
  assert '--workdir starter is the one that comes with i2vjax; the folder here' in caplog.text
  assert folder.locate(pathlib.Path('starter')) == pathlib.Path('starter')


@pytest.mark.parametrize(('arguments', 'said'), [
    (('--checkpoint=best',), '--checkpoint best: .* one set of weights, of step 1'),
    (('--weights=raw',), '--weights raw: .* holds ema weights alone'),
    (('--network=disc_a',), '--network disc_a: this run has gen_ab, gen_ba'),
    (('--config.gen.width=8',), 'does not fit --config.gen.width=8 .trained with 4.'),
    (('--config.data.crop_size=64', '--weights=raw'), '--weights raw: .* holds ema weights alone')])
def test_what_it_does_not_hold_is_told(shipped, arguments, said, capsys):
  assert main.main(['i2vjax', 'export', '--workdir=starter', '--output=gen', *arguments]) == 2
  assert re.search(said, capsys.readouterr().err)


def test_training_and_import_do_not_write_there(shipped, tmp_path, capsys):
  assert train('starter') == 2
  assert '--config.train.init_from=starter; a folder of that name here is ./starter' in (
      capsys.readouterr().err)
  assert main.main(['i2vjax', 'import', '--source=cut', '--from=x', '--workdir=starter']) == 2
  assert 'are only read' in capsys.readouterr().err and not os.listdir(tmp_path)


def test_no_run_is_trained_in_a_folder_of_weights_alone(made, capsys):
  before = sorted(os.listdir(made))
  assert train(made) == 2
  assert f'--config.train.init_from={made} to begin at them' in capsys.readouterr().err
  assert sorted(os.listdir(made)) == before


def test_without_one_the_command_says_so(monkeypatch, tmp_path, capsys):
  monkeypatch.setattr(folder, 'STARTER_FOLDER', tmp_path / 'nothing')
  assert main.main(['i2vjax', 'translate', '--workdir=starter', '--input=x', '--output=y']) == 2
  assert 'comes without starter weights' in capsys.readouterr().err


def test_a_damaged_file_is_told(made, tmp_path):
  for name in ('config.json', starter.WEIGHTS):
    (tmp_path / name).write_bytes((made / name).read_bytes()[:3000])
  (tmp_path / 'config.json').write_text((made / 'config.json').read_text())
  with pytest.raises(ValueError, match=r'weights.safetensors is no whole .safetensors file'):
    load.load(tmp_path)


def test_weights_too_large_for_half_precision_are_refused(run, tmp_path):
  weights = starter.Weights({'gen': {'w': np.float32([1e6])}}, {}, 1, 'raw')
  with pytest.raises(ValueError, match='params/gen/w does not fit into float16: take float32'):
    starter.write(tmp_path, folder.read_config(run), weights)
  starter.write(tmp_path, folder.read_config(run), weights, 'float32')
  assert starter.read(tmp_path).params['gen']['w'] == [1e6]


def test_it_is_made_from_the_street_alone_and_replaces_nothing_else(run, made, tmp_path):
  with pytest.raises(FileExistsError, match='use --overwrite'):
    make_starter.make(run, made, show=False)
  (tmp_path / 'mine.txt').touch()
  with pytest.raises(FileExistsError, match='it holds mine.txt'):
    make_starter.make(run, tmp_path, overwrite=True)
  with pytest.raises(FileExistsError, match='report-starter/scores.json exists already'):
    make_starter.make(run, tmp_path / 'new')
  config = folder.read_config(run)
  config.data.source = 'folders'
  (tmp_path / 'run').mkdir()
  (tmp_path / 'run' / 'checkpoints').symlink_to(run / 'checkpoints')
  folder.write_config(tmp_path / 'run', config)
  with pytest.raises(ValueError, match='data.source=folders: a starter is made from the built-in'):
    make_starter.make(tmp_path / 'run', tmp_path / 'new')
  assert not (tmp_path / 'new').exists()


def test_no_place_of_the_training_machine_is_stored(run):
  config = folder.read_config(run)
  config.data.cache_dir = config.pretrained_dir = '/home/someone'
  assert 'someone' not in make_starter.without_places(config).to_json_best_effort()


def test_the_package_brings_the_folder():
  project = tomllib.loads((ROOT / 'pyproject.toml').read_text())
  assert project['tool']['setuptools']['package-data']['i2vjax.starter'] == ['*']
  assert folder.STARTER_FOLDER == ROOT / 'i2vjax' / 'starter'

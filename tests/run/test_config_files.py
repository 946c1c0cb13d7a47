"""Configs by name: the file that is here, the one in the package, the nearest."""

import pathlib
import shutil

import pytest

from i2vjax.cli import parse
from i2vjax.core import notes
from i2vjax.core.errors import UserError
from i2vjax.run import config_files

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
  """An empty current folder."""
  monkeypatch.chdir(tmp_path)
  monkeypatch.setattr(notes, '_said', set())
  return tmp_path


@pytest.mark.parametrize('text', ['cptrans:demo', 'configs/cptrans.py:demo'])
@pytest.mark.parametrize('flag', ['--config=', '-config=', '--config ', '-config '])
def test_a_name_is_the_config_in_the_package(text, flag):
  arguments = (flag + text).split()
  config = parse.parse(['i2vjax', *arguments, '--config.train.steps=3'])[2]
  assert (config.method, config.variant, config.train.steps) == ('cptrans', 'demo', 3)
  assert config_files.read(text).variant == 'demo'
  assert parse.row_config([f'--config={text}']).variant == 'demo'   # a row of `compare`


def test_a_path_is_told_once_and_a_name_is_not(capsys):
  for _ in range(2):
    config_files.find('configs/cut.py')
    config_files.find('cut')
  assert capsys.readouterr().err == ('configs/cut.py is not in this folder: taking the one that '
                                     'comes with i2vjax\n')


def test_a_file_that_is_here_wins(elsewhere):
  (elsewhere / 'configs').mkdir()
  mine = (ROOT / 'configs/cut.py').read_text().replace("'cut', variant or", "'cut', 'mine' or")
  for name in ('configs/cptrans.py', 'mine.py'):
    (elsewhere / name).write_text(mine)
    for text in (name, str(elsewhere / name)):
      config = parse.parse(['i2vjax', f'--config={text}'])[2]
      assert (config.method, config.variant) == ('cut', 'mine')
      assert config_files.read(text).variant == 'mine'
  assert config_files.read('cptrans').method == 'cptrans'


@pytest.mark.parametrize(('text', 'said'), [
    ('cptran:demo', "--config cptran: no such file. Did you mean 'cptrans'"),
    ('configs/cptran.py', "Did you mean 'configs/cptrans.py'"),
    ('./configs/cyclegan.py', "Did you mean 'configs/cyclegan.py'"),
    ('cyclegan.py', "Did you mean 'configs/cyclegan.py'"),
    ('mime.py', "Did you mean 'mine.py'"),
    ('other/cptrans.py', 'With i2vjax come best, cptrans, cut, .*; any other is named by its path'),
    ('zzzz', 'With i2vjax come best, cptrans, cut')])
def test_a_mistyped_name_is_refused_with_the_nearest(elsewhere, text, said):
  (elsewhere / 'mine.py').write_text('')
  for function in (config_files.find, lambda text: parse.parse(['i2vjax', '--config', text])):
    with pytest.raises(UserError, match=said):
      function(text)


def test_a_size_may_be_written_as_films_have_it():
  """640x512 is 640 wide; a pair is (height, width), as arrays are."""
  for text, meant in [('640x512', (512, 640)), ('512,640', (512, 640)), ('256', 256)]:
    arguments = ['--config=cptrans', f'--config.data.load_size={text}',
                 '--config.data.crop_size=64x32', f'--config.data.scenes.size={text}']
    config = parse.parse(['i2vjax', *arguments])[2]
    assert config.data.load_size == meant == parse.row_config(arguments).data.load_size
    assert config.data.crop_size == (32, 64) and config.data.scenes.size == meant
  for size in ('640x512', (512, 640)):
    config = config_files.change(config_files.read('cptrans'), {'data.load_size': size})
    assert config.data.load_size == (512, 640) and config.data.crop_size == 256
  for text in ('640x', '640x512x3', '640*512', '1,2,3'):
    with pytest.raises(UserError, match=r'data\.crop_size=.*: write a whole number, or both sides'):
      parse.parse(['i2vjax', '--config=cptrans', f'--config.data.crop_size={text}'])
  with pytest.raises(UserError, match='640x512 .width x height.'):
    config_files.change(config_files.read('cptrans'), {'data.crop_size': 'large'})


def test_an_installed_package_has_them_inside(elsewhere, monkeypatch):
  monkeypatch.setattr(config_files, 'PLACES', (elsewhere / 'inside', elsewhere / 'beside'))
  with pytest.raises(FileNotFoundError, match='comes without its configs'):
    config_files.folder()
  shutil.copytree(ROOT / 'configs', elsewhere / 'inside')
  assert config_files.folder() == elsewhere / 'inside'
  assert config_files.find('cut:paper') == f'{elsewhere}/inside/cut.py:paper'


def test_a_broken_config_is_named(elsewhere):
  (elsewhere / 'mine.py').write_text('def get_config(:')
  with pytest.raises(UserError, match=r'mine\.py, line 1'):
    config_files.read('mine.py')

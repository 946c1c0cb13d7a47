"""Where a run's data are: found from any folder, and never where the run writes."""

import os

import numpy as np
import pytest

from i2vjax import defaults, train, translate
from i2vjax.data.io import images
from i2vjax.run import folder, resume, settle


def config_of(**fields):
  config = defaults.get_config()
  config.method = 'cyclegan'
  config.data.update(source='folders', **fields)
  return config


def test_relative_places_are_kept_as_those_of_the_folder_training_began_in(tmp_path, monkeypatch):
  here, there = tmp_path / 'he[re]', tmp_path / 'there'
  for place in (here, there):
    place.mkdir()
  monkeypatch.chdir(here)
  config = config_of(train_a='ir', train_b='vis/*/day', test_a='/far/x', test_b='~/y')
  config.eval.fid_reference = 'real'
  settled = settle.settle(config)
  assert settled.data.train_a == f'{here}/ir'
  assert settled.data.train_b == f'{tmp_path}/he[[]re]/vis/*/day'    # its own [] are no pattern
  assert (settled.data.test_a, settled.data.test_b) == ('/far/x', '~/y')
  assert settled.eval.fid_reference == f'{here}/real'
  assert settle.settle(settled).data == settled.data
  assert config.data.train_a == 'ir'
  folder.write_config(tmp_path / 'run', settled)
  monkeypatch.chdir(there)
  assert folder.read_config(tmp_path / 'run').data.train_a == f'{here}/ir'


def test_a_run_of_an_earlier_version_goes_on_in_its_folder(tmp_path, monkeypatch):
  """Its config.json has places as they were typed."""
  monkeypatch.chdir(tmp_path)
  config = config_of(train_a='ir', train_b='vis')
  folder.write_config(tmp_path / 'run', config)
  earlier = folder.read_config(tmp_path / 'run')
  assert resume.compare_configs(earlier, settle.settle(config)) == []
  other = config_of(train_a='ir', train_b='else')
  with pytest.raises(ValueError, match='data.train_b'):
    resume.compare_configs(earlier, settle.settle(other))


def test_words_and_scenes_are_no_places(monkeypatch, tmp_path):
  monkeypatch.chdir(tmp_path)
  config = defaults.get_config()
  config.data.update(train_a='viper/img:train', source='tfds', root='records')
  settled = settle.settle(config)
  assert settled.data.train_a == 'viper/img:train'
  assert settled.data.root == os.path.join(tmp_path, 'records')
  assert settled.eval.fid_reference == 'auto'


def test_a_run_inside_its_own_frames_is_refused_before_any_work(tmp_path):
  for name in 'ab':
    images.write_image(tmp_path / name / '1.png', np.zeros((32, 32, 1), np.uint8))
  config = config_of(train_a=str(tmp_path / 'a'), train_b=str(tmp_path / 'b'))
  with pytest.raises(ValueError, match='inside the input .*: choose another --workdir'):
    train.train(config, tmp_path / 'a/run')
  (tmp_path / 'file').write_text('x')
  with pytest.raises(OSError, match='is a file'):
    train.train(config, tmp_path / 'file')
  assert sorted(x.name for x in tmp_path.iterdir()) == ['a', 'b', 'file']


def test_translated_frames_never_go_among_their_sources(tmp_path):
  class AnyRun:
    config = config_of(test_a=str(tmp_path / 'in'))
  images.write_image(tmp_path / 'in/1.png', np.zeros((32, 32, 1), np.uint8))
  with pytest.raises(ValueError, match='is inside the input'):
    translate.translate(AnyRun, tmp_path / 'in', tmp_path / 'in/day')
  with pytest.raises(ValueError, match='is inside the input'):
    translate.translate_split(AnyRun, tmp_path / 'in/day')

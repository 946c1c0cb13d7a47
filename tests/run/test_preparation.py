"""A run's own resize and crop, applied to what it translates."""

import numpy as np
import pytest
import stub_runs as stubs

from i2vjax import data as frames_of
from i2vjax import translate as translator
from i2vjax.core.errors import UserError
from i2vjax.data.io import images, video_reader
from i2vjax.data.sources import records
from i2vjax.data.transforms import resize
from i2vjax.run import preparation

HEIGHT, WIDTH = 40, 64


def run_of(folder='', **prepare):
  config = stubs.config(source='folders', test_a=str(folder))
  config.data.prepare.update(resize='50x40', crop='36x28', **prepare)
  config.data.crop_size = 28, 36
  return stubs.make(stubs.negative, config)


@pytest.fixture
def footage(tmp_path):
  """(folder of 3 gray frames of 64 x 40, the frames)."""
  frames = np.random.default_rng(0).integers(0, 256, (3, HEIGHT, WIDTH, 1), np.uint8)
  for t, frame in enumerate(frames):
    images.write_image(tmp_path / 'in' / f'{t:03d}.png', frame)
  return tmp_path / 'in', frames


def written(folder):
  return [images.read_image(path) for path in sorted(folder.rglob('*.png'))]


def test_frames_are_prepared_as_those_the_run_was_trained_on_and_it_is_said(
    footage, tmp_path, capsys):
  folder, frames = footage
  translator.translate(run_of(), folder, tmp_path / 'out', show=False)
  for frame, result in zip(frames, written(tmp_path / 'out'), strict=True):
    expected = resize.resize_frame(frame, (40, 50))[6:34, 7:43]
    np.testing.assert_array_equal(result, np.repeat(255 - expected, 3, axis=-1))
  lines = [line for line in capsys.readouterr().out.splitlines() if 'data.prepare' in line]
  assert lines == ['data.prepare of this run: frames of 64x40 pixels are resized to 50x40 and cut '
                   'to 36x28, as those it was trained and scored on, and come out so; --as_is '
                   'translates frames as they are']


def test_what_is_translated_is_what_evaluate_judges(footage, tmp_path):
  folder, _ = footage
  run = run_of(folder)
  translator.translate(run, folder, tmp_path / 'out', show=False)
  translator.translate_split(run, tmp_path / 'split', show=False)
  np.testing.assert_array_equal(written(tmp_path / 'out'), written(tmp_path / 'split'))


def test_as_is_keeps_size_and_place(footage, tmp_path, capsys):
  folder, frames = footage
  translator.translate(run_of(), folder, tmp_path / 'out', as_is=True, show=False)
  np.testing.assert_array_equal(np.stack(written(tmp_path / 'out'))[..., :1], 255 - frames)
  assert 'data.prepare' not in capsys.readouterr().out


def test_a_video_comes_out_at_the_prepared_size_and_test_frames_may_be_cut_only(footage, tmp_path):
  _, frames = footage
  with video_reader.VideoWriter(tmp_path / 'in.mkv') as film:
    for frame in frames:
      film.write(np.repeat(frame, 3, axis=-1))
  run = run_of(resize_test=False)
  translator.translate(run, tmp_path / 'in.mkv', tmp_path / 'out.mkv', show=False)
  result = [frame for frame, _ in video_reader.read_video(tmp_path / 'out.mkv')]
  np.testing.assert_array_equal(np.stack(result)[..., :1], 255 - frames[:, 6:34, 14:50])


def test_prepared_frames_are_not_prepared_twice():
  way = preparation.of_run(run_of().config.data)
  frame = np.random.default_rng(0).integers(0, 256, (28, 36, 1), np.uint8)
  assert way.apply(frame) is frame and 'prepared already' in way.describe(frame.shape)


def test_frames_smaller_than_the_crop_name_the_way_out(footage, tmp_path):
  folder, _ = footage
  run = run_of()
  run.config.data.prepare.update(resize='', crop='100x20')
  with pytest.raises(UserError, match=r'frame 0 .*: 64x40 pixels are less .*\(100x20\); --as_is'):
    translator.translate(run, folder, tmp_path / 'out', show=False)


def test_thermal_frames_have_the_value_range_of_what_is_left(tmp_path):
  """A hot border that is cut off sets no scale."""
  frame = np.linspace(7000, 7200, 40 * 50).reshape(40, 50, 1).astype(np.uint16)
  frame[:6] = 30000
  images.write_image(tmp_path / 'in' / '0.png', frame)
  run = run_of(resize_test=False)
  run.config.data.prepare.crop = '36x28'
  translator.translate(run, tmp_path / 'in', tmp_path / 'out', show=False)
  result, = written(tmp_path / 'out')
  assert result.min() == 0 and result.max() == 255 and 90 < np.median(result) < 165


@pytest.mark.parametrize('domain', ['a', 'b'])
def test_records_tell_how_their_frames_were_made(monkeypatch, domain):
  index = {'resize': [40, 50], 'crop': [6, 7, 28, 36]}
  opened = []
  made = records.TfdsFrames.__new__(records.TfdsFrames)   # no files behind it
  made.name, made.index = 'flir', index
  monkeypatch.setattr(records, 'open_split', lambda data, *split: opened.append(split) or (
      made if split[0] == 'train' else None))
  config = stubs.config(source='tfds', name='flir', direction={'a': 'a2b', 'b': 'b2a'}[domain])
  way = preparation.of_run(config.data)
  assert (way.size, way.crop, way.place) == ((40, 50), (6, 7, 28, 36), 'the set flir')
  assert opened == [('test', domain), ('train', domain)]
  index.update(resize=None, crop=None)
  assert not preparation.of_run(config.data)


def test_records_that_are_not_here_are_no_reason_to_stop_but_to_speak(tmp_path, capsys):
  config = stubs.config(source='tfds', name='flir', root=str(tmp_path))
  assert not preparation.of_run(config.data)
  assert 'taken as they are (no records of flir in' in capsys.readouterr().out


def test_the_street_needs_no_preparation():
  assert not preparation.of_run(stubs.config().data)


def test_a_run_of_the_street_makes_footage_the_size_that_is_asked_for(footage, tmp_path, capsys):
  """And says nothing of a training on frames like that."""
  folder, frames = footage
  run = stubs.make(stubs.negative, stubs.config())
  run.config.data.prepare.resize = '32x20'
  translator.translate(run, folder, tmp_path / 'out', show=False)
  expected = np.stack([255 - resize.resize_frame(frame, (20, 32)) for frame in frames])
  np.testing.assert_array_equal(np.stack(written(tmp_path / 'out'))[..., :1], expected)
  assert capsys.readouterr().out.splitlines()[:1] == [
      'data.prepare: frames of 64x40 pixels are resized to 32x20, and come out so; --as_is '
      'translates frames as they are']


@pytest.mark.parametrize('name', ['resize', 'crop'])
def test_sizes_of_files_beside_the_street_are_refused(name):
  config = stubs.config()
  config.data.prepare[name] = '32x20'
  with pytest.raises(UserError, match=f'prepare.{name}=32x20: data.source is scenes, .*folders'):
    frames_of.open_source(config.data, 'train', 'a')

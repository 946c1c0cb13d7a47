"""A run's own resize and crop, applied to what it translates."""

import numpy as np
import pytest
import stub_runs as stubs

from i2vjax import data as frames_of
from i2vjax import live
from i2vjax import translate as translator
from i2vjax.core import notes
from i2vjax.core.errors import UserError
from i2vjax.data.io import images, live_reader, video_reader
from i2vjax.data.sources import records
from i2vjax.data.transforms import resize
from i2vjax.run import preparation
from i2vjax.run import translator as run_translator

HEIGHT, WIDTH = 40, 64


def run_of(folder='', **prepare):
  config = stubs.config(source='folders', test_a=str(folder))
  config.data.prepare.update({'resize': '50x40', 'crop': '36x28', **prepare})
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


def test_a_size_that_is_given_wins_over_records_that_are_not_here(tmp_path, capsys):
  config = stubs.config(source='tfds', name='flir', root=str(tmp_path), resize='none')
  config.data.prepare.resize = '64x48'
  assert preparation.for_translation(config.data, full_size=True).size == (48, 64)
  assert not capsys.readouterr().out


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


@pytest.mark.parametrize('source', ['scenes', 'tfds'])
@pytest.mark.parametrize('name', ['resize', 'crop'])
def test_sizes_of_files_beside_other_data_are_refused(name, source):
  config = stubs.config(source=source)
  config.data.prepare[name] = '32x20'
  with pytest.raises(UserError, match=f'prepare.{name}=32x20: .* is {source}; .*source=folders'):
    frames_of.open_source(config.data, 'train', 'a')


# ---- translated at the size that was learned, enlarged to that of the input


@pytest.mark.parametrize(('shape', 'size'), [
    ((512, 640), (32, 40)), ((48, 64), (32, 44)),   # 1.5 times as high; sides are multiples of 4
    ((47, 640), None), ((32, 32), None), ((320, 8), (32, 4))])
def test_larger_frames_are_made_as_high_as_what_was_learned(shape, size):
  data = stubs.config().data                        # 32 pixels high
  assert preparation.learned_size(data, shape) == size
  assert preparation.LearnedSize(data).result((*shape, 1)) == (size or shape)
  assert bool(preparation.size_advice(data, shape)) == (size is not None)
  data.resize = 'none'
  assert preparation.learned_size(data, shape) is None


@pytest.fixture
def large(tmp_path):
  """(folder of a gray frame of 96 x 64 with one edge, a smaller frame, the frames)."""
  frame = np.full((64, 96, 1), 50, np.uint8)
  frame[:, 41:] = 200
  frames = [frame, frame[:20, 20:60]]
  for t, each in enumerate(frames):
    images.write_image(tmp_path / 'in' / f'{t:03d}.png', each)
  return tmp_path / 'in', frames


def test_full_size_gives_pictures_of_the_size_of_the_input(large, tmp_path, capsys):
  folder, frames = large
  run = stubs.make(stubs.negative, stubs.config())
  translator.translate(run, folder, tmp_path / 'out', full_size=True, side_by_side=True, show=False)
  for frame, result in zip(frames, written(tmp_path / 'out'), strict=True):
    source, result = np.split(result, 2, axis=1)
    np.testing.assert_array_equal(source[..., :1], frame)
    assert np.abs(result.astype(int) - (255 - frame)).max() < 12   # the edge is where it was
  assert capsys.readouterr().out.splitlines() == [
      'frames of 96x64 pixels are translated at 48x32, about as high as those this run has '
      'learned, and results made as large as the input again, along its edges',
      'frames of 40x20 pixels are not much higher than those this run has learned, or not at all: '
      'translated in their own size']


def test_full_size_with_the_runs_own_size_and_16_bits_in_a_film(tmp_path, capsys):
  frames = np.full((2, 40, 64, 1), 7000, np.uint16)
  frames[..., 30:, :] = 9000
  run = run_of(resize='32x20', crop='')
  found = translator.translate_to_array(run, frames, full_size=True, show=False)
  assert found.shape == (2, 40, 64, 3)
  assert found[:, :, :28].min() > 240 and found[:, :, 34:].max() < 15
  assert capsys.readouterr().out.endswith(
      'resized to 32x20, as those it was trained and scored on, and results made as large as the '
      'input again, along its edges\n')
  translator.translate(run, frames, tmp_path / 'out.mkv', full_size=True, show=False)
  assert video_reader.video_info(tmp_path / 'out.mkv').width == 64


@pytest.mark.parametrize(('load', 'resize', 'size'), [
    (36, 'square', (32, 40)), ((128, 160), 'square', (128, 160)), (160, 'width', (128, 160))])
def test_frames_that_crops_are_cut_from_are_what_was_learned(load, resize, size):
  """Where they are much larger than the crop; 36 and 32 only move things a little."""
  data = stubs.config().data
  with data.ignore_type():
    data.update(load_size=load, resize=resize)
  assert preparation.learned_size(data, (512, 640)) == size


def test_frames_as_they_are_get_no_advice(large, tmp_path, capsys, monkeypatch):
  monkeypatch.setattr(notes, '_said', set())
  run = stubs.make(stubs.negative, stubs.config())
  translator.translate(run, large[0], tmp_path / 'out', as_is=True, show=False)
  assert 'times as high' not in capsys.readouterr().err


def test_what_a_method_remembers_is_of_frames_of_one_size():
  run = stubs.make(stubs.counting, stubs.config())
  sides = ((64, 96), (64, 96), (128, 192), (128, 192))   # all translated at 48x32
  items = [(k, np.zeros((32, 48, 1), np.uint8), None, np.zeros((*side, 1), np.uint8))
           for k, side in enumerate(sides)]
  results = run_translator.translate_clip(run_translator.compile_chunk(run), items, chunk=2)
  assert [int(result[0, 0, 0]) for _, _, result in results] == [0, 1, 0, 1]


@pytest.mark.parametrize('rule', ['clip', 'frame'])
def test_live_frames_of_16_bits_come_out_as_in_a_film(rule):
  run = stubs.make(stubs.negative, stubs.config(thermal_range=rule))
  frame = np.full((64, 96, 1), 7000, np.uint16)
  frame[:, 40:] = 9000
  item = live_reader.LiveFrame(frame, 0.0, 0.0, True)
  way = preparation.for_translation(run.config.data, full_size=True)
  (_, source, result), = live.results(run, run_translator.compile_chunk(run), iter([item]), way,
                                      full_size=True)
  film = translator.translate_to_array(run, frame[None], full_size=True, show=False)[0]
  np.testing.assert_allclose(result, film, atol=1)
  assert source.min() < 5 and source.max() > 250


def test_live_frames_come_out_at_full_size():
  run = stubs.make(stubs.negative, stubs.config())
  frame = np.full((64, 96, 3), 50, np.uint8)
  item = live_reader.LiveFrame(frame, 0.0, 0.0, True)
  way = preparation.for_translation(run.config.data, full_size=True)
  (_, source, result), = live.results(run, run_translator.compile_chunk(run), iter([item]), way,
                                      full_size=True)
  np.testing.assert_array_equal(source, frame)
  np.testing.assert_allclose(result, 255 - frame, atol=1)


def test_far_larger_frames_are_told_of_once(large, tmp_path, capsys, monkeypatch):
  monkeypatch.setattr(notes, '_said', set())
  folder, _ = large
  run = stubs.make(stubs.negative, stubs.config())
  translator.translate(run, folder, tmp_path / 'out', show=False)
  assert capsys.readouterr().err.count('2.0 times as high as those that this run has learned') == 1


@pytest.mark.parametrize(('prepare', 'given', 'said'), [
    ({'resize': '32x20'}, {'as_is': True}, 'nothing to enlarge'),
    ({'crop': '32x20'}, {}, 'data.prepare of this run cuts frames out'),
    ({}, {}, 'data.resize=none')])
def test_full_size_that_cannot_be_is_refused(prepare, given, said):
  config = stubs.config(source='folders', resize='none')
  config.data.prepare.update(prepare)
  with pytest.raises(UserError, match=said):
    preparation.for_translation(config.data, full_size=True, **given)

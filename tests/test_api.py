"""The Python interface: the page that shows it, arrays in and out, its answers to mistakes."""

import pathlib
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import i2vjax
from i2vjax import methods
from i2vjax import train as training
from i2vjax.core.errors import UserError
from i2vjax.data.io import images, video_reader
from i2vjax.run import config_files, folder, starter

ROOT = pathlib.Path(__file__).parents[1]
PAGE = (ROOT / 'docs' / 'python.md').read_text(encoding='utf-8')
TINY = {'data.load_size': 36, 'data.crop_size': 32, 'gen.width': 4, 'gen.blocks': 1,
        'disc.width': 4, 'critic.scales': 1, 'data.scenes.clips': 2, 'data.scenes.test_clips': 1,
        'data.scenes.clip_length': 4, 'data.scenes.cache_mb': 8, 'log.samples_every': 0,
        'eval.every': 0, 'eval.metrics': 'psnr'}


@pytest.fixture(scope='module')
def run(tmp_path_factory):
  return i2vjax.train('cyclegan:demo', tmp_path_factory.mktemp('api') / 'run',
                      changes={**TINY, 'train.steps': 1}, show=False)


@pytest.mark.slow
def test_the_page_runs_from_top_to_bottom(run, tmp_path, monkeypatch):
  """As it is written, but for the method, which compiles faster, its size and its steps."""
  read = config_files.read
  monkeypatch.setattr(config_files, 'read', lambda text: config_files.change(read(text), TINY))
  weights = starter.Weights(run.run.params, run.run.model_state, run.step, run.run.weights)
  starter.write(tmp_path / 'shipped', run.config, weights)
  monkeypatch.setattr(folder, 'STARTER_FOLDER', tmp_path / 'shipped')
  monkeypatch.chdir(tmp_path)
  run.translate(np.zeros((2, 32, 32), np.uint8), 'night.mp4')
  names = {}
  for block in re.findall(r'^```python\n(.*?)^```$', PAGE, re.M | re.S):
    block = block.replace("'train.steps': 400", "'train.steps': 1")
    exec(block.replace('cptrans:demo', 'cyclegan:demo'), names)
  assert names['run'].step == 1 and (tmp_path / 'day.mp4').stat().st_size > 500


def test_importing_is_fast_and_names_nothing_more():
  """JAX, and NumPy too, wait for the first use."""
  code = ("import i2vjax, sys; assert not {'jax', 'numpy', 'i2vjax.api'} & set(sys.modules); "
          "assert set(i2vjax.__all__) <= set(dir(i2vjax))")
  subprocess.run([sys.executable, '-c', code], check=True, timeout=60)
  with pytest.raises(AttributeError, match='nothing'):
    i2vjax.nothing  # noqa: B018


def test_train_is_a_module_and_a_function():
  assert i2vjax.train is training and callable(i2vjax.train)
  assert training.train.__module__ == 'i2vjax.train'


def test_an_array_comes_out_as_its_files_do(run, tmp_path, capsys):
  frames = np.random.default_rng(0).integers(0, 255, (3, 20, 28, 3), np.uint8)
  (tmp_path / 'in').mkdir()
  for t, frame in enumerate(frames):
    images.write_image(tmp_path / 'in' / f'{t + 1:06d}.png', frame)
  from_array, from_files = run.translate(frames), run.translate(tmp_path / 'in')
  assert from_array.shape == (3, 20, 28, 3) and from_array.dtype == np.uint8
  np.testing.assert_array_equal(from_array, from_files)
  assert not capsys.readouterr().out   # nothing is said of a preparation that this run has not
  summary = run.translate(frames, tmp_path / 'out')
  assert summary['frames'] == 3
  written = [images.read_image(path) for path in sorted((tmp_path / 'out').iterdir())]
  np.testing.assert_array_equal(written, from_array)
  assert run.translate(frames, side_by_side=True).shape == (3, 20, 56, 3)


def test_a_range_of_16_bits_is_measured_on_the_whole_array(run):
  """As of a file: shifted and scaled raw values are the same picture."""
  raw = np.random.default_rng(1).integers(0, 1000, (2, 32, 32)).astype(np.uint16)
  difference = run.translate(raw).astype(int) - run.translate(3 * raw + np.uint16(5000))
  assert np.abs(difference).max() <= 1


@pytest.mark.parametrize(('frames', 'said'), [
    (np.zeros((2, 8, 8)), 'frames of float64: uint8'),
    (np.zeros((8, 8), np.uint8), r'shape \(8, 8\)'),
    (np.zeros((2, 8, 8, 4), np.uint8), 'with 1 or 3'),
    (np.zeros((0, 8, 8), np.uint8), 'at least one frame')])
def test_other_arrays_are_refused(run, frames, said):
  with pytest.raises(UserError, match=said):
    run.translate(frames)


def test_several_clips_are_no_array(run, footage):
  with pytest.raises(UserError, match='2 clips, an array only one: name a folder'):
    run.translate(footage / 'test_ir')
  with pytest.raises(UserError, match='chunk=0'):
    run.translate(footage / 'test_ir' / 'clip0', chunk=0)


def test_a_film_is_watched_and_comes_with_one_beside(run, tmp_path):
  frames = np.random.default_rng(2).integers(0, 255, (3, 32, 32, 1), np.uint8)
  run.translate(frames, tmp_path / 'night.mp4', rate=10)
  calls = []
  run.translate(tmp_path / 'night.mp4', tmp_path / 'day.mkv', beside=tmp_path / 'beside.mkv',
                watch=lambda *told: calls.append(told))
  assert [call[:2] for call in calls] == [(1, 3), (2, 3), (3, 3)]
  facts = i2vjax.facts(tmp_path / 'beside.mkv')
  assert (facts['width'], facts['height'], facts['frames'], facts['rate']) == (64, 32, 3, 10)
  both = [frame for frame, _ in video_reader.read_video(tmp_path / 'beside.mkv')]
  for frame, (_, _, source, result) in zip(both, calls, strict=True):
    np.testing.assert_array_equal(frame, np.concatenate([source, result], axis=1))
  with pytest.raises(FileExistsError, match=r'beside\.mkv'):
    run.translate(tmp_path / 'night.mp4', tmp_path / 'x.mkv', beside=tmp_path / 'beside.mkv')
  for output, beside in ('folder', 'b.mp4'), ('x.mp4', 'folder'), ('x.mp4', 'x.mp4'):
    with pytest.raises(UserError, match='beside='):
      run.translate(tmp_path / 'night.mp4', tmp_path / output, beside=tmp_path / beside)


def test_facts_are_of_pictures_too_whatever_their_name(tmp_path):
  path = tmp_path / 'x.png'
  Image.new('L', (48, 32)).save(path, 'TIFF', tiffinfo={274: 6})   # to be turned
  for name in (path, shutil.copyfile(path, tmp_path / 'no_ending')):
    assert i2vjax.facts(name) == {
        'kind': 'picture', 'width': 32, 'height': 48, 'frames': 1, 'seconds': 0.0, 'rate': 0.0,
        'codec': 'tif', 'ending': '.tif'}


def test_facts_are_of_one_file_that_is_there_and_read(tmp_path):
  (tmp_path / 'x.txt').write_text('hello')
  with pytest.raises(UserError, match='is a folder: name one'):
    i2vjax.facts(tmp_path)
  with pytest.raises(UserError, match=r'x\.txt cannot be opened as a video'):
    i2vjax.facts(tmp_path / 'x.txt')
  for name in ('none.mp4', 'none.png', 'none'):
    with pytest.raises(FileNotFoundError, match=name):
      i2vjax.facts(tmp_path / name)


def test_whoever_watches_can_stop_it_and_nothing_is_left(run, tmp_path):
  def stop(done, *_):
    if done == 2:
      raise InterruptedError
  with pytest.raises(InterruptedError):
    run.translate(np.zeros((3, 32, 32), np.uint8), tmp_path / 'day.mp4', rate=10, watch=stop,
                  beside=tmp_path / 'beside.mp4')
  assert not list(tmp_path.iterdir())


def test_frames_of_any_program_are_scored(tmp_path, capsys):
  frames = np.random.default_rng(3).integers(0, 255, (2, 32, 32, 3), np.uint8)
  for name, values in ('result', frames), ('truth', frames), ('other', 255 - frames):
    for t, frame in enumerate(values):
      images.write_image(tmp_path / name / f'{t}.png', frame)
  scores = i2vjax.score(tmp_path / 'result', tmp_path / 'truth', metrics='psnr')
  assert scores['rows']['translated']['psnr'] == 100 and not capsys.readouterr().out
  worse = i2vjax.score(tmp_path / 'other', tmp_path / 'truth', metrics='psnr',
                       output=tmp_path / 'report')
  assert worse['rows']['translated']['psnr'] < 20 and (tmp_path / 'report/index.html').is_file()


def test_methods_of_a_folder_are_methods(tmp_path, monkeypatch):
  monkeypatch.setattr(methods, '__path__', list(methods.__path__))
  (tmp_path / 'mine.py').write_text('PLAYERS = {}\n')
  assert 'mine' in i2vjax.add_methods(tmp_path) and 'mine' in i2vjax.add_methods(tmp_path)
  (tmp_path / 'other').mkdir()
  (tmp_path / 'other' / 'cut.py').write_text('PLAYERS = {}\n')
  with pytest.raises(UserError, match=r'cut\.py: there is a method of that name'):
    i2vjax.add_methods(tmp_path / 'other')
  with pytest.raises(UserError, match='nowhere is no folder'):
    i2vjax.add_methods('nowhere')


def test_scores_without_an_output_write_nothing(run, monkeypatch, tmp_path):
  monkeypatch.chdir(tmp_path)
  quiet = run.scores()
  assert not list(tmp_path.iterdir()) and 'report' not in [
      path.name for path in run.run.workdir.iterdir()]
  written = run.scores('report')
  assert written['rows'] == quiet['rows'] and (tmp_path / 'report' / 'index.html').is_file()


@pytest.mark.parametrize(('call', 'said'), [
    (lambda run: i2vjax.config('cyclegan:demoo'), 'choose paper, demo'),
    (lambda run: i2vjax.config('cptrans', {'train.stepps': 2}), "Did you mean 'steps'"),
    (lambda run: i2vjax.config('cptrans', {'seed.x': 2}), 'since seed is a value'),
    (lambda run: i2vjax.config('cptrans', {'train.steps': 'x'}), "steps='x': a value of type int"),
    (lambda run: i2vjax.load(run.run.workdir, changes={'gen.width': 8}), 'gen.width: netw'),
    (lambda run: i2vjax.load(run.run.workdir, network='disc_a'), 'translates by gen_ab or'),
    (lambda run: i2vjax.train('cut', 'starter'), "'train.init_from': 'starter'")])
def test_mistakes_are_named_with_their_remedy(run, call, said):
  with pytest.raises(UserError, match=said):
    call(run)


def test_a_config_is_not_changed_by_what_is_made_of_it(run):
  other = config_files.change(run.config, {'train.steps': 9})
  assert (run.config.train.steps, other.train.steps) == (1, 9)

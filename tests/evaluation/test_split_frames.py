"""translate --split: the frames that evaluate judges, as files, with their truth."""

import dataclasses
import json
import types

import numpy as np
import pytest
import stub_runs as stubs
from made_sets import build

from i2vjax import defaults, main
from i2vjax import evaluate as evaluator
from i2vjax import translate as translator
from i2vjax.cli import commands
from i2vjax.core import class_names
from i2vjax.core.errors import UserError
from i2vjax.data.io import images
from i2vjax.evaluation import baselines, eval_clips, external, plan, split_frames
from i2vjax.metrics import boxes
from i2vjax.run import folder as run_folder

SCORES = 'psnr,ssim,flicker,sharpness,apce'
# Toy folders do not have the published numbers of frames, which is said each time.
pytestmark = pytest.mark.filterwarnings('ignore:.*published are')


def texture(seed, channels):
  small = np.random.default_rng(seed).integers(0, 256, (6, 8, channels), np.uint8)
  return np.kron(small, np.ones((4, 4, 1), np.uint8))


def put_pairs(folder):
  """Two clips of 2 and 3 frames of 32 x 24, aligned by name; training frames too."""
  for part in ('train', 'test'):
    for clip, names in (('two', ['a_08', 'a_10']), ('one', ['7', '8', '9'])):
      for k, name in enumerate(names):
        images.write_image(folder / f'{part}_ir/{clip}/{name}.png', texture(k, 1))
        images.write_image(folder / f'{part}_vis/{clip}/{name}.png', texture(10 + k, 3))


def run_on(kind, tmp_path):
  if kind == 'scenes':
    config = stubs.config()
  elif kind == 'folders':
    put_pairs(tmp_path / 'in')
    config = stubs.config(source='folders', test_a=str(tmp_path / 'in/test_ir'),
                          test_b=str(tmp_path / 'in/test_vis'))
  else:
    put_pairs(tmp_path / 'in')
    build(tmp_path, 'frames_folder/mine')
    config = stubs.config(source='tfds', name='frames_folder/mine', root=str(tmp_path / 'out'))
  config.eval.metrics = SCORES
  return stubs.halving_run(config)


def files_below(folder):
  return sorted(str(path.relative_to(folder)) for path in folder.rglob('*.*'))


@pytest.mark.parametrize('kind', ['folders', 'records', 'scenes'])
def test_written_frames_have_the_scores_of_the_run(tmp_path, kind):
  run, folder = run_on(kind, tmp_path), tmp_path / 'written'
  summary = translator.translate_split(run, folder, with_truth=True, show=False)
  if kind == 'scenes':
    names = [f'test_00{k}/{t:06d}.png' for k in range(2) for t in range(1, 6)]
  else:
    names = ['one/7.png', 'one/8.png', 'one/9.png', 'two/a_08.png', 'two/a_10.png']
  for part in ('result', 'reference', 'source'):
    assert files_below(folder / part) == names
  assert (summary['frames'], summary['clips']) == (len(names), 2)
  assert set(summary['left_out']) == (set() if kind == 'scenes' else {'labels', 'boxes.json'})
  settings = defaults.evaluation()
  settings.metrics = SCORES
  again = evaluator.evaluate_folders(*(str(folder / part) for part in (
      'result', 'reference', 'source')), tmp_path / 'report', settings, show=False)
  rows = {'translated': baselines.translated(run)}
  of_run, _ = evaluator.score_rows(rows, plan.of_run(run.config), False, with_previews=False)
  expected, found = (scores['rows']['translated'] for scores in (of_run, again))
  assert found.keys() == expected.keys() >= {'psnr', 'ssim', 'apce', 'sharpness_ratio'}
  for name, value in expected.items():
    assert found[name] == pytest.approx(value, rel=1e-6), name


def test_class_maps_are_those_of_the_frames(tmp_path):
  run, folder = run_on('scenes', tmp_path), tmp_path / 'written'
  run.config.eval.max_clips = 1
  translator.translate_split(run, folder, with_truth=True, show=False)
  clip = next(eval_clips.of_run(run.config, False, with_motion=False))
  found = [images.read_image(path)[..., 0] for path in sorted((folder / 'labels').rglob('*.png'))]
  np.testing.assert_array_equal(found, clip.labels)
  settings = defaults.evaluation()
  settings.labels = settings.predictions = str(folder / 'labels')
  frames = plan.folders.open_place(defaults.data(), str(folder / 'result'))
  assert external.scores(('iou',), settings, frames)[0]['miou'] == 1
  _, names, _, of_id = boxes.read_truth(folder / 'boxes.json')   # of the street: train ids
  assert 'car' in names and set(names) <= set(class_names.CITYSCAPES) and len(of_id) == 5


def test_only_the_same_goes_on_where_one_was_killed(tmp_path, monkeypatch):
  run, folder = run_on('folders', tmp_path), tmp_path / 'written'
  data = run.config.data
  data.train_a, data.train_b = data.test_a, data.test_b
  write = split_frames.write

  def killed(*args):
    write(*args)
    raise KeyboardInterrupt
  monkeypatch.setattr(split_frames, 'write', killed)
  with pytest.raises(KeyboardInterrupt):
    translator.translate_split(run, folder, 'train', show=False)
  monkeypatch.undo()
  turned = run.with_config(run.config.copy_and_resolve_references())
  turned.config.data.direction = 'b2a'
  for other, split in ((run, 'test'), (dataclasses.replace(run, step=run.step + 1), 'train'),
                       (dataclasses.replace(run, weights='ema'), 'train'), (turned, 'train'),
                       (dataclasses.replace(run, workdir=tmp_path / 'other'), 'train')):
    with pytest.raises(FileExistsError, match='not empty: use --overwrite'):
      translator.translate_split(other, folder, split, show=False)
  translator.translate_split(run, folder, 'train', show=False)
  assert [path.name for path in folder.iterdir()] == ['result']


def test_without_truth_there_are_results_alone(tmp_path):
  run = run_on('folders', tmp_path)
  translator.translate_split(run, tmp_path / 'written', show=False)
  assert [path.name for path in (tmp_path / 'written').iterdir()] == ['result']
  with pytest.raises(FileExistsError, match='--overwrite'):
    translator.translate_split(run, tmp_path / 'written', show=False)
  translator.translate_split(run, tmp_path / 'written', overwrite=True, show=False)
  with pytest.raises(UserError, match='name a folder'):
    translator.translate_split(run, tmp_path / 'x.mp4', show=False)
  with pytest.raises(UserError, match='no val frames.*data.val_a'):
    translator.translate_split(run, tmp_path / 'none', 'val', show=False)


def test_boxes_of_records_follow_the_crop_into_a_coco_file(tmp_path):
  """FLIR: 640x512 to 500x400, its middle 360x288; a box in the corner is cut off."""
  for part, number in (('train', 1), ('train', 2), ('val', 9001), ('val', 9002)):
    for kind, ending, channels in (('thermal_8_bit', 'jpeg', 1), ('RGB', 'jpg', 3)):
      images.write_image(tmp_path / f'in/{part}/{kind}/FLIR_{number:05d}.{ending}',
                         np.full((512, 640, channels), 90, np.uint8))
  (tmp_path / 'in/img_list').mkdir()
  for part, number in (('trainA', 1), ('trainB', 2), ('testA', 9001), ('testB', 9002)):
    (tmp_path / f'in/img_list/FLIR_{part}_list.txt').write_text(f'FLIR_{number:05d}.png\n')
  (tmp_path / 'in/val/thermal_annotations.json').write_text(json.dumps({
      'images': [{'id': 5, 'file_name': 'thermal_8_bit/FLIR_09002.jpeg'}],
      'annotations': [{'image_id': 5, 'bbox': [320, 256, 64, 128], 'category_id': 3},
                      {'image_id': 5, 'bbox': [0, 0, 20, 20], 'category_id': 1}]}))
  build(tmp_path, 'flir_ntir2dc')
  config = stubs.config(source='tfds', name='flir_ntir2dc', root=str(tmp_path / 'out'))
  config.data.crop_size = 144, 360   # half of the height: boxes follow that too
  folder = tmp_path / 'written'
  summary = translator.translate_split(stubs.make(stubs.negative, config), folder, with_truth=True,
                                       show=False)
  assert files_below(folder) == ['boxes.json', 'result/FLIR_09002/FLIR_09002.png',
                                 'source/FLIR_09002/FLIR_09002.png']
  assert 'no partner' in summary['left_out']['reference']
  assert images.read_image(folder / 'result/FLIR_09002/FLIR_09002.png').shape == (144, 360, 3)
  truth, names, _, of_id = boxes.read_truth(folder / 'boxes.json')
  assert names == ('car',) and of_id == {1: 'FLIR_09002/FLIR_09002.png'}
  np.testing.assert_allclose(truth.box, [[180, 72, 50, 50]])


def test_names_in_another_order_than_time_get_numbers_before_them():
  def named(*names):
    source = types.SimpleNamespace(names=lambda start, length: list(names))
    return split_frames.frame_names(types.SimpleNamespace(
        frames=np.zeros(len(names)), source=source, start=0))
  assert named('2', '10') == ['2', '10']
  assert named('b', 'a') == ['000001_b', '000002_a']
  assert named('a', 'a') == ['000001_a', '000002_a']


def test_the_command_says_what_scores_the_frames_again(tmp_path, monkeypatch, capsys):
  run = run_on('folders', tmp_path)
  monkeypatch.setattr(commands, 'load_translator', lambda flag, config: run)
  run_folder.write_config(tmp_path / 'run', run.config)
  command = ['i2vjax', 'translate', f'--workdir={tmp_path / "run"}', '--with_truth', '--show=false']
  assert main.main([*command, '--split', 'test', '--output', str(tmp_path / 'x')]) == 0
  said = capsys.readouterr().out
  assert 'translated 5 frames of 2 clips into' in said and 'left out: labels' in said
  assert said.rstrip().endswith(f'evaluate --result {tmp_path / "x/result"} --reference '
                                f'{tmp_path / "x/reference"} --source {tmp_path / "x/source"}')
  assert main.main([*command, '--split', 'test', '--input', 'a', '--output', 'y']) == 2
  assert '--input does nothing with --split' in capsys.readouterr().err
  assert main.main([*command, '--input', 'a', '--output', 'y']) == 2
  assert '--with_truth does nothing without --split' in capsys.readouterr().err


def test_two_clips_of_one_name_are_refused_before_a_frame_is_written(tmp_path):
  for name in ('x/a_1', 'x/a_2', 'x/b_1', 'x/b_2', 'x_000/1'):   # x becomes x_000 and x_001
    images.write_image(tmp_path / f'in/{name}.png', texture(0, 1))
  run = stubs.halving_run(stubs.config(source='folders', test_a=str(tmp_path / 'in')))
  with pytest.raises(UserError, match='2 test clips have the name x_000'):
    split_frames.write(run, tmp_path / 'out', show=False)
  assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize('paired', [False, True])
def test_training_frames_of_other_streets_are_no_reference(tmp_path, paired):
  """Their clips have the same names in a and b, and show other streets unless they are paired."""
  config = stubs.config()
  config.data.scenes.update(clips=1, clip_length=2, paired=paired)
  summary = translator.translate_split(stubs.make(stubs.negative, config), tmp_path / 'written',
                                       'train', with_truth=True, show=False)
  assert (tmp_path / 'written' / 'reference').exists() == paired
  why = summary['left_out'].get('reference', '')
  assert ('different streets (data.scenes.paired=false)' in why) == (not paired)

"""evaluate: scores of folders of frames that any program wrote."""

import collections
import json

import numpy as np
import pytest
import stub_runs as stubs
from scored_folders import write

from i2vjax import defaults, main
from i2vjax import evaluate as evaluator
from i2vjax.core import notes, ops
from i2vjax.core.errors import UserError
from i2vjax.data.io import images
from i2vjax.data.sources.folders import FolderFrames, open_place
from i2vjax.evaluation import plan
from i2vjax.run import folder as run_folder


@pytest.fixture(scope='module')
def folders(tmp_path_factory):
  """result, reference and source: 5 frames; the result is the reference with noise."""
  root, rng = tmp_path_factory.mktemp('folders'), np.random.default_rng(0)
  reference = rng.integers(0, 256, (5, 16, 20, 3), np.uint8)
  result = np.clip(reference.astype(int) + rng.integers(-9, 10, reference.shape), 0, 255)
  source = np.asarray(ops.luma(reference.astype(np.float32))).astype(np.uint8)
  return (write(root / 'result', result.astype(np.uint8), 'fake_{:03d}'),
          write(root / 'reference', reference, 'real_{:03d}'), write(root / 'source', source))


def test_folders_of_any_program(folders, tmp_path):
  result, reference, source = folders
  scores = evaluator.evaluate_folders(result, reference, source, tmp_path / 'out', show=False)
  pair = [images.read_image(next(folder.glob('*002.png'))) / 255 for folder in folders[:2]]
  expected = -10 * np.log10(np.mean((pair[0] - pair[1]) ** 2))
  np.testing.assert_allclose(scores['clips'][0]['series']['psnr'][2], expected, atol=1e-3)
  assert list(scores['rows']) == ['translated', 'source', 'constant']
  assert scores['rows']['translated']['warping_mse[tvl1]'] >= 0
  assert scores['rows']['translated']['psnr'] > scores['rows']['source']['psnr']
  assert (tmp_path / 'out' / 'index.html').is_file()


def test_folders_without_a_source_leave_flicker_out(folders, tmp_path):
  scores = evaluator.evaluate_folders(*folders[:2], output=tmp_path / 'out', show=False)
  assert 'source' in scores['skipped']['flicker']
  assert 'flicker' not in scores['rows']['translated']


def test_folders_without_a_reference_have_the_scores_that_need_none(folders, tmp_path):
  """Night thermal: nobody filmed it by day."""
  result, _, source = folders
  settings = defaults.evaluation()
  settings.metrics, settings.fid_reference = 'auto,apce', str(folders[1])
  alone = evaluator.evaluate_folders(result, None, source, tmp_path / 'alone', settings, show=False)
  both = evaluator.evaluate_folders(*folders, tmp_path / 'both', settings, show=False)
  assert list(alone['rows']) == ['translated', 'source']
  for name in ('warping_mse[tvl1]', 'flicker_ratio', 'brightness_jitter', 'apce'):
    assert alone['rows']['translated'][name] == both['rows']['translated'][name]
  assert not {'psnr', 'ssim', 'sharpness_ratio'} & alone['rows']['translated'].keys()
  assert all('--reference' in alone['skipped'][name] for name in ('psnr', 'ssim', 'sharpness'))
  assert 'fetch inception_fid' in alone['skipped']['fid']
  curve = json.loads((tmp_path / 'alone' / 'scores.json').read_text())['curves']['apce']
  assert curve['at'] == [k / 100 for k in range(1, 100)] and curve['axis'] == 'threshold'
  shares = np.array(curve['rows']['translated'], float)   # null: no edge at that threshold
  assert np.nanmean(shares) == pytest.approx(alone['rows']['translated']['apce'])
  assert set(curve['rows']) == {'translated', 'source'}
  assert 'APCE by threshold' in (tmp_path / 'alone' / 'index.html').read_text()
  assert alone['protocol']['pairing'] == 'unpaired' and both['rows']['translated']['psnr'] > 20
  assert (tmp_path / 'alone' / 'index.html').is_file()


def test_fid_of_folders_without_a_reference_takes_a_place(folders):
  source = {'result': open_place(defaults.data(), str(folders[0]))}
  settings = defaults.evaluation()
  settings.fid_reference, settings.weights, settings.metrics = str(folders[1]), 'random', 'fid,kid'
  found = plan.of_folders(source, settings)
  assert found.names == ('fid', 'kid') and found.reference_name == str(folders[1])
  assert [clip.shape for clip in found.reference()] == [(5, 16, 20, 3)]
  settings.fid_reference = 'auto'
  with pytest.raises(ValueError, match=r'names fid, which .*--config\.eval\.fid_reference'):
    plan.of_folders(source, settings)
  settings.fid_reference = 'train_b'
  with pytest.raises(ValueError, match='fid_reference=train_b'):
    plan.of_folders(source, settings)


def test_folders_of_which_nothing_can_be_scored_are_refused_with_reasons(folders, tmp_path):
  with pytest.raises(ValueError, match=r'nothing can be scored:(?s:.)*psnr: .*--reference'):
    evaluator.evaluate_folders(folders[0], output=tmp_path / 'out', show=False)
  assert not (tmp_path / 'out').exists()


def test_missing_frame_is_named_on_both_sides(folders, tmp_path):
  short = write(tmp_path / 'short', np.zeros((4, 16, 20, 3), np.uint8))
  with pytest.raises(ValueError, match='4 frames.* 5 '):
    evaluator.evaluate_folders(short, folders[1], output=tmp_path / 'out', show=False)
  other = write(tmp_path / 'other', np.zeros((5, 16, 20, 3), np.uint8), '1{:03d}')
  with pytest.raises(ValueError, match='frame 1000 .* real_000'):
    evaluator.evaluate_folders(other, folders[1], output=tmp_path / 'out', show=False)


def test_stills_of_several_sizes_are_clips_of_one_size_each(tmp_path, capsys, monkeypatch):
  monkeypatch.setattr(notes, '_said', set())
  frames = [np.full((8 + 4 * (k // 2), 12, 3), 9 * k, np.uint8) for k in range(5)]
  reference = [np.full_like(frame, frame[0, 0, 0] + 2) for frame in frames]
  places = [write(tmp_path / name, stills) for name, stills in (
      ('result', frames), ('reference', reference), ('source', [x[..., :1] for x in frames]))]
  scores, _ = evaluator.scores_of_folders(*places, settings=psnr(), show=False)
  assert [clip['name'] for clip in scores['clips']] == ['result/000', 'result/002', 'result/004']
  assert [len(clip['series']['psnr']) for clip in scores['clips']] == [2, 2, 1]
  expected = 20 * np.log10(255 / 2)
  np.testing.assert_allclose(scores['rows']['translated']['psnr'], expected, atol=1e-4)
  assert 'pictures of several sizes, scored as 3 clips of one size each' in capsys.readouterr().err


def test_folders_are_cut_into_clips_as_the_command_line_says(tmp_path, capsys):
  frames = np.zeros((4, 8, 8, 3), np.uint8)
  for name in ('result', 'reference'):
    write(tmp_path / name, frames[:2], 'a{:d}'), write(tmp_path / name, frames[2:], 'b{:d}')
  assert main.main([
      'i2vjax', 'evaluate', '--result', str(tmp_path / 'result'), '--reference',
      str(tmp_path / 'reference'), '--output', str(tmp_path / 'out'), '--noshow',
      '--config.eval.metrics=psnr', '--config.data.clip_regex=(.)\\d']) == 0
  scores = json.loads((tmp_path / 'out' / 'scores.json').read_text())
  assert [clip['name'] for clip in scores['clips']] == ['a', 'b']


def test_clips_that_are_not_scored_are_not_looked_at(tmp_path):
  """A damaged picture there stops nothing."""
  for name in ('result', 'reference'):
    for clip in 'ab':
      write(tmp_path / name / clip, np.zeros((2, 8, 8, 3), np.uint8))
  (tmp_path / 'result' / 'b' / '001.png').write_bytes(b'no picture')
  settings = psnr()
  settings.max_clips = 1
  scores, _ = evaluator.scores_of_folders(tmp_path / 'result', tmp_path / 'reference',
                                          settings=settings, show=False)
  assert [clip['name'] for clip in scores['clips']] == ['a']


def test_a_runs_own_way_of_reading_its_data_is_not_that_of_results(tmp_path):
  config = stubs.config(frames_per_image='3', clip_regex='nothing like it (x)')
  run_folder.write_config(tmp_path / 'run', config)
  for name in ('result', 'reference'):
    write(tmp_path / name, np.zeros((2, 8, 24, 3), np.uint8))
  assert main.main([
      'i2vjax', 'evaluate', '--workdir', str(tmp_path / 'run'), '--result',
      str(tmp_path / 'result'), '--reference', str(tmp_path / 'reference'), '--output',
      str(tmp_path / 'out'), '--noshow', '--config.eval.metrics=psnr']) == 0
  scores = json.loads((tmp_path / 'out' / 'scores.json').read_text())
  assert scores['protocol']['frames'] == 2 and scores['protocol']['width'] == 24


def test_sizes_are_never_made_equal(folders, tmp_path):
  small = write(tmp_path / 'small', np.zeros((5, 16, 16, 3), np.uint8))
  with pytest.raises(ValueError, match='16x16 pixels, the reference 20x16'):
    evaluator.evaluate_folders(small, folders[1], output=tmp_path / 'out', show=False)


def test_sixteen_bit_results_are_refused(folders, tmp_path):
  deep = write(tmp_path / 'deep', np.zeros((5, 16, 20, 1), np.uint16))
  with pytest.raises(ValueError, match='16-bit'):
    evaluator.evaluate_folders(deep, folders[1], output=tmp_path / 'out', show=False)


@pytest.mark.parametrize('place', ['result', 'reference', 'source'])
@pytest.mark.parametrize('kinds', [(np.uint8, np.uint16), (np.uint16, np.uint8)])
def test_one_deep_frame_among_others_is_refused(tmp_path, place, kinds):
  """A value of 256 would become 0."""
  parts = {}
  for part in ('result', 'reference', 'source'):
    first, other = kinds if part == place else (np.uint8, np.uint8)
    clip = [np.full((8, 8, 1), np.iinfo(kind).max, kind) for kind in (first, other, first)]
    parts[part] = write(tmp_path / part, clip)
  with pytest.raises(UserError, match=rf'{place}/001\.png: uint.* among frames of uint'):
    evaluator.scores_of_folders(**parts, settings=psnr(), show=False)


def test_gray_frames_among_color_become_color(tmp_path):
  gray, color = np.full((8, 8, 1), 90, np.uint8), np.full((8, 8, 3), 90, np.uint8)
  mixed = write(tmp_path / 'mixed', [gray, color, gray])
  same = write(tmp_path / 'same', [color] * 3)
  scores, _ = evaluator.scores_of_folders(mixed, same, settings=psnr(), show=False)
  assert scores['clips'][0]['series']['psnr'] == [100] * 3


def test_sources_of_another_size_in_a_later_clip_are_no_row(tmp_path):
  """The row is left out with the reason; a source of one size has it."""
  for clip, side in (('a', 16), ('b', 8)):
    write(tmp_path / 'result' / clip, np.full((2, 16, 20, 3), 90, np.uint8))
    write(tmp_path / 'source' / clip, np.full((2, side, 20, 1), 90, np.uint8))
  places = [tmp_path / 'result', tmp_path / 'result', tmp_path / 'source']
  scores, _ = evaluator.scores_of_folders(*places, settings=psnr(), show=False)
  assert list(scores['rows']) == ['translated', 'constant']
  assert scores['protocol']['source_row'] == (
      'left out: clip b has 20x8 pixels in the source, 20x16 in the result')
  write(tmp_path / 'source' / 'b', np.full((2, 16, 20, 1), 90, np.uint8))
  scores, _ = evaluator.scores_of_folders(*places, settings=psnr(), show=False)
  assert list(scores['rows']) == ['translated', 'source', 'constant']
  assert 'source_row' not in scores['protocol']


def test_first_frames_are_read_once_more_than_others(tmp_path, monkeypatch):
  """For their sizes and channels; clips beyond eval.max_clips are not looked at."""
  for part in ('result', 'reference', 'source'):
    for clip in 'abc':
      write(tmp_path / part / clip, np.full((2, 16, 20, 3), 90, np.uint8))
  reads, read = collections.Counter(), FolderFrames.read

  def counting(self, i):
    reads[i] += 1
    return read(self, i)
  monkeypatch.setattr(FolderFrames, 'read', counting)
  places = [tmp_path / part for part in ('result', 'reference', 'source')]
  evaluator.scores_of_folders(*places, settings=psnr(max_clips=2), show=False)
  assert reads.keys() == {0, 1, 2, 3}     # of clips a and b, of three places each
  assert reads[0] == reads[1] + 3 and reads[2] == reads[3] + 3


@pytest.mark.parametrize('channels', [(1, 3), (3, 1)])
def test_gray_clips_among_clips_in_color_are_scored_as_color(tmp_path, channels):
  """Off by 51 of 255 in gray and in color: PSNR 20 log10 5 in both clips."""
  for clip, count in zip('ab', channels, strict=True):
    for part, value in (('result', 51), ('reference', 102), ('source', 102)):
      write(tmp_path / part / clip, np.full((2, 8, 8, count), value, np.uint8))
  places = [tmp_path / part for part in ('result', 'reference', 'source')]
  scores, _ = evaluator.scores_of_folders(*places, settings=psnr(), show=False)
  for clip in scores['clips']:
    assert clip['rows']['translated']['psnr'] == pytest.approx(20 * np.log10(5), abs=1e-4)
    assert clip['rows']['constant']['psnr'] == clip['rows']['source']['psnr'] == 100


def test_color_that_comes_late_is_refused_beside_a_gray_clip(tmp_path):
  gray, color = np.full((8, 8, 1), 90, np.uint8), np.full((8, 8, 3), 90, np.uint8)
  write(tmp_path / 'a', [gray, gray])
  write(tmp_path / 'b', [gray, color])
  with pytest.raises(UserError, match='clip b: 3 channels.* convert gray frames to color'):
    evaluator.scores_of_folders(tmp_path, tmp_path, settings=psnr(), show=False)


@pytest.mark.parametrize(('field', 'value'), [('max_clips', -1), ('batch', 0), ('batch', -3)])
def test_settings_that_cannot_be_meant_are_refused_for_folders_too(folders, field, value):
  with pytest.raises(UserError, match=rf'eval\.{field}={value}: it must be at least'):
    evaluator.scores_of_folders(*folders, settings=psnr(**{field: value}), show=False)


def test_weight_files_of_a_named_folder_score_frames_of_other_programs(folders, tmp_path,
                                                                       monkeypatch):
  names = []
  monkeypatch.setattr(plan.external, 'scores', lambda *_: ({}, {}))
  monkeypatch.setattr(evaluator, 'score_rows', lambda rows, plan, show: (
      names.append(plan.config.pretrained_dir) or {'rows': {'translated': {}}, 'protocol': {}}, []))
  monkeypatch.setattr(evaluator, '_write', lambda *_: None)
  assert main.main(['i2vjax', 'evaluate', f'--result={folders[0]}', f'--reference={folders[1]}',
                    f'--output={tmp_path}/report', f'--config.pretrained_dir={tmp_path}']) == 0
  assert names == [str(tmp_path)]


def test_kid_of_the_street_needs_a_run_even_where_class_maps_are_given(folders):
  source = {'result': open_place(defaults.data(), str(folders[0]))}
  maps = {'labels': 'x', 'predictions': 'y'}
  settings = defaults.evaluation()
  settings.update(metrics='kid_street', **maps)
  with pytest.raises(UserError, match='names kid_street, which .* needs the data of a run'):
    plan.of_folders(source, settings)
  settings.metrics = 'auto'
  found = plan.of_folders(source, settings)
  assert 'iou' in found.names and 'data of a run' in found.skipped['kid_street']


def test_a_reference_that_was_taken_out_is_the_automatic_one(folders):
  """Publishing a run leaves '' where its folder was."""
  sources = {kind: open_place(defaults.data(), str(place))
             for kind, place in zip(('result', 'reference'), folders, strict=False)}
  found = plan.of_folders(sources, psnr(fid_reference=''))
  assert found.reference_name == '--reference'
  config = stubs.config()
  config.eval.fid_reference = ''
  assert plan.of_run(config).reference_name == 'test_b'


def psnr(**changes):
  """Settings that ask for PSNR alone."""
  settings = defaults.evaluation()
  settings.update(metrics='psnr', **changes)
  return settings

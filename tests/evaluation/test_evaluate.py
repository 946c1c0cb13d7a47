"""evaluate: rows that say what a score means, from runs and from folders of frames."""

import collections
import json
import re

import jax.numpy as jnp
import numpy as np
import pytest
import stub_runs as stubs

from i2vjax import defaults, main
from i2vjax import evaluate as evaluator
from i2vjax.core import notes, ops
from i2vjax.core.errors import UserError
from i2vjax.data import open_source as data_source
from i2vjax.data.io import images
from i2vjax.data.sources import alignment
from i2vjax.data.sources.folders import FolderFrames, open_place
from i2vjax.evaluation import baselines, eval_clips, plan
from i2vjax.metrics import clips


@pytest.fixture(scope='module')
def run():
  return stubs.halving_run()


@pytest.fixture(scope='module')
def scored(run, tmp_path_factory):
  """(scores, folder) of one full evaluation."""
  folder = tmp_path_factory.mktemp('report')
  return evaluator.evaluate(run, folder, show=False), folder


def test_all_rows_have_all_scores(scored):
  rows = scored[0]['rows']
  assert list(rows) == ['translated', 'source', 'untrained', 'constant', 'ceiling']
  for row in rows.values():
    assert {'psnr', 'ssim', 'warping_mse', 'flicker_ratio', 'brightness_jitter'} <= row.keys()
    assert all(np.isfinite(value) for value in row.values())


def test_reference_rows_stand_in_the_order_they_must(scored):
  """One color per class beats one color, which beats the infrared frame itself."""
  rows = scored[0]['rows']
  assert rows['ceiling']['psnr'] > rows['constant']['psnr'] > rows['source']['psnr']
  assert rows['constant']['flicker'] == 0
  assert rows['source']['flicker_ratio'] == pytest.approx(1, abs=1e-3)


def test_untrained_row_differs_from_the_run(scored):
  rows = scored[0]['rows']
  assert rows['untrained']['psnr'] != rows['translated']['psnr']


def test_files_hold_the_scores_and_what_they_were_made_with(scored, run):
  scores, folder = scored
  stored = json.loads((folder / 'scores.json').read_text())
  assert stored['rows']['translated']['psnr'] == scores['rows']['translated']['psnr']
  assert stored['protocol']['clips'] == 2
  assert stored['protocol']['frames'] == 10
  assert stored['run']['config'] == evaluator.config_hash(run.config)
  assert stored['run']['step'] == 7
  assert len(stored['clips'][0]['series']['psnr']) == 5
  assert len(stored['clips'][0]['series']['warping']) == 4


def test_protocol_says_which_weights_were_scored(scored):
  assert scored[0]['protocol']['weights'] == 'raw'
  assert 'weights of the last step (raw)' in (scored[1] / 'index.html').read_text()


def test_page_needs_nothing_from_outside(scored):
  page = (scored[1] / 'index.html').read_text()
  assert 'src="data:image/png;base64,' in page
  assert not re.search(r'(src|href)="?(http|//|\.|/)', page)
  for words in ('best single color', 'untrained network', 'Worst frames', 'test_000'):
    assert words in page


def test_row_is_the_mean_over_frames(scored):
  scores = scored[0]
  values = [value for clip in scores['clips'] for value in clip['series']['psnr']]
  np.testing.assert_allclose(scores['rows']['translated']['psnr'], np.mean(values), rtol=1e-12)


def test_quick_scores_are_the_run_row(scored, run):
  quick = evaluator.quick_scores(run)
  row = scored[0]['rows']['translated']
  assert quick == {name: row[name] for name in quick}
  assert {'psnr', 'ssim', 'warping_mse', 'flicker_ratio'} <= quick.keys()


def test_nothing_is_overwritten_unless_asked(scored, run):
  with pytest.raises(FileExistsError, match='--overwrite'):
    evaluator.evaluate(run, scored[1], show=False)


def test_a_place_that_cannot_be_written_is_told_before_the_work(run, tmp_path, monkeypatch):
  (tmp_path / 'report').write_text('a file')
  monkeypatch.setattr(evaluator, 'score_rows', None)
  with pytest.raises(OSError, match='report is a file'):
    evaluator.evaluate(run, tmp_path / 'report', show=False)


def test_a_perfect_translation_reaches_the_cap():
  """The stand-in looks the answer up: frames of b in the order they are asked for."""
  config = stubs.config()
  targets = data_source(config.data, 'test', 'b')
  frames = np.stack([targets.read(i)['frame'] for i in range(5)])
  answers = jnp.concatenate([jnp.asarray(frames)] * 2) / 127.5 - 1

  def perfect(model, params, model_state, carry, frames):
    return carry, answers[None, :frames.shape[1]]
  config.eval.max_clips = 1
  config.eval.batch = 5
  scores = evaluator.quick_scores(stubs.make(perfect, config))
  assert scores['psnr'] == 100
  assert scores['ssim'] == 1


def test_frames_that_are_not_resized_are_scored_at_their_size(tmp_path):
  """854x480 stays 854x480: padded for networks that need multiples of 8, and cropped."""
  frames = np.random.default_rng(0).integers(0, 256, (3, 30, 54, 3), np.uint8)
  for domain in 'ab':
    write(tmp_path / domain / 'clip', frames)
  config = stubs.config(source='folders', resize='none', test_a=str(tmp_path / 'a'),
                        test_b=str(tmp_path / 'b'))
  seen = []

  def same(model, params, model_state, carry, frames):
    if frames.shape[2] % 8 or frames.shape[3] % 8:
      raise ValueError('sides must be multiples of 8')
    seen.append(frames.shape[2:4])
    return carry, frames
  run = stubs.make(same, config)
  clip, = eval_clips.of_run(config, paired=True, with_motion=False)
  np.testing.assert_array_equal(clip.source, frames)
  np.testing.assert_array_equal(baselines.translated(run)(clip), frames)
  assert set(seen) == {(32, 56)}
  assert evaluator.quick_scores(run)['psnr'] == 100


def test_unquantised_scores_use_the_floats(run):
  config = run.config.copy_and_resolve_references()
  config.eval.quantize = False
  config.eval.metrics = 'psnr'
  exact = evaluator.quick_scores(run.with_config(config))
  rounded = evaluator.quick_scores(run)
  assert exact['psnr'] != rounded['psnr']
  np.testing.assert_allclose(exact['psnr'], rounded['psnr'], atol=0.05)


@pytest.mark.parametrize('names', ['psnr', 'sharpness'])   # of floats, of pictures
@pytest.mark.parametrize('quantize', [True, False])
def test_nan_of_a_network_is_no_black_picture(tmp_path, quantize, names, capsys, monkeypatch):
  """A corner of 2 x 3 pixels is NaN in each frame: counted in this row, not in the others."""
  config = stubs.config()
  config.eval.update(metrics=names, quantize=quantize, max_clips=1)

  def broken(model, params, model_state, carry, frames):
    return carry, stubs.match(frames, model.config).at[:, :, :2, :3].set(jnp.nan)
  run = stubs.make(broken, config)
  monkeypatch.setattr(notes, '_said', set())
  frames = baselines.translated(run)(next(iter(plan.of_run(config).clips())))
  assert np.isnan(frames).any(-1).sum() == len(frames) * 2 * 3
  assert re.search(r'clip \S+: the networks give NaN or infinity in 5 of 5 frames',
                   capsys.readouterr().err)
  scores = evaluator.evaluate(run, tmp_path / 'out', show=False)
  row = scores['rows']['translated']
  assert np.isnan(row.get('psnr', np.nan)) and row['num_nonfinite'] == len(frames)
  assert 'num_nonfinite' not in scores['rows']['source']
  assert 'the output holds NaN' in (tmp_path / 'out' / 'index.html').read_text()


@pytest.mark.parametrize('quantize', [True, False])
def test_infinity_of_a_network_is_no_white_picture(quantize):
  config = stubs.config()
  config.eval.update(metrics='psnr', quantize=quantize, max_clips=1)

  def broken(model, params, model_state, carry, frames):
    return carry, stubs.match(frames, model.config).at[:, 1:3, :2, :3].set(jnp.inf)
  scores, _ = evaluator.scores_of_run(stubs.make(broken, config), show=False)
  assert scores['rows']['translated']['num_nonfinite'] == 2


def test_what_several_scorers_count_is_added_up():
  """PSNR, SSIM (values of one scorer) and LPIPS (another) of 3 frames, 2 of which hold NaN."""
  config = stubs.config()
  config.data.update(crop_size=64, load_size=64)
  config.data.scenes.clip_length = 3
  config.eval.update(metrics='psnr,ssim,lpips', weights='random', max_clips=1)

  def broken(model, params, model_state, carry, frames):
    return carry, stubs.match(frames, model.config).at[:, 1:3, 0, 0].set(jnp.nan)
  run = stubs.make(broken, config)
  rows = {'translated': baselines.translated(run)}
  scores, _ = evaluator.score_rows(rows, plan.of_run(config), show=False)
  assert scores['rows']['translated']['num_nonfinite'] == 2 * 3


def test_nan_in_one_clip_leaves_the_other_as_files_would_hold_it():
  """Whole numbers, but in the middle frame: there the others have the same values as floats."""
  config = stubs.config()

  def broken(model, params, model_state, carry, frames):
    carry, frames = stubs.counting(model, params, model_state, carry, frames)
    return carry, frames.at[:, 2, 0, 0].set(jnp.nan)
  clip = next(eval_clips.of_run(config, paired=True, with_motion=False))
  whole = baselines.translated(stubs.make(stubs.counting, config))(clip)
  frames = baselines.translated(stubs.make(broken, config))(clip)
  assert whole.dtype == np.uint8 and frames.dtype == np.float32
  expected = whole.astype(np.float32)
  expected[2, 0, 0] = np.nan
  np.testing.assert_allclose((frames + 1) * 127.5, expected, atol=1e-4)


def test_visible_to_infrared_is_scored_too():
  config = stubs.config(direction='b2a', channels_b=1)
  config.eval.max_clips = 1
  scores = evaluator.quick_scores(stubs.make(stubs.negative, config))
  assert np.isfinite(scores['psnr'])


def test_best_color_maximizes_mean_psnr():
  rng = np.random.default_rng(0)
  frames = [np.uint8(rng.integers(low, low + spread, (3, 12, 12, 3)))
            for low, spread in ((0, 90), (120, 10))]
  moments = [clips.moments(frame) for frame in frames]
  means = np.concatenate([mean for mean, _ in moments])
  variances = np.concatenate([variance for _, variance in moments])
  best = clips.best_color(means, variances)

  def psnr(color):
    target = np.concatenate(frames) / 255
    return np.mean(-10 * np.log10(np.mean((target - color) ** 2, axis=(1, 2, 3))))
  assert psnr(best) >= psnr(means.mean(axis=0)) - 1e-9
  for step in np.eye(3) * 0.003:
    assert psnr(best) > psnr(best + step)
    assert psnr(best) > psnr(best - step)


def test_moments_give_the_error_of_a_constant():
  target = np.random.default_rng(0).integers(0, 256, (1, 8, 8, 3), np.uint8)
  color = np.array([0.2, 0.5, 0.9])
  means, variances = clips.moments(target)
  direct = np.mean((target / 255 - color) ** 2)
  np.testing.assert_allclose(variances[0] + np.mean((means[0] - color) ** 2), direct, rtol=1e-6)


# ---- folders ----------------------------------------------------------------------------------


def write(folder, clip, name='{:03d}'):
  for index, frame in enumerate(clip):
    images.write_image(folder / (name.format(index) + '.png'), frame)
  return folder


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


def test_runs_on_unpaired_folders_say_why_scores_are_missing(folders, tmp_path):
  for name in ('one', 'two'):
    write(tmp_path / 'test_a' / name, np.full((3, 16, 16, 1), 90, np.uint8))
  write(tmp_path / 'test_b' / 'one', np.full((3, 16, 16, 3), 90, np.uint8))
  write(tmp_path / 'test_b' / 'three', np.full((3, 16, 16, 3), 90, np.uint8))
  config = stubs.config(source='folders', test_a=str(tmp_path / 'test_a'),
                        test_b=str(tmp_path / 'test_b'))
  run = stubs.halving_run(config)
  scores = evaluator.evaluate(run, tmp_path / 'out', show=False)
  assert 'clip two' in scores['skipped']['psnr']
  assert 'clip three' in scores['skipped']['psnr']
  assert list(scores['rows']) == ['translated', 'source', 'untrained']
  assert scores['rows']['translated']['num_still_sources'] == 2
  assert 'flicker_ratio' not in scores['rows']['translated']


def test_scores_go_by_the_clips_that_are_scored(tmp_path):
  """Of a still and a clip the still alone: no FID of one frame, which would fail at the end."""
  for part in ('result', 'reference'):
    for clip, count in (('a', 1), ('b', 3)):
      write(tmp_path / part / clip, np.full((count, 16, 20, 3), 90, np.uint8))
  sources = {part: open_place(defaults.data(), tmp_path / part) for part in ('result', 'reference')}
  settings = defaults.evaluation()
  settings.update(weights='random', max_clips=1)
  found = plan.of_folders(sources, settings)
  assert found.skipped['fid'] == found.skipped['kid'] == 'needs at least 2 frames'
  settings.max_clips = 2
  assert {'fid', 'kid'} < set(plan.of_folders(sources, settings).names)


@pytest.mark.parametrize('rule,crop,side,possible', [
    ('none', 32, 80, True), ('none', 80, 32, False), ('square', 80, 32, True)])
def test_lpips_goes_by_the_size_that_frames_are_scored_at(tmp_path, rule, crop, side, possible):
  for domain in 'ab':
    write(tmp_path / domain, np.full((2, side, side + 4, 3), 90, np.uint8))
  config = stubs.config(source='folders', test_a=str(tmp_path / 'a'), test_b=str(tmp_path / 'b'),
                        resize=rule)
  config.data.crop_size, config.eval.weights = crop, 'random'
  found = plan.of_run(config)
  assert ('lpips' in found.names) == possible
  assert possible or found.skipped['lpips'] == 'needs frames of at least 64 pixels'


def test_no_test_frames_of_the_target():
  config = stubs.config(source='folders')
  a = data_source(stubs.config().data, 'test', 'a')
  assert 'data.test_b' in alignment.mismatch(a, None)
  with pytest.raises(ValueError, match=r'data\.test_a'):
    plan.of_run(config)

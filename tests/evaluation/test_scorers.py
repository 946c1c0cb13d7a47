"""Which scores are computed, by whom, and why others are left out."""

import dataclasses

import ml_collections
import numpy as np
import pytest
import stub_runs as stubs

from i2vjax import defaults, evaluate
from i2vjax.core import class_names
from i2vjax.data.io import images
from i2vjax.evaluation import (
  eval_clips,
  motion_estimation,
  plan,
  scene_segmenter,
  score_table,
  scorers,
  scoring_networks,
)
from i2vjax.evaluation.report import text
from i2vjax.metrics import sharpness


def settings(**changes):
  config = ml_collections.ConfigDict({'eval': defaults.evaluation()})
  config.eval.update(**changes)
  return config


def request(*names, **more):
  return scorers.Request(settings(), names, show=False, **more)


def texture(size=48):
  rng = np.random.default_rng(0)
  small = rng.integers(0, 256, (size // 4, size // 4, 1), np.uint8)
  return np.kron(small, np.ones((4, 4, 1), np.uint8))


def moving(count=4):
  """[T, H, W, 1] uint8: a texture that moves one pixel to the right in each frame."""
  return np.stack([np.roll(texture(), t, axis=1) for t in range(count)])


# ---- which ------------------------------------------------------------------------------------


def test_scores_by_name():
  names, skipped = score_table.choose_scores('psnr, flicker', {})
  assert names == ('psnr', 'flicker')
  assert skipped['ssim'] == 'not asked for'
  with pytest.raises(ValueError, match='which cannot be computed: no flow'):
    score_table.choose_scores('warping', {'warping': 'no flow'})
  with pytest.raises(ValueError, match="'fit' is not known"):
    score_table.choose_scores('fit', {})


def test_auto_takes_what_is_possible_and_says_how_to_ask_for_the_slow_ones():
  names, skipped = score_table.choose_scores('auto', {'fid': 'no file', 'ap': 'no boxes'})
  assert names == ('psnr', 'ssim', 'lpips', 'warping', 'flicker', 'sharpness', 'kid')
  assert skipped['fid'] == 'no file'
  assert skipped['iou'].endswith('--config.eval.metrics=auto,iou')
  assert 'iou' in score_table.choose_scores('auto,iou', {})[0]
  assert 'iou' in score_table.choose_scores('auto', {}, at_hand=('iou',))[0]


def test_every_score_says_what_it_needs_in_known_words():
  needs = {need for score in score_table.SCORES.values() for need in score.needs}
  assert needs == score_table.NEEDS.keys()
  reasons = score_table.reasons_against({'pairs': 'single frames', 'lpips_weights': 'no file'})
  assert reasons == {'lpips': 'no file', 'lpips_temporal': 'no file', 'warping': 'single frames',
                     'flicker': 'single frames'}


def test_missing_files_are_named_with_the_command_that_fetches_them():
  found = plan.of_run(stubs.config())
  assert 'fetch inception_fid' in found.skipped['fid']
  assert 'needs frames of at least 64 pixels' in found.skipped['lpips']
  assert (
    found.names == ('psnr', 'ssim', 'warping', 'flicker', 'sharpness') and found.estimator == ''
  )


def test_while_training_only_what_is_quick_is_scored():
  config = stubs.config()
  config.eval.metrics, config.eval.weights = 'auto,iou', 'random'
  assert plan.of_run(config, quick=True).names == ('psnr', 'ssim', 'warping', 'flicker',
                                                        'sharpness')


def test_test_frames_without_partners_have_no_aligned_scores(tmp_path):
  """As many frames in both, but the visible side lacks 2 and has 99."""
  for name, numbers in (('a', (1, 2, 3)), ('b', (1, 3, 99))):
    for k in numbers:
      images.write_image(tmp_path / name / 'clip' / f'{k:04d}.png', np.zeros((8, 8, 1), np.uint8))
  config = stubs.config(source='folders', test_a=str(tmp_path / 'a'), test_b=str(tmp_path / 'b'))
  found = plan.of_run(config)
  assert not found.paired and found.names == ('warping', 'flicker')
  assert all('frame 0002 of' in found.skipped[name] and 'frame 0099 of' in found.skipped[name]
             for name in ('psnr', 'ssim'))
  config.eval.metrics = 'psnr'
  with pytest.raises(ValueError, match='eval.metrics names psnr.*frame 0002 of.*frame 0099 of'):
    plan.of_run(config)


def test_reference_of_fid():
  config = stubs.config()
  assert plan.of_run(config).reference_name == 'test_b'
  config.eval.fid_reference = 'train_b'
  assert plan.of_run(config).reference_name == 'train_b'
  config.eval.fid_reference = 'train_c'
  with pytest.raises(ValueError, match='choose one of auto, test_b, train_b'):
    plan.of_run(config)


def test_reference_of_fid_from_a_folder(tmp_path):
  config = stubs.config()
  for name, value in (('one/1.png', 10), ('one/2.png', 20), ('two/1.png', 30)):
    images.write_image(tmp_path / name, np.full((9, 8, 3), value, np.uint8))
  config.eval.fid_reference = str(tmp_path)
  found = plan.of_run(config)
  assert found.reference_name == str(tmp_path)
  assert [clip[:, 0, 0, 0].tolist() for clip in found.reference()] == [[10, 20], [30]]


# ---- scorers ----------------------------------------------------------------------------------


def test_estimated_motion_finds_the_warping_error_of_the_source_small():
  """A texture in even motion: none; the same frames with their brightness trembling: much."""
  frames = moving()
  motion = motion_estimation.motion_estimator(settings(), 'tvl1')(frames)
  clip = eval_clips.EvalClip('a', frames, shown=frames, target=frames, motion=motion)
  flow, visible = motion
  assert np.median(flow[..., 0][visible > 0]) == pytest.approx(1, abs=0.1)
  scorer = scorers.pixel_scorer(request('warping', estimator='tvl1'))
  _, still, series = scorer.add(scorer.start, clip, frames)
  trembling = np.clip(frames.astype(int) + np.array([0, 20, 0, 20])[:, None, None, None], 0, 255)
  _, loud, _ = scorer.add(scorer.start, clip, trembling.astype(np.uint8))
  assert still['warping_mse[tvl1]'] < 0.1 * loud['warping_mse[tvl1]']
  assert len(series['warping']) == 3 and scorer.facts['flow'] == 'tvl1'


def test_single_frames_have_no_motion():
  assert motion_estimation.motion_estimator(settings(), 'zero')(moving(1)) is None


def test_classes_by_a_network_that_sees_brightness(monkeypatch):
  """Road is black, sky is white; half of the frame is called sky, a quarter is."""
  road, sky = class_names.CITYSCAPES.index('road'), class_names.CITYSCAPES.index('sky')
  monkeypatch.setattr(scene_segmenter, 'train_or_load',
                      lambda config, show: (None, {'miou': 1.0, 'packaged': True}))
  monkeypatch.setattr(scene_segmenter, 'predict', lambda params, frames: np.where(
      frames[..., 0] > 127, sky, road).astype(np.uint8))
  scorer = scorers.miou_scorer(request('iou'))
  frames = np.zeros((2, 4, 4, 3), np.uint8)
  frames[:, :2] = 255
  truth = np.full((2, 4, 4), road, np.uint8)
  truth[:, :1] = sky
  total, values, _ = scorer.add(scorer.start, eval_clips.EvalClip('a', labels=truth), frames)
  expected = (8 / 16 / (12 / 16) + 4 / 8) / 2   # road 8 of 12, sky 4 of 8
  assert values['miou'] == pytest.approx(expected) == scorer.result(total)['miou']
  assert scorer.result(total)['pixel_accuracy'] == pytest.approx(12 / 16)


def test_kid_of_the_street_takes_subsets_as_large_as_there_are_frames(monkeypatch, caplog):
  """The same set has KID 0 or less (it is unbiased); a set far away has a large one."""
  monkeypatch.setattr(scene_segmenter, 'train_or_load', lambda config, show: (None, {}))
  monkeypatch.setattr(scene_segmenter, 'describe_frames', lambda params, frames: np.asarray(
      frames.reshape(len(frames), -1)[:, :8], np.float32) / 255)
  frames = np.random.default_rng(0).integers(0, 100, (5, 4, 4, 3)).astype(np.uint8)
  values = []
  for shown in (frames, frames + 100):
    scorer = scorers.kid_street_scorer(dataclasses.replace(
        request('kid_street'), reference=lambda: [frames[:2], frames[2:]]))
    total, _, _ = scorer.add(scorer.start, None, shown)
    values.append(scorer.result(total)['kid_street'])
  assert values[0] <= 1e-6 < 0.1 < values[1]
  assert scorer.facts['kid_street_subset_size'] == 5
  assert not caplog.records


def test_edges_of_the_negative_are_the_same():
  frames = moving(2)
  scorer = scorers.apce_scorer(request('apce'))
  clip = eval_clips.EvalClip('a', frames, shown=frames)
  _, values, _ = scorer.add(scorer.start, clip, 255 - frames)
  assert values['apce'] == pytest.approx(1)
  _, values, _ = scorer.add(scorer.start, clip, np.full_like(frames, 7))
  assert values['apce'] == 0


def test_likeness_to_the_target_and_from_frame_to_frame(monkeypatch):
  """A stand-in for LPIPS, the difference of the means: no target is needed for the second."""
  networks = scoring_networks.ScoringNetworks({}, {}, {}, random=True)
  monkeypatch.setattr(scoring_networks, 'load_lpips', lambda config: networks)
  monkeypatch.setattr(scorers.lpips, 'program', lambda *parts: lambda x, y: np.abs(
      x.mean((1, 2, 3)) - y.mean((1, 2, 3))).astype(np.float32))
  frames = np.stack([np.full((4, 4, 3), x, np.uint8) for x in (10, 14, 12)])
  both = scorers.lpips_scorer(request('lpips', 'lpips_temporal'))
  total, values, series = both.add(
      both.start, eval_clips.EvalClip('a', target=frames + 5), frames)
  assert values == {'lpips_RANDOM': 5, 'lpips_temporal_RANDOM': 3} == both.result(total)
  assert series['lpips_temporal_RANDOM'].tolist() == [4, 2]
  alone, clip = scorers.lpips_scorer(request('lpips_temporal')), eval_clips.EvalClip('a')
  assert alone.add(alone.start, clip, frames)[1] == {'lpips_temporal_RANDOM': 3}
  assert alone.result(alone.add(alone.start, clip, frames[:1])[0]) == {}


def test_fid_compares_all_frames_of_a_row_with_the_reference(monkeypatch):
  """Reference brighter by 10 everywhere: the squared distance of the means, no spread."""
  networks = scoring_networks.ScoringNetworks(
      {'inception': None}, {'inception': None}, {'x': 'random'}, random=True)
  monkeypatch.setattr(scoring_networks, 'load_inception', lambda config: networks)
  monkeypatch.setattr(   # features are the frame's mean color
      scorers.inception_features, 'program', lambda *parts: lambda frames: frames.mean((1, 2)))
  rng = np.random.default_rng(0)
  real = rng.integers(0, 200, (6, 4, 4, 3)).astype(np.uint8)
  scorer = scorers.fid_kid_scorer(request('fid', reference=lambda: iter([real[:2], real[2:]])))
  total = scorer.start
  for part in (real[3:] + np.uint8(10), real[:3] + np.uint8(10)):
    total, _, _ = scorer.add(total, None, part)
  assert scorer.result(total)['fid_RANDOM'] == pytest.approx(300, abs=1e-3)
  assert scorer.facts['fid_frames'] == scorer.facts['fid_reference_frames'] == 6


@pytest.mark.slow
def test_random_networks_score_a_run_and_mark_it(tmp_path):
  """All that needs a file, at its true size, in one table; the page says RANDOM."""
  config = stubs.config()
  config.data.update(load_size=64, crop_size=64)
  config.data.scenes.update(test_clips=1, clip_length=2)
  config.eval.update(metrics='auto', weights='random', kid_degrees=(3, 21), batch=2)
  scores = evaluate.evaluate(stubs.make(stubs.negative, config), tmp_path, show=False)
  row = scores['rows']['translated']
  assert {'fid_RANDOM', 'fid_div100_RANDOM', 'kid_mean_RANDOM', 'kid21_mean_RANDOM',
          'lpips_RANDOM'} <= row.keys()
  assert row['lpips_RANDOM'] > 0 and row['fid_RANDOM'] > 0
  assert 'FID (RANDOM weights)' in (tmp_path / 'index.html').read_text()


def test_page_names_the_estimator():
  row = {'warping_mse[tvl1]': 0.001, 'iou[road]': 0.5, 'miou': 0.2}
  headings = [column.heading for column in text.columns([row])]
  assert headings == ['warping error ×1000 (tvl1)', 'mIoU']
  assert text.number(row, 'warping_mse[tvl1]', 3) == '1.000'


def test_sharpness_is_the_ratio_of_sums_over_all_frames():
  """Two clips of unlike sharpness: the ratio of sums, not the mean of ratios."""
  rng = np.random.default_rng(0)
  scorer = scorers.sharpness_scorer(None)
  total, gradients = scorer.start, []
  for strength in (1.0, 0.2):
    target = (255 * strength * rng.random((2, 8, 8, 3))).astype(np.uint8)
    made = (target // 2).astype(np.uint8)
    total, values, series = scorer.add(total, eval_clips.EvalClip('x', target=target), made)
    assert values['sharpness_ratio'] == pytest.approx(0.5, abs=0.02)
    assert series['sharpness'].shape == (2,)
    gradients.append([sum(sharpness.mean_gradient(f / 255) for f in x) for x in (made, target)])
  made, true = np.sum(gradients, axis=0)
  assert scorer.result(total) == {'sharpness_ratio': pytest.approx(made / true)}
  assert scorer.result({}) == {}

"""evaluate: which scores are possible, and the reasons of those that are not."""


import numpy as np
import pytest
import stub_runs as stubs
from scored_folders import write

from i2vjax import defaults
from i2vjax import evaluate as evaluator
from i2vjax.core.errors import UserError
from i2vjax.data import open_source as data_source
from i2vjax.data.sources import alignment
from i2vjax.data.sources.folders import open_place
from i2vjax.evaluation import plan


def test_runs_on_unpaired_folders_say_why_scores_are_missing(tmp_path):
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


def test_one_real_frame_is_told_before_anything_is_scored(tmp_path):
  """Of FID's real frames all count, whatever eval.max_clips is; one alone has no covariance."""
  for place, count in (('result', 2), ('reference', 2), ('one', 1)):
    for clip in 'ab'[:count]:
      write(tmp_path / place / clip, np.full((3 if place == 'result' else 1, 16, 20, 3), 90,
                                             np.uint8))
  result = open_place(defaults.data(), tmp_path / 'result')
  sources, settings = {'result': result, 'source': result}, defaults.evaluation()
  settings.update(weights='random', max_clips=1, fid_reference=str(tmp_path / 'one'))
  found = plan.of_folders(sources, settings)
  assert found.skipped['fid'] == f'needs at least 2 real frames: {tmp_path / "one"} has 1'
  settings.fid_reference = str(tmp_path / 'reference')
  found = plan.of_folders(sources, settings)
  assert {'fid', 'kid'} < set(found.names) and len(list(found.reference())) == 2
  settings.fid_reference = 'auto'
  sources['reference'] = open_place(defaults.data(), tmp_path / 'reference')
  assert len(list(plan.of_folders(sources, settings).reference())) == 2


def test_unknown_scores_are_told_before_training():
  config = defaults.get_config()
  assert evaluator.score_fn(config) is None
  config.eval.every = 5
  assert evaluator.score_fn(config) is evaluator.quick_scores
  config.eval.metrics = 'psrn'
  with pytest.raises(UserError, match="eval.metrics: 'psrn' is not known; there are auto or psnr"):
    evaluator.score_fn(config)


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


def test_footage_without_any_daylight_has_the_scores_that_need_none(tmp_path):
  """Night thermal: nobody filmed it by day, and the weights come with the package."""
  write(tmp_path / 'a', np.full((2, 32, 32, 1), 90, np.uint8))
  found = plan.of_run(stubs.config(source='folders', test_a=str(tmp_path / 'a')))
  assert {'flicker', 'warping'} <= set(found.names)
  assert 'data.train_b' in found.skipped['fid'] and 'data.test_b' in found.skipped['psnr']


def test_no_test_frames_of_the_target():
  config = stubs.config(source='folders')
  a = data_source(stubs.config().data, 'test', 'a')
  assert 'data.test_b' in alignment.mismatch(a, None)
  with pytest.raises(ValueError, match=r'data\.test_a'):
    plan.of_run(config)

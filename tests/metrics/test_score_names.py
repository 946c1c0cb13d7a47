"""Names of scores are written and read in one place."""

import pytest

from i2vjax.metrics import score_names
from i2vjax.metrics.score_names import ScoreName


@pytest.mark.parametrize(('name', 'parts'), [
    ('psnr', ScoreName('psnr')),
    ('warping_mse[tvl1]', ScoreName('warping_mse', 'tvl1')),
    ('kid21_mean_RANDOM', ScoreName('kid21_mean', random=True)),
    ('iou[traffic light]', ScoreName('iou', 'traffic light')),
    ('warping_mse[raft_small]_RANDOM', ScoreName('warping_mse', 'raft_small', True))])
def test_names_are_read_as_they_were_written(name, parts):
  assert score_names.parse(name) == parts
  assert str(parts) == score_names.make(*parts) == name


def test_a_score_is_found_whatever_estimated_its_motion():
  names = ['psnr', 'warping_mse[tvl1]', 'warping_euclidean']
  assert score_names.find('warping_mse', names) == 'warping_mse[tvl1]'
  assert score_names.find('ssim', names) is None


def test_counts_and_facts_of_the_source_are_told_apart():
  assert score_names.is_count('num_nonfinite') and not score_names.is_count('psnr')
  assert score_names.describes_source('flicker_source')
  assert not score_names.describes_source('flicker_ratio')

"""Windows of contact sheets."""

import numpy as np
import pytest
from window_tools import equal, folders_config, starts

from i2vjax.data.loader import batches


@pytest.fixture
def config(tmp_path):
  return folders_config(tmp_path)


def test_sample_windows_are_fixed_spread_and_aligned(config, tmp_path):
  config.data.update(test_b=str(tmp_path / 'testA'))
  sheet = batches.sample_windows(config, 2)
  assert equal(sheet, batches.sample_windows(config, 2))
  assert sheet['a'].shape == (2, 3, 8, 8, 1)
  np.testing.assert_array_equal(sheet['a'], sheet['b'])
  assert len(set(starts([sheet], 'a'))) == 2


def test_sample_windows_fall_back_to_training_frames(config, tmp_path):
  config.data.update(root='', train_a=str(tmp_path / 'trainA'), train_b=str(tmp_path / 'trainB'),
                     test_a=str(tmp_path / 'testA'))
  sheet = batches.sample_windows(config, 2)
  assert min(starts([sheet], 'b')) >= 90


@pytest.mark.parametrize('rule', ['square', 'width', 'none'])
def test_sample_windows_have_the_crop_size_under_every_rule(config, rule):
  config.data.resize = rule
  assert batches.sample_windows(config, 3)['a'].shape == (3, 3, 8, 8, 1)

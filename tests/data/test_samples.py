"""Windows of contact sheets, and whole test clips."""

import numpy as np
import pytest
from window_tools import equal, folders_config, starts

from i2vjax.data.loader import batches, whole_clips


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


def test_test_clips_are_whole_and_in_order(config):
  clips = list(whole_clips.test_clips(config, 'a'))
  assert [(clip.name, clip.frames.shape, clip.start) for clip in clips] == [
      ('c0', (5, 8, 8, 1), 0), ('c1', (4, 8, 8, 1), 5)]
  first = int(clips[0].frames[0, 0, 0, 0])
  assert clips[0].frames[:, 0, 0, 0].tolist() == list(range(first, first + 5))
  assert clips[0].source.read(clips[0].start)['frame'][0, 0, 0] == first
  np.testing.assert_array_equal(clips[0].limits, [0, 255])


def test_test_clips_keep_their_shape_without_resizing(config):
  config.data.resize = 'none'
  assert next(whole_clips.test_clips(config, 'a')).frames.shape == (5, 12, 16, 1)

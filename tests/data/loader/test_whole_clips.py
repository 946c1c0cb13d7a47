"""Whole test clips, in order."""

import numpy as np
import pytest
from window_tools import folders_config

from i2vjax.data.io import images
from i2vjax.data.loader import whole_clips


@pytest.fixture
def config(tmp_path):
  return folders_config(tmp_path)


def test_test_clips_are_whole_and_in_order(config):
  clips = list(whole_clips.test_clips(config, 'a'))
  assert [(clip.name, clip.frames.shape, clip.start) for clip in clips] == [
      ('c0', (5, 8, 8, 1), 0), ('c1', (4, 8, 8, 1), 5)]
  first = int(clips[0].frames[0, 0, 0, 0])
  assert clips[0].frames[:, 0, 0, 0].tolist() == list(range(first, first + 5))
  assert clips[0].source.read(clips[0].start)['frame'][0, 0, 0] == first
  np.testing.assert_array_equal(clips[0].value_range, [0, 255])


def test_test_clips_keep_their_shape_without_resizing(config):
  config.data.resize = 'none'
  assert next(whole_clips.test_clips(config, 'a')).frames.shape == (5, 12, 16, 1)


def test_no_side_is_rounded_without_resizing(config, tmp_path):
  """GTC on DAVIS: 854x480, where 854 is no multiple of 4."""
  images.write_image(tmp_path / 'davis/bear/00000.png', np.zeros((10, 18, 3), np.uint8))
  config.data.update(resize='none', test_a=str(tmp_path / 'davis'))
  assert next(whole_clips.test_clips(config, 'a')).frames.shape == (1, 10, 18, 3)

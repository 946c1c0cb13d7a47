"""Windows: what is in them, and how they are cut. A gray value says which frame it is."""

import collections

import numpy as np
import pytest
from method_tools import config_of
from window_tools import Numbered, folders_config, take

from i2vjax.data.io import images
from i2vjax.data.loader import augment, batches, windows


@pytest.fixture
def config(tmp_path):
  return folders_config(tmp_path)


def test_windows_never_cross_a_clip():
  result = windows.WindowSource(Numbered((5, 3, 4)), 3)
  values = [result[i]['frames'][:, 0, 0, 0].tolist() for i in range(len(result))]
  assert values == [[10, 11, 12], [11, 12, 13], [12, 13, 14], [15, 16, 17], [18, 19, 20],
                    [19, 20, 21]]


@pytest.mark.parametrize(('stride', 'step', 'expected'), [
    (2, 1, [0, 2, 4]),
    (1, 2, [0, 1, 2]),
    (3, 1, [0, 3, 4]),      # blocks: the last is shifted back to stay full
])
def test_stride_and_step(stride, step, expected):
  result = windows.WindowSource(Numbered((7,)), 3, stride, step)
  assert [int(result[i]['frames'][0, 0, 0, 0]) - 10 for i in range(len(result))] == expected
  assert np.diff(result[0]['frames'][:, 0, 0, 0]).tolist() == [step, step]


@pytest.mark.parametrize(('stride', 'expected'), [
    (5, [0, 5, 8]),          # side by side; the last one is shifted back to the rest
    (4, [0, 4, 8]),          # neighbors share a frame
    (1, list(range(9)))])
def test_clips_of_five_as_gtc_takes_them(stride, expected):
  config = config_of('gtc', 'paper-color')
  config.data.stride = stride
  result = windows.WindowSource(Numbered((13,)), config.data.frames, config.data.stride)
  assert [int(x) for x in result.starts] == expected and len(result.items) == len(expected)


def test_clips_that_are_all_too_short_are_refused_with_both_numbers():
  with pytest.raises(ValueError, match='needs 5 consecutive frames.*longest clip has 4'):
    windows.WindowSource(Numbered((4, 3)), 5)


def test_some_short_clips_are_left_out_with_a_warning():
  with pytest.warns(UserWarning, match=r'1 of 2 clips are left out.*5 frames.*c1 has 3'):
    assert len(windows.WindowSource(Numbered((6, 3)), 5)) == 2


def test_a_window_of_different_sizes_names_both_files(config, tmp_path):
  images.write_image(tmp_path / 'trainA' / 'c0' / '3.png', np.zeros((12, 20, 1), np.uint8))
  result = batches.train_windows(config.data)[0]
  result[0]
  expected = 'clip c0, file .*3.png: 20x12 pixels, but .*1.png has 16x12'
  with pytest.raises(ValueError, match=expected):
    result[1]


def test_an_unreadable_frame_is_named_by_the_iterator(config, tmp_path):
  for path in (tmp_path / 'trainA').glob('*/2.png'):
    path.write_bytes(path.read_bytes()[:20])
  with pytest.raises(images.UnreadableFrame, match=r'2.png cannot be decoded'):
    take(batches.train_iterator(config, 2), 20)


def test_gray_frames_in_a_color_domain_are_repeated():
  class Mixed(Numbered):
    def read(self, i):
      frame = super().read(i)['frame']
      return {'frame': np.repeat(frame, 3, -1) if i < 2 else frame}
  result = windows.WindowSource(Mixed((4,)), 4)
  assert result[0]['frames'].shape == (4, 8, 8, 3)


def test_color_in_a_gray_domain_names_the_frame():
  class Mixed(Numbered):
    def read(self, i):
      frame = super().read(i)['frame']
      return {'frame': np.repeat(frame, 3, -1) if i == 2 else frame}
  with pytest.raises(ValueError, match='clip c0, frame 2: uint8 with 3 channels among.*with 1.'):
    windows.WindowSource(Mixed((4,)), 4)[0]


def test_crop_takes_the_same_place_of_all_frames_and_labels():
  result = windows.WindowSource(Numbered((3,), (8, 8, 1), columns=True), 3, fields=('labels',))
  item = augment.crop(result[0], (1, 2), (4, 4))
  np.testing.assert_array_equal(item['frames'][:, 0, 0, 0], [50, 51, 52])
  np.testing.assert_array_equal(item['labels'], item['frames'][..., 0] + 100)


def test_flip_and_reversal_hold_for_all_frames_and_labels():
  result = windows.WindowSource(Numbered((3,), (8, 8, 1), columns=True), 3, fields=('labels',))
  plain = augment.crop(result[0], (0, 0), (8, 8))
  item = augment.crop(result[0], (0, 0), (8, 8), flip=True, reverse=True)
  np.testing.assert_array_equal(item['frames'], plain['frames'][::-1, :, ::-1])
  np.testing.assert_array_equal(item['labels'], plain['labels'][::-1, :, ::-1])


def test_random_crops_reach_every_corner_ends_included():
  result = windows.WindowSource(Numbered((1,), (4, 6, 1), columns=True), 1)
  cut, rng = augment.RandomCrop((4, 4)), np.random.default_rng(0)
  columns = [int(cut.random_map(result[0], rng)['frames'][0, 0, 0, 0]) for _ in range(60)]
  assert collections.Counter(columns).keys() == {10, 30, 50}


@pytest.mark.parametrize(('flip', 'low', 'high'), [(False, 0, 0), (True, 60, 140)])
def test_half_of_the_windows_are_flipped_if_asked(flip, low, high):
  result = windows.WindowSource(Numbered((1,), (4, 4, 1), columns=True), 1)
  cut, rng = augment.RandomCrop(4, flip=flip), np.random.default_rng(0)
  flipped = sum(int(cut.random_map(result[0], rng)['frames'][0, 0, 0, 0]) > 10 for _ in range(200))
  assert low <= flipped <= high


def test_a_crop_larger_than_the_frame_is_refused():
  result = windows.WindowSource(Numbered((1,), (4, 6, 1)), 1)
  with pytest.raises(ValueError, match='smaller than data.crop_size'):
    augment.RandomCrop(5).random_map(result[0], np.random.default_rng(0))


def test_scaling_each_frame_by_itself_warns_of_flicker():
  with pytest.warns(UserWarning, match='flicker'):
    windows.WindowSource(Numbered((4,), dtype=np.uint16), 2, rule='frame')


def test_the_range_of_a_clip_is_read_once_and_travels_with_the_window():
  source = Numbered((30, 30), dtype=np.uint16)
  reads = []
  result = windows.WindowSource(source, 1)
  original, source.read = source.read, lambda i: reads.append(i) or original(i)
  first, again, other = result[0], result[1], result[40]
  np.testing.assert_array_equal(first['range'], [10, 39])
  np.testing.assert_array_equal(again['range'], [10, 39])
  np.testing.assert_array_equal(other['range'], [40, 69])
  assert len(reads) == 3 + 2 * 30

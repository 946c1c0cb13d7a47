"""Pictures on the host: reading, writing, resizing, thermal ranges."""

import os

import cv2
import numpy as np
import pytest
from PIL import Image

from i2vjax import defaults
from i2vjax.data.io import images
from i2vjax.data.transforms import resize, thermal

RAMP = np.add.outer(3 * np.arange(12), 5 * np.arange(16)).astype(np.uint8)[..., None]
COLOR = np.concatenate([RAMP, 255 - RAMP, RAMP // 2], axis=-1)
DEEP = (RAMP.astype(np.uint16) + 1000) * 20


@pytest.mark.parametrize('ending', ['png', 'bmp', 'ppm', 'tif', 'TIFF', 'PNG'])
@pytest.mark.parametrize('frame', [COLOR, RAMP], ids=['color', 'gray'])
def test_written_frames_are_read_back_bit_for_bit(tmp_path, ending, frame):
  path = tmp_path / f'x.{ending}'
  images.write_image(path, frame)
  back = images.read_image(path)
  np.testing.assert_array_equal(back, np.broadcast_to(frame, back.shape))
  assert back.shape == frame.shape or ending == 'ppm'   # which has no gray


@pytest.mark.parametrize('ending', ['jpg', 'JPEG', 'webp'])
def test_lossy_formats_keep_the_order_of_colors(tmp_path, ending):
  plain = np.full((16, 16, 3), (200, 100, 20), np.uint8)
  images.write_image(tmp_path / f'x.{ending}', plain)
  np.testing.assert_allclose(images.read_image(tmp_path / f'x.{ending}'), plain, atol=4)


@pytest.mark.parametrize('ending', ['png', 'tif'])
def test_16_bit_gray_is_read_back_bit_for_bit(tmp_path, ending):
  images.write_image(tmp_path / f'x.{ending}', DEEP)
  back = images.read_image(tmp_path / f'x.{ending}')
  assert back.dtype == np.uint16
  np.testing.assert_array_equal(back, DEEP)


def test_16_bit_frames_are_refused_where_8_would_be_kept(tmp_path):
  with pytest.raises(ValueError, match='png or .tif'):
    images.write_image(tmp_path / 'x.jpg', DEEP)


def test_16_bit_color_is_rounded_to_8(tmp_path):
  deep = np.minimum(COLOR[..., ::-1].astype(np.uint32) * 257 + 100, 65535).astype(np.uint16)
  cv2.imwrite(str(tmp_path / 'x.png'), deep)
  np.testing.assert_array_equal(images.read_image(tmp_path / 'x.png'), COLOR)


@pytest.mark.parametrize('mode', ['RGBA', 'P', '1', 'LA'])
def test_alpha_and_palettes_give_gray_or_rgb(tmp_path, mode):
  Image.fromarray(COLOR).convert(mode).save(tmp_path / 'x.png')
  back = images.read_image(tmp_path / 'x.png')
  assert back.dtype == np.uint8
  assert back.shape[-1] in (1, 3)
  expected = np.asarray(Image.open(tmp_path / 'x.png').convert('RGB'))
  np.testing.assert_array_equal(np.broadcast_to(back, expected.shape), expected)


@pytest.mark.parametrize('ending', ['jpg', 'png', 'tif', 'bmp', 'webp'])
@pytest.mark.parametrize('share', [0.0, 0.6])
def test_a_damaged_picture_is_named(tmp_path, ending, share):
  path = tmp_path / f'broken.{ending}'
  images.write_image(path, np.random.default_rng(0).integers(0, 255, (40, 40, 3), dtype=np.uint8))
  path.write_bytes(path.read_bytes()[:int(share * path.stat().st_size)])
  with pytest.raises(images.UnreadableFrame, match=f'broken.{ending} cannot be decoded'):
    images.read_image(path)


def test_values_that_are_not_8_or_16_bits_are_refused(tmp_path):
  cv2.imwrite(str(tmp_path / 'kelvin.tif'), RAMP.astype(np.float32))
  with pytest.raises(images.UnreadableFrame, match='kelvin.tif holds float32'):
    images.read_image(tmp_path / 'kelvin.tif')


def test_a_missing_picture_is_named(tmp_path):
  with pytest.raises(FileNotFoundError, match='nowhere.png'):
    images.read_image(tmp_path / 'nowhere.png')


def test_an_interrupted_write_leaves_the_old_picture(tmp_path, monkeypatch):
  images.write_image(tmp_path / 'x.png', RAMP)

  def fail(*_):
    raise OSError('disk full')
  monkeypatch.setattr(os, 'replace', fail)
  with pytest.raises(OSError, match='disk full'):
    images.write_image(tmp_path / 'x.png', 255 - RAMP)
  np.testing.assert_array_equal(images.read_image(tmp_path / 'x.png'), RAMP)


def test_an_unknown_ending_is_refused(tmp_path):
  with pytest.raises(ValueError, match='pictures are written as'):
    images.write_image(tmp_path / 'x.xyz', RAMP)


def test_hidden_files_and_other_endings_are_no_pictures():
  assert images.is_image('a/b.JpG')
  assert not images.is_image('a/.b.jpg')
  assert not images.is_image('a/b.txt')


def test_resize_is_pillows_bicubic():
  expected = np.asarray(Image.fromarray(COLOR).resize((7, 5), Image.Resampling.BICUBIC))
  np.testing.assert_array_equal(resize.resize_frame(COLOR, (5, 7)), expected)


def test_resize_of_16_bits_is_the_same_filter_as_of_8():
  noise = np.random.default_rng(0).integers(60, 180, (24, 20, 1), dtype=np.uint8)
  deep = resize.resize_frame(noise.astype(np.uint16) * 256, (9, 11))
  assert deep.dtype == np.uint16
  np.testing.assert_allclose(deep / 256, resize.resize_frame(noise, (9, 11)), atol=0.75)


def test_resize_of_16_bits_clips_what_overshoots():
  edge = np.zeros((8, 8, 1), np.uint16)
  edge[:, 4:] = 65535
  big = resize.resize_frame(edge, (32, 32))
  assert big[0, 0] == 0
  assert big[0, -1] == 65535
  assert np.all(np.diff(big[0, 14:18, 0].astype(int)) > 0)


def test_shrinking_averages_so_that_a_checkerboard_turns_gray():
  board = (np.indices((32, 32)).sum(0) % 2 * 255).astype(np.uint8)[..., None]
  small = resize.resize_frame(board, (8, 8))
  assert 120 < small.min() <= small.max() < 135


def test_labels_are_resized_by_the_nearest_pixel():
  label = np.array([[1, 7], [9, 255]], np.uint8)
  doubled = np.kron(label, np.ones((2, 2)))
  np.testing.assert_array_equal(resize.resize_labels(label, (4, 4)), doubled)


@pytest.mark.parametrize(('rule', 'train', 'test'), [
    ('square', (40, 40), (32, 32)),
    ('width', (32, 40), (8, 32)),       # 12 rows are too few for the crop; 9.6 rows
    ('none', (30, 100), (30, 100)),
])
def test_sizes_of_a_wide_frame(rule, train, test):
  data = defaults.data()
  data.update(load_size=40, crop_size=32, resize=rule)
  assert resize.train_size((30, 100), data) == train
  assert resize.test_size((30, 100), data) == test


def test_an_unknown_resize_rule_is_refused():
  data = defaults.data()
  data.resize = 'fit'
  with pytest.raises(ValueError, match='square, width or none'):
    resize.train_size((30, 100), data)


def test_the_range_of_8_bits_is_0_to_255():
  np.testing.assert_array_equal(thermal.value_range([RAMP], '100,200'), [0, 255])


def test_the_range_of_a_clip_is_its_percentiles_over_the_sample():
  values = np.random.default_rng(0).integers(3000, 9000, (4, 50, 50, 1)).astype(np.uint16)
  expected = np.percentile(values, [1, 99], method='inverted_cdf')
  np.testing.assert_allclose(thermal.value_range(values, 'clip'), expected, atol=8)


def test_at_most_64_frames_are_looked_at():
  stream = iter([DEEP] * 100)
  thermal.value_range(stream, 'clip')
  assert len(list(stream)) == 100 - thermal.RANGE_FRAMES


def test_a_constant_clip_has_a_range_that_is_not_empty():
  low, high = thermal.value_range([np.full((4, 4, 1), 500, np.uint16)], 'clip')
  assert low == 500
  assert high == 501


@pytest.mark.parametrize(('rule', 'expected'), [('dtype', (0, 65535)), ('7000,9500', (7000, 9500)),
                                              ((7000.0, 9500.0), (7000, 9500))])
def test_fixed_ranges(rule, expected):
  np.testing.assert_array_equal(thermal.value_range([DEEP], rule), expected)


@pytest.mark.parametrize('rule', ['clips', '5', '9,3', '1,2,3', ''])
def test_an_unknown_thermal_range_is_refused(rule):
  with pytest.raises(ValueError, match='LOW,HIGH'):
    thermal.thermal_rule(rule)


def test_the_rule_frame_spreads_each_frame_by_itself():
  dim, bright = DEEP, DEEP // 2 + 20000
  spread = [thermal.stretch(x, 'frame') for x in (dim, bright)]
  assert all(x.min() == 0 and x.max() == 65535 for x in spread)
  np.testing.assert_allclose(spread[0], spread[1].astype(float), atol=200)
  assert thermal.stretch(dim, 'clip') is dim


def test_pictures_with_names_outside_ascii_are_read(tmp_path):
  path = tmp_path / 'wärme_夜.png'
  images.write_image(path, RAMP)
  np.testing.assert_array_equal(images.read_image(path), RAMP)


def test_colors_are_in_the_order_of_other_programs(tmp_path):
  Image.fromarray(COLOR).save(tmp_path / 'x.png')
  np.testing.assert_array_equal(images.read_image(tmp_path / 'x.png'), COLOR)

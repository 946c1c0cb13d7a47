"""Contact sheets."""

import cv2
import numpy as np
import pytest

from i2vjax.run import contact_sheet


def pictures(count, height, width, channels=3, value=100):
  return np.full((count, height, width, channels), value, np.uint8)


def test_sheet_holds_every_picture_at_its_place():
  rows = {'source': pictures(2, 64, 80, value=10), 'translated': pictures(2, 64, 80, value=20)}
  sheet = contact_sheet.contact_sheet(rows)
  assert sheet.dtype == np.uint8
  assert (sheet == 10).all(-1).sum() == 2 * 64 * 80
  assert (sheet == 20).all(-1).sum() == 2 * 64 * 80
  top = np.argwhere((sheet == 10).all(-1))[:, 0].max()
  assert top < np.argwhere((sheet == 20).all(-1))[:, 0].min()


def test_rows_may_differ_in_channels_and_number():
  rows = {'gray': pictures(1, 64, 64, 1, 7), 'rgb': pictures(3, 64, 64, 3, 9)}
  sheet = contact_sheet.contact_sheet(rows)
  assert (sheet == 7).all(-1).sum() == 64 * 64
  assert (sheet == 9).all(-1).sum() == 3 * 64 * 64


def test_label_is_drawn():
  blank = contact_sheet.contact_sheet({' ': pictures(1, 64, 64)})
  labeled = contact_sheet.contact_sheet({'source': pictures(1, 64, 64)})
  assert blank.shape == labeled.shape
  assert (blank[:26] != labeled[:26]).any()


def test_small_pictures_are_enlarged_by_whole_pixels():
  image = np.arange(16 * 16, dtype=np.uint8).reshape(1, 16, 16, 1) % 200
  sheet = contact_sheet.contact_sheet({'x': image})
  block = sheet[26:26 + 64, 6:6 + 64, 0]
  np.testing.assert_array_equal(block, np.kron(image[0, ..., 0], np.ones((4, 4), np.uint8)))


def test_sixteen_bits_are_stretched():
  frame = np.linspace(7000, 7200, 64 * 64).reshape(64, 64, 1).astype(np.uint16)
  shown = contact_sheet.to_rgb(frame)
  assert shown.dtype == np.uint8
  assert shown.min() == 0
  assert shown.max() == 255


def test_no_pictures_is_refused():
  with pytest.raises(ValueError, match='at least one'):
    contact_sheet.contact_sheet({'source': []})


@pytest.mark.parametrize('shape', [(5, 7), (5, 7, 1), (5, 7, 3)])
@pytest.mark.parametrize('dtype', [np.uint8, np.uint16])
def test_png_round_trip(tmp_path, shape, dtype):
  image = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape).astype(dtype)
  contact_sheet.save_png(tmp_path / 'deep' / 'x.png', image)
  read = cv2.imread(str(tmp_path / 'deep' / 'x.png'), cv2.IMREAD_UNCHANGED)
  read = read[..., ::-1] if image.ndim == 3 and shape[-1] == 3 else read.reshape(shape)
  np.testing.assert_array_equal(read, image)
  assert read.dtype == dtype

"""Radiometric JPEG: temperatures of FLIR, what is said of DJI and without the library."""

import builtins

import numpy as np
import pytest
import thermal_files

from i2vjax import defaults
from i2vjax.core.errors import UserError
from i2vjax.data.io import images, radiometric
from i2vjax.data.prepare import prepare

KELVIN = np.linspace(280, 320, 12 * 16).reshape(12, 16)
RAW = thermal_files.raw_of(KELVIN)


@pytest.fixture
def no_flyr(monkeypatch):
  real = builtins.__import__

  def without(name, *args, **kwargs):
    if name == 'flyr':
      raise ImportError(name)
    return real(name, *args, **kwargs)
  monkeypatch.setattr(builtins, '__import__', without)


def test_flir_is_read_as_hundredths_of_a_kelvin(tmp_path):
  """By Planck's law, worked here from the constants in the file."""
  pytest.importorskip('flyr')
  thermal_files.flir_jpeg(tmp_path / 'x.jpg', RAW)
  frame = images.read_image(tmp_path / 'x.jpg')
  assert (frame.shape, frame.dtype) == ((12, 16, 1), np.uint16)
  expected = np.rint(100 * thermal_files.kelvin_of(RAW))
  assert np.abs(frame[..., 0] - expected).max() <= 1   # the file holds the constants in 32 bits
  assert np.abs(frame[..., 0] / 100 - KELVIN).max() < 0.03


def test_raw_values_in_several_segments(tmp_path):
  pytest.importorskip('flyr')
  raw = np.tile(RAW, (15, 12))                 # 180 x 192 pixels: 69 kB
  thermal_files.flir_jpeg(tmp_path / 'x.jpg', raw)
  frame = images.read_image(tmp_path / 'x.jpg')[..., 0]
  np.testing.assert_array_equal(frame[-12:, -16:], frame[:12, :16])
  assert frame.shape == (180, 192)


def test_hotter_than_16_bits_hold_is_said(tmp_path):
  pytest.importorskip('flyr')
  thermal_files.flir_jpeg(tmp_path / 'x.jpg', thermal_files.raw_of(np.full((4, 4), 700.0)))
  with pytest.warns(UserWarning, match=r'700 K; 16 bits hold up to 655.35 K'):
    assert images.read_image(tmp_path / 'x.jpg').min() == 65535


def test_without_the_library_the_remedies_are_named(tmp_path, no_flyr):
  thermal_files.flir_jpeg(tmp_path / 'x.jpg', RAW)
  with pytest.raises(UserError, match=r'x.jpg.*FLIR.*i2vjax\[thermal\].*--as_drawn'):
    images.read_image(tmp_path / 'x.jpg')


def test_dji_is_recognized_and_refused_with_a_remedy(tmp_path):
  thermal_files.dji_jpeg(tmp_path / 'x.jpg', np.zeros((128, 160), np.uint16))
  with pytest.raises(UserError, match=r'DJI.*round\(100 \* kelvin\).*dji-thermal-cli.*--as_drawn'):
    images.read_image(tmp_path / 'x.jpg')


def test_flir_cameras_under_drones_of_dji_are_read(tmp_path):
  pytest.importorskip('flyr')
  thermal_files.flir_jpeg(tmp_path / 'x.jpg', RAW, make='DJI')
  assert images.read_image(tmp_path / 'x.jpg').dtype == np.uint16


def test_photographs_of_dji_stay_photographs(tmp_path):
  thermal_files.dji_jpeg(tmp_path / 'x.jpg', np.zeros((4, 4), np.uint16))   # no room for a frame
  assert images.read_image(tmp_path / 'x.jpg').shape == (4, 4, 3)


def test_a_file_cut_short_is_a_damaged_frame(tmp_path):
  pytest.importorskip('flyr')
  thermal_files.flir_jpeg(tmp_path / 'x.jpg', RAW)
  data = bytearray((tmp_path / 'x.jpg').read_bytes())
  place = data.index(b'FFF\0') + 64
  data[place:place + 2] = b'\0\7'                # no record of raw values
  (tmp_path / 'x.jpg').write_bytes(data)
  with pytest.raises(images.UnreadableFrame, match='x.jpg: its thermal part'):
    images.read_image(tmp_path / 'x.jpg')


def test_the_size_is_that_of_the_sensor(tmp_path):
  pytest.importorskip('flyr')
  thermal_files.flir_jpeg(tmp_path / 'x.jpg', RAW, np.zeros((48, 64, 3), np.uint8))
  assert images.picture_size(tmp_path / 'x.jpg') == (12, 16)


def test_the_sensors_frame_is_turned_as_the_picture_is(tmp_path):
  pytest.importorskip('flyr')
  thermal_files.flir_jpeg(tmp_path / '0.jpg', RAW)
  thermal_files.flir_jpeg(tmp_path / '6.jpg', RAW, orientation=6)
  np.testing.assert_array_equal(images.read_image(tmp_path / '6.jpg'),
                                np.rot90(images.read_image(tmp_path / '0.jpg'), -1))


def test_prepare_writes_temperatures_as_16_bit_png(tmp_path):
  pytest.importorskip('flyr')
  (tmp_path / 'in').mkdir()
  for k in range(2):
    thermal_files.flir_jpeg(tmp_path / 'in' / f'{k}.jpg', RAW)
  prepare.footage(str(tmp_path / 'in'), str(tmp_path / 'out'), defaults.data(), show=False)
  assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == ['0.png', '1.png']
  np.testing.assert_array_equal(images.read_image(tmp_path / 'out' / '1.png'),
                                images.read_image(tmp_path / 'in' / '1.jpg'))


def test_prepare_as_drawn_needs_no_library(tmp_path, no_flyr):
  (tmp_path / 'in').mkdir()
  drawn = np.full((24, 32, 3), (200, 30, 60), np.uint8)
  thermal_files.flir_jpeg(tmp_path / 'in' / '0.jpg', RAW, drawn)
  prepare.footage(str(tmp_path / 'in'), str(tmp_path / 'out'), defaults.data(), show=False,
                  as_drawn=True)
  frame = images.read_image(tmp_path / 'out' / '0.png')
  assert frame.shape == (24, 32, 3)
  assert radiometric.kind_of(np.fromfile(tmp_path / 'out' / '0.png', np.uint8)) == ''
  np.testing.assert_allclose(frame, drawn, atol=3)

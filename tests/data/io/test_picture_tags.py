"""What a picture file says about how it is shown is followed, or refused by name."""

import re
import struct

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from i2vjax.core import notes
from i2vjax.core.errors import UserError
from i2vjax.data.annotations import label_files
from i2vjax.data.io import images, picture_tags

GRAY = np.add.outer(9 * np.arange(4), np.arange(6)).astype(np.uint8)
COLOR = np.dstack([np.kron(GRAY, np.ones((8, 8), np.uint8))] * 3)
# What the eight orientations of Exif make of a stored picture
SHOWN = {1: lambda x: x, 2: np.fliplr, 3: lambda x: np.rot90(x, 2), 4: np.flipud,
         5: lambda x: np.swapaxes(x, 0, 1), 6: lambda x: np.rot90(x, -1),
         7: lambda x: np.rot90(np.swapaxes(x, 0, 1), 2), 8: lambda x: np.rot90(x, 1)}


def write_tiff(path, values, bits=8, polarity=1, orientation=1):
  """A gray TIFF [H, W] with packed values, as a camera would write it."""
  rows = [''.join(f'{value:0{bits}b}' for value in row) for row in values]
  if bits == 16:
    data = values.astype('<u2').tobytes()
  else:
    data = b''.join(int(row, 2).to_bytes(len(row) // 8, 'big') for row in rows)
  tags = [(256, 3, values.shape[1]), (257, 3, values.shape[0]), (258, 3, bits), (259, 3, 1),
          (262, 3, polarity), (273, 4, 8), (274, 3, orientation), (277, 3, 1),
          (278, 3, values.shape[0]), (279, 4, len(data))]
  entries = b''.join(struct.pack('<HHII', tag, kind, 1, value) for tag, kind, value in tags)
  path.write_bytes(b'II' + struct.pack('<HI', 42, 8 + len(data)) + data
                   + struct.pack('<H', len(tags)) + entries + bytes(4))
  return path


@pytest.mark.parametrize('orientation', SHOWN)
@pytest.mark.parametrize('ending', ['jpg', 'png', 'webp'])
def test_orientation_is_followed(tmp_path, ending, orientation):
  exif = Image.Exif()
  exif[274] = orientation
  path = tmp_path / f'x.{ending}'
  Image.fromarray(COLOR).save(path, exif=exif, **({} if ending == 'png' else {'quality': 100}))
  shown = images.read_image(path)
  np.testing.assert_allclose(shown.astype(int), SHOWN[orientation](COLOR), atol=3)
  assert images.picture_size(path) == shown.shape[:2]
  with Image.open(path) as other:     # the judge: what Pillow makes of the same file
    np.testing.assert_allclose(shown.astype(int), np.asarray(ImageOps.exif_transpose(other)),
                               atol=3)


@pytest.mark.parametrize('orientation', SHOWN)
@pytest.mark.parametrize('bits', [8, 16])
def test_orientation_of_tiff_is_followed(tmp_path, bits, orientation):
  path = write_tiff(tmp_path / 'x.tif', GRAY, bits, orientation=orientation)
  shown = images.read_image(path)
  np.testing.assert_array_equal(shown[..., 0], SHOWN[orientation](GRAY))
  assert images.picture_size(path) == shown.shape[:2]


def test_orientation_of_class_maps_is_followed(tmp_path):
  exif = Image.Exif()
  exif[274] = 6
  Image.fromarray(GRAY).save(tmp_path / 'x.png', exif=exif)
  np.testing.assert_array_equal(label_files.read(tmp_path / 'x.png'), np.rot90(GRAY, -1))


@pytest.mark.parametrize(('bits', 'white'), [(1, 255), (8, 255), (10, 1023 * 64), (12, 4095 * 16),
                                             (14, 16383 * 4), (16, 65535)])
def test_white_is_zero_is_turned_round_at_every_depth(tmp_path, bits, white):
  values = np.arange(32).reshape(4, 8) * 7 % 2 ** bits
  black_is_zero = images.read_image(write_tiff(tmp_path / 'x.tif', values, bits, 1))
  white_is_zero = images.read_image(write_tiff(tmp_path / 'y.tif', values, bits, 0))
  assert black_is_zero.max() > black_is_zero.min() == 0 and white_is_zero.max() == white
  np.testing.assert_array_equal(black_is_zero.astype(int) + white_is_zero, white)


def test_white_is_zero_of_every_page(tmp_path):
  Image.fromarray(GRAY.astype(np.uint16)).save(
      tmp_path / 'x.tif', save_all=True, append_images=[Image.fromarray(GRAY.astype(np.uint16))],
      tiffinfo={262: 0})
  pages = list(images.read_pages(tmp_path / 'x.tif'))
  assert len(pages) == 2
  for page in pages:
    np.testing.assert_array_equal(page[..., 0], 65535 - GRAY.astype(int))


@pytest.mark.parametrize(('name', 'content', 'expected'), [
    ('x.pgm', b'P5\n# a remark 7\n4 1\n63\n' + bytes([0, 21, 42, 63]), [0, 85, 170, 255]),
    ('x.pgm', b'P2\n4 1\n63\n0 21 42 63\n', [0, 85, 170, 255]),
    ('x.ppm', b'P6\n1 1\n63\n' + bytes([63, 21, 0]), [255, 85, 0]),
    ('x.ppm', b'P6\n1 1\n4095\n' + np.array([4095, 1365, 0], '>u2').tobytes(), [255, 85, 0]),
    # counts of a thermal camera, which data.thermal_range spreads
    ('x.pgm', b'P5\n4 1\n16383\n' + np.array([0, 5, 9000, 16383], '>u2').tobytes(),
     [0, 5, 9000, 16383]),
])
def test_the_maximum_of_pgm_and_ppm_is_white(tmp_path, name, content, expected):
  (tmp_path / name).write_bytes(content)
  np.testing.assert_array_equal(images.read_image(tmp_path / name).ravel(), expected)


@pytest.mark.parametrize('ending', ['webp', 'png'])
def test_an_animation_is_refused_by_name(tmp_path, ending):
  path = tmp_path / f'x.{ending}'
  Image.fromarray(COLOR).save(path, save_all=True, append_images=[Image.fromarray(255 - COLOR)])
  with pytest.raises(images.UnreadableFrame, match=f'x.{ending} is an animation'):
    images.read_image(path)


def test_a_chain_of_pages_that_leads_back_ends(tmp_path):
  path = write_tiff(tmp_path / 'x.tif', GRAY)
  data = path.read_bytes()
  path.write_bytes(data[:-4] + data[4:8])          # the next page is the first
  assert images.picture_size(path) == GRAY.shape


def test_pictures_without_tags_cost_no_second_opening(tmp_path, monkeypatch):
  cv2.imwrite(str(tmp_path / 'x.jpg'), COLOR)
  monkeypatch.setattr(Image, 'open', None)
  assert images.read_image(tmp_path / 'x.jpg').shape == COLOR.shape


def netpbm(kind, maximum, values, head=b'\n'):
  """A PBM, PGM or PPM of 4 x 2 pixels."""
  top = b'P%d' % kind + head + b'4 2\n' + (b'%d\n' % maximum if kind in (2, 3, 5, 6) else b'')
  if kind < 4:
    return top + b' '.join(b'%d' % value for value in values) + b'\n'
  if kind == 4:
    return top + bytes(values)
  return top + np.array(values, '>u2' if maximum > 255 else 'u1').tobytes()


@pytest.mark.parametrize(('kind', 'maximum', 'values'), [
    (1, 1, [0, 1] * 4), (2, 255, range(8)), (3, 255, range(24)), (4, 1, [0x50, 0xA0]),
    (5, 255, range(8)), (5, 16383, range(3000, 3008)), (6, 255, range(24)), (6, 1023, range(24)),
    (5, 255, b'P5 4 2\n\xff'),       # values that look like a head
])
def test_a_second_picture_in_a_pgm_is_not_dropped(tmp_path, kind, maximum, values):
  path = tmp_path / 'x.pgm'
  first = netpbm(kind, maximum, list(values), b' # P5 a remark\n')
  for alone in (first, first + b'\n', first + (b'\0\0' if kind > 3 else b'# P5 4 2\n')):
    path.write_bytes(alone)
    assert images.read_image(path).shape[:2] == (2, 4)
  for between in (b'', b'\n'):
    path.write_bytes(first + between + netpbm(kind, maximum, list(values)))
    with pytest.raises(images.UnreadableFrame, match='x.pgm holds several pictures.*pnmsplit'):
      images.read_image(path)
    [page] = images.read_pages(path)
    assert isinstance(page, images.UnreadableFrame)


def mpo(path, count, kind=b'\0\0\0'):
  """A JPEG of several pictures; kind: number of MPO for those behind the first, little endian."""
  first, *others = [Image.fromarray(COLOR + 9 * k) for k in range(count)]
  first.save(path, 'MPO', save_all=True, append_images=others, quality=95)
  data = path.read_bytes()
  first = re.search(rb'\0\0\x03\0.{4}\0{8}', data, re.DOTALL).start()   # kind, size, place
  for place in range(first + 16, first + 16 * count, 16):
    assert data[place:place + 4] == bytes(4)
    data = data[:place] + kind + b'\0' + data[place + 4:]
  path.write_bytes(data)
  return path


def test_pictures_behind_the_first_of_a_jpeg_are_told_once_a_folder(tmp_path, monkeypatch, capsys):
  monkeypatch.setattr(notes, '_said', set())
  (tmp_path / 'other').mkdir()
  for name in ('a.jpg', 'b.jpg', 'other/c.jpg'):
    first = images.read_image(mpo(tmp_path / name, 3))
    np.testing.assert_allclose(first[..., 0], COLOR[..., 0], atol=6)
  said = capsys.readouterr().err
  assert 'a.jpg holds 3 pictures (MPO), of which the first is read' in said
  assert 'c.jpg holds 3' in said and 'b.jpg' not in said
  list(images.read_pages(mpo(tmp_path / 'd.jpg', 2)))
  assert capsys.readouterr().err == ''


def test_smaller_copies_behind_the_first_of_a_jpeg_are_no_pictures(tmp_path, monkeypatch, capsys):
  monkeypatch.setattr(notes, '_said', set())
  images.read_image(mpo(tmp_path / 'x.jpg', 2, b'\x02\0\x01'))      # for a screen of full HD
  Image.fromarray(COLOR).save(tmp_path / 'y.jpg', comment=b'MPF\0')
  images.read_image(tmp_path / 'y.jpg')
  assert capsys.readouterr().err == ''
  assert picture_tags.pictures_in(np.fromfile(mpo(tmp_path / 'z.jpg', 2), np.uint8)) == 2


@pytest.mark.parametrize('name', ['x.jpg', 'x.png', 'x.tif'])   # by content, not by name
def test_a_class_map_with_a_loss_is_refused(tmp_path, name):
  ids = Image.fromarray(np.kron(np.array([[0, 2], [13, 2]], np.uint8), np.ones((9, 9), np.uint8)))
  if name == 'x.tif':
    ids.save(tmp_path / name, compression='jpeg')
  else:
    ids.save(tmp_path / name, 'JPEG')
  with pytest.raises(UserError, match=f'{name} is compressed with a loss.*as PNG'):
    label_files.read(tmp_path / name)
  ids.save(tmp_path / 'y.tif', compression='tiff_lzw')
  np.testing.assert_array_equal(label_files.read(tmp_path / 'y.tif'), np.asarray(ids))


def test_a_class_map_of_several_frames_is_refused(tmp_path):
  Image.fromarray(GRAY).save(tmp_path / 'x.png', save_all=True,
                             append_images=[Image.fromarray(GRAY + 1)])
  with pytest.raises(UserError, match='x.png holds several pictures'):
    label_files.read(tmp_path / 'x.png')

"""Files of several pictures are never taken for their first."""

import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from i2vjax import defaults
from i2vjax.data.io import animation, images, tiff
from i2vjax.data.prepare import prepare

LEVELS = (0, 90, 200)


def animated(path, count=3):
  pictures = [Image.new('RGB', (16, 12), (x, x, 0)) for x in LEVELS[:count]]
  pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=40, **(
      {'lossless': True} if path.suffix == '.webp' else {}))
  return path


@pytest.mark.parametrize('ending', ['.png', '.webp', '.gif'])
def test_animations_are_counted_refused_as_frames_and_unpacked(tmp_path, ending):
  path = animated(tmp_path / f'x{ending}')
  assert animation.count_frames(np.fromfile(path, np.uint8)) == 3
  if ending != '.gif':      # GIF is no ending of frames
    with pytest.raises(images.UnreadableFrame, match='animation.*Unpack them'):
      images.read_image(path)
  done = prepare.footage(str(path), str(tmp_path / 'out'), defaults.data(), show=False)
  assert list(done.values()) == [(1, 3)]
  frames = [images.read_image(x) for x in sorted((tmp_path / 'out').iterdir())]
  assert [int(x[0, 0, 0]) for x in frames] == pytest.approx(LEVELS, abs=2)


def test_a_picture_that_stands_still_is_a_frame(tmp_path):
  for ending in ('.png', '.webp', '.gif'):
    path = animated(tmp_path / f'x{ending}', 1)
    assert animation.count_frames(np.fromfile(path, np.uint8)) == 1
  assert images.read_image(tmp_path / 'x.png').shape == (12, 16, 3)


def test_a_picture_before_an_animation_is_no_frame_of_it(tmp_path):
  pictures = [Image.new('L', (16, 12), x) for x in LEVELS]
  pictures[0].save(tmp_path / 'x.png', save_all=True, append_images=pictures[1:],
                   default_image=True)
  data = np.fromfile(tmp_path / 'x.png', np.uint8)
  assert animation.count_frames(data) == 2
  assert [int(x[0, 0, 0]) for x in animation.frames(data)] == [90, 200]


@pytest.mark.parametrize('ending', ['.png', '.webp', '.gif'])
def test_animations_that_are_cut_short_are_counted_without_an_error(tmp_path, ending):
  data = np.fromfile(animated(tmp_path / f'x{ending}'), np.uint8)
  assert {animation.count_frames(data[:k]) for k in range(len(data))} <= {1, 2, 3}


def test_a_folder_of_gif_says_how_to_unpack_them(tmp_path):
  animated(tmp_path / 'x.gif')
  for place in (tmp_path, tmp_path / 'x.gif'):
    with pytest.raises((FileNotFoundError, ValueError), match=r'prepare --input \S*x.gif'):
      prepare.footage(str(place) if place == tmp_path else f'{place}*', str(tmp_path / 'o'),
                      defaults.data(), show=False)


def test_pages_of_a_big_tiff_are_counted(tmp_path):
  pages = [np.full((8, 9), 1000 * k, np.uint16) for k in range(3)]
  pictures = [Image.fromarray(x) for x in pages]
  path = tmp_path / 'big.tif'
  pictures[0].save(path, save_all=True, append_images=pictures[1:], big_tiff=True)
  data = np.fromfile(path, np.uint8)
  assert data[2] == 43           # BigTIFF
  assert len(tiff.frame_places(tiff.directories(data.tobytes()))) == 3
  with pytest.raises(images.UnreadableFrame, match='3 pages'):
    images.read_image(path)
  read = list(images.read_pages(path))
  assert [int(x[0, 0, 0]) for x in read] == [0, 1000, 2000]


def test_a_damaged_page_is_skipped_or_stops(tmp_path):
  path = tmp_path / 'x.tif'
  cv2.imwritemulti(str(path), [np.full((64, 64), 1000 * k, np.uint16) for k in range(3)],
                   [cv2.IMWRITE_TIFF_COMPRESSION, 1])
  found = iter([np.zeros((4, 4, 1), np.uint8), images.UnreadableFrame('page 1'),
                np.ones((4, 4, 1), np.uint8)])
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(images, 'read_pages', lambda path, as_drawn: found)
    done = prepare.footage(str(path), str(tmp_path / 'o'), defaults.data(), on_damage='skip',
                           show=False)
    assert list(done.values()) == [(1, 2)]
    broken = images.UnreadableFrame('page 0')
    patch.setattr(images, 'read_pages', lambda path, as_drawn: iter([broken]))
    with pytest.raises(images.UnreadableFrame, match='page 0.*on_damage=skip'):
      prepare.footage(str(path), str(tmp_path / 'p'), defaults.data(), show=False)


def animated_16_bits(path, kind, values):
  """An animated PNG of 16 bits (kind 0 gray, 2 color, 4 gray with alpha), one frame per value."""
  def part(name, content):
    check = struct.pack('>I', zlib.crc32(name + content))
    return struct.pack('>I', len(content)) + name + content + check
  bands = {0: 1, 2: 3, 4: 2}[kind]
  data = animation.PNG + part(b'IHDR', struct.pack('>IIBBBBB', 3, 2, 16, kind, 0, 0, 0))
  data += part(b'acTL', struct.pack('>II', len(values), 0))
  for k, value in enumerate(values):
    rows = (b'\0' + struct.pack('>H', value) * 3 * bands) * 2
    control = struct.pack('>IIIIIHHBB', max(2 * k - 1, 0), 3, 2, 0, 0, 1, 10, 0, 0)
    number = struct.pack('>I', 2 * k) if k else b''
    data += part(b'fcTL', control) + part(b'fdAT' if k else b'IDAT', number + zlib.compress(rows))
  path.write_bytes(data + part(b'IEND', b''))
  return path


def test_an_animation_of_16_bit_gray_keeps_its_counts(tmp_path):
  path = animated_16_bits(tmp_path / 'x.png', 0, (2000, 7300, 65535))
  prepare.footage(str(path), str(tmp_path / 'out'), defaults.data(), show=False)
  frames = [images.read_image(x) for x in sorted((tmp_path / 'out').iterdir())]
  assert [(x.dtype, x.shape, int(x[0, 0, 0])) for x in frames] == [
      (np.uint16, (2, 3, 1), value) for value in (2000, 7300, 65535)]


@pytest.mark.parametrize('kind', [2, 4])
def test_an_animation_that_would_be_cut_to_8_bits_is_refused(tmp_path, kind):
  path = animated_16_bits(tmp_path / 'x.png', kind, (2000, 7300))
  with pytest.raises(images.UnreadableFrame, match='x.png is an animation of 2 .*8 bits.*ffmpeg'):
    prepare.footage(str(path), str(tmp_path / 'out'), defaults.data(), show=False)

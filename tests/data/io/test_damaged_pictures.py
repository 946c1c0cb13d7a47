"""Pictures that state too much, stop too early, or are something else."""

import io
import os
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from i2vjax.data.annotations import edge_maps, label_files
from i2vjax.data.io import animation, images, picture_heads
from i2vjax.data.transforms import shaping

SIDE = 100_000          # 100,000 x 100,000 pixels: 30 GB
GRAY = np.arange(96, dtype=np.uint8).reshape(8, 12, 1)


def bytes_of(kind, frame=GRAY, **options):
  file = io.BytesIO()
  Image.fromarray(frame[..., 0] if frame.shape[-1] == 1 else frame).save(file, kind, **options)
  return file.getvalue()


def chunk(kind, content):
  return (struct.pack('>I', len(content)) + kind + content
          + struct.pack('>I', zlib.crc32(kind + content)))


def huge_png():
  head = chunk(b'IHDR', struct.pack('>IIBBBBB', SIDE, SIDE, 8, 2, 0, 0, 0))
  return picture_heads.SIGNATURES['PNG'][0] + head + bytes_of('png')[33:]


def with_number(data, place, form, *values):
  data = bytearray(data)
  struct.pack_into(form, data, place, *values)
  return bytes(data)


def huge_jpeg():
  data = bytes_of('jpeg')
  return with_number(data, data.find(b'\xff\xc0') + 5, '>HH', 65500, 65500)


def huge_tiff(**options):
  """Of several pages the second is huge."""
  data = bytes_of('tiff', **options)
  tags = [place for place in range(len(data) - 12)
          if struct.unpack_from('<HHI', data, place) in ((256, 3, 1), (257, 3, 1), (256, 4, 1),
                                                         (257, 4, 1))]
  for place in tags[-2:]:
    data = with_number(with_number(data, place + 2, '<H', 4), place + 8, '<I', SIDE)
  return data


HUGE = {
    'png': huge_png, 'jpg': huge_jpeg, 'tif': huge_tiff,
    'bmp': lambda: with_number(with_number(bytes_of('bmp'), 18, '<i', SIDE), 22, '<i', -SIDE),
    'pgm': lambda: b'P5 # a comment\n100000 100000\n255\n' + bytes(96),
    'webp': lambda: b'RIFF\0\0\0\0WEBPVP8L\0\0\0\0\x2f' + b'\xff' * 40}


@pytest.mark.parametrize('ending', HUGE)
def test_a_size_that_no_frame_has_is_refused_before_anything_is_decoded(ending, tmp_path,
                                                                         monkeypatch):
  path = tmp_path / f'x.{ending}'
  path.write_bytes(HUGE[ending]())
  monkeypatch.setattr(cv2, 'imdecode', lambda *_: pytest.fail('it was decoded'))
  for read in (images.read_image, images.picture_size, label_files.read):
    with pytest.raises(images.UnreadableFrame, match=rf'x.{ending} states \d+x\d+ pixels'):
      read(path)


def test_a_huge_page_among_others_is_named_and_the_others_are_read(tmp_path):
  pages = [Image.fromarray(GRAY[..., 0])] * 2
  path = tmp_path / 'x.tif'
  path.write_bytes(huge_tiff(save_all=True, append_images=pages[1:]))
  first, second = images.read_pages(path)
  np.testing.assert_array_equal(first, GRAY)
  assert 'page 1 (from 0) cannot be decoded' in str(second)


@pytest.mark.parametrize(('kind', 'read'), [('jpeg', images.read_image), ('png', label_files.read)])
def test_a_picture_without_its_end_is_refused(kind, read, tmp_path):
  """OpenCV fills a JPEG up with gray, and says nothing."""
  path, data = tmp_path / f'x.{kind}', bytes_of(kind)
  for end in (len(data) - 2, len(data) * 2 // 3):
    path.write_bytes(data[:end])
    with pytest.raises(images.UnreadableFrame, match=f'x.{kind} cannot be decoded: it was cut'):
      read(path)
  path.write_bytes(data + b'rubbish')
  assert read(path).shape[:2] == (8, 12)


def test_a_jpeg_without_end_whose_preview_has_one_is_refused(tmp_path):
  data, preview = bytes_of('jpeg'), bytes_of('jpeg')
  segment = b'\xff\xe2' + struct.pack('>H', len(preview) + 2) + preview
  (tmp_path / 'x.jpg').write_bytes(data[:2] + segment + data[2:-2])
  with pytest.raises(images.UnreadableFrame, match='x.jpg cannot be decoded: it was cut'):
    images.read_image(tmp_path / 'x.jpg')
  (tmp_path / 'x.jpg').write_bytes(data[:2] + segment + data[2:])
  assert images.picture_size(tmp_path / 'x.jpg') == (8, 12)


@pytest.mark.parametrize('read', [images.read_image, label_files.read, edge_maps.read_edges,
                                  lambda path: shaping.read_label(path.read_bytes(), str(path))])
def test_ids_of_a_png_are_what_its_checksums_say(read, tmp_path):
  """Pillow reads zeros in coded pixels as other ids."""
  data, path = bytes_of('png'), tmp_path / 'x.png'
  place = data.find(b'IDAT') + 12
  path.write_bytes(data[:place] + bytes(4) + data[place + 4:])
  with pytest.raises(images.UnreadableFrame, match=r'x\.png cannot be decoded'):
    read(path)


@pytest.mark.parametrize('content', [
    b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\nshowpage\n', b'8BPS\0\1' + bytes(40),
    b'SIMPLE  =                    T' + b' ' * 2850, b'#?RADIANCE\n\n-Y 8 +X 8\n' + bytes(300)])
def test_other_formats_reach_no_decoder(content, tmp_path, monkeypatch):
  """Pillow would hand PostScript to a program, whatever the name of the file."""
  path = tmp_path / 'x.png'
  path.write_bytes(content)
  monkeypatch.setattr(cv2, 'imdecode', lambda *_: pytest.fail('it was decoded'))
  for read in (images.read_image, images.picture_size, label_files.read):
    with pytest.raises(images.UnreadableFrame, match=r'x\.png cannot be decoded'):
      read(path)


def test_an_animation_that_states_billions_of_frames_has_those_it_holds():
  frames = [Image.fromarray(GRAY[..., 0] + k) for k in range(3)]
  data = bytes_of('png', save_all=True, append_images=frames[1:])
  place = data.find(b'acTL')
  lie = chunk(b'acTL', struct.pack('>II', 2 ** 31 - 1, 0))
  data = np.frombuffer(data[:place - 4] + lie + data[place + 16:], np.uint8)
  assert animation.count_frames(data) <= 3
  assert len(list(animation.frames(data))) <= 3


@pytest.mark.parametrize('tag', [258, 262, 254, 274])
def test_tags_of_a_tiff_that_are_no_numbers_are_passed_over(tag, tmp_path):
  data = bytearray(bytes_of('tiff', GRAY.astype(np.uint16)))
  places = [k for k in range(8, len(data) - 12)
            if struct.unpack_from('<H', data, k) == (tag,) and data[k + 2] in (3, 4)]
  for place in places[:1]:
    struct.pack_into('<HI', data, place + 2, 2, 3)       # a text of three signs
  path = tmp_path / 'x.tif'
  path.write_bytes(data)
  try:
    assert images.read_image(path).shape[:2] == (8, 12)
  except images.UnreadableFrame as error:
    assert 'x.tif' in str(error)


@pytest.mark.parametrize('kind', [b'IDAT', b'tEXt', b'IEND', b'fdAT', b'acTL'])
@pytest.mark.parametrize('length', [0xFFFFFF7F, 2**31 - 1, 10**6])
def test_a_chunk_that_reaches_beyond_the_file_is_not_asked_for(tmp_path, monkeypatch, kind, length):
  """OpenCV fetches memory for what it states: seconds, and up to 4 GB."""
  monkeypatch.setattr(cv2, 'imdecode', lambda *_: pytest.fail('it was asked'))
  path = tmp_path / 'x.png'
  frames = [Image.fromarray(GRAY[..., 0] + k) for k in range(3)]
  frames[0].save(path, save_all=True, append_images=frames[1:])   # acTL, IDAT, fdAT, IEND
  data = path.read_bytes()
  data = data[:33] + chunk(b'tEXt', b'a\0b') + data[33:]
  path.write_bytes(with_number(data, data.find(kind) - 4, '>I', length))
  with pytest.raises(images.UnreadableFrame, match='x.png .*cut short'):
    images.read_image(path)


def test_what_is_no_file_is_refused_at_once(tmp_path):
  (tmp_path / 'folder.png').mkdir()
  (tmp_path / 'loop.png').symlink_to('loop.png')
  os.mkfifo(tmp_path / 'pipe.png')
  for name in ('folder', 'pipe'):
    with pytest.raises(FileNotFoundError, match=f'{name}.png'):
      images.read_image(tmp_path / f'{name}.png')
  with pytest.raises(images.UnreadableFrame, match='loop.png is a link to nothing'):
    images.read_image(tmp_path / 'loop.png')


def test_a_damaged_radiometric_jpeg_is_never_read_as_it_is_drawn(tmp_path):
  """Its temperatures are what is asked for, and 2**32 records would be looked for for minutes."""
  pytest.importorskip('flyr')
  import thermal_files
  path = tmp_path / 'x.jpg'
  thermal_files.flir_jpeg(path, np.full((8, 12), 15000, np.uint16))
  data = path.read_bytes()
  path.write_bytes(with_number(data, data.find(b'FFF\0') + 28, '>I', 2 ** 32 - 1))
  with pytest.raises(images.UnreadableFrame, match=r'x\.jpg: its thermal part'):
    images.read_image(path)

"""Uploads are known by their content; what is too large, too long or damaged is refused."""

import io
import pathlib
import struct

import av
import kinds_of_films
import numpy as np
import pytest
from PIL import Image, UnidentifiedImageError

from i2vjax.app import uploads
from i2vjax.core.errors import UserError
from i2vjax.data.io import images
from i2vjax.data.io.video_reader import VideoWriter

LIMITS = uploads.Limits(max_mb=1, max_seconds=2)


def film(path, frames=10, rate=10, size=(32, 48)):
  with VideoWriter(path, rate) as writer:
    for t in range(frames):
      writer.write(np.full((*size, 1), 20 * t % 255, np.uint8))
  return path


def copy_streams(path, out):
  with av.open(str(path)) as film:
    copy = out.add_stream_from_template(film.streams.video[0])
    for packet in film.demux(video=0):
      if packet.size:
        packet.stream = copy
        out.mux(packet)


def picture(kind, size=(48, 32)):
  out = io.BytesIO()
  Image.new('L', size, 90).save(out, kind)
  return out.getvalue()


def checked(path, limits=LIMITS):
  """What becomes of a file whose name says nothing."""
  return uploads.check(path.rename(path.with_name(uploads.NAME)), limits)


@pytest.mark.parametrize(('kind', 'ending'), [
    ('PNG', '.png'), ('JPEG', '.jpg'), ('TIFF', '.tif'), ('BMP', '.bmp'), ('WEBP', '.webp'),
    ('PPM', '.ppm'), ('MPO', '.jpg')])
def test_pictures_are_known_without_a_name(tmp_path, kind, ending):
  (tmp_path / 'x').write_bytes(picture(kind))
  upload = checked(tmp_path / 'x')
  assert (upload.film, upload.path.name) == (False, f'frame{ending}')
  assert images.read_image(upload.path).shape[:2] == (upload.height, upload.width) == (32, 48)


@pytest.mark.parametrize(('muxer', 'codec', 'ending'), [
    ('mp4', 'mpeg4', '.mp4'), ('matroska', 'mpeg4', '.mkv'), ('avi', 'mpeg4', '.avi'),
    ('mpeg', 'mpeg1video', '.mpg'), ('mpegts', 'mpeg2video', '.ts'), ('flv', 'flv', '.flv'),
    ('asf', 'wmv2', '.wmv'), ('ivf', 'libvpx', '.ivf'), ('nut', 'ffv1', '.nut'),
    ('mxf', 'mpeg2video', '.mxf'), ('ogg', 'libvpx', '.ogv'), ('dv', 'dvvideo', '.dv'),
    ('yuv4mpegpipe', 'wrapped_avframe', '.y4m'), ('obu', 'libsvtav1', '.obu')])
def test_films_that_translate_reads_are_known_without_a_name(tmp_path, muxer, codec, ending):
  kinds_of_films.write(tmp_path / 'x', muxer, codec)
  upload = checked(tmp_path / 'x', uploads.Limits())
  assert (upload.film, upload.frames, upload.path.name) == (True, 12, f'frame{ending}')


@pytest.mark.parametrize('cut', [100, 188 * 4 + 7])
def test_a_transport_stream_may_begin_anywhere(tmp_path, cut):
  with av.open(str(tmp_path / 'x.ts'), 'w') as out:
    copy_streams(film(tmp_path / 'x.mp4', frames=30), out)
  (tmp_path / 'x').write_bytes(bytes(cut) + (tmp_path / 'x.ts').read_bytes())
  assert checked(tmp_path / 'x', uploads.Limits()).path.suffix == '.ts'


@pytest.mark.parametrize('box', [
    b'', b'free', b'skip', b'wide', b'mdat', b'uuid', b'pnot', b'udta'])
def test_a_film_is_known_whatever_its_first_box(tmp_path, box):
  path, start = film(tmp_path / 'x.mp4', frames=3), b'\0\0\0\x18' + box + bytes(16)
  flags = {'movflags': 'empty_moov+frag_keyframe+default_base_moof'}   # places are relative
  with av.open(str(tmp_path / 'x.mov'), 'w', options=flags) as out:
    copy_streams(path, out)
  path.write_bytes((start if box else b'') + (tmp_path / 'x.mov').read_bytes())
  assert checked(path).frames == 3


@pytest.mark.parametrize(('kind', 'codec'), [
    ('h264', 'libx264'), ('hevc', 'libx265'), ('mpeg1video', 'mpeg1video'),
    ('mpeg2video', 'mpeg2video'), ('m4v', 'mpeg4')])
def test_films_without_a_container_are_known(tmp_path, kind, codec):
  kinds_of_films.write(tmp_path / 'x', kind, codec, frames=3, size=(64, 64))
  upload = checked(tmp_path / 'x')
  assert (upload.film, upload.width, upload.frames) == (True, 64, 3)


@pytest.mark.parametrize('content', [
    b'', b'hello', b'#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nother.ts\n#EXT-X-ENDLIST\n',
    b"ffconcat version 1.0\nfile 'other.ts'\n", b'<svg xmlns="http://www.w3.org/2000/svg"/>',
    b'%PDF-1.7', b'GIF89a' + bytes(40), b'RIFF\x10\0\0\0WAVEfmt ',
    b'<?xml version="1.0"?><MPD/>', (b'G' + bytes(187)) * 2])
def test_what_is_neither_is_refused(tmp_path, content):
  """A playlist would have FFmpeg read other files of the server, here one that is beside it."""
  with av.open(str(tmp_path / 'other.ts'), 'w') as out:
    copy_streams(film(tmp_path / 'x.mp4', frames=30), out)
  (tmp_path / 'x').write_bytes(content)
  with pytest.raises(UserError, match=r'^The upload .* Taken are films') as caught:
    checked(tmp_path / 'x')
  assert str(tmp_path) not in str(caught.value)


def test_several_pictures_in_one_file_are_refused_at_once(tmp_path):
  pages = [Image.new('L', (48, 32), 80 * k) for k in range(3)]
  pages[0].save(tmp_path / 'x', 'TIFF', save_all=True, append_images=pages[1:])
  with pytest.raises(UserError, match='The upload holds 3 pages, and a frame is one'):
    checked(tmp_path / 'x')


def test_a_tiff_that_begins_with_its_preview_has_the_size_of_its_picture(tmp_path):
  preview, full = Image.new('L', (12, 8)), Image.new('L', (48, 32))
  preview.encoderinfo, full.encoderinfo = {'tiffinfo': {254: 1}}, {}
  preview.save(tmp_path / 'x', 'TIFF', save_all=True, append_images=[full])
  upload = checked(tmp_path / 'x')
  assert str(upload) == 'picture, 48 × 32'
  assert images.read_image(upload.path).shape[:2] == (32, 48)


def test_a_film_says_what_it_is(tmp_path):
  upload = checked(film(tmp_path / 'x.mp4'))
  assert (upload.film, upload.width, upload.height, upload.frames) == (True, 48, 32, 10)
  assert str(upload) == 'film, 48 × 32, 10 frames, 1.0 s'


def test_a_picture_says_what_it_is(tmp_path):
  (tmp_path / 'x.png').write_bytes(picture('PNG'))
  upload = checked(tmp_path / 'x.png')
  assert not upload.film and str(upload) == 'picture, 48 × 32'


@pytest.mark.parametrize('content', [
    b'P5 3 2 255 ' + bytes(6), b'P5\n# counts\n3 2\n4095\n' + bytes(12), b'P6 3 2 255 ' + bytes(18),
    b'P2 3 2 255 1 2 3 4 5 6\n'])
def test_pgm_and_ppm_are_read(tmp_path, content):
  (tmp_path / 'x').write_bytes(content)
  upload = checked(tmp_path / 'x')
  assert str(upload) == 'picture, 3 × 2'
  assert images.read_image(upload.path).shape[:2] == (2, 3)


def test_tiff_that_pillow_does_not_know_are_read(tmp_path):
  path = tmp_path / 'x'
  path.write_bytes(big_endian_tiff({262: 0}))   # white as zero
  with pytest.raises(UnidentifiedImageError):
    Image.open(path)
  upload = checked(path)
  assert str(upload) == 'picture, 3 × 2'
  assert images.read_image(upload.path).shape[:2] == (2, 3)


def big_endian_tiff(more):
  """3 x 2 pixels of 16 bits."""
  tags = {256: 3, 257: 2, 258: 16, 259: 1, 273: 8, 277: 1, 278: 2, 279: 12, **more}
  data = bytes(12)
  return b''.join([
      b'MM\0*', struct.pack('>I', 8 + len(data)), data, struct.pack('>H', len(tags)),
      *(struct.pack('>HHIHH', tag, 3, 1, value, 0) for tag, value in sorted(tags.items())),
      bytes(4)])


@pytest.mark.parametrize('kind', ['JPEG', 'PNG', 'WEBP', 'TIFF'])
def test_the_size_of_a_turned_picture_is_that_as_shown(tmp_path, kind):
  exif = Image.Exif()
  exif[274] = 6
  Image.new('L', (48, 32)).save(tmp_path / 'x', kind, exif=exif)
  upload = checked(tmp_path / 'x')
  assert str(upload) == 'picture, 32 × 48'
  assert images.read_image(upload.path).shape[:2] == (48, 32)


@pytest.mark.parametrize('kind', ['PNG', 'TIFF'])
def test_far_too_many_pixels_are_called_so(tmp_path, kind):
  """Beyond what Pillow opens at all."""
  Image.new('1', (16000, 16000)).save(tmp_path / 'x', kind, compression='group4')
  with pytest.raises(UserError, match='states 16000x16000 pixels, and frames of at most'):
    checked(tmp_path / 'x', uploads.Limits(99))


def test_a_damaged_picture_is_called_so(tmp_path):
  (tmp_path / 'x.tif').write_bytes(b'II*\0' + bytes(3))
  with pytest.raises(UserError, match=r'The upload cannot be decoded \(7 bytes\): damaged'):
    checked(tmp_path / 'x.tif')


def test_a_long_film_is_refused(tmp_path):
  with pytest.raises(UserError, match='4 seconds are too long: films of at most 2 seconds'):
    checked(film(tmp_path / 'x.mp4', frames=40))


def test_a_large_file_is_refused(tmp_path):
  path = pathlib.Path(tmp_path / 'x.png')
  path.write_bytes(picture('PNG') + bytes(2_000_000))
  with pytest.raises(UserError, match='2 MB are too many: at most 1 MB'):
    checked(path)


def test_many_pixels_are_refused_without_decoding_them(tmp_path, monkeypatch):
  (tmp_path / 'x.png').write_bytes(picture('PNG', (5000, 3000)))
  monkeypatch.setattr(Image.Image, 'load', lambda self: pytest.fail('decoded'))
  with pytest.raises(UserError, match='5000 × 3000 pixels are too many'):
    checked(tmp_path / 'x.png')


def test_a_damaged_film_is_refused_without_a_path(tmp_path):
  path = film(tmp_path / 'x.mp4')
  path.write_bytes(path.read_bytes()[:200])
  with pytest.raises(UserError, match='^The upload has no video stream') as caught:
    checked(path)
  assert str(tmp_path) not in str(caught.value)

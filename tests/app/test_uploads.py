"""Uploads are known by their content; what is too large, too long or damaged is refused."""

import io
import pathlib
import struct

import av
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


@pytest.mark.parametrize(('kind', 'ending'), uploads.PICTURES.items())
def test_pictures_are_known_whatever_their_name(tmp_path, kind, ending):
  (tmp_path / 'film.mp4').write_bytes(picture(kind))
  assert uploads.ending_of(tmp_path / 'film.mp4') == ending


@pytest.mark.parametrize('ending', ['.mp4', '.mkv'])
def test_films_are_known_whatever_their_name(tmp_path, ending):
  path = film(tmp_path / f'film{ending}').rename(tmp_path / 'picture.png')
  assert uploads.ending_of(path) == ending


@pytest.mark.parametrize(('head', 'ending'), [
    (b'RIFF\x10\0\0\0AVI LIST', '.avi'), ((b'G' + bytes(187)) * 3, '.ts'),
    (b'\0\0\x01\xba' + bytes(20), '.mpg'), (b'FLV\x01' + bytes(20), '.flv'),
    ((bytes(4) + b'G' + bytes(187)) * 3, '.ts'), ((b'G' + bytes(203)) * 3, '.ts'),
    (((b'G' + bytes(187)) * 6)[100:], '.ts'), ((b'G' + bytes(187)) * 2, None)])
def test_other_containers_are_known_by_their_first_bytes(tmp_path, head, ending):
  (tmp_path / 'x').write_bytes(head)
  if ending:
    assert uploads.ending_of(tmp_path / 'x') == ending
  else:   # too few packets to tell
    with pytest.raises(UserError, match='neither a film'):
      uploads.ending_of(tmp_path / 'x')


@pytest.mark.parametrize('box', [
    b'', b'free', b'skip', b'wide', b'mdat', b'uuid', b'pnot', b'udta'])
def test_a_film_is_known_whatever_its_first_box(tmp_path, box):
  path, start = film(tmp_path / 'x.mp4', frames=3), b'\0\0\0\x18' + box + bytes(16)
  flags = {'movflags': 'empty_moov+frag_keyframe+default_base_moof'}   # places are relative
  with av.open(str(tmp_path / 'x.mov'), 'w', options=flags) as out:
    copy_streams(path, out)
  path.write_bytes((start if box else b'') + (tmp_path / 'x.mov').read_bytes())
  path = path.rename(tmp_path / f'y{uploads.ending_of(path)}')
  assert uploads.check(path, LIMITS).frames == 3


@pytest.mark.parametrize(('kind', 'codec'), [
    ('h264', 'libx264'), ('hevc', 'libx265'), ('mpeg1video', 'mpeg1video'),
    ('mpeg2video', 'mpeg2video'), ('m4v', 'mpeg4')])
def test_films_without_a_container_are_known(tmp_path, kind, codec):
  with av.open(str(tmp_path / 'x'), 'w', format=kind) as out:
    if codec not in av.codecs_available:
      pytest.skip(f'PyAV here has no {codec}')
    options = {'x265-params': 'log-level=none'} if codec == 'libx265' else {}
    stream = out.add_stream(codec, rate=25, options=options)
    stream.width = stream.height = 64
    frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 90, np.uint8))
    for packet in [p for _ in range(3) for p in stream.encode(frame)] + stream.encode():
      out.mux(packet)
  path = (tmp_path / 'x').rename(tmp_path / f'y{uploads.ending_of(tmp_path / "x")}')
  upload = uploads.check(path, LIMITS)
  assert (upload.film, upload.width, upload.frames) == (True, 64, 3)


@pytest.mark.parametrize('content', [
    b'', b'hello', b'#EXTM3U\nfile:///etc/passwd\n', b'ffconcat version 1.0\nfile /etc/passwd\n',
    b'<svg xmlns="http://www.w3.org/2000/svg"/>', b'%PDF-1.7', b'GIF89a' + bytes(40),
    b'RIFF\x10\0\0\0WAVEfmt ', b'<?xml version="1.0"?><MPD/>'])
def test_what_is_neither_is_refused_before_any_decoder_sees_it(tmp_path, content, monkeypatch):
  """A playlist would have FFmpeg read other files of the server."""
  monkeypatch.setattr(uploads.api, 'facts', lambda path: pytest.fail('opened by FFmpeg'))
  path = tmp_path / 'film.mp4'
  path.write_bytes(content)
  with pytest.raises(UserError, match='neither a film'):
    uploads.ending_of(path)


def test_a_film_says_what_it_is(tmp_path):
  upload = uploads.check(film(tmp_path / 'x.mp4'), LIMITS)
  assert (upload.film, upload.width, upload.height, upload.frames) == (True, 48, 32, 10)
  assert str(upload) == 'film, 48 × 32, 10 frames, 1.0 s'


def test_a_picture_says_what_it_is(tmp_path):
  (tmp_path / 'x.png').write_bytes(picture('PNG'))
  upload = uploads.check(tmp_path / 'x.png', LIMITS)
  assert not upload.film and str(upload) == 'picture, 48 × 32'


@pytest.mark.parametrize('content', [
    b'P5 3 2 255 ' + bytes(6), b'P5\n# counts\n3 2\n4095\n' + bytes(12), b'P6 3 2 255 ' + bytes(18),
    b'P2 3 2 255 1 2 3 4 5 6\n'])
def test_pgm_and_ppm_are_read(tmp_path, content):
  (tmp_path / 'x').write_bytes(content)
  path = (tmp_path / 'x').rename(tmp_path / f'y{uploads.ending_of(tmp_path / "x")}')
  assert str(uploads.check(path, LIMITS)) == 'picture, 3 × 2'
  assert images.read_image(path).shape[:2] == (2, 3)


def test_tiff_that_pillow_does_not_know_are_read(tmp_path):
  path = tmp_path / 'x'
  path.write_bytes(big_endian_tiff({262: 0}))   # white as zero
  with pytest.raises(UnidentifiedImageError):
    Image.open(path)
  path = path.rename(tmp_path / f'y{uploads.ending_of(path)}')
  assert str(uploads.check(path, LIMITS)) == 'picture, 3 × 2'
  assert images.read_image(path).shape[:2] == (2, 3)


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
  path = (tmp_path / 'x').rename(tmp_path / f'y{uploads.ending_of(tmp_path / "x")}')
  assert str(uploads.check(path, LIMITS)) == 'picture, 32 × 48'
  assert images.read_image(path).shape[:2] == (48, 32)


@pytest.mark.parametrize('kind', ['PNG', 'TIFF'])
def test_far_too_many_pixels_are_called_so(tmp_path, kind):
  """Beyond what Pillow opens at all."""
  Image.new('1', (16000, 16000)).save(tmp_path / 'x', kind, compression='group4')
  with pytest.raises(UserError, match='too many'):
    uploads.check((tmp_path / 'x').rename(tmp_path / f'y{uploads.ending_of(tmp_path / "x")}'),
                  uploads.Limits(99))


def test_a_damaged_picture_is_called_so(tmp_path):
  (tmp_path / 'x.tif').write_bytes(b'II*\0' + bytes(3))
  assert uploads.ending_of(tmp_path / 'x.tif') == '.tif'
  with pytest.raises(UserError, match='picture is damaged'):
    uploads.check(tmp_path / 'x.tif', LIMITS)


def test_a_long_film_is_refused(tmp_path):
  with pytest.raises(UserError, match='4 seconds are too long: films of at most 2 seconds'):
    uploads.check(film(tmp_path / 'x.mp4', frames=40), LIMITS)


def test_a_large_file_is_refused(tmp_path):
  path = pathlib.Path(tmp_path / 'x.png')
  path.write_bytes(picture('PNG') + bytes(2_000_000))
  with pytest.raises(UserError, match='2 MB are too many: at most 1 MB'):
    uploads.check(path, LIMITS)


def test_many_pixels_are_refused_without_decoding_them(tmp_path, monkeypatch):
  (tmp_path / 'x.png').write_bytes(picture('PNG', (5000, 3000)))
  monkeypatch.setattr(Image.Image, 'load', lambda self: pytest.fail('decoded'))
  with pytest.raises(UserError, match='5000 × 3000 pixels are too many'):
    uploads.check(tmp_path / 'x.png', LIMITS)


def test_a_damaged_film_is_refused_without_a_path(tmp_path):
  path = film(tmp_path / 'x.mp4')
  path.write_bytes(path.read_bytes()[:200])
  with pytest.raises(UserError, match='damaged') as caught:
    uploads.check(path, LIMITS)
  assert str(tmp_path) not in str(caught.value)

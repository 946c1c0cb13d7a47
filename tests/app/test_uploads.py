"""Uploads are known by their content; what is too large, too long or damaged is refused."""

import io
import pathlib

import numpy as np
import pytest
from PIL import Image

from i2vjax.app import uploads
from i2vjax.core.errors import UserError
from i2vjax.data.io.video_reader import VideoWriter

LIMITS = uploads.Limits(max_mb=1, max_seconds=2)


def film(path, frames=10, rate=10, size=(32, 48)):
  with VideoWriter(path, rate) as writer:
    for t in range(frames):
      writer.write(np.full((*size, 1), 20 * t % 255, np.uint8))
  return path


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
    (b'\0\0\x01\xba' + bytes(20), '.mpg'), (b'FLV\x01' + bytes(20), '.flv')])
def test_other_containers_are_known_by_their_first_bytes(tmp_path, head, ending):
  (tmp_path / 'x').write_bytes(head)
  assert uploads.ending_of(tmp_path / 'x') == ending


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

"""Films behind the first in a file are read, or told."""

import os

import kinds_of_films
import pytest

from i2vjax.core import notes
from i2vjax.data.io import joined_films, video_decoding, video_reader
from i2vjax.data.sources import videos

FAST = {'movflags': 'faststart'}
FRAGMENTS = {'movflags': 'frag_keyframe+empty_moov'}
# Of these FFmpeg reads the first film alone
UNREAD = [('mp4', 'libx264', 'aac', {}), ('mp4', 'libx264', None, FAST),
          ('mp4', 'libx264', 'aac', FRAGMENTS), ('mov', 'mpeg4', 'aac', {}),
          ('3gp', 'mpeg4', None, {}), ('flv', 'libx264', 'aac', {}), ('flv', 'flv', None, {}),
          ('asf', 'wmv2', 'mp2', {}), ('ivf', 'libvpx', None, {}), ('wtv', 'mpeg2video', None, {})]
READ = [('matroska', 'libx264', 'aac', {}), ('matroska', 'ffv1', None, {}),
        ('avi', 'mpeg4', 'mp2', {}), ('mpegts', 'libx264', 'aac', {}),
        ('vob', 'mpeg2video', 'mp2', {}), ('h264', 'libx264', None, {}),
        ('dv', 'dvvideo', None, {}), ('nut', 'mpeg4', None, {}),
        ('gxf', 'mpeg2video', None, {}), ('mxf', 'mpeg2video', None, {})]
WHOLE = [*UNREAD, *READ, ('ogg', 'libvpx', None, {}), ('rm', 'rv10', None, {})]


@pytest.fixture(autouse=True)
def _say_again(monkeypatch):
  monkeypatch.setattr(notes, '_said', set())


def film(path, muxer, codec, sound, options):
  return kinds_of_films.write(path, muxer, codec, 24, noise=True, sound=sound, options=options)


def joined(path, muxer, codec, sound, options):
  """(two films behind each other in one file, the place of the second)."""
  one = film(path.with_name('one'), muxer, codec, sound, options).read_bytes()
  path.write_bytes(one + one)
  return path, len(one)


@pytest.mark.parametrize('kind', UNREAD)
def test_a_second_film_that_is_not_read_is_told_with_its_bytes(tmp_path, capsys, kind):
  path, size = joined(tmp_path / 'both', *kind)
  assert video_reader.video_info(path).frames in (24, 25)
  line = f'both: another film begins at byte {size}, and nothing of its {size} bytes is read'
  assert capsys.readouterr().err.count(line) == 1
  notes._said.clear()
  videos.VideoFrames([path])
  assert line in capsys.readouterr().err


@pytest.mark.parametrize('kind', READ)
def test_a_second_film_that_is_read_is_not_told_as_unread(tmp_path, capsys, kind):
  path, _ = joined(tmp_path / 'both', *kind)
  assert video_reader.video_info(path).frames == 48
  assert 'another film' not in capsys.readouterr().err


@pytest.mark.parametrize('kind', WHOLE)
def test_a_whole_film_tells_nothing_whatever_follows_its_last_frame(tmp_path, capsys, kind):
  path = film(tmp_path / 'x', *kind)
  assert video_reader.video_info(path).frames == 24
  assert 'another film' not in capsys.readouterr().err


def test_a_copy_of_a_films_own_beginning_counts_only_behind_its_last_packet(tmp_path):
  path, size = joined(tmp_path / 'x', *UNREAD[0])
  container, stream = video_decoding.open_stream(path)
  with container:
    last = max(packet.pos for packet in container.demux(stream) if packet.size)
    assert joined_films.next_film(path, container.format.name, last) == size
    assert joined_films.next_film(path, container.format.name, 0) is None      # not known
  os.truncate(path, size)
  assert joined_films.next_film(path, container.format.name, last) is None

"""Films behind the first in a file are read, or told."""

import os
import re
import struct
import zlib

import kinds_of_films
import made_films
import numpy as np
import pytest

from i2vjax.core import notes
from i2vjax.data.io import film_kinds, joined_films, video_decoding, video_reader
from i2vjax.data.sources import videos

FAST = {'movflags': 'faststart'}
FRAGMENTS = {'movflags': 'frag_keyframe+empty_moov'}
# Of these FFmpeg reads the first film alone
UNREAD = [('mp4', 'libx264', 'aac', {}), ('mp4', 'libx264', None, FAST),
          ('mp4', 'libx264', 'aac', FRAGMENTS), ('mov', 'mpeg4', 'aac', {}),
          ('3gp', 'mpeg4', None, {}), ('flv', 'libx264', 'aac', {}), ('flv', 'flv', None, {}),
          ('asf', 'wmv2', 'mp2', {}), ('ivf', 'libvpx', None, {}), ('wtv', 'mpeg2video', None, {})]
# Of these it would go on somewhere in the middle of the second, or fail where that begins
RUN_INTO = [('nut', 'mpeg4', None, {}), ('nut', 'libx264', 'aac', {}), ('nut', 'ffv1', None, {}),
            ('nut', 'mjpeg', None, {}), ('rm', 'rv10', None, {}), ('rm', 'rv20', None, {}),
            ('swf', 'flv', None, {}), ('swf', 'mjpeg', None, {}),
            ('yuv4mpegpipe', 'wrapped_avframe', None, {}), ('mpjpeg', 'mjpeg', None, {})]
READ = [('matroska', 'libx264', 'aac', {}), ('matroska', 'ffv1', None, {}),
        ('avi', 'mpeg4', 'mp2', {}), ('mpegts', 'libx264', 'aac', {}),
        ('vob', 'mpeg2video', 'mp2', {}), ('h264', 'libx264', None, {}),
        ('dv', 'dvvideo', None, {}), ('gxf', 'mpeg2video', None, {}),
        ('mxf', 'mpeg2video', None, {}), ('ismv', 'libx264', 'aac', {}),
        ('mxf_opatom', 'mpeg2video', None, {}), ('webm', 'libvpx', None, {}),
        ('mpeg1video', 'mpeg1video', None, {}), ('mpeg2video', 'mpeg2video', None, {}),
        ('m4v', 'mpeg4', None, {}), ('hevc', 'libx265', None, {}), ('h263', 'h263', None, {}),
        ('obu', 'libsvtav1', None, {}), ('mjpeg', 'mjpeg', None, {})]
WHOLE = [*UNREAD, *RUN_INTO, *READ, ('ogg', 'libvpx', None, {}), ('f4v', 'libx264', 'aac', {}),
         ('ipod', 'mpeg4', 'aac', {}), ('psp', 'libx264', 'aac', {}), ('3g2', 'mpeg4', None, {}),
         ('dvd', 'mpeg2video', 'mp2', {}), ('svcd', 'mpeg2video', None, {}),
         ('vcd', 'mpeg1video', None, {}), ('avi', 'mjpeg', None, {}), ('wtv', 'libx264', 'aac', {}),
         ('mov', 'mpeg4', 'aac', FAST), ('mov', 'mpeg4', None, FRAGMENTS)]
UNWRITTEN = {'vvc', 'av1', 'vc1', 'live_flv'}     # kinds that PyAV has no writer for


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


@pytest.mark.parametrize('noise', [True, False])
@pytest.mark.parametrize('kind', RUN_INTO)
def test_a_film_is_read_to_its_end_and_no_byte_of_the_second(tmp_path, capsys, kind, noise):
  """Films that compress well and badly: FFmpeg loses more or less of the second."""
  first = kinds_of_films.write(tmp_path / 'one', *kind[:2], 24, noise=noise, sound=kind[2])
  second = kinds_of_films.write(tmp_path / 'two', *kind[:2], 21, noise=noise, size=(192, 160))
  one, two, path = first.read_bytes(), second.read_bytes(), tmp_path / 'both'
  path.write_bytes(one + two)
  assert video_reader.video_info(path).frames == 24
  line = f'another film begins at byte {len(one)}, and nothing of its {len(two)} bytes is read'
  assert capsys.readouterr().err.count(line) == 1
  frames = [frame for frame, _ in video_reader.read_video(path, 'stop')]
  np.testing.assert_array_equal(frames, [x for x, _ in video_reader.read_video(first, 'stop')])
  notes._said.clear()
  assert len(videos.VideoFrames([path])) == 24
  assert line in capsys.readouterr().err


def quicktime(path, first, options):
  """The content of a film as QuickTime wrote it before 2001: without the box `ftyp`.

  Args:
    first: the kind of its first box. options: of the muxer.
  """
  content = film(path, 'mov', 'mpeg4', 'aac', options).read_bytes()
  if first not in (b'mdat', b'moov'):
    return content.replace(b'ftyp', first, 1)
  cut = content.find(first) - 4
  data = bytearray(content[cut:])
  for found in re.finditer(rb'stco\0{4}', bytes(data)):       # where the frames are in the file
    count, = struct.unpack_from('>I', data, found.end())
    places = np.frombuffer(data, '>u4', count, found.end() + 4) - cut
    data[found.end() + 4:found.end() + 4 + 4 * count] = places.astype('>u4').tobytes()
  return bytes(data)


@pytest.mark.parametrize('first, options', [
    (b'wide', {}), (b'skip', {}), (b'free', {}), (b'pnot', {}), (b'mdat', {}), (b'moov', FAST),
    (b'wide', FAST), (b'free', FRAGMENTS)])
def test_a_second_film_of_old_quicktime_is_told(tmp_path, capsys, first, options):
  one, path = quicktime(tmp_path / 'one', first, options), tmp_path / 'both'
  assert one[4:8] == first
  path.write_bytes(one)
  assert video_reader.video_info(path).frames == len(list(video_reader.read_video(path))) == 24
  assert 'another film' not in capsys.readouterr().err
  path.write_bytes(one + one)
  video_reader.video_info(path)
  assert f'begins at byte {len(one)}, and nothing of its {len(one)} b' in capsys.readouterr().err


def test_a_second_film_of_a_flash_server_is_told(tmp_path, capsys):
  """FFmpeg knows such a recording by the server's name, and has another name for its kind."""
  one, path = film(tmp_path / 'one', 'flv', 'libx264', 'aac', {}).read_bytes(), tmp_path / 'both'
  one = one[:49] + b'NGINX RTMP' + one[59:]
  path.write_bytes(one + one)
  assert video_reader.video_info(path).ending == film_kinds.ending_of('live_flv')
  assert f'begins at byte {len(one)}, and nothing of its {len(one)} b' in capsys.readouterr().err


def test_free_space_at_the_end_of_a_film_is_not_the_begin_of_the_second(tmp_path, capsys):
  one = quicktime(tmp_path / 'one', b'free', {}) + b'\0\0\0\x10free' + bytes(8)
  path = tmp_path / 'both'
  path.write_bytes(one + one)
  assert video_reader.video_info(path).frames == 24
  assert f'another film begins at byte {len(one)}, ' in capsys.readouterr().err


@pytest.mark.parametrize('first, second', [('as it is', 'packed'), ('packed', 'as it is'),
                                           ('packed', 'packed'), ('to a pipe', 'to a pipe')])
def test_a_second_flash_film_is_told_whatever_its_form(tmp_path, capsys, first, second):
  content = film(tmp_path / 'x', 'swf', 'mjpeg', None, {}).read_bytes()
  forms = {'as it is': content, 'packed': b'C' + content[1:8] + zlib.compress(content[8:]),
           'to a pipe': content[:4] + struct.pack('<I', 100 << 20) + content[8:]}  # no true size
  path = tmp_path / 'both'
  path.write_bytes(forms[first])
  assert len(list(video_reader.read_video(path, 'stop'))) == 24
  path.write_bytes(forms[first] + forms[second])
  assert video_reader.video_info(path).frames == 24
  assert len(list(video_reader.read_video(path, 'stop'))) == 24
  line = f'begins at byte {len(forms[first])}, and nothing of its {len(forms[second])} bytes'
  assert capsys.readouterr().err.count(line) == 1


def test_a_frame_that_begins_as_a_film_is_none(tmp_path, capsys):
  """JPEG 2000 in a QuickTime film, each picture with a head of its own."""
  path = made_films.encode(tmp_path / 'x.mov', 'jpeg2000', range(3))
  assert path.read_bytes().count(b'ftypjp2 ') == 3
  assert video_reader.video_info(path).frames == 3
  assert 'another film' not in capsys.readouterr().err


def test_the_last_picture_of_a_packed_flash_film_is_whole(tmp_path):
  """FFmpeg leaves out its end, and makes it up."""
  path = kinds_of_films.write(tmp_path / 'x', 'swf', 'mjpeg', noise=True)
  plain, content = [frame for frame, _ in video_reader.read_video(path)], path.read_bytes()
  path.write_bytes(b'C' + content[1:8] + zlib.compress(content[8:]))
  packed = [frame for frame, _ in video_reader.read_video(path, 'stop')]
  np.testing.assert_array_equal(packed, plain)


def test_a_flash_film_without_an_end_is_read_as_far_as_it_goes(tmp_path, capsys):
  path = film(tmp_path / 'x', 'swf', 'mjpeg', None, {})
  os.truncate(path, path.stat().st_size - 10)
  assert video_reader.video_info(path).frames == 24
  assert 'another film' not in capsys.readouterr().err


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


def test_every_kind_is_tested_here(tmp_path):
  names = set()
  for kind in WHOLE:
    container, _ = video_decoding.open_stream(film(tmp_path / 'x', *kind))
    with container:
      names.update(container.format.name.split(','))
  assert set(film_kinds.KINDS) - UNWRITTEN <= names


def test_a_copy_of_a_films_own_beginning_counts_only_behind_its_last_packet(tmp_path):
  path, size = joined(tmp_path / 'x', *UNREAD[0])
  container, stream = video_decoding.open_stream(path)
  with container:
    last = max(packet.pos for packet in container.demux(stream) if packet.size)
    assert joined_films.next_film(path, container.format.name, last) == size
    assert joined_films.next_film(path, container.format.name, 0) is None      # not known
  os.truncate(path, size)
  assert joined_films.next_film(path, container.format.name, last) is None

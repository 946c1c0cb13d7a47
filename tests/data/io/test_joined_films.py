"""Films behind the first in a file are read, or told."""

import os
from fractions import Fraction

import av
import numpy as np
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


def film(path, muxer, codec, sound, options, frames=24):
  """A film of noise; a skipped test where PyAV cannot write it."""
  if codec not in av.codecs_available:
    pytest.skip(f'PyAV here has no {codec}')
  size = (720, 576) if muxer in ('dv', 'gxf', 'mxf') else (176, 144)
  with av.open(str(path), 'w', format=muxer, options=options) as out:
    stream = out.add_stream(codec, rate=25)
    stream.width, stream.height = size
    stream.pix_fmt = 'bgr0' if codec == 'ffv1' else 'yuv420p'
    voice = out.add_stream(sound, rate=22050, layout='mono') if sound else None
    for k in range(frames):
      noise = np.random.default_rng(k).integers(0, 255, (*size[::-1], 3), np.uint8)
      frame = av.VideoFrame.from_ndarray(noise).reformat(format=stream.pix_fmt)
      frame.pts, frame.time_base = k, Fraction(1, 25)
      out.mux(stream.encode(frame))
      if voice:
        out.mux(voice.encode(silence(k, voice)))
    out.mux(stream.encode())
    out.mux(voice.encode() if voice else [])
  return path


def silence(k, voice):
  count = voice.codec_context.frame_size or 1024
  form = voice.codec_context.format.name
  wave = np.zeros((1, count), np.float32 if form.startswith('flt') else np.int16)
  frame = av.AudioFrame.from_ndarray(wave, form, layout='mono')
  frame.sample_rate, frame.pts, frame.time_base = 22050, count * k, Fraction(1, 22050)
  return frame


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

"""Every ending that is listed is read; films that nothing reads are refused by name."""

import pathlib

import kinds_of_films
import pytest
from PIL import Image

from i2vjax.core.errors import UserError
from i2vjax.data.io import film_kinds, video_decoding
from i2vjax.data.sources import listing, streams

DOCS = pathlib.Path(__file__).parents[3] / 'docs'
# FFmpeg's name of a kind -> (what writes it, codec) where PyAV has one for it
WRITERS = {
    'mov': ('mp4', 'libx264'), 'matroska': ('matroska', 'libx264'), 'avi': ('avi', 'mpeg4'),
    'mpeg': ('vob', 'mpeg2video'), 'mpegts': ('mpegts', 'libx264'),
    'mpegvideo': ('mpeg2video', 'mpeg2video'), 'm4v': ('m4v', 'mpeg4'), 'h264': ('h264', 'libx264'),
    'hevc': ('hevc', 'libx265'), 'obu': ('obu', 'libsvtav1'), 'h263': ('h263', 'h263'),
    'mjpeg': ('mjpeg', 'mjpeg'), 'asf': ('asf', 'wmv2'), 'flv': ('flv', 'libx264'),
    'ogg': ('ogg', 'libvpx'), 'mxf': ('mxf', 'mpeg2video'), 'gxf': ('gxf', 'mpeg2video'),
    'nut': ('nut', 'ffv1'), 'ivf': ('ivf', 'libvpx'), 'dv': ('dv', 'dvvideo'),
    'yuv4mpegpipe': ('yuv4mpegpipe', 'wrapped_avframe'), 'rm': ('rm', 'rv10'),
    'wtv': ('wtv', 'mpeg2video'), 'swf': ('swf', 'flv')}
WITHOUT = {'vvc', 'av1', 'vc1', 'mpjpeg', 'live_flv'}


def test_every_kind_is_tested_here():
  assert set(WRITERS) | WITHOUT == set(film_kinds.KINDS)


@pytest.mark.parametrize('kind', WRITERS)
def test_every_ending_of_a_kind_is_read(tmp_path, kind):
  film = kinds_of_films.write(tmp_path / 'x', *WRITERS[kind])
  for ending in film_kinds.KINDS[kind]:
    path = film.rename(film.with_suffix(ending.upper()))
    clip, = streams.open_streams(path.parent)
    assert clip.info.frames == 12
    container, _ = video_decoding.open_stream(path)
    with container:
      assert kind in container.format.name.split(',')
      assert film_kinds.ending_of(container.format.name) == film_kinds.KINDS[kind][0]
    film = path


@pytest.mark.parametrize('ending', film_kinds.UNREAD)
def test_films_that_are_not_read_are_refused_and_not_left_out(tmp_path, ending):
  (tmp_path / 'a.mp4').write_bytes(b'x')
  path = tmp_path / f'b{ending}'
  path.write_bytes(b'x')
  with pytest.raises(UserError, match=f'1 film of a kind that is not read .such as .*b{ending}'):
    listing.find_files(tmp_path)
  with pytest.raises(UserError, match=f'neither a folder nor a video.*ffmpeg -i .*b{ending}'):
    listing.find_files(path)


def test_a_recording_beside_the_pictures_that_were_made_from_it_is_counted(tmp_path, capsys):
  Image.new('L', (8, 8)).save(tmp_path / 'frame_0.png')
  (tmp_path / 'recording.seq').write_bytes(b'x')
  pictures, films = listing.find_files(tmp_path)
  assert sum(map(len, pictures.values())) == 1
  assert films == []
  assert '1 file of other kinds (1 .seq)' in capsys.readouterr().err


def test_no_ending_is_both_read_and_not():
  assert not set(film_kinds.ENDINGS) & set(film_kinds.UNREAD)


def test_the_page_names_every_ending():
  text = (DOCS / 'formats.md').read_text('utf-8')
  assert [x for x in film_kinds.ENDINGS + film_kinds.UNREAD if f'`{x}`' not in text] == []

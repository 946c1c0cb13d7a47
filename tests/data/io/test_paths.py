"""A path is a path, whatever its signs, and errors of the decoder are not the user's."""

import os
import subprocess
import sys

import av
import numpy as np
import pytest

from i2vjax import defaults, main
from i2vjax.cli import errors
from i2vjax.core import files
from i2vjax.data.io import images, output_paths, video_reader
from i2vjax.data.prepare import prepare
from i2vjax.data.sources import folders, streams

NAMES = ['12:30', '2024-05-01T12:30:00', 'a%03d', 'q?x#y', 'ü', os.fsdecode(b'bad\xff')]


def film(path, count=3):
  with video_reader.VideoWriter(path, 10) as writer:
    for k in range(count):
      writer.write(np.full((32, 32, 3), 20 * k, np.uint8))
  return path


@pytest.mark.parametrize('name', NAMES)
@pytest.mark.parametrize('ending', ['.mp4', '.mkv'])
def test_names_are_no_addresses_and_need_not_be_utf_8(tmp_path, name, ending, monkeypatch):
  monkeypatch.chdir(tmp_path)      # a relative name is what FFmpeg would take for a protocol
  film(name + ending)
  assert video_reader.video_info(name + ending).frames == 3
  images.write_image(f'{name}/{name}_1.png', np.zeros((8, 8, 1), np.uint8))
  frames = folders.open_place(defaults.data(), name)
  assert frames.read(0)['frame'].shape == (8, 8, 1)
  files.save_text('page.html', f'{name}')


def streams_of(path, count, cover=False):
  """A file with so many video streams."""
  with av.open(str(path), 'w') as container:
    tracks = []
    for k in range(count):
      is_cover = cover and not k
      track = container.add_stream('mjpeg' if is_cover else 'libx264', rate=10)
      track.width, track.height = 32 + 16 * k, 32
      track.pix_fmt = 'yuvj420p' if is_cover else 'yuv420p'
      if is_cover:
        track.disposition = av.stream.Disposition.attached_pic
      tracks.append(track)
    for track in tracks:
      frame = av.VideoFrame.from_ndarray(np.zeros((32, track.width, 3), np.uint8), 'rgb24')
      for k in range(1 if cover and track is tracks[0] else 3):
        frame.pts = k
        container.mux(track.encode(frame))
      container.mux(track.encode())
  return path


def test_of_several_video_streams_the_first_is_read_and_the_others_told(tmp_path, capsys):
  path = streams_of(tmp_path / 'x.mkv', 2)
  assert video_reader.video_info(path).width == 32
  assert 'x.mkv holds 2 films; the first is read' in capsys.readouterr().err


def test_a_cover_picture_is_no_video_stream(tmp_path):
  path = streams_of(tmp_path / 'x.mp4', 2, cover=True)
  with av.open(str(path)) as container:
    assert len(container.streams.video) == 2
  assert video_reader.video_info(path).width == 48


def test_a_bare_stream_under_another_name_is_read_with_its_rate(tmp_path):
  film(tmp_path / 'x.mp4', 6)
  with av.open(str(tmp_path / 'x.mp4')) as source, av.open(
      str(tmp_path / 'es.mp4'), 'w', format='h264') as bare:
    track = source.streams.video[0]
    copy = bare.add_stream_from_template(track)
    annexb = av.BitStreamFilterContext('h264_mp4toannexb', track)
    for packet in source.demux(track):
      for part in annexb.filter(packet) if packet.size else annexb.filter(None):
        part.stream = copy
        bare.mux(part)
  info = video_reader.video_info(tmp_path / 'es.mp4')
  assert info.frames == 6
  seconds = [x for _, x in video_reader.read_video(tmp_path / 'es.mp4')]
  np.testing.assert_allclose(np.diff(seconds), 1 / float(info.rate), atol=1e-6)
  done = prepare.footage(str(tmp_path / 'es.mp4'), str(tmp_path / 'o'), defaults.data(), show=False)
  assert list(done.values()) == [(1, 6)]


def test_errors_of_the_decoder_keep_their_traceback_and_those_of_disks_do_not():
  assert errors.explain(av.error.PermissionError(1, 'Operation not permitted')) is None
  assert errors.explain(av.error.OSError(28, 'No space left on device'))[1] == errors.USER
  assert errors.explain(PermissionError(13, 'Permission denied'))[1] == errors.USER


@pytest.mark.parametrize('first', [0, 2])
def test_a_first_frame_that_is_damaged_is_skipped_too(tmp_path, first):
  """All frames before number `first` and that one are damaged."""
  path = tmp_path / 'x.mkv'
  with video_reader.VideoWriter(path, 10) as writer:
    for k in range(6):
      noise = np.random.default_rng(k).integers(0, 255, (32, 32, 1), np.uint8)
      writer.write(noise)
  data, places = bytearray(path.read_bytes()), []
  with av.open(str(path)) as container:
    places = [packet.pos for packet in container.demux(video=0) if packet.size]
  for place in places[:first + 1]:
    data[place + 500:place + 520] = bytes(20)
  path.write_bytes(data)
  with pytest.warns(UserWarning, match='damaged'):
    kept = len(list(video_reader.read_video(path, 'skip')))
  assert kept == 5 - first
  assert video_reader.video_info(path).width == 32
  with pytest.warns(UserWarning, match='damaged'):
    done = prepare.footage(str(path), str(tmp_path / 'o'), defaults.data(), on_damage='skip',
                           show=False)
  assert list(done.values()) == [(1, kept)]
  with pytest.warns(UserWarning, match='damaged'):
    items = list(streams.open_streams(path, on_damage='skip')[0].read('skip'))
  assert len(items) == 6
  with pytest.raises(ValueError, match='frame 0 .*damaged'):
    prepare.footage(str(path), str(tmp_path / 'p'), defaults.data(), show=False)


def test_a_first_picture_that_is_damaged_does_not_stop_a_search_for_strips(tmp_path):
  for k in range(3):
    images.write_image(tmp_path / f'in/{k}.png', np.full((8, 12, 1), k, np.uint8))
  (tmp_path / 'in/0.png').write_bytes(b'')
  data = defaults.data()
  data.frames_per_image = 'auto'
  done = prepare.footage(str(tmp_path / 'in'), str(tmp_path / 'o'), data, on_damage='skip',
                         show=False)
  assert list(done.values()) == [(1, 2)]


@pytest.mark.parametrize('encoding', ['ascii', 'utf-8'])
def test_any_name_can_be_printed(tmp_path, encoding):
  place = os.fsencode(tmp_path) + b'/n\xc3\xbc\xff'
  os.mkdir(place)
  done = subprocess.run(
      [sys.executable, '-m', 'i2vjax.main', 'prepare', '--input', place, '--output',
       tmp_path / 'o'], capture_output=True, check=False,
      env=os.environ | {'PYTHONIOENCODING': encoding, 'LANG': 'C', 'JAX_PLATFORMS': 'cpu'})
  assert done.returncode == errors.USER, done.stderr
  assert b'no pictures' in done.stderr


def test_a_cache_that_cannot_be_made_says_what_to_set(tmp_path, monkeypatch):
  (tmp_path / 'file').write_text('x')
  with pytest.raises(OSError, match='Set XDG_CACHE_HOME .* or data.cache_dir'):
    files.make_cache(tmp_path / 'file/videos', 'data.cache_dir')
  monkeypatch.delenv('XDG_CACHE_HOME', raising=False)

  def nobody():
    raise RuntimeError('Could not determine home directory.')
  monkeypatch.setattr(files.pathlib.Path, 'home', staticmethod(nobody))
  with pytest.raises(ValueError, match='no home folder.*XDG_CACHE_HOME'):
    files.cache('videos')


@pytest.mark.parametrize('name', ['x.mp4', 'x.GIF', 'r.html', 'm.onnx', 'm.safetensors', 'x.png'])
def test_a_folder_is_not_made_of_the_name_of_a_file(tmp_path, name):
  with pytest.raises(ValueError, match=rf'--output .*{name}: .* name it {name[0]}, say'):
    output_paths.check_folder_name(tmp_path / name)
  (tmp_path / name).mkdir()
  output_paths.check_folder_name(tmp_path / name)       # the user's folder is called so


@pytest.mark.parametrize('name', ['run.v2', '2024.11.03', 'run.264', 'lr=1e-4', 'a.b.c', '.mp4'])
def test_a_folder_may_have_dots_in_its_name(tmp_path, name):
  output_paths.check_folder_name(tmp_path / name)


def test_every_command_refuses_a_folder_that_is_named_like_a_file(tmp_path, monkeypatch, capsys):
  monkeypatch.chdir(tmp_path)
  film(tmp_path / 'in.mp4')
  for arguments in (['prepare', '--input', 'in.mp4', '--output', 'x.mp4'],
                    ['evaluate', '--result', '.', '--reference', '.', '--output', 'x.html'],
                    ['compare', '--runs', 'starter', '--output', 'x.html'],
                    ['export', '--workdir', 'starter', '--output', 'x.onnx']):
    assert main.main(['i2vjax', *arguments]) == 2
    assert 'ends like a file' in capsys.readouterr().err
  assert os.listdir(tmp_path) == ['in.mp4']


def test_a_disk_that_fills_up_is_said_by_prepare(tmp_path, monkeypatch):
  film(tmp_path / 'x.mp4')

  def full(*_):
    raise OSError(28, 'No space left on device')
  monkeypatch.setattr(images, 'write_image', full)
  with pytest.raises(OSError, match='the disk is full .*nothing of it is left'):
    prepare.footage(str(tmp_path / 'x.mp4'), str(tmp_path / 'o'), defaults.data(), show=False)
  assert not (tmp_path / 'o').exists()

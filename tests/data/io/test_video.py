"""Video files: reading in order and at random, writing, unpacking for training."""

import pickle
import shutil
from fractions import Fraction

import av
import made_films
import numpy as np
import pytest

from i2vjax import defaults
from i2vjax.data import open_source
from i2vjax.data.io import ffv1, video_reader, video_writer
from i2vjax.data.loader import batches, whole_clips
from i2vjax.data.sources import video_cache, videos
from i2vjax.data.transforms import resize

COUNT, HEIGHT, WIDTH = 40, 32, 48


def picture(k, height=HEIGHT, width=WIDTH):
  """RGB gradients with a bright bar that moves by two columns a frame."""
  y, x = np.mgrid[:height, :width]
  frame = np.stack([4 * y, 4 * x, 100 + y + x], -1).astype(np.uint8)
  frame[:, 2 * k % width:2 * k % width + 4] = 230
  return frame


def gray(k, height=HEIGHT, width=WIDTH):
  return picture(k, height, width)[..., 1:2]


def deep(k, height=HEIGHT, width=WIDTH):
  return gray(k, height, width).astype(np.uint16) * 100 + 7000


def write(path, make=picture, count=COUNT, rate=25, seconds=None, **size):
  with video_reader.VideoWriter(path, rate=rate) as out:
    for k in range(count):
      out.write(make(k, **size), None if seconds is None else seconds(k))
  return path


@pytest.fixture(scope='module')
def mp4(tmp_path_factory):
  return write(tmp_path_factory.mktemp('video') / 'road.mp4')


def encode(path, codec, count=COUNT):
  """A video as another program would write it."""
  with av.open(str(path), 'w') as container:
    stream = container.add_stream(codec, rate=25)
    stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, 'yuv420p'
    for k in range(count):
      container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(k), format='rgb24')))
    container.mux(stream.encode())
  return path


@pytest.mark.parametrize('make', [picture, gray, deep])
@pytest.mark.parametrize('size', [(32, 48), (31, 47)])
def test_mkv_is_lossless_at_every_size_and_depth(tmp_path, make, size):
  path = write(tmp_path / 'x.mkv', make, 3, height=size[0], width=size[1])
  for k, (frame, _) in enumerate(video_reader.read_video(path)):
    assert frame.dtype == make(k).dtype
    np.testing.assert_array_equal(frame, make(k, *size))


def test_mp4_is_close_in_every_color(mp4):
  shown = np.stack([frame for frame, _ in video_reader.read_video(mp4)]).astype(float)
  error = shown - np.stack([picture(k) for k in range(COUNT)])
  assert np.abs(error).mean() < 6
  assert np.abs(error.mean((0, 1, 2))).max() < 1.5      # no tint: matrix and range agree


def test_mp4_is_what_browsers_play(mp4):
  with av.open(str(mp4)) as container:
    context = container.streams.video[0].codec_context
    assert (context.name, context.pix_fmt) == ('h264', 'yuv420p')
    assert (context.colorspace, context.color_range) == (video_writer.BT709, 1)
  assert mp4.read_bytes().find(b'moov') < mp4.read_bytes().find(b'mdat')   # plays while loading


def test_odd_sizes_come_back_exactly_and_the_padding_is_told(tmp_path):
  with video_reader.VideoWriter(tmp_path / 'odd.mp4') as out:
    for k in range(3):
      out.write(picture(k, 31, 47))
  assert '47x31 was padded to 48x32' in out.note
  back = [frame for frame, _ in video_reader.read_video(tmp_path / 'odd.mp4')]
  assert [frame.shape for frame in back] == [(31, 47, 3)] * 3
  assert video_reader.video_info(tmp_path / 'odd.mp4').width == 47
  assert np.abs(back[1].astype(float) - picture(1, 31, 47)).mean() < 8


def test_gray_is_written_to_mp4_without_a_tint(tmp_path):
  path = write(tmp_path / 'x.mp4', gray, 3)
  back = next(video_reader.read_video(path))[0].astype(float)
  assert np.abs(back - gray(0)).mean() < 3
  assert np.ptp(back, axis=-1).max() <= 2


@pytest.mark.parametrize('ending', ['mp4', 'mkv'])
@pytest.mark.parametrize('rate', [25, Fraction(30000, 1001)])
def test_rate_and_times_are_kept(tmp_path, ending, rate):
  path = write(tmp_path / f'x.{ending}', count=12, rate=rate)
  info = video_reader.video_info(path)
  assert (info.rate, info.frames, info.variable) == (rate, 12, False)
  times = [seconds for _, seconds in video_reader.read_video(path)]
  np.testing.assert_allclose(times, np.arange(12) / float(rate), atol=0.0006)


def test_a_variable_rate_is_kept_from_the_first_frame(tmp_path):
  times = np.array([0, 0.04, 0.08, 0.5, 0.54, 0.7])
  path = write(tmp_path / 'x.mp4', count=6, seconds=lambda k: 100 + times[k])
  np.testing.assert_allclose([t for _, t in video_reader.read_video(path)], times, atol=2e-5)
  assert video_reader.video_info(path).variable


def test_times_that_do_not_grow_keep_the_order_of_frames(tmp_path):
  path = write(tmp_path / 'x.mkv', gray, 4, seconds=lambda k: 0.04 * min(k, 1))
  back = [frame for frame, _ in video_reader.read_video(path)]
  np.testing.assert_array_equal(back, [gray(k) for k in range(4)])


def test_info_says_what_reading_gives(tmp_path, mp4):
  assert video_reader.video_info(mp4) == video_reader.VideoInfo(
      str(mp4), HEIGHT, WIDTH, COUNT, Fraction(25), COUNT / 25, 3, 'uint8', 'h264', False,
      pause=pytest.approx(1 / 25), ending='.mp4')
  info = video_reader.video_info(write(tmp_path / 'x.mkv', deep, 2))
  assert (info.channels, info.dtype) == (1, 'uint16')


def test_an_interrupted_writer_leaves_nothing(tmp_path):
  path = tmp_path / 'x.mp4'
  path.write_bytes(b'the film of yesterday')
  with pytest.raises(RuntimeError, match='power'), video_reader.VideoWriter(path) as out:
    out.write(picture(0))
    raise RuntimeError('power')
  assert path.read_bytes() == b'the film of yesterday'
  assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(('name', 'make', 'message'), [
    ('x.gif', picture, 'written as .mp4'),
    ('x.mp4', deep, '16-bit frames need .mkv'),
])
def test_what_a_format_cannot_hold_is_refused(tmp_path, name, make, message):
  with pytest.raises(ValueError, match=message):
    write(tmp_path / name, make, 1)


def test_a_frame_of_another_size_is_refused(tmp_path):
  with (
    pytest.raises(ValueError, match='frame 1 is'),
    video_reader.VideoWriter(tmp_path / 'x.mp4') as out,
  ):
    out.write(picture(0))
    out.write(picture(1, 16, 16))


def test_a_video_without_frames_is_refused(tmp_path):
  with pytest.raises(ValueError, match='no frames were written'):
    write(tmp_path / 'x.mp4', count=0)


@pytest.mark.parametrize(('name', 'codec'), [('own.mp4', None), ('a.mkv', 'libx264'),
                                             ('a.avi', 'libx264'), ('a.ts', 'libx264'),
                                             ('a.mov', 'mpeg4')])
def test_random_reading_equals_reading_in_order(tmp_path, mp4, name, codec):
  path = encode(tmp_path / name, codec) if codec else mp4
  expected = [frame for frame, _ in video_reader.read_video(path)]
  result = videos.VideoFrames([path])
  assert len(result) == len(expected) == COUNT
  for i in (0, 1, 2, 30, 29, 11, 12, 39, 0, 20):
    np.testing.assert_array_equal(result.read(i)['frame'], expected[i])


OPEN = 'keyint=8:open-gop=1:bframes=3:scenecut=0:log-level=none'


@pytest.mark.parametrize(('name', 'codec', 'fmt', 'options'), [
    ('x.mov', 'qtrle', 'gray', {}),                # a palette, which the first packet brings
    ('x.mp4', 'libx264', 'yuv420p', {'x264-params': OPEN}),
    ('x.mov', 'mpeg2video', 'yuv420p', {'bf': '2', 'g': '8'})])
def test_frames_that_a_later_key_frame_is_stored_before_are_sought(tmp_path, name, codec, fmt,
                                                                   options):
  path = made_films.encode(tmp_path / name, codec, range(20), fmt=fmt, rate=25, options=options)
  expected = made_films.frames(path)
  assert len({frame.tobytes() for frame in expected}) > 1
  result = videos.VideoFrames([path])
  for k in reversed(range(20)):                    # each of them sought
    np.testing.assert_array_equal(result.read(k)['frame'], expected[k])


def test_a_video_held_upright_is_read_upright(tmp_path, mp4):
  """Phones store the turn as a matrix in the header: here a quarter turn clockwise."""
  def matrix(a, b, c, d):
    return b''.join(x.to_bytes(4, 'big', signed=True) for x in (a, b, 0, c, d, 0))
  one = 1 << 16
  data = mp4.read_bytes()
  track = data.find(b'tkhd')
  turned = data[track:].replace(matrix(one, 0, 0, one), matrix(0, one, -one, 0), 1)
  (tmp_path / 'x.mp4').write_bytes(data[:track] + turned)
  expected = np.rot90(next(video_reader.read_video(mp4))[0], -1)
  np.testing.assert_array_equal(next(video_reader.read_video(tmp_path / 'x.mp4'))[0], expected)
  assert video_reader.video_info(tmp_path / 'x.mp4').width == HEIGHT


def test_times_of_avi_go_by_its_rate(tmp_path):
  times = [t for _, t in video_reader.read_video(encode(tmp_path / 'x.avi', 'libx264'))]
  np.testing.assert_allclose(times, np.arange(COUNT) / 25, atol=1e-9)


def test_several_videos_are_clips_and_pickle(tmp_path, mp4):
  other = write(tmp_path / 'x.mkv', gray, 5)
  result = pickle.loads(pickle.dumps(videos.VideoFrames([mp4, other])))
  assert result.clips == [('road', 0, COUNT), ('x', COUNT, 5)]
  np.testing.assert_array_equal(result.read(COUNT + 3)['frame'], gray(3))
  assert result.where(COUNT + 3) == f'{other}, frame 3 (from 0)'
  assert '0x' not in repr(result)


def test_a_file_that_is_no_video_is_named(tmp_path):
  (tmp_path / 'x.mp4').write_bytes(b'hello' * 50)
  with pytest.raises(video_reader.UnreadableVideo, match='x.mp4 cannot be opened as a video'):
    video_reader.video_info(tmp_path / 'x.mp4')
  with pytest.raises(FileNotFoundError, match='none.mp4'):
    video_reader.video_info(tmp_path / 'none.mp4')


def damaged(mp4, path):
  """A copy with flipped bytes in the second half of the pictures."""
  data = bytearray(mp4.read_bytes())
  start = data.find(b'mdat')
  for k in range(start + (len(data) - start) // 2, len(data) - 50, 40):
    data[k] ^= 0xFF
  path.write_bytes(data)
  return path


def test_a_damaged_frame_is_named_or_left_out(tmp_path, mp4):
  path = damaged(mp4, tmp_path / 'broken.mp4')
  with pytest.raises(video_reader.UnreadableVideo, match=r'broken.mp4: frame \d+'):
    list(video_reader.read_video(path))
  with pytest.warns(UserWarning, match=r'broken.mp4: frame \d+'):
    left = list(video_reader.read_video(path, damaged='skip'))
  assert 0 < len(left) < COUNT


@pytest.mark.parametrize('make', [gray, deep])
def test_a_wrong_checksum_in_a_lossless_video_is_a_damaged_frame(tmp_path, make):
  path = write(tmp_path / 'x.mkv', make, 6, height=48, width=64)
  whole = [frame for frame, _ in video_reader.read_video(path)]
  data = bytearray(path.read_bytes())
  data[len(data) // 2] ^= 0x10
  path.write_bytes(bytes(data))
  with pytest.raises(video_reader.UnreadableVideo, match=r'x.mkv: frame \d \(from 0\) is damaged'):
    list(video_reader.read_video(path))
  with pytest.warns(UserWarning, match=r'x.mkv: frame \d \(from 0\) is damaged'):
    left = [frame for frame, _ in video_reader.read_video(path, damaged='skip')]
  assert len(left) == 5
  assert all(any((x == y).all() for y in whole) for x in left)


def test_random_bytes_over_whole_slices_of_a_lossless_video_are_a_damaged_frame(tmp_path):
  def static(k, height, width):
    return np.random.default_rng(k).integers(0, 256, (height, width, 1), np.uint8)
  path = write(tmp_path / 'x.mkv', static, 6, height=96, width=128)
  with av.open(str(path)) as container:
    packet = [bytes(result) for result in container.demux(video=0) if result.size][3]
  start, stop = len(packet) // 5, 4 * len(packet) // 5   # the decoder alone notices nothing
  bad = packet[:start] + np.random.default_rng(0).bytes(stop - start) + packet[stop:]
  path.write_bytes(path.read_bytes().replace(packet, bad))
  assert ffv1.ffv1_intact(packet) is True and ffv1.ffv1_intact(bad) is None
  with pytest.raises(video_reader.UnreadableVideo, match=r'x.mkv: frame 3 \(from 0\) is damaged'):
    list(video_reader.read_video(path))


def test_a_video_cut_short_stops_or_says_how_much_is_missing(tmp_path, mp4):
  path = tmp_path / 'cut.mp4'
  path.write_bytes(mp4.read_bytes()[:int(0.6 * mp4.stat().st_size)])
  with pytest.warns(UserWarning, match='cut.mp4: .* frames are missing'):
    there = len(list(video_reader.read_video(path)))   # training takes what there is
  with pytest.warns(UserWarning, match=f'cut.mp4: {COUNT - there} of about {COUNT} frames'):
    assert len(list(video_reader.read_video(path, damaged='skip'))) == there < COUNT
  with pytest.raises(video_reader.UnreadableVideo, match=f'frame {there} .*about {COUNT} frames'):
    list(video_reader.read_video(path, damaged='stop'))


def test_frames_that_damage_swallowed_whole_are_counted(tmp_path):
  path = write(tmp_path / 'x.mkv', gray, 30, height=48, width=64)
  data = bytearray(path.read_bytes())
  data[len(data) // 3:2 * len(data) // 3] = bytes(2 * len(data) // 3 - len(data) // 3)
  path.write_bytes(bytes(data))
  with pytest.warns(UserWarning) as caught:
    left = len(list(video_reader.read_video(path, damaged='skip')))
  assert left < 25 and f'{30 - left} of about 30 frames are missing' in str(caught[-1].message)
  path.write_bytes(bytes(data[:len(data) // 3]) + bytes(2 * len(data) // 3))   # to the very end
  with pytest.raises(video_reader.UnreadableVideo, match=r'x.mkv: frame \d+ .from 0. is missing'):
    list(video_reader.read_video(path, damaged='stop'))


def test_a_pause_of_the_camera_is_no_damage(tmp_path):
  path = tmp_path / 'x.mkv'
  with video_reader.VideoWriter(path) as film:
    for k in range(10):
      film.write(np.full((16, 16, 1), k, np.uint8), k / 25 + (3 if k > 4 else 0))
  assert len(list(video_reader.read_video(path, damaged='stop'))) == 10


def settings(tmp_path, path, **fields):
  data = defaults.data()
  data.update(source='folders', train_a=str(path), test_a=str(path), load_size=20, crop_size=16,
              cache_dir=str(tmp_path / 'cache'), **fields)
  return data


def test_training_unpacks_a_video_once(tmp_path, mp4, capsys):
  data = settings(tmp_path, mp4)
  first = open_source(data, 'train', 'a')
  assert '40 frames of 20x20' in capsys.readouterr().out
  assert first.clips == [('road', 0, COUNT)]
  expected = resize.resize_frame(list(video_reader.read_video(mp4))[7][0], (20, 20))
  np.testing.assert_array_equal(first.read(7)['frame'], expected)
  open_source(data, 'train', 'a')
  assert capsys.readouterr().out == ''
  data.load_size = 24
  assert open_source(data, 'train', 'a').read(0)['frame'].shape == (24, 24, 3)


def test_a_changed_video_is_unpacked_anew(tmp_path):
  path = write(tmp_path / 'x.mkv', gray, 3)
  data = settings(tmp_path, path)
  assert len(open_source(data, 'train', 'a')) == 3
  write(path, gray, 4)
  assert len(open_source(data, 'train', 'a')) == 4


def test_16_bit_videos_are_unpacked_with_16_bits(tmp_path):
  data = settings(tmp_path, write(tmp_path / 'x.mkv', deep, 3), resize='none')
  np.testing.assert_array_equal(open_source(data, 'train', 'a').read(2)['frame'], deep(2))


def test_an_interrupted_unpacking_is_not_taken_for_whole(tmp_path, mp4, monkeypatch):
  data = settings(tmp_path, mp4)
  with monkeypatch.context() as patch:
    calls = iter(range(5))
    patch.setattr(resize, 'resize_frame', lambda frame, size: frame if next(calls) < 4 else 1 / 0)
    with pytest.raises(ZeroDivisionError):
      video_cache.unpack(mp4, data)
  assert list((tmp_path / 'cache').iterdir()) == []
  assert len(list(video_cache.unpack(mp4, data).iterdir())) == COUNT


def test_unpacking_is_refused_where_the_disk_lacks_the_space(tmp_path, mp4, monkeypatch):
  usage = shutil.disk_usage(tmp_path)._replace(free=40 * 20 * 20 * 3 - 1)
  monkeypatch.setattr(shutil, 'disk_usage', lambda _: usage)
  with pytest.raises(OSError, match=r'0.05 MB left and .*road.mp4 may need'):
    video_cache.unpack(mp4, settings(tmp_path, mp4))


def test_a_folder_of_videos_is_a_clip_each(tmp_path, mp4):
  folder = tmp_path / 'films'
  folder.mkdir()
  shutil.copy(mp4, folder / 'b10.mp4')
  write(folder / 'b9.MKV', gray, 4)
  data = settings(tmp_path, folder)
  assert open_source(data, 'train', 'a').clips == [('b9', 0, 4), ('b10', 4, COUNT)]
  assert open_source(data, 'test', 'a').clips == [('b9', 0, 4), ('b10', 4, COUNT)]


def test_test_videos_of_one_name_are_told_apart(tmp_path):
  for name in ('day', 'night'):
    write(tmp_path / 'films' / name / 'x.mkv', gray, 3)
  result = open_source(settings(tmp_path, tmp_path / 'films'), 'test', 'a')
  assert [clip[0] for clip in result.clips] == ['day_x.mkv', 'night_x.mkv']


def test_a_video_trains_and_tests(tmp_path, mp4):
  config = defaults.get_config()
  config.data = settings(tmp_path, mp4, train_b=str(mp4), frames=2, batch=2)
  batch = next(batches.train_iterator(config, 2))
  assert batch['a'].shape == (2, 2, 16, 16, 3)
  clip = next(whole_clips.test_clips(config, 'a'))
  assert clip.frames.shape == (COUNT, 16, 16, 3)

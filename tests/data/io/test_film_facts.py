"""What a film says about its frames and times is followed, kept, or refused by name."""

from fractions import Fraction

import av
import numpy as np
import pytest
from made_films import HEIGHT, RATE, WIDTH, encode, frames, picture, times, turned

from i2vjax import defaults
from i2vjax.core import notes
from i2vjax.core.errors import UserError
from i2vjax.data.io import images, result_writers, video_layout, video_reader
from i2vjax.data.prepare import prepare
from i2vjax.data.sources import folders, streams, video_cache, videos


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
  monkeypatch.setattr(notes, '_said', set())


# ---- how frames are shown


@pytest.mark.parametrize(('matrix', 'shown'), [
    ((0, 1, -1, 0), lambda x: np.rot90(x, -1)), ((-1, 0, 0, -1), lambda x: np.rot90(x, 2)),
    ((0, -1, 1, 0), lambda x: np.rot90(x, 1)), ((-1, 0, 0, 1), np.fliplr),
    ((1, 0, 0, -1), np.flipud), ((0, 1, 1, 0), lambda x: np.swapaxes(x, 0, 1)),
    ((0, -1, -1, 0), lambda x: np.rot90(np.swapaxes(x, 0, 1), 2)),
])
def test_turns_and_flips_are_followed(tmp_path, matrix, shown):
  plain = encode(tmp_path / 'x.mp4', times=range(3))
  path = turned(plain, tmp_path / 'turned.mp4', matrix)
  for result, stored in zip(frames(path), frames(plain), strict=True):
    np.testing.assert_array_equal(result, shown(stored))
  info = video_reader.video_info(path)
  assert (info.height, info.width) == shown(frames(plain)[0]).shape[:2]
  np.testing.assert_array_equal(videos.VideoFrames([path]).read(1)['frame'], frames(path)[1])


def test_other_turns_are_refused_by_name(tmp_path):
  path = turned(encode(tmp_path / 'x.mp4', times=range(2)), tmp_path / 'y.mp4', (1, 1, -1, 1))
  with pytest.raises(UserError, match=r'y.mp4 is to be shown turned by -?45 degrees'):
    frames(path)


def gray_level(fmt, value):
  deep = fmt != 'gray'
  return lambda k: np.full((HEIGHT, WIDTH), value, np.uint16 if deep else np.uint8)


@pytest.mark.parametrize(('fmt', 'value', 'full', 'limited'), [
    ('gray', 16, 16, 0), ('gray', 235, 235, 255), ('gray', 126, 126, 128.08), ('gray', 5, 5, 0),
    ('gray10le', 64, 4100, 0), ('gray10le', 940, 60218, 65535),
    ('gray12le', 2048, 32775, 33516), ('gray16le', 4096, 4096, 0),
    ('gray16le', 60160, 60160, 65535),
])
def test_limited_range_of_gray_is_followed(tmp_path, fmt, value, full, limited):
  for number, expected in ((0, full), (1, limited), (2, full)):
    path = encode(tmp_path / f'{number}.mkv', 'ffv1', range(1), gray_level(fmt, value), fmt,
                  color_range=number)
    np.testing.assert_allclose(frames(path)[0].astype(float), expected, atol=1)


@pytest.mark.parametrize(('fmt', 'number', 'black', 'white'), [
    ('yuv420p', 1, 0, 255), ('yuv420p', 2, 16, 235), ('yuvj420p', 2, 16, 235)])
def test_range_of_color_is_followed(tmp_path, fmt, number, black, white):
  def make(k):                      # planes of YUV, as they are stored
    planes = np.full((HEIGHT * 3 // 2, WIDTH), 128, np.uint8)
    planes[:HEIGHT] = 16 if k == 0 else 235
    return planes
  def encode_planes(path):
    with av.open(str(path), 'w') as film:
      stream = film.add_stream('ffv1', rate=RATE)
      stream.height, stream.width, stream.pix_fmt = HEIGHT, WIDTH, 'yuv420p'
      stream.codec_context.color_range = number
      for k in range(2):
        film.mux(stream.encode(av.VideoFrame.from_ndarray(make(k), 'yuv420p')))
      film.mux(stream.encode())
    return path
  dark, bright = frames(encode_planes(tmp_path / 'x.mkv'))
  np.testing.assert_allclose(dark.astype(int), black, atol=1)
  np.testing.assert_allclose(bright.astype(int), white, atol=1)


def test_counts_that_cannot_be_limited_range_are_told(tmp_path, capsys):
  frames(encode(tmp_path / 'x.mkv', 'ffv1', range(1), gray_level('gray16le', 300), 'gray16le',
                color_range=1))
  assert 'x.mkv states limited range' in capsys.readouterr().err


COUNTS = (np.arange(32 * 48).reshape(32, 48) * 40 + 7).astype(np.uint16)


def deep(path, codec, fmt, make):
  """A film of two frames of 16 bits; `make`: number -> uint16 [H, W] or [H, W, 3]."""
  with av.open(str(path), 'w') as film:
    stream = film.add_stream(codec, rate=5)
    stream.height, stream.width, stream.pix_fmt = 32, 48, fmt
    for k in range(2):
      array = make(k)
      frame = av.VideoFrame.from_ndarray(array, 'rgb48le' if array.ndim == 3 else 'gray16le')
      frame = frame if frame.format.name == fmt else frame.reformat(format=fmt)
      frame.pts, frame.time_base = k, Fraction(1, 5)
      film.mux(stream.encode(frame))
    film.mux(stream.encode())
  return path


@pytest.mark.parametrize(('name', 'codec', 'fmt', 'lost'), [
    ('a.mov', 'png', 'rgb48be', 0), ('a.mov', 'png', 'rgba64be', 0), ('a.mov', 'png', 'ya16be', 0),
    ('a.mkv', 'ffv1', 'gbrp16le', 0), ('a.mkv', 'ffv1', 'gbrp14le', 4)])
def test_gray_in_three_colors_or_with_alpha_keeps_its_bits(tmp_path, capsys, name, codec, fmt,
                                                           lost):
  """`lost`: to the bits that the film has."""
  def make(k):
    counts = COUNTS + np.uint16(k * 300)
    return counts if fmt.startswith('ya') else np.repeat(counts[..., None], 3, -1)
  path = deep(tmp_path / name, codec, fmt, make)
  info = video_reader.video_info(path)
  assert (info.channels, info.dtype) == (1, 'uint16')
  first, second = frames(path)
  assert np.abs(first[..., 0].astype(int) - COUNTS).max() <= lost
  assert np.abs(second[..., 0].astype(int) - COUNTS - 300).max() <= lost
  assert 'bits a color' not in capsys.readouterr().err
  np.testing.assert_array_equal(videos.VideoFrames([path]).read(1)['frame'], second)


def test_deep_colors_that_become_8_bits_are_told(tmp_path, capsys):
  """Also those of a film that begins gray."""
  def make(k):
    return np.stack([COUNTS, COUNTS, COUNTS + np.uint16(999 * k)], -1)
  path = deep(tmp_path / 'a.mov', 'png', 'rgb48be', make)
  assert [frame.dtype for frame in frames(path)] == [np.uint8] * 2
  assert f'{path}: its 16 bits a color are read as 8' in capsys.readouterr().err
  frames(encode(tmp_path / 'b.mkv', fmt='yuv420p10le', times=range(2)))
  assert 'its 10 bits a color are read as 8' in capsys.readouterr().err
  frames(encode(tmp_path / 'c.mkv', times=range(2)))
  assert not capsys.readouterr().err


def test_hdr_is_told(tmp_path, capsys):
  frames(encode(tmp_path / 'x.mkv', times=range(2), color_trc=16))
  assert 'HDR (PQ) is read without tone mapping' in capsys.readouterr().err


@pytest.mark.parametrize('count', [1, 2])
def test_covers_are_no_films_and_further_films_are_told(tmp_path, capsys, count):
  path = tmp_path / 'x.mkv'
  images.write_image(tmp_path / 'cover.png', picture(0))
  with av.open(str(path), 'w') as film:
    pair = []
    for size in ((32, 48), (16, 16))[:count]:
      pair.append(film.add_stream('ffv1', rate=RATE))
      (pair[-1].height, pair[-1].width), pair[-1].pix_fmt = size, 'bgr0'
    film.add_attachment('cover.png', 'image/png', (tmp_path / 'cover.png').read_bytes())
    for stream in pair:
      array = np.zeros((stream.height, stream.width, 3), np.uint8)
      film.mux(stream.encode(av.VideoFrame.from_ndarray(array, 'rgb24').reformat(format='bgr0')))
    for stream in pair:
      film.mux(stream.encode())
  with av.open(str(path)) as film:
    assert len(film.streams.video) == count + 1       # the cover
  assert frames(path)[0].shape == (32, 48, 3)
  assert ('x.mkv holds 2 films; the first is read' in capsys.readouterr().err) == (count == 2)


# ---- beginnings that do not speak for all


def test_sizes_that_change_are_refused_by_name(tmp_path):
  one = encode(tmp_path / 'a.ts', times=range(6))
  two = encode(tmp_path / 'b.ts', times=range(6), make=lambda k: picture(k)[:16])
  (tmp_path / 'x.ts').write_bytes(one.read_bytes() + two.read_bytes())
  with pytest.raises(UserError, match='x.ts: its size changes from 48x32 to 48x16 pixels at'):
    frames(tmp_path / 'x.ts')


def test_the_note_of_padding_counts_only_at_the_padded_size(tmp_path):
  """Another program scaled our film and kept its comment."""
  with video_reader.VideoWriter(tmp_path / 'odd.mp4') as film:
    film.write(picture(0)[:31, :47])
  with av.open(str(tmp_path / 'odd.mp4')) as film:
    comment = film.metadata['comment']
  for size, expected in (((64, 96), (64, 96)), ((32, 48), (31, 47)), ((48, 32), (48, 32))):
    path = tmp_path / f'{size[0]}.mp4'
    with av.open(str(path), 'w') as film:
      film.metadata['comment'] = comment
      stream = film.add_stream('libx264', rate=RATE)
      (stream.height, stream.width), stream.pix_fmt = size, 'yuv420p'
      frame = av.VideoFrame.from_ndarray(np.zeros((*size, 3), np.uint8), 'rgb24')
      film.mux(stream.encode(frame))
      film.mux(stream.encode())
    info = video_reader.video_info(path)
    assert (info.height, info.width) == frames(path)[0].shape[:2] == expected
  assert video_layout.SIZE_TAG in comment


DROPPED = [*range(8), *range(16, 24)]      # eight of twenty-four frames


@pytest.mark.parametrize('codec', ['mjpeg', 'libx264'])
def test_dropped_frames_of_avi_leave_their_time(tmp_path, codec):
  fmt = 'yuvj420p' if codec == 'mjpeg' else 'yuv420p'
  path = encode(tmp_path / 'x.avi', codec, DROPPED, fmt=fmt)
  info = video_reader.video_info(path)
  assert (info.frames, info.seconds) == (16, pytest.approx(2))
  assert len(videos.VideoFrames([path])) == len(times(path, damaged='stop')) == 16
  gaps = np.diff(times(path))
  assert gaps.max() == pytest.approx(9 / RATE)
  assert np.sum(gaps > 1.5 / RATE) == 1


@pytest.mark.parametrize(('ending', 'codec'), [
    ('mkv', 'libx264'), ('webm', 'libvpx'), ('mp4', 'libx264'), ('avi', 'mjpeg')])
def test_a_last_frame_that_stands_for_seconds_is_no_damage(tmp_path, ending, codec):
  path = lasting(tmp_path / f'x.{ending}', codec)
  info = video_reader.video_info(path)
  assert (info.frames, info.seconds) == (6, pytest.approx(5 / RATE + 3, abs=0.002))
  np.testing.assert_allclose(times(path, damaged='stop'), np.arange(6) / RATE, atol=0.001)
  clip, = streams.open_streams(path)
  for made in (tmp_path / 'made.mkv', tmp_path / 'made.mp4'):
    result_writers.write_video(made, clip.read('stop'), clip.info.rate, clip.info)
    assert len(times(made, damaged='stop')) == 6
    assert video_reader.video_info(made).seconds == pytest.approx(info.seconds, abs=0.002)


def lasting(path, codec):
  """Six frames, of which the last is shown for three seconds."""
  with av.open(str(path), 'w') as film:
    stream = film.add_stream(codec, rate=RATE, options={'bf': '0'} if codec == 'libx264' else {})
    stream.width, stream.height = WIDTH, HEIGHT
    stream.pix_fmt = 'yuvj420p' if codec == 'mjpeg' else 'yuv420p'
    packets = []
    for k in range(6):
      frame = av.VideoFrame.from_ndarray(picture(k), 'rgb24').reformat(format=stream.pix_fmt)
      frame.pts, frame.time_base = k, Fraction(1, RATE)
      packets += stream.encode(frame)
    packets += stream.encode()
    for k, packet in enumerate(packets):
      packet.duration = 1 if k < 5 else 3 * RATE
      film.mux(packet)
    if path.suffix == '.avi':             # by empty frames
      for k in range(6, 5 + 3 * RATE):
        packet = av.Packet(0)
        packet.pts = packet.dts = k
        packet.duration, packet.time_base, packet.stream = 1, Fraction(1, RATE), stream
        film.mux(packet)
  return path


def test_a_film_that_ends_before_time_0_has_its_length(tmp_path):
  """A broadcast whose clock, of 33 bits, is about to begin anew: FFmpeg counts from below 0."""
  whole, path = encode(tmp_path / 'a.ts', options={'bf': '0'}), tmp_path / 'x.ts'
  with av.open(str(whole)) as source, av.open(str(path), 'w') as film:
    copy = film.add_stream_from_template(source.streams.video[0])
    for packet in source.demux(video=0):
      if packet.size:
        packet.pts = packet.dts = packet.pts + 2 ** 33 - 20 * 90000
        packet.stream = copy
        film.mux(packet)
  info = video_reader.video_info(path)
  assert info.start == pytest.approx(-20 + times(whole)[0])
  assert (info.frames, info.seconds) == (24, pytest.approx(2))
  assert info.pause == pytest.approx(1 / RATE, abs=1e-4)


def test_an_avi_that_was_cut_before_its_empty_frames_is_told(tmp_path):
  path = lasting(tmp_path / 'x.avi', 'mjpeg')
  data = path.read_bytes()
  path.write_bytes(data[:data.find((b'00dc' + bytes(4)) * 2)])
  with pytest.raises(video_reader.UnreadableVideo, match=r'x.avi: frame 6 \(from 0\) is missing'):
    times(path, damaged='stop')


def without_key_frame(path, output):
  """A copy that begins after the first key frame, as a careless program cuts."""
  with av.open(str(path)) as source, av.open(str(output), 'w') as film:
    copy = film.add_stream_from_template(source.streams.video[0])
    for packet in list(source.demux(video=0))[1:]:
      if packet.size:
        packet.stream = copy
        film.mux(packet)
  return output


def test_frames_before_the_first_key_frame_are_counted_and_told(tmp_path):
  whole = encode(tmp_path / 'a.mp4', options={'g': '12', 'bf': '0', 'sc_threshold': '0'})
  path = without_key_frame(whole, tmp_path / 'x.mp4')
  with pytest.raises(video_reader.UnreadableVideo, match='x.mp4: the first 11 frames .from 0. ca'):
    frames(path, damaged='stop')
  with pytest.warns(UserWarning, match='the first 11 frames'):
    assert len(frames(path)) == 12
  source = videos.VideoFrames([path])
  with pytest.raises(video_reader.UnreadableVideo, match='frame 0 .from 0. cannot be decoded'):
    source.read(0)
  np.testing.assert_array_equal(source.read(11)['frame'], frames(whole)[12])
  with pytest.warns(UserWarning):
    items = list(streams.open_streams(path)[0].read('skip'))
  assert [isinstance(frame, Exception) for _, frame, _ in items] == [True] * 11 + [False] * 12


def test_a_broadcast_that_begins_between_key_frames_is_told(tmp_path):
  whole = encode(tmp_path / 'a.mp4', options={'g': '12', 'bf': '0', 'sc_threshold': '0'})
  path = without_key_frame(whole, tmp_path / 'x.ts')
  with pytest.warns(UserWarning, match='x.ts: the first 11 frames .from 0. cannot be decoded'):
    assert len(frames(path, damaged='stop')) == 12


def test_codecs_with_hidden_frames_are_counted_by_decoding(tmp_path):
  path = encode(tmp_path / 'x.mkv', 'libvpx', range(20),
                options={'auto-alt-ref': '1', 'lag-in-frames': '10', 'b': '90000'})
  with av.open(str(path)) as film:
    assert video_reader.time_stamps(film, film.streams.video[0]) is None
  assert video_reader.video_info(path).frames == len(videos.VideoFrames([path])) == 20


# ---- half pictures


def interlaced(path):
  def comb(k):
    frame = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    frame[::2, 8 * k:8 * k + 12] = 255             # the rows of one moment
    frame[1::2, 8 * k + 4:8 * k + 16] = 255        # and of the next
    return frame
  return encode(path, times=range(6), make=comb, options={'x264-params': 'tff=1', 'qp': '0'})


def combs(frame):
  """Steps between neighboring rows, beyond those between rows two apart."""
  gray = frame[..., 0].astype(float)
  return np.abs(np.diff(gray, axis=0)).mean() - np.abs(gray[2:] - gray[:-2]).mean()


def test_half_pictures_are_told_or_made_whole(tmp_path, capsys):
  path = interlaced(tmp_path / 'x.mp4')
  left = frames(path)
  assert 'x.mp4 is interlaced' in capsys.readouterr().err
  notes._said.clear()
  clip, = streams.open_streams(path, deinterlace=True)
  whole = [(frame, seconds) for _, frame, seconds in clip.read('stop')]
  assert 'interlaced' not in capsys.readouterr().err
  assert len(whole) == len(left) == 6
  np.testing.assert_allclose([seconds for _, seconds in whole], times(path), atol=1e-6)
  assert combs(left[3]) > 20 and combs(whole[3][0]) < 2
  prepare.footage(str(path), str(tmp_path / 'out'), defaults.data(), show=False, deinterlace=True)
  made = folders.open_place(defaults.data(), tmp_path / 'out')
  np.testing.assert_array_equal(made.read(3)['frame'], whole[3][0])


def test_pictures_cannot_be_deinterlaced(tmp_path):
  images.write_image(tmp_path / '0.png', picture(0))
  with pytest.raises(UserError, match='--deinterlace is for videos'):
    streams.open_streams(tmp_path, deinterlace=True)
  with pytest.raises(UserError, match='--deinterlace is for videos'):
    prepare.footage(str(tmp_path), str(tmp_path / 'out'), defaults.data(), show=False,
                    deinterlace=True)


def test_frames_that_were_unpacked_by_another_reading_are_not_taken(tmp_path, monkeypatch):
  data = defaults.data()
  data.update(cache_dir=str(tmp_path / 'cache'), load_size=20, crop_size=16)
  path = encode(tmp_path / 'x.mp4', times=range(2))
  first = video_cache.unpack(path, data)
  assert video_cache.unpack(path, data) == first
  monkeypatch.setattr(video_cache, 'READING', video_cache.READING + 1)
  assert video_cache.unpack(path, data) != first

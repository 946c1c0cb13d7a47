"""What a film says about its frames and times is followed, kept, or refused by name."""

from fractions import Fraction

import av
import numpy as np
import pytest

from i2vjax import defaults
from i2vjax.core import notes
from i2vjax.core.errors import UserError
from i2vjax.data.io import images, video_layout, video_reader, video_times
from i2vjax.data.prepare import prepare
from i2vjax.data.sources import folders, streams, video_cache, videos

HEIGHT, WIDTH, RATE = 32, 48, 12


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
  monkeypatch.setattr(notes, '_said', set())


def picture(k):
  y, x = np.mgrid[:HEIGHT, :WIDTH]
  return np.stack([5 * x, 7 * y, 0 * x + 9 * k], axis=-1).astype(np.uint8)


def encode(path, codec='libx264', times=range(24), make=picture, fmt='yuv420p', rate=RATE,
           sound=None, options=None, **context):
  """A film as another program would write it; `times` in frames, `sound`: codec."""
  with av.open(str(path), 'w') as film:
    stream = film.add_stream(codec, rate=rate, options=options or {})
    stream.pix_fmt = fmt
    first = make(0)
    stream.height, stream.width = first.shape[:2]
    for name, value in context.items():
      setattr(stream.codec_context, name, value)
    voice = film.add_stream(sound, rate=16000, layout='mono') if sound else None
    for k, time in enumerate(times):
      array = make(k)
      frame = av.VideoFrame.from_ndarray(array, 'rgb24' if array.ndim == 3 else fmt)
      frame = frame.reformat(format=fmt)
      frame.color_range = context.get('color_range', 0)
      frame.pts, frame.time_base = time, Fraction(1, rate)
      film.mux(stream.encode(frame))
    film.mux(stream.encode())
    for k in range(30 if voice else 0):
      wave = np.sin(np.arange(1024)[None] / 6 + k).astype(np.float32) / 2
      planar = voice.codec_context.format.is_planar or voice.codec_context.format.name == 'flt'
      frame = av.AudioFrame.from_ndarray(
          wave if planar else (wave * 20000).astype(np.int16),
          'fltp' if planar else 's16', layout='mono')
      frame.sample_rate, frame.pts, frame.time_base = 16000, 1024 * k, Fraction(1, 16000)
      film.mux(voice.encode(frame))
    if voice:
      film.mux(voice.encode())
  return path


def frames(path, **kind):
  return [frame for frame, _ in video_reader.read_video(path, **kind)]


def times(path, **kind):
  return [seconds for _, seconds in video_reader.read_video(path, **kind)]


def translated(path, output):
  """What the translation command makes of a film, with networks that change nothing."""
  clip, = streams.open_streams(path)
  streams.write_video(output, clip.read('stop'), clip.info.rate, clip.info)
  return output


# ---- how frames are shown


def turned(path, output, matrix):
  """A copy of an MP4 whose header asks for a display matrix, (a, b, c, d)."""
  def words(a, b, c, d):
    return b''.join((value << 16).to_bytes(4, 'big', signed=True) for value in (a, b, 0, c, d, 0))
  data = path.read_bytes()
  track = data.find(b'tkhd')
  assert words(1, 0, 0, 1) in data[track:]
  output.write_bytes(data[:track] + data[track:].replace(words(1, 0, 0, 1), words(*matrix), 1))
  return output


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


# ---- what the result keeps

PAUSES = [0, 1, 2, 3, 12, 13]


@pytest.mark.parametrize('ending', ['mp4', 'mkv'])
@pytest.mark.parametrize('origin', ['film.mp4', 'film.mkv', 'film.avi', 'film.ts'])
def test_the_result_is_as_long_as_the_film_to_the_frame(tmp_path, origin, ending):
  path = encode(tmp_path / origin, times=PAUSES, options={'bf': '0'})
  result = translated(path, tmp_path / f'result.{ending}')
  before, after = video_reader.video_info(path), video_reader.video_info(result)
  np.testing.assert_allclose(np.array(times(result)) - times(result)[0], np.array(PAUSES) / RATE,
                             atol=0.0015)
  assert before.frames == after.frames == 6
  assert after.seconds == pytest.approx(before.seconds, abs=0.002)
  with av.open(str(result)) as film:
    assert film.duration / av.time_base == pytest.approx(14 / RATE, abs=0.002)


def test_a_constant_rate_is_stored_smaller_and_as_long(tmp_path):
  in_order = {}
  for name, when in (('steady', range(24)), ('pauses', [*range(23), 30])):
    path = encode(tmp_path / f'{name}.mp4', times=when)
    result = translated(path, tmp_path / f'{name}-result.mp4')
    with av.open(str(result)) as film:
      in_order[name] = [packet.pts == packet.dts for packet in film.demux(video=0) if packet.size]
      assert film.duration / av.time_base == pytest.approx((when[-1] + 1) / RATE, abs=1e-4)
    np.testing.assert_allclose(times(result), np.array(when) / RATE, atol=2e-5)
  assert all(in_order['pauses']) and not all(in_order['steady'])


def test_a_pause_that_mp4_cannot_hold_is_refused_before_the_work(tmp_path):
  """7 hours between two frames, as of a trap camera."""
  pause = 7 * 3600
  for name, seconds in (('a.mkv', (0, 1, pause)), ('b.mkv', (0, pause))):
    with video_reader.VideoWriter(tmp_path / name, 1) as film:
      for k, time in enumerate(seconds):
        film.write(picture(k), time)
    assert video_reader.video_info(tmp_path / name).pause >= pause - 1
    assert times(translated(tmp_path / name, tmp_path / 'c.mkv'))[-1] == pause
    (tmp_path / 'c.mkv').unlink()
    film = video_reader.VideoWriter(tmp_path / 'c.mp4', 1,
                                    film=video_reader.video_info(tmp_path / name))
    with pytest.raises(UserError, match=r'shown for 7.0 h, and .mp4 holds up to 6.6: name .*.mkv'):
      film.write(picture(0), 0)
    film.abort()
  film = video_reader.VideoWriter(tmp_path / 'd.mp4', 1)
  film.write(picture(0), 0)
  with pytest.raises(UserError, match='shown for 7.0 h'):
    film.write(picture(1), pause)
  film.close()                         # what came before can still be finished
  assert len(times(tmp_path / 'd.mp4')) == 1
  assert sorted(path.name for path in tmp_path.iterdir()) == ['a.mkv', 'b.mkv', 'd.mp4']


@pytest.mark.parametrize(('name', 'sound', 'ending'), [
    ('a.mp4', 'aac', 'mp4'), ('a.mp4', 'aac', 'mkv'), ('a.avi', 'pcm_s16le', 'mp4'),
    ('a.ts', 'aac', 'mp4'), ('a.mkv', 'flac', 'mkv')])
def test_sound_is_copied_and_stays_in_step(tmp_path, name, sound, ending):
  path = encode(tmp_path / name, sound=sound)
  result = translated(path, tmp_path / f'result.{ending}')

  def voice(file):
    with av.open(str(file)) as film:
      stream = film.streams.audio[0]
      wave = [(frame.time, frame.to_ndarray()) for frame in film.decode(stream)]
      return wave[0][0], np.concatenate([part for _, part in wave], axis=1)
  (start, before), (new_start, after) = voice(path), voice(result)
  np.testing.assert_array_equal(after[:, -before.shape[1]:], before[:, -after.shape[1]:])
  assert abs(after.shape[1] - before.shape[1]) <= 1024          # the start-up of the codec
  lead = start - times(path)[0]
  assert new_start - times(result)[0] == pytest.approx(lead, abs=1024 / 16000 + 0.002)


def test_sound_that_the_file_cannot_hold_is_told(tmp_path, capsys):
  path = encode(tmp_path / 'a.avi', sound='pcm_mulaw')
  translated(path, tmp_path / 'result.mp4')
  assert 'sound (pcm_mulaw, which .mp4 cannot hold)' in capsys.readouterr().err


def joined(path, *parts):
  """Films put one behind the other, as `cat` does."""
  path.write_bytes(b''.join(part.read_bytes() for part in parts))
  return path


@pytest.mark.parametrize(('name', 'codec', 'sound', 'rate'), [
    ('a.ts', 'libx264', 'aac', 12), ('a.mkv', 'libx264', 'aac', 12),
    ('a.mpg', 'mpeg2video', 'mp2', 24)])
def test_films_one_behind_the_other_go_on(tmp_path, capsys, name, codec, sound, rate):
  """Two films of 2 s each, whose times begin anew; their sound goes on with them."""
  one = encode(tmp_path / name, codec, range(2 * rate), rate=rate, sound=sound)
  path = joined(tmp_path / f'both_{name}', one, one)
  info = video_reader.video_info(path)
  assert (info.frames, info.rate, info.variable) == (4 * rate, rate, False)
  assert info.seconds == pytest.approx(4, abs=0.002)
  begins = times(path)
  assert np.diff(begins) == pytest.approx(np.full(4 * rate - 1, 1 / rate), abs=0.002)
  assert f'its times fall back at {begins[2 * rate - 1]:.2f} s' in capsys.readouterr().err
  output = translated(path, tmp_path / 'out.mkv')
  assert np.diff(times(output)) == pytest.approx(np.full(4 * rate - 1, 1 / rate), abs=0.002)
  alone = sound_times(translated(one, tmp_path / 'alone.mkv'))
  expected = np.concatenate([alone, np.add(alone, 2)])
  assert sound_times(output) == pytest.approx(expected, abs=0.003)


def sound_times(path):
  with av.open(str(path)) as film:
    return [float(packet.pts * packet.time_base) for packet in film.demux(audio=0) if packet.size]


def test_sound_that_outlasts_its_pictures_is_told_where_films_are_joined(tmp_path, capsys):
  one = encode(tmp_path / 'a.ts', times=range(12), sound='aac')         # 1 s, and 1.92 s of sound
  output = translated(joined(tmp_path / 'both.ts', one, one), tmp_path / 'out.mp4')
  assert 'the sound of its part 2 comes 0.9' in capsys.readouterr().err
  assert min(np.diff(sound_times(output))) > 0


def test_sound_that_cannot_go_on_with_joined_films_is_refused_by_its_cause(tmp_path):
  path = joined(tmp_path / 'both.ts', encode(tmp_path / 'a.ts', sound='aac'),
                encode(tmp_path / 'b.ts'))
  with pytest.raises(UserError, match='one behind the other, and its sound.*ffmpeg -f concat'):
    translated(path, tmp_path / 'out.mp4')


def test_times_that_merely_tremble_are_left():
  clock = video_times.GoingOn(Fraction(10), [])
  seconds = [0, 0.1, 0.1, 0.35, 0.2, 0.3, 0.45]
  assert [clock.place(x) for x in seconds] == seconds
  assert clock.place(0.05) == pytest.approx(0.55)
  assert clock.shifts == pytest.approx([0.5])


@pytest.mark.parametrize('matrix', [(1, 0, 0, 1), (0, 1, -1, 0)])
def test_the_shape_of_pixels_is_kept_in_mp4(tmp_path, matrix):
  path = turned(encode(tmp_path / 'a.mp4', times=range(2), sample_aspect_ratio=Fraction(16, 15)),
                tmp_path / 'x.mp4', matrix)
  expected = Fraction(16, 15) if matrix[0] else Fraction(15, 16)
  assert video_reader.video_info(path).pixel_aspect == expected
  result = translated(path, tmp_path / 'result.mp4')
  assert video_reader.video_info(result).pixel_aspect == expected


def test_the_shape_of_pixels_is_told_where_it_is_lost(tmp_path, capsys):
  path = encode(tmp_path / 'x.mp4', times=range(2), sample_aspect_ratio=Fraction(16, 15))
  translated(path, tmp_path / 'result.mkv')
  assert '16:15, not square, which .mkv does not keep' in capsys.readouterr().err
  prepare.footage(str(path), str(tmp_path / 'out'), defaults.data(), show=False)
  assert 'not square; frames are 48x32 as stored, players show 51x32' in capsys.readouterr().err


def test_pauses_are_told_where_pictures_lose_them(tmp_path, capsys):
  path = encode(tmp_path / 'x.mp4', times=PAUSES)
  prepare.footage(str(path), str(tmp_path / 'out'), defaults.data(), show=False)
  assert 'x.mp4: the time between its frames varies' in capsys.readouterr().err


def test_odd_sides_are_told(tmp_path, capsys):
  path = encode(tmp_path / 'x.mkv', 'ffv1', range(2), lambda k: picture(k)[:31, :47], 'bgr0')
  translated(path, tmp_path / 'result.mp4')
  assert '47x31 was padded to 48x32' in capsys.readouterr().err


def test_titles_are_kept_and_other_streams_and_beginnings_told(tmp_path, capsys):
  path = encode(tmp_path / 'x.mp4', times=range(2))
  with av.open(str(path)) as source, av.open(str(tmp_path / 'y.mkv'), 'w') as film:
    film.metadata['title'] = 'night drive'
    copy = film.add_stream_from_template(source.streams.video[0])
    film.set_chapters([{'id': 1, 'start': 0, 'end': 100, 'time_base': Fraction(1, 1000),
                        'metadata': {'title': 'one'}}])
    for packet in source.demux(video=0):
      if packet.size:
        packet.pts, packet.dts = packet.pts + 60 * 12288, packet.dts + 60 * 12288
        packet.stream = copy
        film.mux(packet)
  result = translated(tmp_path / 'y.mkv', tmp_path / 'result.mp4')
  with av.open(str(result)) as film:
    assert film.metadata['title'] == 'night drive'
  said = capsys.readouterr().err
  assert 'left out of what' in said and 'chapters' in said
  assert 'result.mp4: begins at 0,' in said


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

"""What a result keeps of the film it was made of: times, sound, shape of pixels."""

from fractions import Fraction

import av
import numpy as np
import pytest
from made_films import RATE, encode, picture, times, turned

from i2vjax import defaults
from i2vjax.core import notes
from i2vjax.core.errors import UserError
from i2vjax.data.io import result_writers, video_reader, video_times
from i2vjax.data.prepare import prepare
from i2vjax.data.sources import streams


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
  monkeypatch.setattr(notes, '_said', set())


def translated(path, output):
  """What the translation command makes of a film, with networks that change nothing."""
  clip, = streams.open_streams(path)
  result_writers.write_video(output, clip.read('stop'), clip.info.rate, clip.info)
  return output


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


def test_texts_that_mp4_has_no_place_for_are_told(tmp_path, capsys):
  texts = {'title': 'night', 'date': '2020-01-02', 'make': 'FLIR', 'com.flir.emissivity': '0.95'}
  path = tmp_path / 'x.mkv'
  with av.open(str(path), 'w') as film:
    film.metadata.update(texts)
    stream = film.add_stream('ffv1', rate=RATE)
    stream.width, stream.height, stream.pix_fmt = 48, 32, 'bgr0'
    film.mux(stream.encode(av.VideoFrame.from_ndarray(picture(0), 'rgb24')))
    film.mux(stream.encode())
  for ending, kept in (('mkv', list(texts)), ('mp4', ['title', 'date'])):
    with av.open(str(translated(path, tmp_path / f'result.{ending}'))) as film:
      found = {name.lower(): text for name, text in film.metadata.items()}
    assert {name: found.get(name) for name in kept} == {name: texts[name] for name in kept}
    said = capsys.readouterr().err
    assert ('x.mkv says: COM.FLIR.EMISSIVITY, MAKE; .mkv keeps them' in said) == (ending == 'mp4')
  assert b'\xa9nam' in (tmp_path / 'result.mp4').read_bytes()       # where players look for a title

"""Live translation: newest frame first, reconnection, an orderly end, streams out."""

import contextlib
import io
import signal
import socket
import threading

import av
import jax.numpy as jnp
import live_senders as senders
import numpy as np
import pytest
import stub_runs as stubs

from i2vjax import live, main
from i2vjax import translate as translator
from i2vjax.cli import commands, parse
from i2vjax.core.errors import UserError
from i2vjax.data.io import images, live_reader, live_writer, video_layout, video_reader
from i2vjax.data.transforms import thermal
from i2vjax.run import folder

QUIET = {'show': False, 'reconnect': 0}


@pytest.fixture
def negative():
  return stubs.make(stubs.negative)


@pytest.fixture
def impatient(monkeypatch):
  monkeypatch.setattr(live_reader, 'TIMEOUT', 1.2)


def result(source, result):
  return result


def test_what_is_live():
  for place in ('rtsp://camera/1', 'udp://127.0.0.1:5000', 'tcp://x:1', '/dev/null'):
    assert live_reader.is_live(place)
  for place in ('in.mp4', 'folder/', '/dev/video77', 'file://in.mp4', ''):
    assert not live_reader.is_live(place)


def test_the_newest_frame_wins_and_the_others_are_counted():
  reader = live_reader.LiveReader('tcp://127.0.0.1:1')
  picture = av.VideoFrame.from_ndarray(np.zeros((4, 4), np.uint8), 'gray')
  layout = video_layout.Layout('x', ('gray', 1, 'uint8'), (4, 4), (4, 4))
  for k in range(3):
    reader._put((picture, layout, float(k), 0.0, k == 0))
  item = next(reader.frames())
  assert (item.seconds, reader.received, reader.taken, reader.dropped) == (2.0, 3, 1, 2)
  assert item.begins                 # said of the dropped first one


def test_a_stream_becomes_a_file_and_its_end_is_said(tmp_path, negative, impatient):
  """Every frame is accounted for, in order, with the times the sender gave."""
  values = list(range(20, 220, 4))
  with senders.sender(senders.gray_clip(values)) as place:
    summary = live.translate(negative, place, tmp_path / 'out.mkv', result, lossless=True, **QUIET)
  frames, seconds = zip(*video_reader.read_video(tmp_path / 'out.mkv'), strict=True)
  sent = [255 - int(frame[20, 30, 0]) for frame in frames]
  places = [int(np.abs(np.subtract(values, value)).argmin()) for value in sent]
  assert np.abs(np.subtract(sent, [values[k] for k in places])).max() <= 3   # H.264 on the way
  assert places == sorted(set(places))
  np.testing.assert_allclose(seconds, (np.array(places) - places[0]) / 25, atol=0.002)
  assert summary['frames'] == len(frames) == summary['received'] - summary['dropped']
  assert places[-1] == len(values) - 1
  assert summary['end'] == 'the stream has ended'
  assert 0 < summary['latency'] < 5


def test_a_lost_connection_is_taken_up_again_and_memory_starts_anew(tmp_path, impatient):
  with senders.sender(*[senders.gray_clip(range(50, 200, 4))] * 2) as place:
    summary = live.translate(stubs.make(stubs.counting), place, tmp_path / 'out.mkv', result,
                             lossless=True, show=False, reconnect=1.5)
  counts = [int(frame[0, 0, 0]) for frame, _ in video_reader.read_video(tmp_path / 'out.mkv')]
  second = counts.index(0, 1)
  assert counts == [*range(second), *range(len(counts) - second)]
  assert summary['reconnects'] == 1
  assert 'not back within 1.5 s' in summary['end']
  assert 'connected anew 1 times' in live.summary_text(summary)


def test_a_camera_that_changes_its_size_leaves_what_came_before(tmp_path, negative, impatient):
  """A recording cannot be made again: the file plays, and why it ends is said."""
  wide = [np.full((48, 96, 3), 90, np.uint8)] * 10
  with senders.sender(senders.gray_clip(range(50, 120, 4)), wide) as place:
    summary = live.translate(negative, place, tmp_path / 'out.mp4', result, show=False,
                             reconnect=1.5)
  frames = list(video_reader.read_video(tmp_path / 'out.mp4', 'stop'))
  assert len(frames) == summary['frames'] > 0
  assert {frame.shape for frame, _ in frames} == {(48, 64, 3)}
  assert '(48, 96, 3) uint8, the first was (48, 64, 3)' in live.summary_text(summary)
  assert [path.name for path in tmp_path.iterdir()] == ['out.mp4']


def test_a_camera_that_comes_back_without_video_is_tried_again(tmp_path, impatient):
  clip = senders.gray_clip(range(50, 200, 4))
  with senders.sender(clip, 'sound', clip) as place:
    summary = live.translate(stubs.make(stubs.counting), place, tmp_path / 'out.mkv', result,
                             lossless=True, show=False, reconnect=3)
  counts = [int(frame[0, 0, 0]) for frame, _ in video_reader.read_video(tmp_path / 'out.mkv')]
  assert counts.count(0) == 2                   # both films are there
  assert summary['reconnects'] == 2
  with senders.sender('sound') as place, pytest.raises(UserError, match='has no video stream'):
    live.translate(stubs.make(stubs.counting), place, tmp_path / 'x.mkv', result, **QUIET)


def test_times_go_on_where_the_sender_begins_anew(impatient):
  """A camera that starts again behind the same connection: its times fall back, ours do not."""
  clip, seconds = senders.gray_clip(range(50, 200, 8)), []
  with senders.sender((clip, clip)) as place:
    reader = live_reader.LiveReader(place, reconnect=0)
    reader._put = lambda item: seconds.append(item[2])     # all of them, not the newest alone
    with reader:
      assert not list(reader)
  assert len(seconds) == 2 * len(clip)
  assert min(np.diff(seconds)) > 0
  assert seconds[-1] - seconds[len(clip)] == pytest.approx((len(clip) - 1) / 25, abs=0.001)


def test_ctrl_c_finishes_the_file(tmp_path, negative, impatient):
  def stop(count):
    if count == 3:
      signal.raise_signal(signal.SIGINT)
  with senders.sender(senders.gray_clip(range(50, 120))) as place:
    summary = live.translate(negative, place, tmp_path / 'out.mp4', result, on_frame=stop, **QUIET)
  assert (summary['frames'], summary['end']) == (3, 'stopped')
  assert len(list(video_reader.read_video(tmp_path / 'out.mp4', 'stop'))) == 3
  assert [path.name for path in tmp_path.iterdir()] == ['out.mp4']


def test_nobody_there_is_a_mistake_to_mend(tmp_path, negative):
  port = senders.free_port()
  with pytest.raises(UserError, match=f'tcp://127.0.0.1:{port} cannot be opened: .*the address'):
    live.translate(negative, f'tcp://me:secret@127.0.0.1:{port}', tmp_path / 'x.mp4', result,
                   **QUIET)
  with pytest.raises(UserError, match='/dev/null cannot be opened: .*is the camera there'):
    live.translate(negative, '/dev/null', tmp_path / 'x.mp4', result, **QUIET)
  with pytest.raises(UserError, match='srt://127.0.0.1:1 cannot be opened'):
    live.translate(negative, 'srt://127.0.0.1:1', tmp_path / 'x.mp4', result, **QUIET)
  assert not list(tmp_path.iterdir())


def test_outputs_that_will_not_do_are_refused_first(tmp_path, negative):
  with pytest.raises(UserError, match='goes into a video file'):
    live.translate(negative, 'udp://127.0.0.1:1', tmp_path / 'folder', result, **QUIET)
  (tmp_path / 'x.mp4').write_bytes(b'')
  with pytest.raises(FileExistsError, match='--overwrite'):
    live.translate(negative, 'udp://127.0.0.1:1', tmp_path / 'x.mp4', result, **QUIET)
  run = stubs.make(stubs.negative, stubs.config(polarity='auto'))
  with pytest.raises(UserError, match='judges a whole clip.*polarity=white or black'):
    live.translate(run, 'udp://127.0.0.1:1', tmp_path / 'y.mp4', result, **QUIET)


# ---- streams out


def footage(folder, channels=1):
  clip = np.random.default_rng(0).integers(0, 256, (5, 19, 26, channels), np.uint8)
  for k, frame in enumerate(clip):
    images.write_image(folder / f'{k}.png', frame)
  return clip


def test_the_standard_output_gets_mpegts_or_raw_frames_in_nut(tmp_path, negative, capfdbinary):
  clip = footage(tmp_path / 'in')
  translator.translate(negative, tmp_path / 'in', '-', show=False)
  with av.open(io.BytesIO(capfdbinary.readouterr().out), format='mpegts') as container:
    shapes = [frame.to_ndarray(format='rgb24').shape for frame in container.decode(video=0)]
  assert shapes == [(20, 26, 3)] * 5              # H.264 needs even sides
  translator.translate(negative, tmp_path / 'in', '-', lossless=True, show=False)
  with av.open(io.BytesIO(capfdbinary.readouterr().out), format='nut') as container:
    frames = [frame.to_ndarray(format='rgb24') for frame in container.decode(video=0)]
  np.testing.assert_array_equal(np.stack(frames), 255 - np.repeat(clip, 3, axis=-1))


def test_what_is_said_does_not_mix_with_the_video(tmp_path, monkeypatch, capfd):
  monkeypatch.setattr(commands, 'translate_footage', lambda *_: print('said'))
  (tmp_path / 'run').mkdir()
  folder.write_config(tmp_path / 'run', stubs.config())
  assert main.main(['i2vjax', 'translate', '--workdir', str(tmp_path / 'run'), '--input', 'x.mp4',
                    '--output', '-']) == 0
  out, err = capfd.readouterr()
  assert (out, 'said' in err) == ('', True)


def test_addresses_are_an_output_of_translate_alone(tmp_path):
  assert set(commands.STREAMS) == set(live_writer.FORMATS)
  for command, place, refused in (('translate', 'udp://127.0.0.1:9', False),
                                  ('translate', 'gs://bucket', True),
                                  ('prepare', 'udp://127.0.0.1:9', True)):
    folder.write_config(tmp_path, stubs.config())
    _, flag, _ = parse.parse(['i2vjax', command, '--output', place]
                             + ['--workdir', str(tmp_path)] * (command == 'translate'))
    with pytest.raises(UserError, match='folders alone') if refused else contextlib.nullcontext():
      commands.refuse_addresses(flag, command)


def test_silence_is_said(impatient):
  reader = live_reader.LiveReader('udp://127.0.0.1:9')
  assert reader._reason(av.error.ExitError(1, 'x')) == 'nothing came within 1.2 s'


def test_an_address_gets_a_stream_that_others_receive(tmp_path, negative, impatient):
  """Sent over UDP by a translation, received as a live input by another program's reader."""
  footage(tmp_path / 'in')
  place = f'udp://127.0.0.1:{senders.free_port(socket.SOCK_DGRAM)}'
  with live_reader.LiveReader(place, reconnect=0) as reader:
    def send():
      for _ in range(3):
        translator.translate(negative, tmp_path / 'in', place, show=False, rate=10)
    thread = threading.Thread(target=send)
    thread.start()
    items = list(reader)
    thread.join()
  assert items                # what was sent before the receiver listened is lost
  assert items[0].frame.shape == (20, 26, 3)


def test_lossless_frames_do_not_fit_an_address():
  with pytest.raises(UserError, match='streams are H.264'):
    live_writer.StreamWriter('udp://127.0.0.1:1', lossless=True)


def test_a_live_translation_goes_on_without_numbers(tmp_path, impatient, capsys):
  """All frames are white in one pixel that is no number: told once, counted, and written."""
  run = stubs.make(stubs.without_numbers(*range(256)))
  with senders.sender(senders.gray_clip(range(20, 120, 4))) as place:
    summary = live.translate(run, place, tmp_path / 'out.mkv', result, lossless=True, **QUIET)
  assert summary['not_finite'] == summary['frames'] == len(
      list(video_reader.read_video(tmp_path / 'out.mkv')))
  assert capsys.readouterr().err.count('warning: frame 1: the networks give NaN') == 1
  assert (f'in {summary["frames"]} frames the networks gave NaN or infinity'
          in live.summary_text(summary))


def test_a_receiver_that_is_gone_before_the_first_frame(negative, impatient, monkeypatch):
  """Raw frames to a program that reads none: one line, no IndexError of an empty list."""
  def write(self, frame, seconds=None):
    raise BrokenPipeError('-: the receiver has gone')
  monkeypatch.setattr(live_writer.StreamWriter, 'write', write)
  with (senders.sender(senders.gray_clip(range(20, 120, 4))) as place,
        pytest.raises(UserError, match='^-: the receiver has gone, before a single frame')):
    live.translate(negative, place, '-', result, lossless=True, **QUIET)


def test_live_memory_starts_anew_after_a_frame_without_numbers():
  def remembering(model, params, model_state, carry, frames):
    """The third frame since the start is NaN, and stays in memory."""
    count = jnp.zeros(()) if carry is None else carry
    count = jnp.where(count == 2, jnp.nan, count)
    return count + 1, stubs.match(0 * frames + count / 127.5 - 1, model.config)
  run, told = stubs.make(remembering), []
  items = (live_reader.LiveFrame(np.zeros((16, 16, 1), np.uint8), k / 25, 0.0, k == 0)
           for k in range(7))
  frames = [frame[0, 0, 0] for _, _, frame in live.results(
      run, live.translator.compile_chunk(run), items, tell=lambda *seen: told.append(seen))]
  assert frames == [0, 1, 0, 0, 1, 0, 0]
  assert told == [(k, k not in (3, 6)) for k in range(1, 8)]


def test_the_range_of_a_live_clip_settles():
  """Percentiles of all frames so far; after 64 frames it stays."""
  values = thermal.RunningRange('clip')
  assert values.of(np.full((4, 4, 1), 100, np.uint16)).tolist() == [100, 101]
  assert values.of(np.full((4, 4, 1), 300, np.uint16)).tolist() == [100, 300]
  for _ in range(62):
    values.of(np.full((4, 4, 1), 300, np.uint16))
  assert values.of(np.full((4, 4, 1), 60000, np.uint16)).tolist() == [100, 300]
  assert thermal.RunningRange('7,9').of(np.zeros((4, 4, 1), np.uint16)).tolist() == [7, 9]
  assert values.of(np.zeros((4, 4, 1), np.uint8)).tolist() == [0, 255]

"""Translation of footage that is damaged: named, left out, or shown again."""


import av
import pytest
import stub_runs as stubs
from little_clips import QUIET, footage, read_frames, write_frames, write_video

from i2vjax import translate as translator
from i2vjax.data.io import video_reader
from i2vjax.data.sources import streams


@pytest.fixture
def negative():
  return stubs.make(stubs.negative)


def damaged_folder(tmp_path, broken):
  folder = write_frames(tmp_path / 'in', footage(5))
  for number in broken:
    (folder / f'{number:03d}.png').write_bytes(b'no picture')
  return folder


def test_damaged_frame_is_named_and_stops(tmp_path, negative):
  folder = damaged_folder(tmp_path, [3])
  with pytest.raises(ValueError, match=r'003\.png.*--on_damage=skip'):
    translator.translate(negative, folder, tmp_path / 'out', **QUIET)


def test_damaged_frames_are_skipped_and_counted(tmp_path, negative):
  folder = damaged_folder(tmp_path, [1, 3])
  summary = translator.translate(negative, folder, tmp_path / 'out', on_damage='skip', chunk=2,
                                 **QUIET)
  assert summary['skipped_frames'] == ['001', '003']
  assert sorted(read_frames(tmp_path / 'out')) == ['002.png', '004.png', '005.png']


def test_video_keeps_its_length_over_damaged_frames(tmp_path):
  """A skipped frame shows the one before; at the start the first there is."""
  run = stubs.make(stubs.counting)
  folder = damaged_folder(tmp_path, [1, 4])
  translator.translate(run, folder, tmp_path / 'out.mkv', on_damage='skip', **QUIET)
  values = [frame[0, 0, 0] for frame, _ in video_reader.read_video(tmp_path / 'out.mkv')]
  assert values == [0, 0, 1, 1, 2]


def test_frames_a_video_lost_are_shown_again(tmp_path, monkeypatch):
  """The decoder passes over damaged frames in silence; their time stamps are still there."""
  run = stubs.make(stubs.counting)
  source = write_video(tmp_path / 'in.mkv', footage(6, 20, 28, 3))
  whole = list(video_reader.read_video(source))
  monkeypatch.setattr(video_reader, 'read_video', lambda path, *_: iter(
      [item for k, item in enumerate(whole) if k not in (2, 5)]))
  summary = translator.translate(run, source, tmp_path / 'out.mkv', on_damage='skip', **QUIET)
  monkeypatch.undo()
  assert summary['skipped'] == 2
  values = [frame[0, 0, 0] for frame, _ in video_reader.read_video(tmp_path / 'out.mkv')]
  assert values == [0, 1, 1, 2, 3, 3]


@pytest.mark.parametrize('ending', ['mp4', 'mkv'])
def test_whole_videos_have_no_gaps(tmp_path, ending):
  """Time stamps of packets and frames agree, also where frames are coded out of order."""
  source = write_video(tmp_path / f'in.{ending}', footage(12, 20, 28, 3), rate='30000/1001')
  stream = streams.open_streams(source)[0]
  assert not [x for x in stream.read('skip') if isinstance(x[1], Exception)]
  assert [x[0] for x in stream.read('skip')] == [x[0] for x in stream.read('stop')]


def test_damaged_video_names_the_frame_and_what_to_do(tmp_path, negative):
  """One coded frame in the middle of a real H.264 file is overwritten."""
  source = write_video(tmp_path / 'in.mp4', footage(40, 48, 64, 3))
  with av.open(str(source)) as container:
    place, size = [(packet.pos, packet.size) for packet in container.demux(video=0)][20]
  data = bytearray(source.read_bytes())
  data[place:place + size] = b'\xff' * size
  source.write_bytes(data)
  with pytest.raises(ValueError, match=r'in\.mp4: frame \d+ .*--on_damage=skip'):
    translator.translate(negative, source, tmp_path / 'out.mkv', **QUIET)
  with pytest.warns(UserWarning, match=r'in\.mp4: frame'):
    summary = translator.translate(negative, source, tmp_path / 'out.mkv', on_damage='skip',
                                   **QUIET)
  assert summary['skipped'] > 0
  assert video_reader.video_info(tmp_path / 'out.mkv').frames == 40

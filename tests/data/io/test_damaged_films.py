"""Films that are none, that lie about themselves, or that stop too early."""

import re
import struct
import warnings
from fractions import Fraction

import av
import kinds_of_films
import made_films
import media_seeds
import numpy as np
import pytest

from i2vjax.core.errors import UserError
from i2vjax.data.io import ffv1, live_reader, video_layout, video_reader, video_times
from i2vjax.data.sources import video_cache
from i2vjax.data.sources.videos import VideoFrames

H, W = 16, 24


def clip(count=3, shape=(H, W, 3)):
  return np.random.default_rng(0).integers(0, 255, (count, *shape), np.uint8)


def film(path, frames=None, rate=10, **metadata):
  with video_reader.VideoWriter(path, rate) as writer:
    for frame in clip() if frames is None else frames:
      writer.write(frame)
  return path


def all_readers(path):
  """Calls of everything that opens a film."""
  return [lambda: video_reader.video_info(path), lambda: video_reader.frame_size(path),
          lambda: list(video_reader.read_video(path, 'stop')),
          lambda: list(video_reader.read_video(path, 'skip')), lambda: VideoFrames([path])]


@pytest.mark.parametrize('content', [
    '#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{}\n#EXT-X-ENDLIST\n',
    "ffconcat version 1.0\nfile '{}'\n", 'v=0\no=- 0 0 IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n',
    '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period/></MPD>'])
@pytest.mark.parametrize('ending', ['mp4', 'mkv', 'm4v'])
def test_a_list_of_other_files_is_no_film_whatever_its_name(tmp_path, content, ending):
  """FFmpeg knows such lists by their content, and would read the files that they name."""
  film(tmp_path / 'secret.mp4')
  path = tmp_path / f'x.{ending}'
  path.write_text(content.format('secret.mp4'))
  for call in all_readers(path):
    with pytest.raises(video_reader.UnreadableVideo, match=rf'x\.{ending}'):
      call()


def test_titles_need_not_be_utf_8(tmp_path):
  path = tmp_path / 'x.mkv'
  with av.open(str(path), 'w') as container:
    container.metadata['title'] = 'a title'
    stream = container.add_stream('ffv1', rate=10)
    stream.width, stream.height, stream.pix_fmt = W, H, 'bgr0'
    for frame in clip():
      container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, 'rgb24')))
    container.mux(stream.encode())
  path.write_bytes(path.read_bytes().replace(b'a title', b'a \xff\xe9tle'))
  info = video_reader.video_info(path)
  assert info.frames == 3
  with video_reader.VideoWriter(tmp_path / 'y.mkv', 10, film=info) as writer:
    writer.write(clip()[0])


def test_a_film_of_a_size_that_no_frame_has_is_refused(tmp_path):
  path = tmp_path / 'x.avi'
  data = bytearray(media_seeds.foreign_film('avi', 'rawvideo', 'bgr24'))
  struct.pack_into('<ii', data, data.find(b'strf') + 12, 65000, 65000)
  path.write_bytes(data)
  for call in all_readers(path):
    with pytest.raises(video_reader.UnreadableVideo, match=r'x\.avi'):
      call()


def test_a_film_of_an_unknown_codec_says_so(tmp_path):
  path = film(tmp_path / 'x.mp4')
  data = path.read_bytes()
  place = data.find(b'avc1', data.find(b'stsd'))
  path.write_bytes(data[:place] + b'zzzz' + data[place + 4:])
  for call in all_readers(path):
    with pytest.raises(video_reader.UnreadableVideo, match='no video stream of a codec that is'):
      call()


def test_a_film_without_a_frame_says_so(tmp_path):
  path = tmp_path / 'x.avi'
  with av.open(str(path), 'w') as container:
    stream = container.add_stream('mjpeg', rate=10)
    stream.width, stream.height, stream.pix_fmt = W, H, 'yuvj420p'
    container.start_encoding()
  for call in all_readers(path):
    with pytest.raises(video_reader.UnreadableVideo, match=r'x\.avi (holds no frame|cannot be)'):
      call()


@pytest.mark.parametrize('shown', ['stop', 'skip', None])
def test_a_lossless_film_that_was_cut_within_its_last_half_second_is_told(tmp_path, shown):
  path = film(tmp_path / 'x.mkv', clip(6))
  data = path.read_bytes()
  assert not video_times.is_cut_off(path) and len(list(video_reader.read_video(path, 'stop'))) == 6
  path.write_bytes(data[:len(data) * 3 // 4])
  assert video_times.is_cut_off(path)
  if shown == 'stop':
    with pytest.raises(video_reader.UnreadableVideo, match=r'x\.mkv'):
      list(video_reader.read_video(path, 'stop'))
    return
  with pytest.warns(UserWarning, match=r'x\.mkv'):
    frames = [frame for frame, _ in video_reader.read_video(path, shown)]
  np.testing.assert_array_equal(frames, clip(6)[:len(frames)])


def test_a_duration_that_lies_is_told(tmp_path):
  """Matroska: a duration of a billion seconds."""
  path = film(tmp_path / 'x.mkv')
  data = bytearray(path.read_bytes())
  place = data.find(b'\x44\x89\x88')             # Duration, eight bytes
  struct.pack_into('>d', data, place + 3, 1e12)
  path.write_bytes(data)
  assert video_reader.video_info(path).frames == 3
  with pytest.raises(video_reader.UnreadableVideo, match=r'frame 3 .* is missing'):
    list(video_reader.read_video(path, 'stop'))
  with pytest.warns(UserWarning, match='frames are missing'):
    assert len(list(video_reader.read_video(path))) == 3


@pytest.mark.parametrize('seconds', [1e-9, 1e9])
def test_rates_that_no_writer_can_state_become_possible(tmp_path, seconds):
  rate = video_times.rate_of([Fraction(0), Fraction(seconds)], None)
  film(tmp_path / 'x.mkv', rate=rate)
  assert video_reader.video_info(tmp_path / 'x.mkv').frames == 3


def test_frames_of_a_format_that_cannot_be_converted_are_named():
  class Frame:
    format = av.VideoFormat('yuv420p')

    def to_ndarray(self, format, threads):
      raise ValueError('no such conversion')
  layout = video_layout.Layout('x.mp4', ('rgb24', 3, 'uint8'), (H, W), (H, W))
  with pytest.raises(UserError, match='x.mp4: frames of the format yuv420p cannot be converted'):
    video_layout.to_array(Frame(), layout)


def test_a_film_whose_name_is_not_utf_8_is_unpacked(tmp_path):
  from i2vjax import defaults
  path = film(tmp_path / 'bad\udcff.mkv')
  data = defaults.data()
  data.update(cache_dir=str(tmp_path / 'cache'), load_size=16, crop_size=16)
  assert len(list(video_cache.unpack(path, data).glob('*.png'))) == 3


def test_a_cptv_that_states_billions_of_pixels_is_refused(tmp_path):
  pytest.importorskip('cptv')
  import gzip
  data = bytearray(gzip.decompress(media_seeds.thermal_film()))
  place = data.find(b'\x04X')                    # a field of four bytes
  struct.pack_into('<I', data, place + 2, 2 ** 31)
  (tmp_path / 'x.cptv').write_bytes(gzip.compress(bytes(data)))
  with warnings.catch_warnings():
    warnings.simplefilter('error')
    for call in all_readers(tmp_path / 'x.cptv'):
      with pytest.raises(video_reader.UnreadableVideo, match=r'it states 2147483648x120 pixels'):
        call()


def test_a_camera_that_changes_its_size_is_not_cut_to_the_first():
  """What our own .mp4 note of odd sides holds for frames of the padded size alone."""
  layout = video_layout.Layout('x', ('rgb24', 3, 'uint8'), (16, 24), (15, 23))
  for size, shown in (((16, 24), (15, 23)), ((32, 48), (32, 48)), ((8, 8), (8, 8))):
    frame = av.VideoFrame.from_ndarray(np.zeros((*size, 3), np.uint8), 'rgb24')
    array = video_layout.to_array(frame, live_reader._of_its_size(layout, frame))
    assert array.shape == (*shown, 3)


def test_a_lossless_film_without_a_single_whole_frame_is_told(tmp_path):
  """Nothing proves that it has checksums, but the sizes of its slices do not add up."""
  path = film(tmp_path / 'x.mkv', clip(1))
  with av.open(str(path)) as container:
    packet = bytes(next(container.demux(video=0)))
  assert ffv1.sizes_fit(packet) and not ffv1.sizes_fit(packet[:-9] + bytes(9))
  path.write_bytes(path.read_bytes().replace(packet, packet[:-9] + bytes(9)))
  with pytest.raises(video_reader.UnreadableVideo, match=r'x\.mkv: frame 0 .* is damaged'):
    list(video_reader.read_video(path, 'stop'))


@pytest.mark.parametrize('options', [{'level': '1'}, {'level': '3', 'slicecrc': '0'},
                                     {'level': '3', 'slicecrc': '0', 'slices': '4'},
                                     {'level': '3', 'slicecrc': '1', 'slices': '4'}])
def test_lossless_films_of_other_programs_are_read(tmp_path, options):
  path, frames = tmp_path / 'x.mkv', clip(3, (64, 64, 3))
  with av.open(str(path), 'w') as container:
    stream = container.add_stream('ffv1', rate=10, options=options)
    stream.width, stream.height, stream.pix_fmt = 64, 64, 'bgr0'
    for frame in frames:
      container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, 'rgb24')))
    container.mux(stream.encode())
  read = [frame for frame, _ in video_reader.read_video(path, 'stop')]
  np.testing.assert_array_equal(read, frames)


def parts(path, lengths):
  """The content of a film of 12 JPEG in parts, each with or without its length."""
  content = kinds_of_films.write(path, 'mpjpeg', 'mjpeg').read_bytes()
  return content if lengths else re.sub(rb'Content-length: \d+\r\n', b'', content)


@pytest.mark.parametrize('lengths', [True, False])
@pytest.mark.parametrize('end', [b'\r\n--ffmpeg\r\n', b'\r\n--ffmpeg--\r\n', b'\r\n--ffmpeg',
                                 b'\r\n', b''])
def test_jpeg_in_parts_ends_after_its_last_frame(tmp_path, lengths, end):
  """FFmpeg takes the mark behind it for a damaged picture; cameras leave it out."""
  content, path = parts(tmp_path / 'x', lengths), tmp_path / 'y'
  path.write_bytes(content[:content.rfind(b'\r\n--ffmpeg')] + end)
  with warnings.catch_warnings():
    warnings.simplefilter('error')
    assert video_reader.video_info(path).frames == len(VideoFrames([path])) == 12
    assert len(list(video_reader.read_video(path, 'stop'))) == 12


@pytest.mark.parametrize('lengths', [True, False])
@pytest.mark.parametrize('mark, place, frames', [
    (b'\xff\xd9', -20, 11), (b'\r\n--ffmpeg\r\nC', 6, 11), (b'Content-type', 4, 11),
    (b'Content-type', 60, 11)])
def test_jpeg_in_parts_that_was_cut_short_is_told(tmp_path, lengths, mark, place, frames):
  """In its last picture, in the mark before it, and in the words behind the mark."""
  content, path = parts(tmp_path / 'x', lengths), tmp_path / 'y'
  path.write_bytes(content[:content.rfind(mark) + place])
  with pytest.raises(video_reader.UnreadableVideo, match='y was cut short|y: frame .* cannot be'):
    list(video_reader.read_video(path, 'stop'))
  with pytest.warns(UserWarning, match=f'y was cut short.* after the first {frames}$'):
    assert len(list(video_reader.read_video(path, 'skip'))) == frames


def shortened(path, output):
  """A copy of an MP4 whose edit list shows its first half alone, as programs trim films."""
  data = bytearray(path.read_bytes())
  place = data.find(b'elst') + 12
  struct.pack_into('>I', data, place, struct.unpack_from('>I', data, place)[0] // 2)
  output.write_bytes(data)
  return output


def test_an_edit_list_that_leaves_frames_out_is_no_damage(tmp_path):
  whole = made_films.encode(tmp_path / 'a.mp4', options={'bf': '0', 'g': '6', 'sc_threshold': '0'})
  path = shortened(whole, tmp_path / 'x.mp4')
  with warnings.catch_warnings():
    warnings.simplefilter('error')
    read = made_films.frames(path, damaged='stop')
  np.testing.assert_array_equal(read, made_films.frames(whole)[:12])
  assert video_reader.video_info(path).frames == len(VideoFrames([path])) == 12


def test_a_film_with_an_edit_list_that_was_cut_short_is_told(tmp_path):
  """Its index comes first, and is whole."""
  whole = film(tmp_path / 'a.mp4', clip(40))
  for path, shown in ((whole, 40), (shortened(whole, tmp_path / 'x.mp4'), 20)):
    assert len(made_films.frames(path, damaged='stop')) == shown
    path.write_bytes(path.read_bytes()[:-len(path.read_bytes()) * 2 // 3])
    with pytest.raises(video_reader.UnreadableVideo, match='is missing|cannot be decoded|damaged'):
      made_films.frames(path, damaged='stop')


@pytest.mark.parametrize('lost', [1, 100, 176 * 144])
@pytest.mark.parametrize('behind', [False, True])
def test_y4m_that_was_cut_short_is_told(tmp_path, lost, behind):
  """FFmpeg leaves out a frame that is not whole, and says nothing."""
  whole = kinds_of_films.write(tmp_path / 'x.y4m', 'yuv4mpegpipe', 'wrapped_avframe', 4)
  content, path = whole.read_bytes(), tmp_path / 'y.y4m'
  path.write_bytes(content[:-lost] + (content if behind else b''))
  with pytest.raises(video_reader.UnreadableVideo, match=r'y.y4m was cut short'):
    made_films.frames(path, damaged='stop')
  with pytest.warns(UserWarning, match='cut short: .* after the first 3$'):
    assert len(made_films.frames(path, damaged='skip')) == 3
  assert len(made_films.frames(whole, damaged='stop')) == 4

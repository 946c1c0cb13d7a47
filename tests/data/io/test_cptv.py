"""Thermal video of the Cacophony Project, written by the library's own writer."""

import builtins
import datetime

import numpy as np
import pytest

from i2vjax.core.errors import UserError
from i2vjax.data.io import video_reader
from i2vjax.data.sources import streams
from i2vjax.data.sources.videos import VideoFrames

cptv = pytest.importorskip('cptv')
H, W = 120, 160                 # the writer knows no other size
LENGTH = 5


@pytest.fixture(scope='module')
def clip():
  rng = np.random.default_rng(0)
  return (3000 + np.arange(W) + rng.integers(0, 40, (LENGTH, H, W))).astype(np.uint16)


@pytest.fixture(scope='module')
def path(clip, tmp_path_factory):
  path = tmp_path_factory.mktemp('cptv') / 'bird.cptv'
  writer = cptv.CPTVWriter(open(path, 'wb'))   # noqa: SIM115 (the writer closes it)
  writer.fps = 9
  zero = datetime.timedelta(0)
  frames = [cptv.Frame(clip[0], zero, zero, 0, 0, background_frame=True)]
  for k, pixels in enumerate(clip):
    frames.append(cptv.Frame(pixels, datetime.timedelta(milliseconds=5000 + 111 * k), zero, 20, 20))
  for frame in frames:
    writer.write_frame(frame)
  writer.close()
  return path


def test_values_times_and_facts(path, clip):
  """The averaged background at the front is no frame; times count from the first frame."""
  frames, seconds = zip(*video_reader.read_video(path), strict=True)
  np.testing.assert_array_equal(np.stack(frames)[..., 0], clip)
  np.testing.assert_allclose(seconds, 0.111 * np.arange(LENGTH), atol=1e-6)
  info = video_reader.video_info(path)
  assert (info.height, info.width, info.frames, info.dtype) == (H, W, LENGTH, 'uint16')
  assert float(info.rate) == pytest.approx(1 / 0.111, rel=2e-3)


def test_any_frame_in_any_order(path, clip):
  video = VideoFrames([path])
  for k in (3, 1, 1, 4, 0):
    np.testing.assert_array_equal(video.read(k)['frame'][..., 0], clip[k])


def test_translation_measures_the_range_over_the_whole_clip(path, clip):
  [stream] = streams.open_streams(path)
  low, high = streams.value_range(stream, 'clip')
  assert (low, high) == (np.percentile(clip, 1, method='higher'),
                         np.percentile(clip, 99, method='higher'))


def test_a_file_cut_short_is_named(path, clip, tmp_path):
  short = tmp_path / 'short.cptv'
  short.write_bytes(path.read_bytes()[:-30000])
  with pytest.raises(video_reader.UnreadableVideo, match='short.cptv'):
    list(video_reader.read_video(short, 'stop'))
  with pytest.warns(UserWarning, match='short.cptv'):
    frames = [frame for frame, _ in video_reader.read_video(short)]
  assert 0 < len(frames) < LENGTH
  np.testing.assert_array_equal(frames[0][..., 0], clip[0])


def test_without_the_library_the_extra_is_named(path, monkeypatch):
  real = builtins.__import__

  def without(name, *args, **kwargs):
    if name == 'cptv':
      raise ImportError(name)
    return real(name, *args, **kwargs)
  monkeypatch.setattr(builtins, '__import__', without)
  with pytest.raises(UserError, match=r'cptv: pip install "i2vjax\[thermal\]"'):
    video_reader.video_info(path)

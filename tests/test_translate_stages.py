"""Stages of translation beside each other: order, errors, Ctrl-C, memory."""

import errno
import os

import numpy as np
import pytest
import stub_runs as stubs
from limits import largest_file
from little_clips import QUIET, footage, read_frames, write_frames

from i2vjax import translate as translator
from i2vjax.core import machine
from i2vjax.data.io import images, output_paths, video_reader
from i2vjax.data.sources import streams
from i2vjax.run import padding
from i2vjax.run import translator as run_translator


@pytest.fixture
def negative():
  return stubs.make(stubs.negative)


def interrupted(error):
  """A method whose third chunk fails while frames are being written."""
  calls = []

  def fail(self, *args):
    calls.append(1)
    if len(calls) == 3:
      raise error
  return fail


@pytest.mark.parametrize('error', [KeyboardInterrupt(), OSError(errno.ENOSPC, 'No space left')])
def test_stopped_video_leaves_nothing_behind(tmp_path, negative, monkeypatch, error):
  source = write_frames(tmp_path / 'in', footage(5))
  write = video_reader.VideoWriter.write
  stop = interrupted(error)

  def write_then_fail(self, frame, seconds=None):
    stop(self)
    write(self, frame, seconds)
  monkeypatch.setattr(video_reader.VideoWriter, 'write', write_then_fail)
  (tmp_path / 'out').mkdir()
  with pytest.raises(type(error)) as caught:
    translator.translate(negative, source, tmp_path / 'out' / 'film.mkv', **QUIET)
  assert os.listdir(tmp_path / 'out') == []
  if isinstance(error, OSError):
    assert 'the disk is full' in str(caught.value)


@pytest.mark.parametrize('name', ['film.mkv', 'film.mp4'])
def test_a_film_beyond_the_limit_of_a_disk_is_told_by_its_name(tmp_path, negative, name):
  noise = np.random.default_rng(0).integers(0, 256, (5, 96, 96, 3), np.uint8)
  source = write_frames(tmp_path / 'in', noise)
  (tmp_path / 'out').mkdir()
  with largest_file(5000), pytest.raises(OSError, match=f'{name}: a file is larger than this disk'):
    translator.translate(negative, source, tmp_path / 'out' / name, **QUIET)
  assert os.listdir(tmp_path / 'out') == []


# ---- stages beside each other: order, errors, Ctrl-C, memory


def before_call(monkeypatch, place, name, number, act):
  """Have `act()` run before call `number` (from 1) of place.name."""
  function, calls = getattr(place, name), []

  def acted(*args, **options):
    calls.append(1)
    if len(calls) == number:
      act()
    return function(*args, **options)
  monkeypatch.setattr(place, name, acted)


class Device:
  """What `compile_chunk` returns, and acts before one of its calls; tracing is none."""

  def __init__(self, monkeypatch, number, act):
    self.number, self.act, self.calls = number, act, 0
    make = run_translator.compile_chunk
    monkeypatch.setattr(run_translator, 'compile_chunk', lambda run: self.over(make(run)))

  def over(self, call):
    def acted(carry, raw, value_range):
      self.calls += isinstance(raw, np.ndarray)
      if isinstance(raw, np.ndarray) and self.calls == self.number:
        self.act()
      return call(carry, raw, value_range)
    return acted


def negative_without_jax(monkeypatch):
  """The device in NumPy: a Ctrl-C inside jax's caches leaves them unusable in this process."""
  def call(carry, raw, value_range):
    return carry, np.repeat(255 - raw[0], 3, axis=-1), np.ones(raw.shape[1], bool)
  monkeypatch.setattr(run_translator, 'compile_chunk', lambda run: call)
  monkeypatch.setattr(padding, 'layout', lambda call, shape, *_: (shape[:2], False))


def act_in(stage, monkeypatch, to_video, act):
  """Act in the middle of a translation of 24 frames by 2 at a time, in one of its stages."""
  if stage == 'reading':
    before_call(monkeypatch, images, 'read_image', 20, act)
  elif stage == 'device':
    Device(monkeypatch, 10, act)
  elif to_video:
    before_call(monkeypatch, video_reader.VideoWriter, 'write', 19, act)
  else:
    before_call(monkeypatch, images, 'write_image', 19, act)


def raising(error):
  def act():
    raise error
  return act


def check_what_is_left(folder, source):
  """Nothing half: no video, or the first frames without a gap. Returns their number.

  Where Ctrl-C comes when the rest is on its way already, all of it may be there.
  """
  if (folder / 'out.mkv').exists():
    assert video_reader.video_info(folder / 'out.mkv').frames == 24
    return 24
  if not (folder / 'out').exists():
    assert os.listdir(folder) == []
    return 0
  left = read_frames(folder / 'out')
  assert len(set(os.listdir(folder / 'out')) - {output_paths.UNFINISHED}) == len(left)   # no .part
  assert list(left) == [f'{k + 1:03d}.png' for k in range(len(left))]
  for name, frame in left.items():
    np.testing.assert_array_equal(frame[..., :1], 255 - images.read_image(source / name))
  return len(left)


@pytest.mark.parametrize('name', ['out', 'out.mkv'])
@pytest.mark.parametrize('stage', ['reading', 'device', 'writing'])
def test_ctrl_c_in_any_stage(tmp_path, negative, monkeypatch, ctrl_c, no_thread_is_left, stage,
                             name):
  source = write_frames(tmp_path / 'in', footage(24))
  (folder := tmp_path / 'here').mkdir()
  with monkeypatch.context() as patch:
    negative_without_jax(patch)
    act_in(stage, patch, name == 'out.mkv', ctrl_c)
    with pytest.raises(KeyboardInterrupt) as caught:
      translator.translate(negative, source, folder / name, chunk=2, **QUIET)
  count = check_what_is_left(folder, source)
  if name == 'out' and count:
    assert f'out holds the first {count} frames, each of them whole' in str(caught.value)


@pytest.mark.parametrize('name', ['out', 'out.mkv'])
@pytest.mark.parametrize('stage', ['reading', 'device', 'writing'])
def test_an_error_in_any_stage_is_the_one_that_is_told(tmp_path, negative, monkeypatch,
                                                       no_thread_is_left, stage, name):
  source = write_frames(tmp_path / 'in', footage(24))
  (folder := tmp_path / 'here').mkdir()
  monkeypatch.setattr(machine, 'threads', lambda most: 1)   # else others may end out of order
  with monkeypatch.context() as patch:
    act_in(stage, patch, name == 'out.mkv', raising(OSError(errno.EIO, 'broken')))
    with pytest.raises(OSError, match='broken'):
      translator.translate(negative, source, folder / name, chunk=2, **QUIET)
  count = check_what_is_left(folder, source)
  # Frames that were translated before it are there: all but the chunk on the device.
  expected = {'reading': (12, 14, 16), 'device': (16,), 'writing': (18,)}[stage]
  assert count in (expected if name == 'out' else (0,))


@pytest.mark.parametrize('writers', [1, 5])
def test_many_writers_keep_names_and_order(tmp_path, monkeypatch, writers):
  monkeypatch.setattr(machine, 'threads', lambda most: writers)
  write_frames(tmp_path / 'in', footage(40))
  summary = translator.translate(stubs.make(stubs.counting), tmp_path / 'in', tmp_path / 'out',
                                 **QUIET)
  result = read_frames(tmp_path / 'out')
  assert summary['frames'] == 40
  assert [frame[0, 0, 0] for frame in result.values()] == list(range(40))


@pytest.mark.parametrize('name', ['out', 'out.mkv'])
def test_memory_does_not_grow_with_the_length(tmp_path, negative, monkeypatch, name):
  """At most what is read ahead, three chunks, and what waits for a writer."""
  alive, most = set(), []

  class Frame(np.ndarray):
    def __del__(self):
      alive.discard(id(self))

  def read(damaged):
    for k in range(300):
      frame = np.zeros((16, 16, 1), np.uint8).view(Frame)
      alive.add(id(frame))
      most.append(len(alive))
      yield f'{k:03d}', frame, None
      del frame
  stream = streams.Stream('made up', read, 300)
  monkeypatch.setattr(translator, 'open_clips', lambda *_: [stream])
  summary = translator.translate(negative, '', tmp_path / name, chunk=4, rate=25 if '.' in name
                                 else None, **QUIET)
  assert summary['frames'] == 300
  assert max(most) <= translator.READ_AHEAD + 3 * 4 + 4


def test_long_streams_are_not_held_in_memory():
  """Frames are dropped as soon as they are handed out: at most three chunks are alive."""
  alive, most = set(), []

  class Frame(np.ndarray):
    def __del__(self):
      alive.discard(id(self))

  def endless():
    for index in range(40):
      frame = np.zeros((16, 16, 1), np.uint8).view(Frame)
      alive.add(id(frame))
      most.append(len(alive))
      yield index, frame
      del frame
  run = stubs.make(stubs.negative)
  call = run_translator.compile_chunk(run)
  assert sum(1 for _ in run_translator.translate_clip(call, endless(), chunk=4)) == 40
  assert max(most) <= 12

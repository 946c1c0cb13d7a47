"""Which number of a name counts frames: the one that changes by steps."""

import random
import string

import numpy as np
import pytest

from i2vjax import defaults
from i2vjax.core import notes
from i2vjax.data import open_source
from i2vjax.data.io import images
from i2vjax.data.sources import frame_numbers, streams


def clips(names):
  return [[names[k] for k in clip] for clip in frame_numbers.read_names(names).clips]


def hashes(seed):
  rng = random.Random(seed)
  letters = string.ascii_letters + string.digits
  return lambda: ''.join(rng.choice(letters) for _ in range(17))


@pytest.mark.parametrize('folder', ['', 'data'])
@pytest.mark.parametrize('seed', range(3))
def test_flir_adas_as_downloaded_gives_its_clips(tmp_path, seed, folder, monkeypatch, capsys):
  monkeypatch.setattr(notes, '_said', set())
  made = hashes(seed)
  for video in (f'video-{made()}', f'video-{made()}'):
    for k in range(12):
      images.write_image(tmp_path / folder / f'{video}-frame-{k:06d}-{made()}.png',
                         np.full((4, 4, 1), k, np.uint8))
  data = defaults.data()
  data.update(source='folders', train_a=str(tmp_path))
  for max_gap in (0, 100000):
    data.max_gap = max_gap
    frames = open_source(data, 'train', 'a')
    assert [clip.length for clip in frames.clips] == [12, 12]
    assert [int(frames.read(k)['frame'][0, 0, 0]) for k in range(24)] == 2 * list(range(12))
  assert '24 frames in 2 clips of 12, counted by 000000 in video-' in capsys.readouterr().err
  assert [stream.length for stream in streams.open_streams(tmp_path)] == [12, 12]


def test_a_number_that_changes_anyhow_counts_nothing():
  noise = [21, 19, 23, 19, 20, 24, 18, 22, 21, 20]
  for form in ('{k:04d}_det{x}', 't{x}C_{k:04d}', 'f{k}-{x}'):
    names = [form.format(k=k, x=x) for k, x in enumerate(noise)]
    mixed = sorted(names)
    assert clips(mixed) == [names]


def test_decimals_are_in_their_order_and_version_like_numbers_too():
  assert clips(['t_0.25', 't_0.5', 't_0.75', 't_1.0', 't_1.25'][::-1]) == [
      ['t_0.25', 't_0.5', 't_0.75', 't_1.0', 't_1.25']]
  assert clips(['shot1.8', 'shot1.9', 'shot1.10', 'shot1.11']) == [
      ['shot1.8', 'shot1.9', 'shot1.10', 'shot1.11']]


@pytest.mark.parametrize('form', ['2024-05-01T{}-{}-{}', '20240501_{}{}{}', '2024-05-01 {}.{}.{}',
                                  'cam {}:{}:{}', 'IMG_20240501_{}{}{}_HDR'])
def test_times_go_on_over_the_minute_and_the_hour(form):
  names = [form.format(f'{s // 3600:02d}', f'{s // 60 % 60:02d}', f'{s % 60:02d}')
           for s in range(46760, 46860, 10)]
  assert clips(names) == [names]
  assert np.diff(frame_numbers.read_names(names).numbers).tolist() == [10_000_000] * 9


def test_times_with_milliseconds_and_numbers_that_are_no_day():
  names = [f'20240501_123059_{ms:03d}' for ms in (900, 940, 980)] + ['20240501_123100_020']
  assert clips(names) == [names]
  assert clips(['20249931_123000', '20249931_123001']) == [['20249931_123000', '20249931_123001']]


def test_clips_are_told_apart_by_other_parts_only_where_numbers_ask_for_it():
  grid = [f'aachen_{c:06d}_{k:06d}_leftImg8bit' for c in range(9) for k in range(3)]
  assert clips(grid) == [grid[k:k + 3] for k in range(0, 27, 3)]
  swapped = [f'{k:03d}_clip{c}' for k in range(3) for c in range(4)]
  assert clips(swapped) == [[f'{k:03d}_clip{c}' for k in range(3)] for c in range(4)]
  assert clips(['day_1', 'day_2', 'night_3', 'night_4']) == [['day_1', 'day_2'],
                                                             ['night_3', 'night_4']]
  turns = ['1_left', '2_right', '3_left', '4_right']
  assert clips(turns) == [turns]
  assert clips(['b', 'a']) == [['b', 'a']]

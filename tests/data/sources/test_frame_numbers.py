"""Which number of a name counts frames: the one that changes by steps."""

import datetime
import random
import string

import numpy as np
import pytest

from i2vjax import defaults
from i2vjax.core import notes
from i2vjax.data import open_source
from i2vjax.data.io import images
from i2vjax.data.sources import clip_splitting, frame_numbers, streams


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


@pytest.mark.parametrize(('before', 'after'), [
    ('shot_-{:03d}', 'shot_+{:03d}'), ('shot_-{:03d}', 'shot_{:03d}'), ('t-{}', 't{}'),
    ('-{}', '+{}'), ('a1_-{:02d}_x', 'a1_+{:02d}_x'), ('frame5-{:03d}', 'frame5+{:03d}'),
    ('t_-0.{:02d}', 't_0.{:02d}'), ('flir--{:04d}', 'flir-{:04d}')])
def test_frames_before_a_trigger_come_before_it(before, after):
  names = [before.format(k) for k in range(12, 0, -1)] + [after.format(k) for k in range(12)]
  assert clips(sorted(names)) == [names]
  files = [f'{name}.png' for name in names]
  assert clip_splitting.split_runs(sorted(files)) == [files]


def test_the_first_number_of_a_message_has_its_sign():
  names = [f'shot_{k:+03d}' for k in range(-2, 3)]
  assert frame_numbers.read_names(names).where == '-02'
  assert frame_numbers.read_names(names).numbers == [-2, -1, 0, 1, 2]


@pytest.mark.parametrize('form', ['a-{:03d}', 'a+{:03d}', '2024-05-{:02d}', '{:03d}-7', '7-{:03d}'])
def test_a_line_that_parts_words_is_no_sign(form):
  names = [form.format(k) for k in range(1, 9)]
  assert clips(names) == [names]
  assert frame_numbers.read_names(names).numbers == list(range(1, 9))


def test_two_ways_to_part_words_are_no_signs():
  names = [f'a-{k:03d}' for k in range(4)] + [f'a_{k:03d}' for k in range(4, 8)]
  assert clips(names) == [names]


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


NAMED = {   # a time in nanoseconds since 1970 -> a name
    'ns': str, 'us': lambda t: str(t // 1000),
    'sec.ns': lambda t: f'{t // 10**9}.{t % 10**9:09d}',
    'sec.us': lambda t: f'{t // 10**9}.{t // 1000 % 10**6:06d}',
    'sec_ns': lambda t: f'{t // 10**9}_{t % 10**9:09d}',
    'sec-us': lambda t: f'img_{t // 10**9}-{t // 1000 % 10**6:06d}_left',
    'sec_ms': lambda t: f'{t // 10**9}_{t // 10**6 % 1000:03d}',
    'clock_ns': lambda t: f'{_clock(t):%Y%m%d_%H%M%S}_{t % 10**9:09d}',
    'clock_ms': lambda t: f'PXL_{_clock(t):%Y%m%d_%H%M%S}{t // 10**6 % 1000:03d}',
    'compact_us': lambda t: f'{_clock(t):%Y%m%d%H%M%S}{t // 1000 % 10**6:06d}',
    'no day': lambda t: f'{_clock(t):%H-%M-%S}.{t // 1000 % 10**6:06d}'}


def _clock(nanoseconds):
  return datetime.datetime.fromtimestamp(nanoseconds // 10**9, datetime.UTC)


@pytest.mark.parametrize('jitter', [0, 2e7])
@pytest.mark.parametrize('form', NAMED)
def test_times_of_any_unit_are_cut_where_a_recording_ends_and_nowhere_else(form, jitter):
  rng = random.Random(0)
  names = [NAMED[form](start + k * 10**8 + int(rng.gauss(0, jitter)))
           for start, count in ((1626788000_123456789, 40), (1626791600_223456789, 20))
           for k in range(count)]
  for expected in ([40], [40, 20]):
    runs = clip_splitting.split_runs([f'x/{name}.png' for name in names[:sum(expected)]])
    assert [len(run) for run in runs] == expected


def test_max_gap_of_nanoseconds_is_in_nanoseconds():
  files = [f'{1626788000123456789 + k * 10**8}.png' for k in (0, 1, 2, 5, 6)]
  for max_gap, expected in ((10**9, [5]), (0, [3, 2]), (299_999_999, [3, 2]), (300_000_000, [5])):
    assert [len(run) for run in clip_splitting.split_runs(files, max_gap)] == expected


@pytest.mark.parametrize('gaps', [True, False])
def test_the_start_of_a_recording_and_a_count_are_no_time(gaps):
  files = [f'{start}_{k:06d}.png' for start in (1626788000, 1626788003) for k in range(20)]
  assert [len(run) for run in clip_splitting.split_runs(files, gaps=gaps)] == [20, 20]
  seconds = [f'{1626788000 + k}_000000.png' for k in range(9)]
  assert frame_numbers.read_names(seconds[:2]).numbers == [1626788000, 1626788001]


def test_numbers_beyond_64_bits_count_nothing_and_large_ones_do_not_overflow():
  rng = random.Random(0)
  for low, high in ((2**63 - 2**62, 2**63 - 1), (2**63, 2**66)):
    names = [f'{k:04d}_{rng.randrange(low, high)}' for k in range(20)]
    assert clips(names) == [names]
  assert clips(['0', str(2**63 - 1)]) == [['0', str(2**63 - 1)]]

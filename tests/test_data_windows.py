"""Windows and batches. A grey value says which frame it is, columns say where it was cut."""

import collections
import warnings

import numpy as np
import pytest

from i2vjax import defaults
from i2vjax.data import crops, frames, windows

CLIPS = {'a': (5, 4), 'b': (7,)}     # frames of each clip


class Numbered:
  """Frames whose value is their index + 10; `label` is that of the frame, plus 100."""

  has_flow = False

  def __init__(self, lengths, shape=(8, 8, 1), dtype=np.uint8, columns=False):
    self.clips = [(f'c{k}', sum(lengths[:k]), n) for k, n in enumerate(lengths)]
    self.shape, self.dtype, self.columns = shape, dtype, columns

  def __len__(self):
    return sum(clip[2] for clip in self.clips)

  def __repr__(self):
    return f'Numbered({self.clips})'

  def read(self, i):
    frame = np.full(self.shape, i + 10, self.dtype)
    if self.columns:
      frame = frame + np.arange(self.shape[1], dtype=self.dtype)[:, None] * 20
    return {'frame': frame, 'label': frame[..., 0].astype(np.uint8) + np.uint8(100)}


@pytest.fixture
def config(tmp_path):
  """Two grey folders, clips of 5 and 4 frames (a) and of 7 (b), all 12 x 16 pixels."""
  value = 10
  for domain, lengths in CLIPS.items():
    for split in ('train', 'test'):
      for clip, length in enumerate(lengths):
        for k in range(length):
          path = tmp_path / f'{split}{domain.upper()}' / f'c{clip}' / f'{k}.png'
          frames.write_image(path, np.full((12, 16, 1), value + k, np.uint8))
        value += 20
  result = defaults.get_config()
  result.data.update(source='folders', root=str(tmp_path), load_size=10, crop_size=8, frames=3,
                     batch=2)
  return result


def take(iterator, count):
  return [next(iterator) for _ in range(count)]


def starts(batches, domain):
  return [int(x) for batch in batches for x in batch[domain][:, 0, 0, 0, 0]]


def equal(one, other):
  return all(np.array_equal(one[k], other[k]) for k in one) and one.keys() == other.keys()


def test_windows_never_cross_a_clip():
  found = crops.WindowSource(Numbered((5, 3, 4)), 3)
  values = [found[i]['frames'][:, 0, 0, 0].tolist() for i in range(len(found))]
  assert values == [[10, 11, 12], [11, 12, 13], [12, 13, 14], [15, 16, 17], [18, 19, 20],
                    [19, 20, 21]]


@pytest.mark.parametrize(('stride', 'step', 'expected'), [
    (2, 1, [0, 2, 4]),
    (1, 2, [0, 1, 2]),
    (3, 1, [0, 3, 4]),      # blocks: the last is shifted back to stay full
])
def test_stride_and_step(stride, step, expected):
  found = crops.WindowSource(Numbered((7,)), 3, stride, step)
  assert [int(found[i]['frames'][0, 0, 0, 0]) - 10 for i in range(len(found))] == expected
  assert np.diff(found[0]['frames'][:, 0, 0, 0]).tolist() == [step, step]


def test_clips_that_are_all_too_short_are_refused_with_both_numbers():
  with pytest.raises(ValueError, match='needs 5 consecutive frames.*longest clip has 4'):
    crops.WindowSource(Numbered((4, 3)), 5)


def test_some_short_clips_are_left_out_with_a_warning():
  with pytest.warns(UserWarning, match=r'1 of 2 clips are left out.*5 frames.*c1 has 3'):
    assert len(crops.WindowSource(Numbered((6, 3)), 5)) == 2


def test_a_window_of_different_sizes_names_both_files(config, tmp_path):
  frames.write_image(tmp_path / 'trainA' / 'c0' / '3.png', np.zeros((12, 20, 1), np.uint8))
  found = windows.train_windows(config.data)[0]
  found[0]
  expected = 'clip c0, file .*3.png: 20x12 pixels, but .*1.png has 16x12'
  with pytest.raises(ValueError, match=expected):
    found[1]


def test_an_unreadable_frame_is_named_by_the_iterator(config, tmp_path):
  for path in (tmp_path / 'trainA').glob('*/2.png'):
    path.write_bytes(path.read_bytes()[:20])
  with pytest.raises(frames.UnreadableFrame, match=r'2.png cannot be decoded'):
    take(windows.train_iterator(config, 2), 20)


def test_grey_frames_in_a_colour_domain_are_repeated():
  class Mixed(Numbered):
    def read(self, i):
      frame = super().read(i)['frame']
      return {'frame': np.repeat(frame, 3, -1) if i < 2 else frame}
  found = crops.WindowSource(Mixed((4,)), 4)
  assert found[0]['frames'].shape == (4, 8, 8, 3)


def test_colour_in_a_grey_domain_names_the_frame():
  class Mixed(Numbered):
    def read(self, i):
      frame = super().read(i)['frame']
      return {'frame': np.repeat(frame, 3, -1) if i == 2 else frame}
  with pytest.raises(ValueError, match='clip c0, frame 2: uint8 with 3 channels among.*with 1.'):
    crops.WindowSource(Mixed((4,)), 4)[0]


def test_crop_takes_the_same_place_of_all_frames_and_labels():
  found = crops.WindowSource(Numbered((3,), (8, 8, 1), columns=True), 3, extras=('labels',))
  item = crops.crop(found[0], (1, 2), (4, 4))
  np.testing.assert_array_equal(item['frames'][:, 0, 0, 0], [50, 51, 52])
  np.testing.assert_array_equal(item['labels'], item['frames'][..., 0] + 100)


def test_flip_and_reversal_hold_for_all_frames_and_labels():
  found = crops.WindowSource(Numbered((3,), (8, 8, 1), columns=True), 3, extras=('labels',))
  plain = crops.crop(found[0], (0, 0), (8, 8))
  item = crops.crop(found[0], (0, 0), (8, 8), flip=True, reverse=True)
  np.testing.assert_array_equal(item['frames'], plain['frames'][::-1, :, ::-1])
  np.testing.assert_array_equal(item['labels'], plain['labels'][::-1, :, ::-1])


def test_random_crops_reach_every_corner_ends_included():
  found = crops.WindowSource(Numbered((1,), (4, 6, 1), columns=True), 1)
  cut, rng = crops.Cut((4, 4)), np.random.default_rng(0)
  columns = [int(cut.random_map(found[0], rng)['frames'][0, 0, 0, 0]) for _ in range(60)]
  assert collections.Counter(columns).keys() == {10, 30, 50}


@pytest.mark.parametrize(('flip', 'low', 'high'), [(False, 0, 0), (True, 60, 140)])
def test_half_of_the_windows_are_flipped_if_asked(flip, low, high):
  found = crops.WindowSource(Numbered((1,), (4, 4, 1), columns=True), 1)
  cut, rng = crops.Cut(4, flip=flip), np.random.default_rng(0)
  flipped = sum(int(cut.random_map(found[0], rng)['frames'][0, 0, 0, 0]) > 10 for _ in range(200))
  assert low <= flipped <= high


def test_a_crop_larger_than_the_frame_is_refused():
  found = crops.WindowSource(Numbered((1,), (4, 6, 1)), 1)
  with pytest.raises(ValueError, match='smaller than data.crop_size'):
    crops.Cut(5).random_map(found[0], np.random.default_rng(0))


def test_load_size_below_crop_size_is_refused(config):
  config.data.load_size = 6
  with pytest.raises(ValueError, match='load_size.*is smaller than data.crop_size'):
    windows.train_iterator(config, 2)


def test_a_batch_has_the_agreed_names_shapes_and_types(config):
  batch = next(windows.train_iterator(config, 2))
  assert {k: (v.shape, str(v.dtype)) for k, v in batch.items()} == {
      'a': ((2, 3, 8, 8, 1), 'uint8'), 'b': ((2, 3, 8, 8, 1), 'uint8'),
      'limits_a': ((2, 2), 'float32'), 'limits_b': ((2, 2), 'float32')}
  np.testing.assert_array_equal(batch['limits_a'], [[0, 255]] * 2)


def test_an_epoch_shows_every_window_once_and_the_next_in_another_order(config):
  """a has 3 + 2 windows, b has 5."""
  assert windows.steps_per_epoch(config) == 3
  config.data.batch = 1
  assert windows.steps_per_epoch(config) == 5
  batches = take(windows.train_iterator(config, 1), 20)
  for domain, expected in (('a', [10, 11, 12, 30, 31]), ('b', [90, 91, 92, 93, 94])):
    seen = starts(batches, domain)
    epochs = [seen[k:k + 5] for k in range(0, 20, 5)]
    assert all(sorted(epoch) == expected for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1


def test_the_domains_are_drawn_independently(config):
  batches = take(windows.train_iterator(config, 1), 25)
  assert len(set(zip(starts(batches, 'a'), starts(batches, 'b'), strict=True))) > 5


def test_same_seed_same_batches_other_seed_others(config):
  first = take(windows.train_iterator(config, 2), 6)
  assert all(map(equal, first, take(windows.train_iterator(config, 2), 6)))
  config.seed = 1
  assert starts(take(windows.train_iterator(config, 2), 6), 'a') != starts(first, 'a')


@pytest.mark.parametrize('threads', [0, 1, 4])
def test_batches_do_not_depend_on_threads(config, threads):
  expected = take(windows.train_iterator(config, 2), 4)
  config.data.threads = threads
  assert all(map(equal, expected, take(windows.train_iterator(config, 2), 4)))


def test_a_stopped_iterator_goes_on_with_the_next_batch(config):
  config.data.flip = True
  iterator = windows.train_iterator(config, 2)
  take(iterator, 4)
  state = iterator.get_state()
  expected = take(iterator, 5)
  resumed = windows.train_iterator(config, 2)
  resumed.set_state(state)
  assert all(map(equal, expected, take(resumed, 5)))


def test_two_processes_share_the_batches_of_one(config):
  """Before and after the end of the epoch, and from a state that one process had saved."""
  whole = windows.train_iterator(config, 4)
  take(whole, 3)
  state = whole.get_state()
  shares = [windows.train_iterator(config, 2, (k, 2)) for k in (0, 1)]
  for share in shares:
    share.set_state(state)
  for _ in range(4):
    expected, parts = next(whole), [next(share) for share in shares]
    both = {k: np.stack([x[k] for x in parts], 1).reshape(expected[k].shape) for k in expected}
    assert equal(expected, both)


def test_worker_processes_give_batches_and_resume(config):
  """Also: works where nobody has parsed command-line flags."""
  config.data.workers = 1
  iterator = windows.train_iterator(config, 2)
  first, state, expected = next(iterator), iterator.get_state(), next(iterator)
  resumed = windows.train_iterator(config, 2)
  resumed.set_state(state)
  assert equal(next(resumed), expected)
  config.data.workers = 0
  assert all(map(equal, (first, expected), take(windows.train_iterator(config, 2), 2)))


def paired_config(config, tmp_path):
  """Domain b shows the frames of a, brighter by 100."""
  for path in (tmp_path / 'trainA').rglob('*.png'):
    frame = frames.read_image(path) + np.arange(16, dtype=np.uint8)[:, None]
    frames.write_image(path, frame)
    frames.write_image(tmp_path / 'both' / path.relative_to(tmp_path / 'trainA'), frame + 100)
  config.data.update(train_b=str(tmp_path / 'both'), flip=True)
  config.data.paired = True
  return config


def test_paired_windows_show_the_same_moment_and_crop(config, tmp_path):
  config = paired_config(config, tmp_path)
  for batch in take(windows.train_iterator(config, 2), 8):
    np.testing.assert_array_equal(batch['a'] + 100, batch['b'])


def test_paired_scenes_show_the_same_moment_and_crop():
  config = defaults.get_config()
  config.data.update(load_size=40, crop_size=32, frames=2, batch=2, flip=True)
  config.data.scenes.update(paired=True, clips=2)
  batch = next(windows.train_iterator(config, 2, extras=('labels', 'index')))
  np.testing.assert_array_equal(batch['labels_a'], batch['labels_b'])
  np.testing.assert_array_equal(batch['index_a'], batch['index_b'])
  assert len(np.unique(batch['labels_a'])) > 1
  assert batch['labels_a'].shape == (2, 2, 32, 32)


@pytest.mark.parametrize(('b', 'same'), [((5, 4), True), ((4, 5), False), ((5,), False)])
def test_sources_are_aligned_if_their_clips_are_equally_long(b, same):
  assert windows.aligned(Numbered((5, 4)), Numbered(b)) == same


def test_clips_of_other_names_are_not_aligned_unless_single():
  one, other = Numbered((5, 4)), Numbered((5, 4))
  other.clips = [('x', 0, 5), ('y', 5, 4)]
  assert not windows.aligned(one, other)
  one.clips, other.clips = one.clips[:1], other.clips[:1]
  assert windows.aligned(one, other)


def test_paired_training_needs_the_same_clips(config):
  config.data.paired = True
  with pytest.raises(ValueError, match='same clips and lengths'):
    windows.train_iterator(config, 2)


def test_the_index_of_the_window_is_delivered_if_asked(config):
  batch = next(windows.train_iterator(config, 2, extras=('index',)))
  first = windows.train_windows(config.data)[0]
  shown = [first[i]['frames'][0, 0, 0, 0] for i in batch['index_a']]
  np.testing.assert_array_equal(batch['a'][:, 0, 0, 0, 0], shown)


def test_time_is_reversed_in_the_asked_share_of_windows(config):
  config.data.flip_time = 0.5
  batches = take(windows.train_iterator(config, 2), 20)
  shown = np.concatenate([batch['a'][:, :, 0, 0, 0] for batch in batches]).astype(int)
  steps = (shown[:, 1] - shown[:, 0]).tolist()
  assert 8 <= steps.count(-1) <= 32
  assert set(steps) == {1, -1}


@pytest.mark.parametrize('field', ['frames', 'stride', 'batch', 'prefetch'])
def test_counts_below_one_are_refused(config, field):
  config.data[field] = 0
  with pytest.raises(ValueError, match=f'data.{field}=0 must be at least 1'):
    windows.train_iterator(config, 2)


def test_labels_asked_of_a_source_without_are_refused(config):
  with pytest.raises(ValueError, match='FolderFrames.*has no labels'):
    next(windows.train_iterator(config, 2, extras=('labels',)))


def test_scaling_each_frame_by_itself_warns_of_flicker():
  with pytest.warns(UserWarning, match='flicker'):
    crops.WindowSource(Numbered((4,), dtype=np.uint16), 2, rule='frame')


def test_a_missing_domain_names_the_field(config, tmp_path):
  config.data.update(root='', train_a=str(tmp_path / 'trainA'))
  with pytest.raises(ValueError, match='data.train_b'):
    windows.train_iterator(config, 2)
  config.data.direction = 'b2a'      # the run's a is the given b
  with pytest.raises(ValueError, match='data.train_b'):
    windows.train_iterator(config, 2)


def test_clip_limits_are_read_once_and_travel_with_the_window():
  source = Numbered((30, 30), dtype=np.uint16)
  reads = []
  found = crops.WindowSource(source, 1)
  original, source.read = source.read, lambda i: reads.append(i) or original(i)
  first, again, other = found[0], found[1], found[40]
  np.testing.assert_array_equal(first['limits'], [10, 39])
  np.testing.assert_array_equal(again['limits'], [10, 39])
  np.testing.assert_array_equal(other['limits'], [40, 69])
  assert len(reads) == 3 + 2 * 30


def test_16_bit_windows_stay_16_bit(config, tmp_path):
  for path in (tmp_path / 'trainA').rglob('*.png'):
    frames.write_image(path, frames.read_image(path).astype(np.uint16) * 100)
  config.data.thermal_range = '1000,4000'
  batch = next(windows.train_iterator(config, 2))
  assert batch['a'].dtype == np.uint16
  assert batch['a'].min() >= 1000
  np.testing.assert_array_equal(batch['limits_a'], [[1000, 4000]] * 2)


def test_sample_windows_are_fixed_spread_and_aligned(config, tmp_path):
  config.data.update(test_b=str(tmp_path / 'testA'))
  sheet = windows.sample_windows(config, 2)
  assert equal(sheet, windows.sample_windows(config, 2))
  assert sheet['a'].shape == (2, 3, 8, 8, 1)
  np.testing.assert_array_equal(sheet['a'], sheet['b'])
  assert len(set(starts([sheet], 'a'))) == 2


def test_sample_windows_fall_back_to_training_frames(config, tmp_path):
  config.data.update(root='', train_a=str(tmp_path / 'trainA'), train_b=str(tmp_path / 'trainB'),
                     test_a=str(tmp_path / 'testA'))
  sheet = windows.sample_windows(config, 2)
  assert min(starts([sheet], 'b')) >= 90


@pytest.mark.parametrize('rule', ['square', 'width', 'none'])
def test_sample_windows_have_the_crop_size_under_every_rule(config, rule):
  config.data.resize = rule
  assert windows.sample_windows(config, 3)['a'].shape == (3, 3, 8, 8, 1)


def test_test_clips_are_whole_and_in_order(config):
  clips = list(windows.test_clips(config, 'a'))
  assert [(clip.name, clip.frames.shape, clip.start) for clip in clips] == [
      ('c0', (5, 8, 8, 1), 0), ('c1', (4, 8, 8, 1), 5)]
  first = int(clips[0].frames[0, 0, 0, 0])
  assert clips[0].frames[:, 0, 0, 0].tolist() == list(range(first, first + 5))
  assert clips[0].source.read(clips[0].start)['frame'][0, 0, 0] == first
  np.testing.assert_array_equal(clips[0].limits, [0, 255])


def test_test_clips_keep_their_shape_without_resizing(config):
  config.data.resize = 'none'
  assert next(windows.test_clips(config, 'a')).frames.shape == (5, 12, 16, 1)


def test_no_warning_where_nothing_is_wrong(config):
  with warnings.catch_warnings():
    warnings.simplefilter('error')
    next(windows.train_iterator(config, 2))

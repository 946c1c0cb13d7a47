"""Folders, globs and strips as frame sources. The gray value of a frame says which one it is."""

import pickle

import numpy as np
import pytest

from i2vjax import defaults
from i2vjax.core.errors import UserError
from i2vjax.data import SOURCES, open_source
from i2vjax.data.io import images
from i2vjax.data.sources import frame_numbers, listing, locate

SHAPE = (8, 12, 1)


def put(folder, names, first=0, shape=SHAPE):
  """Write one gray picture per name, with values first, first + 1, ..."""
  for k, name in enumerate(names):
    images.write_image(folder / name, np.full(shape, first + k, np.uint8))


def source(tmp_path, **fields):
  data = defaults.data()
  data.update(source='folders', train_a=str(tmp_path), **fields)
  return open_source(data, 'train', 'a')


def values(frames_source):
  return [int(frames_source.read(i)['frame'][0, 0, 0]) for i in range(len(frames_source))]


def test_a_flat_folder_is_one_clip_in_natural_order(tmp_path):
  put(tmp_path, ['1.png', '2.png', '10.png', '9.png'])
  frames = source(tmp_path, max_gap=7)
  assert frames.clips == [(tmp_path.name, 0, 4)]
  assert values(frames) == [0, 1, 3, 2]


def test_names_without_numbers_are_one_clip(tmp_path):
  put(tmp_path, ['b.png', 'a.png', 'c.png'])
  assert source(tmp_path).clips == [(tmp_path.name, 0, 3)]


def test_a_clip_ends_where_the_number_jumps_more_than_twice_the_usual_step(tmp_path):
  put(tmp_path, [f'x_{n:04d}.png' for n in (0, 5, 10, 20, 25, 36, 41)])   # 10 is no jump, 11 is
  assert [clip[1:] for clip in source(tmp_path).clips] == [(0, 5), (5, 2)]
  assert [clip[0] for clip in source(tmp_path).clips] == ['000', '001']


def test_max_gap_sets_the_jump(tmp_path):
  put(tmp_path, [f'{n}.png' for n in (1, 2, 3, 6, 7)])
  assert len(source(tmp_path, max_gap=2).clips) == 2
  assert len(source(tmp_path, max_gap=3).clips) == 1


def test_a_clip_ends_where_the_number_starts_again(tmp_path):
  put(tmp_path, ['day_1.png', 'day_2.png', 'night_1.png', 'night_2.png'])
  assert [clip[1:] for clip in source(tmp_path).clips] == [(0, 2), (2, 2)]


def test_the_frame_number_is_the_last_that_varies():
  stems = ['city_03_0001_left8bit', 'city_03_0002_left8bit']
  assert frame_numbers.read_names(stems).numbers == [1, 2]


def test_clip_regex_names_the_clips(tmp_path):
  put(tmp_path, ['a_1_L8.png', 'a_2_L8.png', 'b_1_L8.png', 'b_2_L8.png', 'b_3_L8.png'])
  frames = source(tmp_path, clip_regex=r'^([a-z]+)_')
  assert frames.clips == [('a', 0, 2), ('b', 2, 3)]


def test_clip_regex_that_does_not_fit_names_the_file(tmp_path):
  put(tmp_path, ['a_1.png', 'x.png'])
  with pytest.raises(ValueError, match=r'does not fit x.png'):
    source(tmp_path, clip_regex=r'(.*)_\d')


def test_each_sub_folder_is_a_clip_at_any_depth(tmp_path):
  put(tmp_path / 'clip2', ['1.png', '100.png'])
  put(tmp_path / 'clip10', ['1.png'], first=5)
  put(tmp_path / 'set00' / 'V001' / 'lwir', ['1.png', '2.png'], first=7)
  frames = source(tmp_path)
  assert frames.clips == [('clip2', 0, 2), ('clip10', 2, 1), ('set00/V001/lwir', 3, 2)]
  assert values(frames) == [0, 1, 5, 7, 8]


@pytest.mark.parametrize('count', [2, 3])
def test_strips_are_cut_into_clips_of_their_frames(tmp_path, count):
  for name in ('1', '2'):
    strip = np.concatenate([np.full(SHAPE, 10 * int(name) + k, np.uint8) for k in range(count)], 1)
    images.write_image(tmp_path / f'{name}.png', strip)
  frames = source(tmp_path, frames_per_image=str(count))
  assert frames.clips == [('1', 0, count), ('2', count, count)]
  assert values(frames) == [10 * i + k for i in (1, 2) for k in range(count)]
  assert frames.read(0)['frame'].shape == SHAPE


@pytest.mark.parametrize(('width', 'count'), [(8, 1), (16, 2), (24, 3), (12, 1)])
def test_auto_tells_strips_by_their_shape(tmp_path, width, count):
  put(tmp_path, ['1.png'], shape=(8, width, 1))
  assert source(tmp_path, frames_per_image='auto').clips[0][2] == count


def test_single_frames_may_test_a_model_trained_on_strips(tmp_path):
  put(tmp_path, ['1.png', '2.png'], shape=(8, 8, 1))
  data = defaults.data()
  data.update(source='folders', test_a=str(tmp_path), frames_per_image='3')
  assert values(open_source(data, 'test', 'a')) == [0, 1]


def test_auto_cuts_a_flat_folder_of_single_frames_by_number(tmp_path):
  put(tmp_path, ['1.png', '2.png', '9.png'])
  assert len(source(tmp_path, frames_per_image='auto').clips) == 2


def test_a_strip_that_cannot_be_shared_is_named(tmp_path):
  put(tmp_path, ['odd.png'], shape=(8, 13, 1))
  with pytest.raises(ValueError, match='odd.png is 13 pixels wide'):
    source(tmp_path, frames_per_image='2').read(0)


def test_hidden_and_other_files_are_ignored_and_counted(tmp_path):
  put(tmp_path, ['1.png', '2.png'])
  put(tmp_path / '.thumbs', ['3.png'])
  (tmp_path / 'readme.txt').write_text('x')
  (tmp_path / '._1.png').write_text('x')
  frames = source(tmp_path)
  assert values(frames) == [0, 1]
  assert frames.ignored == 2


def test_links_are_followed_but_not_in_a_circle(tmp_path):
  put(tmp_path / 'in/a', ['1.png', '2.png'])
  put(tmp_path / 'other', ['3.png'])
  (tmp_path / 'in/self').symlink_to('.')
  (tmp_path / 'in/a/up').symlink_to(tmp_path / 'in')
  (tmp_path / 'in/b').symlink_to(tmp_path / 'other')
  (tmp_path / 'in/broken').symlink_to('nowhere')
  frames = listing.find_files(tmp_path / 'in')[0]
  assert {name: len(files) for name, files in frames.items()} == {'a': 2, 'b': 1}


def test_a_glob_of_files(tmp_path):
  put(tmp_path, ['a1.png', 'a2.png', 'b1.png'])
  assert values(source(tmp_path / 'a*.png')) == [0, 1]


def test_a_glob_of_folders(tmp_path):
  for k, name in enumerate(('ir_1', 'ir_2', 'vis_1')):
    put(tmp_path / name, ['1.png'], first=k)
  frames = source(tmp_path / 'ir_*')
  assert [clip[0] for clip in frames.clips] == ['ir_1', 'ir_2']
  assert values(frames) == [0, 1]


def test_a_source_is_pickled_with_a_stable_repr(tmp_path):
  put(tmp_path, ['1.png', '2.png'])
  frames = source(tmp_path)
  copy = pickle.loads(pickle.dumps(frames))
  assert values(copy) == values(frames)
  assert repr(copy) == repr(frames)
  assert '0x' not in repr(frames)


def test_an_empty_folder_counts_what_it_ignored(tmp_path):
  (tmp_path / 'notes.txt').write_text('x')
  with pytest.raises(FileNotFoundError, match=r'no pictures .*1 file of other kinds.*notes.txt'):
    source(tmp_path)


def test_a_missing_folder_is_named(tmp_path):
  with pytest.raises(FileNotFoundError, match='nowhere: no such folder or file'):
    source(tmp_path / 'nowhere')


def test_a_file_of_another_kind_is_refused(tmp_path):
  (tmp_path / 'list.txt').write_text('x')
  with pytest.raises(ValueError, match='neither a folder nor a video'):
    source(tmp_path / 'list.txt')


def test_a_folder_above_both_domains_is_refused(tmp_path):
  for name in ('trainA', 'trainB'):
    put(tmp_path / name, ['1.png'])
  with pytest.raises(ValueError, match='trainA and trainB.*data.root'):
    source(tmp_path)


def test_unknown_strips_are_refused(tmp_path):
  put(tmp_path, ['1.png'])
  with pytest.raises(ValueError, match='1, 2, 3 or auto'):
    source(tmp_path, frames_per_image='4')


@pytest.mark.parametrize('names', [('trainA', 'trainB'), ('train/A', 'train/B'),
                                   ('train_ir', 'train_vis'), ('ir/train', 'visible/train'),
                                   ('train/thermal', 'train/rgb')])
def test_the_root_is_read_in_known_layouts(tmp_path, names):
  for k, name in enumerate(names):
    put(tmp_path / name, ['1.png'], first=k)
  data = defaults.data()
  data.update(source='folders', root=str(tmp_path))
  assert [values(open_source(data, 'train', x)) for x in 'ab'] == [[0], [1]]
  assert open_source(data, 'test', 'a') is None


def test_the_test_split_falls_back_to_val(tmp_path):
  put(tmp_path / 'valA', ['1.png'], first=4)
  data = defaults.data()
  data.update(source='folders', root=str(tmp_path))
  assert values(open_source(data, 'test', 'a')) == [4]


def test_a_named_folder_wins_over_the_root(tmp_path):
  put(tmp_path / 'trainA', ['1.png'], first=1)
  put(tmp_path / 'mine', ['1.png'], first=2)
  data = defaults.data()
  data.update(source='folders', root=str(tmp_path), train_a=str(tmp_path / 'mine'))
  assert values(open_source(data, 'train', 'a')) == [2]


def test_two_layouts_in_one_root_are_refused(tmp_path):
  for name in ('trainA', 'train_ir'):
    put(tmp_path / name, ['1.png'])
  data = defaults.data()
  data.update(source='folders', root=str(tmp_path))
  with pytest.raises(ValueError, match='both trainA and train_ir.*data.train_a'):
    open_source(data, 'train', 'a')


def test_a_missing_root_is_named():
  data = defaults.data()
  data.update(source='folders', root='no/such/root')
  with pytest.raises(FileNotFoundError, match='data.root=no/such/root'):
    open_source(data, 'train', 'a')


def test_what_the_root_holds_is_told_where_nothing_fits(tmp_path):
  (tmp_path / 'pictures').mkdir()
  data = defaults.data()
  data.root = str(tmp_path)
  message = locate.missing(data, 'train', 'a')
  assert 'trainA' in message
  assert 'it holds pictures' in message
  assert 'data.train_a=PATH' in message


def test_direction_swaps_the_domains(tmp_path):
  for k, name in enumerate(('trainA', 'trainB')):
    put(tmp_path / name, ['1.png'], first=k)
  data = defaults.data()
  data.update(source='folders', root=str(tmp_path), direction='b2a')
  assert values(open_source(data, 'train', 'a')) == [1]


@pytest.mark.parametrize('field', ['source', 'direction'])
def test_unknown_choices_are_refused(field):
  data = defaults.data()
  data[field] = 'other'
  with pytest.raises(ValueError, match=f"data.{field}='other' is unknown"):
    open_source(data, 'train', 'a')


def test_every_source_opens_splits():
  """`SOURCES` holds modules; one that opens nothing would only show when somebody chose it."""
  assert set(SOURCES) == {'scenes', 'folders', 'tfds'}
  for module in SOURCES.values():
    assert callable(module.open_split)


def test_equal_stems_get_names_apart():
  names = listing.unique_names(['x/a.mp4', 'y/a.mp4', 'y/b.mp4'])
  assert names == {'x/a.mp4': 'x_a.mp4', 'y/a.mp4': 'y_a.mp4', 'y/b.mp4': 'b'}


def test_as_many_folders_as_needed_tell_equal_stems_apart():
  paths = ['mon/ir/v.mp4', 'tue/ir/v.mp4', '/tue/vis/v.mp4', 'x/vis_v.mp4.mp4', 'x/b.mp4']
  assert list(listing.unique_names(paths).values()) == [
      'mon_ir_v.mp4', 'tue_ir_v.mp4', 'tue_vis_v.mp4', 'x_vis_v.mp4.mp4', 'b']
  assert listing.unique_names([]) == {}
  paths = ['a/b_c/v.mp4', 'a_b/c/v.mp4', 'x/b_c/v.mp4', 'x/c/v.mp4']
  with pytest.raises(ValueError, match='a/b_c/v.mp4 and a_b/c/v.mp4 would both be named a_b_c_v'):
    listing.unique_names(paths)


def test_clip_regex_over_folders_of_equal_numbers_mixes_no_frames(tmp_path):
  for k, day in enumerate(('mon', 'tue')):
    put(tmp_path / day, [f'clip1_{n:03d}.png' for n in range(3)], 10 * k)
  frames = source(tmp_path, clip_regex='(clip[0-9])')
  assert frames.clips == [('clip1_000', 0, 3), ('clip1_001', 3, 3)]
  assert values(frames) == [0, 1, 2, 10, 11, 12]


def test_clip_regex_joins_folders_whose_numbers_go_on(tmp_path):
  put(tmp_path / 'part2', ['clip1_000.png', 'clip1_001.png'])
  put(tmp_path / 'part1', ['clip1_002.png', 'clip1_003.png'], 2)
  assert values(source(tmp_path, clip_regex='(clip[0-9])')) == [0, 1, 2, 3]
  assert source(tmp_path, clip_regex='(clip[0-9])').clips == [('clip1', 0, 4)]


def test_a_folder_keeps_the_sign_that_its_name_begins_with(tmp_path):
  for name in ('_x', 'x'):
    put(tmp_path / name, ['day_1.png', 'day_2.png', 'night_1.png', 'night_2.png'])
  assert {clip.name for clip in source(tmp_path).clips} == {'_x_000', '_x_001', 'x_000', 'x_001'}


@pytest.mark.parametrize('field', ['train_a', 'test_b', 'root'])
def test_frames_that_the_built_in_street_would_pass_over_are_refused(tmp_path, field):
  data = defaults.get_config().data
  data[field] = str(tmp_path)
  with pytest.raises(UserError, match=f'data.{field}=.*data.source is scenes.*source=folders'):
    open_source(data, 'test', 'a')

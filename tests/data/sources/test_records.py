"""Published sets as TFDS records, and the source that reads them."""

import json
import os
import pickle
import shutil
import sys

import numpy as np
import pytest
from made_sets import SHAPE, build, pair, put, read, strip, values

from i2vjax import defaults
from i2vjax.data.io import images
from i2vjax.data.loader import batches
from i2vjax.data.prepare import published
from i2vjax.data.prepare.published import records

# Toy folders do not have the published numbers of frames, which is said each time.
pytestmark = pytest.mark.filterwarnings('ignore:.*published are')


# ---- records and their source -----------------------------------------------------------------


@pytest.fixture(scope='module')
def folder_records(tmp_path_factory):
  """Records of a folder: a has two clips, b strips of three, test_a 16 bits; no test_b."""
  top = tmp_path_factory.mktemp('own')
  put(top / 'in/train_ir/clip2', ['1.png', '2.png', '10.png'])
  put(top / 'in/train_ir/clip10', ['1.jpg', '2.jpg'], 100, (16, 16, 3))
  for k in range(2):
    strip(top / f'in/train_vis/{k}.png', 10 * k, 10 * k + 1, 10 * k + 2)
  for k in range(2):
    images.write_image(top / f'in/test_ir/{k}.tif', np.full(SHAPE, 1000 + k, np.uint16))
  return top, build(top, 'frames_folder/mine')


def test_what_was_written_is_told(folder_records):
  folder, counts = folder_records[1]
  assert counts == {'train_a': 5, 'train_b': 6, 'test_a': 2}
  assert folder == folder_records[0] / 'out/frames_folder/mine/1.0.0'


def test_records_keep_order_clips_and_kinds(folder_records):
  result = read(folder_records[0], 'frames_folder/mine')
  assert result.clips == [('clip2', 0, 3), ('clip10', 3, 2)]
  assert values(result) == [0, 1, 2, 100, 101]
  assert result.read(4)['frame'].shape == (16, 16, 3)


def test_strips_are_stored_once_and_read_as_frames(folder_records):
  result = read(folder_records[0], 'frames_folder/mine', domain='b')
  assert result.clips == [('0', 0, 3), ('1', 3, 3)]
  assert values(result) == [0, 1, 2, 10, 11, 12]
  assert result.read(5)['frame'].shape == (8, 8, 1)
  assert len(result.records()) == 2


def test_16_bit_tiff_comes_back_bit_for_bit(folder_records):
  result = read(folder_records[0], 'frames_folder/mine', 'test')
  assert result.read(1)['frame'].dtype == np.uint16
  assert values(result) == [1000, 1001]


def test_the_bytes_are_stored_unchanged(folder_records):
  stored = read(folder_records[0], 'frames_folder/mine').records()[3]
  assert stored['image'] == (folder_records[0] / 'in/train_ir/clip10/1.jpg').read_bytes()
  assert stored['file'] == b'train_ir/clip10/1.jpg'
  assert (int(stored['clip']), int(stored['frame'])) == (1, 0)


def test_a_source_is_pickled_with_a_stable_repr(folder_records):
  result = read(folder_records[0], 'frames_folder/mine')
  result.read(0)
  copy = pickle.loads(pickle.dumps(result))
  assert values(copy) == values(result)
  assert repr(copy) == repr(result)
  assert '0x' not in repr(result)


def test_a_split_without_frames_is_none_for_testing_and_named_for_training(folder_records):
  assert read(folder_records[0], 'frames_folder/mine', 'test', 'b') is None
  with pytest.raises(ValueError, match='has no split other, but train_a, train_b, test_a'):
    read(folder_records[0], '', train_a='frames_folder/mine:other')


def test_a_field_names_the_split_of_any_set(folder_records):
  result = read(folder_records[0], '', train_a='frames_folder/mine:train_b')
  assert values(result)[:3] == [0, 1, 2]
  assert read(folder_records[0], '') is None


def test_direction_swaps_the_domains(folder_records):
  assert len(read(folder_records[0], 'frames_folder/mine', direction='b2a')) == 6


def test_windows_of_records_are_those_of_folders(folder_records):
  config = defaults.get_config()
  fields = dict(frames=2, load_size=8, crop_size=8, batch=2, frames_per_image='auto')
  by_kind = {}
  for kind, more in (('tfds', dict(name='frames_folder/mine', root=str(folder_records[0] / 'out'))),
                     ('folders', dict(root=str(folder_records[0] / 'in'), name=''))):
    config.data.update(source=kind, **fields, **more)
    by_kind[kind] = next(batches.train_iterator(config, 2))
  assert by_kind['tfds']['a'].shape == (2, 2, 8, 8, 3)
  for name, value in by_kind['folders'].items():
    np.testing.assert_array_equal(by_kind['tfds'][name], value)


def test_records_need_no_tensorflow(folder_records):
  read(folder_records[0], 'frames_folder/mine').read(0)
  assert 'tensorflow_datasets' in sys.modules
  assert 'tensorflow' not in sys.modules


def test_missing_records_tell_the_command_that_makes_them(tmp_path):
  with pytest.raises(FileNotFoundError, match=r'prepare --dataset irvi/traffic --manual_dir'):
    read(tmp_path, 'irvi/traffic')


def test_a_set_without_its_config_is_found_unless_there_are_two(folder_records, tmp_path):
  assert len(read(folder_records[0], 'frames_folder')) == 5
  for config in ('one', 'two'):
    side = tmp_path / 'out/frames_folder' / config / '1.0.0/clips.json'
    side.parent.mkdir(parents=True)
    side.write_text('{}')
  with pytest.raises(ValueError, match='name one of frames_folder/one, frames_folder/two'):
    read(tmp_path, 'frames_folder')


def test_a_side_index_of_other_records_is_refused(folder_records, tmp_path):
  shutil.copytree(folder_records[0] / 'out', tmp_path / 'out')
  path = tmp_path / 'out/frames_folder/mine/1.0.0/clips.json'
  index = json.loads(path.read_text())
  index['train_a']['clips'][0][2] = 2
  path.write_text(json.dumps(index))
  with pytest.raises(ValueError, match=r'5 records of train_a.*tells of 4: it is damaged'):
    read(tmp_path, 'frames_folder/mine').read(0)


def copied(folder_records, tmp_path):
  """The folder of a copy of the records."""
  shutil.copytree(folder_records[0] / 'out', tmp_path / 'out')
  return tmp_path / 'out/frames_folder/mine/1.0.0'


def test_records_that_name_a_class_of_others_import_nothing(folder_records, tmp_path, monkeypatch):
  """TFDS imports the module of each class that features.json names."""
  place = copied(folder_records, tmp_path)
  (tmp_path / 'stranger.py').write_text('raise SystemExit("it was run")')
  monkeypatch.syspath_prepend(tmp_path)
  text = (place / 'features.json').read_text()
  name = 'tensorflow_datasets.core.features.features_dict.FeaturesDict'
  assert name in text
  for foreign in ('stranger.Any', 'os.Text', 'tensorflow_datasets.core.features.x.Stranger'):
    (place / 'features.json').write_text(text.replace(name, foreign))
    with pytest.raises(ValueError, match=f'features.json asks for .{foreign}.*could run code'):
      read(tmp_path, 'frames_folder/mine').read(0)
  assert 'stranger' not in sys.modules


@pytest.mark.parametrize('name', ['features.json', 'dataset_info.json', 'clips.json'])
def test_a_pipe_among_records_is_not_waited_for(folder_records, tmp_path, name):
  place = copied(folder_records, tmp_path)
  (place / name).unlink()
  os.mkfifo(place / name)
  with pytest.raises((ValueError, OSError), match=name):
    read(tmp_path, 'frames_folder/mine').read(0)


@pytest.mark.parametrize(('change', 'value'), [
    ('clips', [['x', 0, 5, 0]]), ('clips', [[7, 0, 5, 1]]), ('clips', 3), ('resize', [10**9, 1]),
    ('label_ids', [1000]), ('flow', 'x'), ('clips', [['x', -1, 5, 1]])])
def test_a_side_index_that_was_not_written_here_is_refused(folder_records, tmp_path, change, value):
  path = copied(folder_records, tmp_path) / 'clips.json'
  index = json.loads(path.read_text())
  index['train_a'][change] = value
  for text in (json.dumps(index), '[1]', '{', '[' * 99999):
    path.write_text(text)
    with pytest.raises(ValueError, match='clips.json'):
      read(tmp_path, 'frames_folder/mine')


@pytest.mark.parametrize('title', ['../../x', '/x', '..'])
def test_a_clip_of_records_is_not_written_outside_of_the_output(folder_records, tmp_path, title):
  import stub_runs as stubs

  from i2vjax import translate
  path = copied(folder_records, tmp_path) / 'clips.json'
  index = json.loads(path.read_text())
  index['test_a']['clips'][0][0] = title
  path.write_text(json.dumps(index))
  run = stubs.make(stubs.negative, stubs.config(
      source='tfds', root=str(tmp_path / 'out'), name='frames_folder/mine'))
  with pytest.raises(ValueError, match='clips.json'):
    translate.translate_split(run, tmp_path / 'written/here', show=False)
  assert not list(tmp_path.glob('**/*.png')) and not list(tmp_path.glob('written/*.png'))


def test_a_size_behind_the_config_makes_frames_smaller(tmp_path):
  put(tmp_path / 'in/trainA', ['1.png'], 7, (16, 24, 3))
  strip(tmp_path / 'in/trainB/1.png', 5, 6, 7)
  _, counts = build(tmp_path, 'frames_folder/mine_12x4')
  assert counts == {'train_a': 1, 'train_b': 3}
  assert read(tmp_path, 'frames_folder/mine_12x4').read(0)['frame'].shape == (4, 12, 3)
  result = read(tmp_path, 'frames_folder/mine_12x4', domain='b')
  assert result.read(0)['frame'].shape == (4, 12, 1)
  assert values(result) == [5, 6, 7]


def test_a_limit_takes_the_first_files_of_each_split(tmp_path):
  put(tmp_path / 'in/trainA', [f'{k}.png' for k in range(5)])
  assert build(tmp_path, 'frames_folder/x', limit=2)[1] == {'train_a': 2}
  assert values(read(tmp_path, 'frames_folder/x')) == [0, 1]


# ---- what goes wrong ----------------------------------------------------------------------------


def test_records_are_not_overwritten(folder_records):
  with pytest.raises(FileExistsError, match='--overwrite'):
    build(folder_records[0], 'frames_folder/mine')
  assert values(read(folder_records[0], 'frames_folder/mine')) == [0, 1, 2, 100, 101]


def test_records_are_made_anew_if_asked(tmp_path):
  for value in (3, 4):
    put(tmp_path / 'in/trainA', ['1.png'], value)
    build(tmp_path, 'frames_folder/x', overwrite=True)
    assert values(read(tmp_path, 'frames_folder/x')) == [value]
  assert [x.name for x in (tmp_path / 'out').iterdir()] == ['frames_folder']


@pytest.mark.parametrize('broken', ['damaged', 'other size'])
def test_a_bad_picture_is_named_and_nothing_is_left(tmp_path, broken):
  put(tmp_path / 'in/trainA', ['1.png', '2.png'])
  bad = tmp_path / 'in/trainA/3.png'
  if broken == 'damaged':
    bad.write_bytes((tmp_path / 'in/trainA/1.png').read_bytes()[:40])
    message = r'3\.png cannot be decoded'
  else:
    put(tmp_path / 'in/trainA', ['3.png'], shape=(8, 10, 1))
    message = r'3\.png: 10x8 pixels, but .*1\.png has 12x8'
  with pytest.raises(ValueError, match=message):
    build(tmp_path, 'frames_folder/x')
  assert not (tmp_path / 'out').exists()


def test_a_strip_of_the_wrong_width_is_named(tmp_path):
  strip(tmp_path / 'in/trainA/1.png', 5, 6, 7)
  split = records.Split([('x', [records.Picture(str(tmp_path / 'in/trainA/1.png'))], 5)])
  with pytest.raises(ValueError, match=r'1\.png: 24 pixels wide, which 5 frames side by side'):
    records.encode(split.clips[0][1][0], split, 5, None)


def test_a_stopped_build_leaves_nothing(tmp_path, monkeypatch):
  put(tmp_path / 'in/trainA', ['1.png', '2.png'])

  def stop(picture, *_):
    if picture.file.endswith('2.png'):
      raise KeyboardInterrupt
    return encode(picture, *_)
  encode = records.encode
  monkeypatch.setattr(records, 'encode', stop)
  with pytest.raises(KeyboardInterrupt):
    build(tmp_path, 'frames_folder/x')
  assert not (tmp_path / 'out').exists()


def test_unknown_sets_and_configs_are_refused(tmp_path):
  with pytest.raises(ValueError, match='no such data set. There are irvi'):
    build(tmp_path, 'irvy/traffic')
  with pytest.raises(ValueError, match='irvi has traffic, monitoring_sub1'):
    build(tmp_path, 'irvi/trafic')


def test_videos_are_to_be_unpacked_first(tmp_path):
  (tmp_path / 'in/trainA').mkdir(parents=True)
  (tmp_path / 'in/trainA/x.mp4').write_bytes(b'x')
  with pytest.raises(ValueError, match=r'trainA holds videos.*prepare --input'):
    build(tmp_path, 'frames_folder/x')


@pytest.mark.parametrize('name', sorted(set(published.BUILDERS) - {'frames_folder'}))
def test_an_empty_folder_is_told_what_it_must_hold_and_where_to_get_it(tmp_path, name):
  (tmp_path / 'in').mkdir()
  (tmp_path / 'in/data.tar.gz').write_text('x')
  with pytest.raises(FileNotFoundError) as error:
    build(tmp_path, name)
  text = str(error.value)
  assert name in text and 'lacks' in text and 'It holds data.tar.gz' in text
  assert 'Unpack data.tar.gz there first' in text and 'can be had from' in text


def test_a_folder_that_is_not_there_is_told_the_same(tmp_path):
  with pytest.raises(FileNotFoundError, match=r'is no folder. It must hold set00 to set11'):
    build(tmp_path, 'kaist_ntir2dc')


def test_other_numbers_of_frames_than_published_are_told(tmp_path):
  pair(tmp_path / 'in/traffic')
  with pytest.warns(UserWarning, match='2 frames in train_a, published are 17000'):
    build(tmp_path, 'irvi/traffic')

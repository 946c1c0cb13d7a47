"""Frames in folders brought to the form of FLIR and KAIST: resized, the middle cut out, as config.
"""

import json

import ml_collections
import numpy as np
import pytest
from method_tools import config_of
from PIL import Image

from i2vjax.data import open_source
from i2vjax.data.io import images, video_reader
from i2vjax.data.loader import batches, whole_clips
from i2vjax.data.prepare.published import night_lists
from i2vjax.data.transforms import resize, shaping
from i2vjax.run import folder as run_folder
from i2vjax.run import resume


def picture(k, size=(64, 80)):
  """Noise at a tenth of 640x512 by default."""
  return np.random.default_rng(k).integers(0, 256, (*size, 3), np.uint8)


def folder(root, name, pictures):
  for stem, array in pictures.items():
    images.write_image(root / name / f'{stem}.png', array)
  return str(root / name)


@pytest.fixture
def config(tmp_path):
  """FLIR's numbers over 8: 80x64 become 63x50 and then the middle 45x36; crops of 32."""
  config = config_of('pearlgan', 'paper-raw')
  config.data.prepare.update(resize='63x50', crop='45x36')
  config.data.update(crop_size=32, load_size=(36, 45))
  for split in ('train', 'test'):
    for k, domain in enumerate('ab'):
      config.data[f'{split}_{domain}'] = folder(tmp_path, f'{split}_{domain}',
                                                {f'f{i}': picture(i + k) for i in range(3)})
  return config


def test_the_word_raw_makes_what_the_records_of_the_published_sets_hold(config):
  config.data.prepare.update(config_of('pearlgan', 'paper-raw').data.prepare)
  result = open_source(config.data, 'train', 'a')
  record = {'frame': picture(7, (512, 640))}
  result.source.read = lambda i: record
  expected = shaping.resize_and_crop(record, night_lists.RESIZE, night_lists.CROP)['frame']
  assert expected.shape == (288, 360, 3)
  np.testing.assert_array_equal(result.read(0)['frame'], expected)


@pytest.mark.parametrize('method', ['pearlgan', 'morngan'])
def test_kaist_cuts_test_frames_without_resizing(config, method):
  kaist = config_of(method, 'raw-kaist')
  assert config_of(method, 'paper-raw').data.prepare.resize_test
  config.data.prepare.update(kaist.data.prepare)
  result = open_source(config.data, 'test', 'a')
  record = {'frame': picture(7, (512, 640))}
  result.source.read = lambda i: record
  expected = shaping.resize_and_crop(record, None, night_lists.MIDDLE)['frame']
  np.testing.assert_array_equal(result.read(0)['frame'], expected)
  assert open_source(config.data, 'train', 'a').size == (400, 500)


def test_test_frames_come_out_at_the_cut_size(config):
  clips = list(whole_clips.test_clips(config, 'a'))
  assert {clip.frames.shape[1:] for clip in clips} == {(36, 45, 3)}    # as cut, no side rounded
  config.data.prepare.crop = '44x36'
  clip = next(whole_clips.test_clips(config, 'a'))
  resized = resize.resize_frame(picture(0), (50, 63))
  np.testing.assert_array_equal(clip.frames[0], resized[7:43, 9:53])


def test_nothing_is_done_where_nothing_is_said(config):
  config.data.prepare.update(resize='', crop='')
  result = open_source(config.data, 'train', 'a')
  assert repr(result).startswith('FolderFrames')
  np.testing.assert_array_equal(result.read(1)['frame'], picture(1))


def test_random_crops_are_taken_from_what_is_left(config):
  whole = open_source(config.data, 'train', 'a')
  shown = [whole.read(i)['frame'] for i in range(3)]
  assert shown[0].shape == (36, 45, 3)
  places = [x[i:i + 32, j:j + 32, :][:, ::flip] for x in shown for i in range(5)
            for j in range(14) for flip in (1, -1)]
  batch = next(batches.train_iterator(config, 3))
  assert batch['a'].shape == (3, 1, 32, 32, 3)
  for window in batch['a'][:, 0]:
    assert any(np.array_equal(window, place) for place in places)


def test_maps_follow_at_either_size(config, tmp_path):
  """Edges of the published frame are prepared with it, those of the prepared one are left."""
  grays = {f'f{i}': picture(i)[..., :1] for i in range(3)}
  config.data.train_a = folder(tmp_path, 'grays', grays)
  fields = ('edges_a',)
  config.data.edges_a = config.data.train_a
  batch = next(batches.train_iterator(config, 2, fields=fields))
  np.testing.assert_array_equal(batch['edges_a'], batch['a'][..., 0])
  whole = open_source(config.data, 'train', 'a')
  config.data.edges_a = folder(tmp_path, 'small', {
      f'f{i}': whole.read(i)['frame'] for i in range(3)})
  other = next(batches.train_iterator(config, 2, fields=fields))
  np.testing.assert_array_equal(other['edges_a'], batch['edges_a'])


def test_class_maps_follow_by_the_nearest_pixel(config, tmp_path):
  config.data.update(ml_collections.ConfigDict({'labels_b': '', 'label_classes': 256}))
  ids = picture(3)[..., 0]
  (tmp_path / 'ids').mkdir()
  for i in range(3):
    Image.fromarray(ids).save(tmp_path / 'ids' / f'f{i}.png')
  config.data.labels_b = str(tmp_path / 'ids')
  label = open_source(config.data, 'train', 'b').read(0)['label']
  np.testing.assert_array_equal(label, resize.resize_labels(ids, (50, 63))[7:43, 9:54])


def test_videos_are_not_resized_before(config, tmp_path):
  path = tmp_path / 'film.mkv'
  with video_reader.VideoWriter(path, rate=25) as out:
    for k in range(2):
      out.write(picture(k))
  shown = [frame for frame, _ in video_reader.read_video(path)]
  config.data.update(train_a=str(path), resize='square', load_size=(40, 50),
                     cache_dir=str(tmp_path / 'cache'))
  result = open_source(config.data, 'train', 'a').read(1)['frame']
  np.testing.assert_array_equal(result, resize.resize_frame(shown[1], (50, 63))[7:43, 9:54])


def test_mistakes_are_named(config):
  config.data.prepare.crop = '45x60'
  with pytest.raises(ValueError, match=r'f0.png: 63x50 pixels are less than data.prepare.crop'):
    open_source(config.data, 'train', 'a').read(0)
  config.data.prepare.crop = '45,36'
  with pytest.raises(ValueError, match='data.prepare.crop=45,36: write WIDTHxHEIGHT'):
    open_source(config.data, 'train', 'a')


def test_runs_from_before_the_field_are_read_and_go_on(config, tmp_path):
  config.data.prepare.update(resize='', crop='')
  run_folder.write_config(tmp_path, config)
  path = tmp_path / 'config.json'
  before = json.loads(path.read_text())
  del before['data']['prepare']
  path.write_text(json.dumps(before))
  result = run_folder.read_config(tmp_path)
  assert result.data.prepare.resize_test and resume.compare_configs(result, config) == []
  config.data.prepare.crop = '45x36'
  with pytest.raises(ValueError, match="data.prepare.crop: '' -> '45x36'"):
    resume.compare_configs(result, config)

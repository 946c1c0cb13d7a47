"""Edge maps of training frames: matched by name, cropped with their frames, mistakes named."""

import pickle

import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest
from PIL import Image

from i2vjax import defaults
from i2vjax.data import open_source
from i2vjax.data.annotations import edge_maps, matching
from i2vjax.data.loader import batches
from i2vjax.data.sources import folders
from i2vjax.methods import pearlgan
from i2vjax.run import folder as run_folder
from i2vjax.run import resume

STEMS = ('f1', 'f2', 'f9')     # a gap between the numbers cuts the folder into two clips


def folder(root, name, pictures):
  for stem, picture in pictures.items():
    path = root / name / f'{stem}.png'
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path)
  return str(root / name)


def slopes(k, size=(10, 12)):
  """A picture whose values identify it and every place in it."""
  height, width = size
  return (100 * k + np.arange(height)[:, None] * width + np.arange(width)).astype(np.uint8)


@pytest.fixture
def config(tmp_path):
  """Three gray 12x10 frames of each domain; edges of b are the frames themselves, those of a their
  negatives."""
  config = defaults.get_config()
  frames = {stem: slopes(k) for k, stem in enumerate(STEMS)}
  negatives = {stem: 255 - picture for stem, picture in frames.items()}
  config.data.update(source='folders', resize='none', load_size=12, crop_size=8, flip=True,
                     train_a=folder(tmp_path, 'a', frames), train_b=folder(tmp_path, 'b', frames))
  config.data.update(edges_a=folder(tmp_path, 'edges_a', negatives),
                     edges_b=folder(tmp_path, 'edges_b', frames))
  return config


def test_edges_follow_their_frame_through_crop_and_flip(config):
  feed = batches.train_iterator(config, 2, fields=('edges_a', 'edges_b'))
  for batch in (next(feed) for _ in range(6)):
    assert batch['edges_a'].shape == (2, 1, 8, 8) and batch['edges_a'].dtype == np.uint8
    np.testing.assert_array_equal(batch['edges_b'], batch['b'][..., 0])
    np.testing.assert_array_equal(batch['edges_a'], 255 - batch['a'][..., 0])


def test_edges_are_resized_as_frames_are(config):
  config.data.update(resize='square', load_size=20, crop_size=16)
  batch = next(batches.train_iterator(config, 1, fields=('edges_b',)))
  np.testing.assert_array_equal(batch['edges_b'], batch['b'][..., 0])
  assert 'edges_a' not in batch


def test_methods_ask_for_edges_where_a_folder_is_named(config):
  config.weights.sga = 0.5
  assert pearlgan.batch_fields(config) == ('edges_a', 'edges_b')
  config.data.edges_b = ''
  assert pearlgan.batch_fields(config) == ('edges_a',)
  config.data.direction = 'b2a'       # the fields are named after the files, the batch after roles
  assert pearlgan.batch_fields(config) == ('edges_b',)
  batch = next(batches.train_iterator(config, 1, fields=('edges_b',)))
  np.testing.assert_array_equal(batch['edges_b'], 255 - batch['b'][..., 0])
  config.weights.sga = 0.0
  assert pearlgan.batch_fields(config) == ()


def test_the_loss_reads_what_the_loader_delivers(config):
  config.weights.sga = 0.5
  batch = next(batches.train_iterator(config, 1, fields=pearlgan.batch_fields(config)))
  result = pearlgan.edge_maps(config, {name: jnp.asarray(x) for name, x in batch.items()})
  np.testing.assert_allclose(result['b'][0], batch['b'][0, 0, ..., 0] / 255, rtol=1e-6)


def test_sources_with_maps_go_to_other_processes(config):
  result = pickle.loads(pickle.dumps(open_source(config.lock().data, 'train', 'a')))
  np.testing.assert_array_equal(result.read(2)['edges'], 255 - slopes(2))


def test_a_map_may_belong_to_no_frame_but_every_frame_needs_its_own(config, tmp_path):
  spare = {stem: slopes(0) for stem in (*STEMS, 'f4')}
  config.data.edges_b = folder(tmp_path, 'spare', spare)
  assert len(open_source(config.data, 'train', 'b')) == 3
  config.data.edges_b = folder(tmp_path, 'two', {stem: slopes(0) for stem in STEMS[:2]})
  with pytest.raises(ValueError, match='b/f9.png has no edge map in .*two.* of the same name'):
    open_source(config.data, 'train', 'b')


def test_names_below_subfolders_tell_frames_apart(config, tmp_path):
  def by_clip(name, shift):
    return folder(tmp_path, name, {f'{clip}/{k}': slopes(k + shift) for clip in 'xy'
                                   for k in range(2)})
  config.data.update(train_b=by_clip('clips', 0), edges_b=by_clip('clip_edges', 0))
  result = open_source(config.data, 'train', 'b')
  assert result.maps[0][3].endswith('clip_edges/y/1.png')
  config.data.edges_b = folder(tmp_path, 'numbers', {f'{clip}/edge_{k}': slopes(k) for clip in 'xy'
                                                     for k in range(2)})
  result = open_source(config.data, 'train', 'b')
  assert result.maps[0][2].endswith('numbers/y/edge_0.png')


@pytest.mark.parametrize(('picture', 'message'), [
    (slopes(0, (5, 6)), r'f1.png has 6x5 pixels; its frame needs one of 12x10'),
    (np.zeros((10, 12, 3), np.uint8), r'f1.png is a picture of mode RGB; edge maps are 8-bit and '
                                      r"gray. Pillow's convert"),
    (np.zeros((10, 12), np.uint16), r'f1.png is a picture of mode I;16; edge maps are 8-bit')])
def test_wrong_maps_are_refused_on_opening(config, tmp_path, picture, message):
  config.data.edges_b = folder(tmp_path, 'wrong', dict.fromkeys(STEMS, picture))
  with pytest.raises(ValueError, match=message):
    open_source(config.data, 'train', 'b')


def test_a_folder_that_is_not_there_is_named(config, tmp_path):
  config.data.edges_b = str(tmp_path / 'nowhere')
  with pytest.raises(FileNotFoundError, match='nowhere'):
    batches.train_iterator(config, 1, fields=('edges_b',))


def test_black_and_white_maps_span_the_range(tmp_path):
  place = folder(tmp_path, 'bits', {'f0': slopes(0) > 60})
  np.testing.assert_array_equal(edge_maps.read_edges(f'{place}/f0.png'),
                                np.where(slopes(0) > 60, 255, 0))


def test_equal_names_in_one_folder_tell_nothing(tmp_path):
  place = folder(tmp_path, 'twins', {'f0': slopes(0)})
  Image.fromarray(slopes(0)).save(f'{place}/f0.bmp')
  result = folders.FolderFrames(place, [('', [f'{place}/f0.png', f'{place}/f0.bmp'])])
  assert matching.unique_stems(result) == []


def test_runs_from_before_the_field_go_on(config, tmp_path):
  before = ml_collections.ConfigDict(config)
  with before.unlocked():
    del before.data['edges_a']
  run_folder.write_config(tmp_path, before)
  result = run_folder.read_config(tmp_path)
  config.data.edges_a = ''
  assert resume.compare_configs(result, config) == []
  config.data.edges_a = 'folder'
  with pytest.raises(ValueError, match="data.edges_a: None -> 'folder'"):
    resume.compare_configs(result, config)

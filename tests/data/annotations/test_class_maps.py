"""Class maps of training frames: matched by name, merged, denoised, made noisy."""

import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest
from PIL import Image

from i2vjax import defaults
from i2vjax.data import open_source
from i2vjax.data.annotations import class_maps
from i2vjax.data.loader import batches
from i2vjax.losses import pseudo_labels


def folder(root, name, pictures):
  (root / name).mkdir()
  for stem, picture in pictures.items():
    Image.fromarray(picture).save(root / name / f'{stem}.png')
  return str(root / name)


@pytest.fixture
def config(tmp_path):
  """Three 12x10 frames of each domain; labels of b whose ids are the frame's gray value."""
  config = defaults.get_config()
  frames = {f'f{k}': np.full((10, 12, 3), k, np.uint8) for k in range(3)}
  config.data.update(source='folders', resize='none', load_size=12, crop_size=8,
                     train_a=folder(tmp_path, 'a', frames), train_b=folder(tmp_path, 'b', frames))
  config.data.labels_b = folder(tmp_path, 'labels', {
      f'f{k}': np.full((10, 12), k, np.uint8) for k in range(3)})
  return config


def test_every_frame_has_its_own_map_and_only_where_it_is_asked_for(config):
  batch = next(batches.train_iterator(config, 2, fields=('labels_b',)))
  assert batch['labels_b'].shape == (2, 1, 8, 8) and 'labels_a' not in batch
  np.testing.assert_array_equal(batch['labels_b'], batch['b'][..., 0])
  samples = batches.sample_windows(config, 2, 'train', fields=('labels_b',))
  np.testing.assert_array_equal(samples['labels_b'], samples['b'][..., 0])


def test_mistakes_are_named(config, tmp_path):
  others = folder(tmp_path, 'others', {f'x{k}': np.zeros((10, 12), np.uint8) for k in (7, 8)})
  with pytest.raises(ValueError, match='label x7 of .* has no frame of that name or number'):
    open_source(with_labels(config, others).data, 'train', 'b')
  small = folder(tmp_path, 'small', {f'f{k}': np.zeros((5, 6), np.uint8) for k in range(3)})
  with pytest.raises(ValueError, match='small/f0.png has 6x5 pixels; .* 12x10'):
    open_source(with_labels(config, small).data, 'train', 'b').read(0)
  wrong = folder(tmp_path, 'wrong', {f'f{k}': np.full((10, 12), 19, np.uint8) for k in range(3)})
  with pytest.raises(ValueError, match='wrong/f0.png: id 19'):
    open_source(with_labels(config, wrong).data, 'train', 'b').read(0)


def test_frames_without_a_map_count_as_without_classes(config, tmp_path, capsys):
  """Cityscapes labels one frame in 30."""
  place = folder(tmp_path, 'some', {'f1': np.full((10, 12), 1, np.uint8)})
  config = with_labels(config, place)
  result = open_source(config.data, 'train', 'b')
  assert [np.unique(result.read(k)['label']).tolist() for k in range(3)] == [[255], [1], [255]]
  assert f'1 of 3 frames of {result.innermost!r} have a label map in {place}' in (
      capsys.readouterr().err)
  seen = {int(batch['b'][0, 0, 0, 0, 0]): batch['labels_b'] for batch, _ in
          zip(batches.train_iterator(config, 1, fields=('labels_b',)), range(12), strict=False)}
  assert {k: int(labels.max()) for k, labels in seen.items()} == {0: 255, 1: 1, 2: 255}
  config.data.labels_b_aux = folder(tmp_path, 'aux', {
      'f2': np.full((10, 12), 2, np.uint8)})               # f1 has a map of one parser alone
  result = open_source(config.data, 'train', 'b')
  assert all((result.read(k)['label'] == 255).all() for k in range(3))


def with_labels(config, place):
  config = ml_collections.ConfigDict(config)
  config.data.labels_b = place
  return config


def test_maps_of_two_parsers_are_merged():
  first = np.uint8([[0, 2, 2, 11, 12, 12, 13, 13, 13, 255]])
  other = np.uint8([[5, 2, 0, 11, 11, 13, 13, 14, 0, 11]])
  np.testing.assert_array_equal(class_maps.merge_parsers(first, other),
                                [[0, 2, 255, 11, 11, 255, 13, 14, 255, 255]])


def test_merging_and_denoising_are_switches_of_the_config(config, tmp_path):
  config.data.labels_b_aux = folder(tmp_path, 'aux', {
      f'f{k}': np.full((10, 12), 0, np.uint8) for k in range(3)})
  result = open_source(config.data, 'train', 'b')
  assert [int(result.read(k)['label'].max()) for k in range(3)] == [0, 1, 255]


@pytest.mark.parametrize('seed', range(4))
def test_denoising_is_that_of_the_device(seed):
  rng = np.random.default_rng(seed)
  truth = rng.choice([5, 8, 10, 0], size=(12, 14))
  label = np.where(rng.random(truth.shape) < 0.3, rng.choice([5, 8, 10, 255], truth.shape), truth)
  label[label == (5, 8, 10, 99)[seed]] = 255
  features = rng.normal(size=(11, 3))[truth] + 0.4 * rng.normal(size=(12, 14, 3))
  result = class_maps.denoise(label.astype(np.uint8), features.astype(np.float32))
  assert (result != label).any() == (10 in label)   # only sky is confused with anything
  np.testing.assert_array_equal(result, pseudo_labels.denoised(
      jnp.asarray(label), features.astype(np.float32), class_maps.CONFUSED))


def test_noise_is_that_of_a_parser():
  label = np.full((40, 40), 10, np.uint8)
  label[:, 10:20] = 8
  clean = class_maps.add_label_noise(label, 0.0, np.random.default_rng(0))
  assert (clean == 255).any() and (clean != 255).mean() > 0.8
  assert set(np.unique(clean)) == {8, 10, 255}
  assert (clean[:, 8:10] != 10).any() and (label[clean == 10] == 10).all()   # grown into the sky
  assert (class_maps.add_label_noise(label, 1.0, np.random.default_rng(0)) == 255).all()


def test_noise_of_a_scene_is_the_same_every_time():
  config = defaults.get_config()
  config.data.update(load_size=32, crop_size=32)
  config.data.scenes.update(clips=1, clip_length=2)
  clean = open_source(config.data, 'train', 'b').read(1)['label']
  config.data.label_noise = 0.1
  noisy = open_source(config.data, 'train', 'b')
  np.testing.assert_array_equal(noisy.read(1)['label'], noisy.read(1)['label'])
  assert (noisy.read(1)['label'] == 255).sum() > (clean == 255).sum()
  np.testing.assert_array_equal(
    open_source(config.data, 'train', 'a').read(1)['label'].shape, (32, 32)
  )

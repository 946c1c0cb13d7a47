"""Training on frames that belong together."""

import numpy as np
import pytest
from window_tools import folders_config, take

from i2vjax import defaults
from i2vjax.data.io import images
from i2vjax.data.loader import batches


@pytest.fixture
def config(tmp_path):
  return folders_config(tmp_path)


def paired_config(config, tmp_path):
  """Domain b shows the frames of a, brighter by 100."""
  for path in (tmp_path / 'trainA').rglob('*.png'):
    frame = images.read_image(path) + np.arange(16, dtype=np.uint8)[:, None]
    images.write_image(path, frame)
    images.write_image(tmp_path / 'both' / path.relative_to(tmp_path / 'trainA'), frame + 100)
  config.data.update(train_b=str(tmp_path / 'both'), flip=True)
  config.data.paired = True
  return config


def test_paired_windows_show_the_same_moment_and_crop(config, tmp_path):
  config = paired_config(config, tmp_path)
  for batch in take(batches.train_iterator(config, 2), 8):
    np.testing.assert_array_equal(batch['a'] + 100, batch['b'])


def test_paired_scenes_show_the_same_moment_and_crop():
  config = defaults.get_config()
  config.data.update(load_size=40, crop_size=32, frames=2, batch=2, flip=True)
  config.data.scenes.update(paired=True, clips=2)
  batch = next(batches.train_iterator(config, 2, fields=('labels', 'index')))
  np.testing.assert_array_equal(batch['labels_a'], batch['labels_b'])
  np.testing.assert_array_equal(batch['index_a'], batch['index_b'])
  assert len(np.unique(batch['labels_a'])) > 1
  assert batch['labels_a'].shape == (2, 2, 32, 32)


def test_paired_training_needs_the_same_clips(config):
  config.data.paired = True
  with pytest.raises(ValueError, match='data.paired.*clip c1 of .* and no clip of'):
    batches.train_iterator(config, 2)

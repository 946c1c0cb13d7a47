"""Domains that are made: gray, coarse, masks; and paired windows of scenes and folders."""

import pickle

import numpy as np
import pytest
from PIL import Image

from i2vjax import defaults
from i2vjax.core import ops
from i2vjax.data import open_source
from i2vjax.data.loader import batches
from i2vjax.data.transforms import resize, tasks


def config_of(task='translate', **more):
  config = defaults.get_config()
  config.data.update(frames=2, stride=2, batch=2, load_size=36, crop_size=32, paired=True,
                     flip=True, threads=1)
  config.data.scenes.update(clips=2, test_clips=1, clip_length=4)
  config.data.task = task
  config.data.update(more)
  return config


def first_batch(config, **more):
  return next(batches.train_iterator(config, config.data.batch, **more))


@pytest.fixture(scope='module')
def davis(tmp_path_factory):
  """Two videos of 4 color frames of 40 x 48, and annotations in a palette, object 2 of them."""
  root = tmp_path_factory.mktemp('davis')
  rng = np.random.default_rng(0)
  for clip in ('bear', 'camel'):
    picture = resize.resize_frame(rng.integers(64, 192, (20, 24, 3), np.uint8), (40, 48))
    for t in range(4):
      note = np.zeros((40, 48), np.uint8)
      note[10:20, 8 * t:8 * t + 10] = 1 + t % 2
      for kind in ('frames', 'notes'):
        (root / kind / clip).mkdir(parents=True, exist_ok=True)
      Image.fromarray(np.roll(picture, t, 1)).save(root / 'frames' / clip / f'{t:05d}.png')
      annotation = Image.fromarray(note, mode='P')
      annotation.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
      annotation.save(root / 'notes' / clip / f'{t:05d}.png')
  return root


def in_folders(davis, task, **more):
  return config_of(task, source='folders', **{'train_b': str(davis / 'frames'), **more})


def test_gray_is_luma():
  frame = np.array([[[255, 0, 0], [0, 255, 0], [10, 20, 30]]], np.uint8)
  want = [[[76], [150], [18]]]     # 0.299 R + 0.587 G + 0.114 B
  assert tasks.gray({'frame': frame}, None).tolist() == want


def test_half_keeps_what_half_the_size_holds():
  fine = (200 * (np.indices((16, 16)).sum(0) % 2)).astype(np.uint8)     # on, off, on
  coarse = np.full((16, 16), 90, np.uint8)
  derived = [tasks.half({'frame': x[..., None]}, lambda shape: shape) for x in (fine, coarse)]
  assert derived[0].std() < 25 < fine.std() and derived[1].tolist() == coarse[..., None].tolist()


def test_half_is_half_of_what_the_networks_see():
  """A frame of 64 that is read at 16 comes by way of 8."""
  frame = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
  derived = tasks.half({'frame': frame}, lambda shape: (16, 16))
  want = resize.resize_frame(resize.resize_frame(frame, (8, 8)), (16, 16))
  assert derived.shape == (16, 16, 3) and np.array_equal(derived, want)


def test_mask_of_labels_and_of_annotations():
  label = np.array([[0, 11, 13], [10, 18, 255]], np.uint8)     # road person car, sky bicycle void
  at_its_size = {'size': lambda shape: shape}
  assert tasks.mask({'label': label, 'frame': None}, **at_its_size)[..., 0].tolist() == [
      [0, 255, 255], [0, 255, 0]]
  note = np.zeros((1, 2, 3), np.uint8)
  note[0, 1, 2] = 1
  assert tasks.mask({'frame': note}, **at_its_size)[..., 0].tolist() == [[0, 255]]


def test_one_folder_is_enough_for_color_and_superres(davis):
  for task in ('color', 'superres'):
    batch = first_batch(in_folders(davis, task))
    assert batch['a'].shape[:4] == batch['b'].shape[:4] == (2, 2, 32, 32)
    a, b = (ops.to_float(batch[x], batch[f'range_{x}'], 3) for x in 'ab')
    if task == 'color':     # same moment, same crop, same flip
      np.testing.assert_allclose(a[..., :1], ops.luma(b), atol=0.02)
    else:
      assert 0.3 < np.corrcoef(np.ravel(a), np.ravel(b))[0, 1] < 0.99


def test_segmentation_of_folders_is_binary_and_aligned(davis):
  config = in_folders(davis, 'segmentation', train_a=str(davis / 'frames'),
                      train_b=str(davis / 'notes'), channels_b=1)
  batch = first_batch(config)
  assert set(np.unique(batch['b'])) == {0, 255} and batch['b'].shape == (2, 2, 32, 32, 1)
  # 10 x 10 of 40 x 48 pixels at most, seen at 36 x 36
  assert 0.01 < np.mean(batch['b'] == 255) < 0.12


def test_masks_as_jpeg_are_refused(davis, tmp_path):
  for path in (davis / 'notes').rglob('*.png'):
    place = tmp_path / path.relative_to(davis / 'notes').with_suffix('.jpg')
    place.parent.mkdir(exist_ok=True)
    Image.open(path).convert('RGB').save(place)
  config = in_folders(davis, 'segmentation', train_a=str(davis / 'frames'), train_b=str(tmp_path))
  with pytest.raises(ValueError, match='bear/0+.jpg is a JPEG, .* write masks as PNG'):
    open_source(config.data, 'train', 'b').read(0)


def test_segmentation_of_scenes_marks_what_moves():
  config = config_of('segmentation', channels_b=1)
  a, b = (open_source(config.data, 'train', x) for x in 'ab')
  assert repr(b).startswith('Derived(mask, Scenes(') and a.clips == b.clips
  for i in (0, 5):
    movers = np.isin(a.read(i)['label'], tasks.MOVERS)
    assert np.array_equal(b.read(i)['frame'][..., 0] == 255, movers)


def test_paired_scenes_show_the_same_streets():
  """`data.paired` alone is enough; without it the training streets differ."""
  config = config_of()
  for paired in (True, False):
    config.data.paired = paired
    a, b = (open_source(config.data, 'train', x) for x in 'ab')
    assert np.array_equal(a.read(0)['label'], b.read(0)['label']) == paired


def test_paired_folders_keep_step(davis):
  """Frames of both domains are the same file here: cut and mirrored alike, they stay equal."""
  config = in_folders(davis, 'translate', train_a=str(davis / 'frames'))
  for batch, _ in zip(batches.train_iterator(config, 2), range(3), strict=False):
    assert np.array_equal(batch['a'], batch['b'])


def test_a_made_domain_travels_to_other_processes_with_its_flow():
  derived = open_source(config_of('color').data, 'train', 'a')
  again = pickle.loads(pickle.dumps(derived))
  assert repr(again) == repr(derived) and len(again) == 8 and again.has_flow
  assert np.array_equal(again.read(3)['frame'], derived.read(3)['frame'])
  assert np.array_equal(again.flow(0)['forward'], derived.source.flow(0)['forward'])


def test_mistakes_are_named(davis):
  with pytest.raises(ValueError, match="data.task='depth' is unknown: translate, color"):
    open_source(config_of('depth').data, 'train', 'a')
  with pytest.raises(ValueError, match="data.task='color': No frames given for data.train_b"):
    open_source(config_of('color', source='folders').data, 'train', 'a')
  config = config_of('color', direction='b2a')          # the target is infrared: gray
  with pytest.raises(ValueError, match='clip train_000, frame 1: .*learns from color'):
    open_source(config.data, 'train', 'a').read(1)
  assert open_source(in_folders(davis, 'color').data, 'test', 'a') is None

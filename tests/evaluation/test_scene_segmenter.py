"""The segmentation network that scores `scenes` frames.

It learns, repeats itself, is kept on disk, and reads any size.
"""

import pathlib

import jax
import jax.numpy as jnp
import make_segmenters
import numpy as np
import pytest
import stub_runs as stubs

from i2vjax import data as sources
from i2vjax.cli import parse
from i2vjax.core import class_names
from i2vjax.evaluation import plan, scene_segmenter
from i2vjax.metrics import fid_kid
from i2vjax.networks import segmentation as networks

SMALL = dict(width=12, levels=2, steps=120, pixels=4096, frames=24, lr=1e-2)


def config(**changes):
  settings = stubs.config()
  settings.data.scenes.update(clips=4, clip_length=6, weather='clear')
  with settings.unlocked():
    settings.eval.segmenter = {**SMALL, **changes}
  return settings


@pytest.fixture(scope='module')
def cache(tmp_path_factory):
  folder = tmp_path_factory.mktemp('cache')
  with pytest.MonkeyPatch.context() as patch:
    patch.setenv('XDG_CACHE_HOME', str(folder))
    yield folder


@pytest.fixture(scope='module')
def trained(cache):
  """(params, info) of a short training."""
  return scene_segmenter.train_or_load(config(), show=False)


def unused(*_):
  raise AssertionError('trained again')


# ---- training ---------------------------------------------------------------------------------


def test_it_learns_the_large_classes(trained):
  """The most frequent class alone would be right in well under half of the pixels."""
  _, info = trained
  _, truth = scene_segmenter.examples(config(), 'test')
  assert np.bincount(truth.ravel()).max() / truth.size < 0.5
  assert info['pixel_accuracy'] > 0.65
  assert info['iou[sky]'] > 0.6
  assert not info['loaded']
  assert info['seconds'] > 0


def test_its_score_is_that_of_its_predictions(trained):
  params, info = trained
  frames, truth = scene_segmenter.examples(config(), 'test')
  assert frames.shape == (12, 32, 32, 3)
  right = np.mean(scene_segmenter.predict(params, frames) == truth)
  np.testing.assert_allclose(info['pixel_accuracy'], right)


def test_same_seed_same_parameters(cache):
  first, again = (scene_segmenter.train(config(steps=2), show=False)[0] for _ in range(2))
  assert all(jax.tree.leaves(jax.tree.map(np.array_equal, first, again)))


def test_crops_cut_frames_and_labels_alike():
  truth = np.random.default_rng(0).integers(0, 200, (3, 16, 24)).astype(np.uint8)
  x, y = scene_segmenter._draw(jnp.asarray(truth[..., None]), jnp.asarray(truth), 64, (8, 8),
                         jax.random.key(0))
  np.testing.assert_array_equal(x[..., 0], y)
  spots = {part.tobytes() for frame in truth for part in
           (frame[i:i + 8, j:j + 8] for i in range(9) for j in range(17))}
  mirrored = [part.tobytes() not in spots for part in np.asarray(y)]
  assert 16 < sum(mirrored) < 48
  assert all(np.ascontiguousarray(part[:, ::-1]).tobytes() in spots
             for part, turned in zip(np.asarray(y), mirrored, strict=True) if turned)


def test_gray_targets_are_learned_in_gray():
  settings = config()
  settings.data.update(direction='b2a', channels_b=1)
  frames, truth = scene_segmenter.examples(settings, 'train', 3)
  assert frames.shape == (3, 32, 32, 1)
  assert set(np.unique(truth)) <= {*range(19), 255}


def test_what_cannot_be_learned_is_named(footage):
  folders = stubs.config(source='folders', root=str(footage))
  with pytest.raises(ValueError, match='has no labels.*scenes'):
    scene_segmenter.examples(folders, 'train')
  deep = config()
  deep.data.direction = 'b2a'
  deep.data.scenes.thermal_bits = 16
  with pytest.raises(ValueError, match='16-bit'):
    scene_segmenter.examples(deep, 'train')
  masks = config()
  with masks.unlocked():
    masks.data.task = 'segmentation'
  with pytest.raises(ValueError, match='target is a mask'):
    scene_segmenter.examples(masks, 'train')
  with pytest.raises(ValueError, match='eval.segmenter.step is unknown'):
    scene_segmenter.settings(config(step=3))
  with pytest.raises(ValueError, match='eval.segmenter.levels=6'):
    scene_segmenter.train(config(levels=6), show=False)


# ---- kept on disk -----------------------------------------------------------------------------


def test_the_second_call_reads_the_file(trained, monkeypatch):
  monkeypatch.setattr(scene_segmenter, 'train', unused)
  params, info = scene_segmenter.train_or_load(config(), show=False)
  assert info['loaded']
  assert info['miou'] == trained[1]['miou']
  assert jax.tree.structure(params) == jax.tree.structure(trained[0])
  assert all(jax.tree.leaves(jax.tree.map(np.array_equal, params, trained[0])))


def test_the_file_is_named_after_all_that_matters(cache):
  base = scene_segmenter.file_of(config())
  assert base.parent == cache / 'i2vjax' / 'segmenters'
  free = config()
  free.data.scenes.update(val_clips=9, cache_mb=1)
  free.data.batch = 7
  assert scene_segmenter.file_of(free) == base
  others = [config(steps=41), config()]
  others[1].data.scenes.seed = 5
  others += [stubs.config(direction='b2a'), stubs.config(channels_b=1)]
  assert len({scene_segmenter.file_of(x) for x in [*others, config()]}) == 5


def test_a_damaged_file_is_trained_anew(trained, cache, monkeypatch, capsys):
  path = scene_segmenter.file_of(config(steps=1))
  for data in (b'', b'PK\x03\x04 cut short', b'no archive'):
    path.write_bytes(data)
    assert scene_segmenter.load(path) is None
    assert f'{path} is damaged' in capsys.readouterr().out
  monkeypatch.setattr(scene_segmenter, 'train', lambda *_: (trained[0], 0.5))
  assert not scene_segmenter.train_or_load(config(steps=1), show=False)[1]['loaded']
  assert scene_segmenter.load(path)[1]['loss'] == 0.5


def test_a_file_is_whole_or_absent(trained, tmp_path, monkeypatch):
  def full(*_):
    raise OSError('no space left')
  monkeypatch.setattr(scene_segmenter.files.os, 'replace', full)
  with pytest.raises(OSError, match='no space'):
    scene_segmenter.save(tmp_path / 'x.npz', trained[0], {})
  assert not list(tmp_path.iterdir())


# ---- use --------------------------------------------------------------------------------------


def test_predictions_do_not_depend_on_the_batch(trained):
  frames = scene_segmenter.examples(config(), 'test')[0]
  whole = scene_segmenter.predict(trained[0], np.concatenate([frames, frames]))
  assert whole.shape == (24, 32, 32)
  assert whole.dtype == np.uint8
  np.testing.assert_array_equal(scene_segmenter.predict(trained[0], frames[3:4])[0], whole[15])
  assert whole.max() < len(class_names.CITYSCAPES)


def test_frames_of_any_size(trained):
  frames = np.random.default_rng(0).integers(0, 255, (1, 30, 37, 3), np.uint8)
  assert scene_segmenter.predict(trained[0], frames).shape == (1, 30, 37)
  with pytest.raises(ValueError, match='takes uint8 .N, H, W, 3.'):
    scene_segmenter.predict(trained[0], frames[..., :1])
  with pytest.raises(ValueError, match='takes uint8'):
    scene_segmenter.predict(trained[0], frames / 255)


def test_blocks_of_pixels_go_into_channels_and_back():
  x = jnp.arange(2 * 4 * 6 * 3).reshape(2, 4, 6, 3)
  deep = networks.space_to_depth(x)
  np.testing.assert_array_equal(deep[1, 0, 2], x[1, :2, 4:].reshape(-1))
  np.testing.assert_array_equal(networks.depth_to_space(deep), x)


def test_parameters_tell_their_network(trained):
  net = networks.like(trained[0])
  assert (net.classes, net.width, net.levels) == (19, 12, 2)
  with pytest.raises(ValueError, match='multiples of 4'):
    net.apply({'params': trained[0]}, jnp.zeros((1, 30, 32, 3)))


# ---- descriptions of frames, for KID


def test_descriptions_tell_streets_from_other_pictures(trained):
  """KID of two halves of the true frames is far below that of true and of changed frames."""
  params, _ = trained
  frames, _ = scene_segmenter.examples(config(), 'train', 24)
  width = SMALL['width']
  true = scene_segmenter.describe_frames(params, frames)
  assert true.shape == (24, scene_segmenter.GRID**2 * 3 * width)

  def kid(x, y):
    return fid_kid.kid(x, y, subsets=20, subset_size=12)['kid_mean']
  halves = kid(true[::2], true[1::2])
  upside_down = kid(true[::2], scene_segmenter.describe_frames(params, frames[1::2, ::-1]))
  gray = np.repeat(frames[1::2].mean(-1, keepdims=True).astype(np.uint8), 3, axis=-1)
  without_color = kid(true[::2], scene_segmenter.describe_frames(params, gray))
  assert abs(halves) < 0.1 * upside_down and abs(halves) < 0.5 * without_color


def test_descriptions_do_not_depend_on_the_batch(trained):
  params, _ = trained
  frames, _ = scene_segmenter.examples(config(), 'test', 5)
  whole = scene_segmenter.describe_frames(params, frames)
  alone = np.concatenate([scene_segmenter.describe_frames(params, x[None]) for x in frames])
  np.testing.assert_allclose(whole, alone, atol=1e-4)


# ---- in the package ---------------------------------------------------------------------------


@pytest.mark.parametrize('name', make_segmenters.STREETS)
def test_the_street_of_a_demo_has_its_network_in_the_package(name, monkeypatch):
  """Fields that a network depends on have not changed since it was made; it sees the true frames.

  One frame of the test split: road and sky are most of it.
  """
  monkeypatch.setattr(scene_segmenter, 'train', unused)
  street = parse.row_config([f'--config={make_segmenters.STREETS[name]}'])
  assert scene_segmenter.packaged(street).name.startswith(f'{name}-')
  params, info = scene_segmenter.train_or_load(street, show=False)
  assert info['packaged']
  assert info['miou'] > 0.45
  source = sources.open_source(street.data, 'test', 'b')
  frame, truth = scene_segmenter._example(source.read(0), street.data, name)
  assert np.mean(scene_segmenter.predict(params, frame[None])[0] == truth) > 0.8


def test_every_file_in_the_package_is_of_a_street():
  names = {path.name.rpartition('-')[0] for path in scene_segmenter.PACKAGED.glob('*')}
  assert names == make_segmenters.STREETS.keys()


def test_auto_takes_its_scores_where_the_package_has_the_network(monkeypatch):
  """On other streets they are on request, since they take a minute of training."""
  street = parse.row_config(['--config=configs/best.py:demo'])
  assert {'iou', 'kid_street'} <= set(plan.of_run(street).names)
  assert not {'iou', 'kid_street'} & set(plan.of_run(street, quick=True).names)
  monkeypatch.setattr(scene_segmenter, 'PACKAGED', pathlib.Path('nowhere'))
  assert 'trains' in plan.of_run(street).skipped['iou']


def test_a_damaged_file_in_the_package_is_left_as_it_is(cache, tmp_path, monkeypatch):
  """What is trained in its place lies in the cache, which may be written."""
  monkeypatch.setattr(scene_segmenter, 'PACKAGED', tmp_path)
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
  settings = config(steps=1)
  damaged = tmp_path / f'street-{scene_segmenter.digest(settings)}.npz'
  damaged.write_bytes(b'no archive')
  first, again = (scene_segmenter.train_or_load(settings, show=False)[1] for _ in range(2))
  assert damaged.read_bytes() == b'no archive'
  assert not first['loaded'] and again['loaded'] and not again['packaged']

"""VGG: features by name, no layer beyond the last one asked for, torchvision's files."""

import dataclasses

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest
import torch_files
from flax import traverse_util

from i2vjax import defaults, pretrained
from i2vjax.networks import vgg
from i2vjax.pretrained import registry, vgg_weights

TAPS = ('relu1_2', 'relu3_1')


def names(module, x=None):
  tree = jax.eval_shape(module.init, jax.random.key(0), jnp.zeros((1, 32, 32, 3)))['params']
  return {name: leaf.shape for name, leaf in traverse_util.flatten_dict(tree, sep='/').items()}


@pytest.fixture(scope='module')
def built():
  """(module, variables, frames, features and the gradient of their squares, jitted once)."""
  module = vgg.VGG(16, TAPS, width=2)
  x = jax.random.uniform(jax.random.key(0), (2, 13, 10, 3), minval=-1)
  variables = jax.jit(module.init)(jax.random.key(1), x)
  return module, variables, x, *forward(module, variables, x)


def forward(module, variables, x):
  def total(x):
    features = module.apply(variables, x)
    return sum(jnp.sum(feature**2) for feature in features.values()), features
  gradient, features = jax.jit(jax.grad(total, has_aux=True))(x)
  return features, gradient


def test_parameters_up_to_relu5_1_of_vgg19():
  assert sum(int(np.prod(shape)) for shape in names(vgg.VGG(19)).values()) == 12_944_960


def test_whole_networks_have_13_and_16_convolutions():
  for depth, count in ((16, 13), (19, 16)):
    assert len(vgg.tap_names(depth)) == count
    assert len(names(vgg.VGG(depth, vgg.tap_names(depth), width=1))) == 2 * count


def test_channels_of_taps_are_those_of_the_features(built):
  assert vgg.tap_channels(('relu3_1', 'relu4_1', 'relu5_3')) == [256, 512, 512]
  assert vgg.tap_channels(TAPS, width=2) == [x.shape[-1] for x in built[3].values()]


def test_nothing_is_built_beyond_the_last_tap():
  assert set(names(vgg.VGG(16, TAPS, width=1))) == {
      f'conv{name}/{leaf}' for name in ('1_1', '1_2', '2_1', '2_2', '3_1')
      for leaf in ('kernel', 'bias')}


def test_features_have_the_blocks_size_and_are_rectified(built):
  module, variables, x, features, _ = built
  assert {tap: feature.shape for tap, feature in features.items()} == {
      'relu1_2': (2, 13, 10, 2), 'relu3_1': (2, 3, 2, 8)}
  assert all(float(feature.min()) == 0 for feature in features.values())


def test_remat_changes_neither_names_nor_values(built):
  module, variables, x, features, gradient = built
  again = module.clone(remat=True)
  assert names(again) == names(module)
  for left, right in zip(jax.tree.leaves((features, gradient)),
                         jax.tree.leaves(forward(again, variables, x)), strict=True):
    np.testing.assert_allclose(left, right, rtol=1e-5, atol=1e-6)


def test_imagenet_norm_is_the_mean_and_scale_of_0_to_1(built):
  module, variables, x, _, _ = built
  shown = ((np.asarray(x) + 1) / 2 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
  raw = module.apply(variables, jnp.asarray(shown, jnp.float32))
  normed = module.clone(input_norm='imagenet').apply(variables, x)
  np.testing.assert_allclose(raw['relu3_1'], normed['relu3_1'], rtol=1e-4, atol=1e-5)


def test_gray_frames_are_repeated(built):
  module, variables, x, _, _ = built
  gray = x[..., :1]
  np.testing.assert_array_equal(module.apply(variables, gray)['relu1_2'],
                                module.apply(variables, jnp.repeat(gray, 3, -1))['relu1_2'])


def test_halving_by_hand_leaves_the_odd_edge_out():
  x = jnp.arange(15.0).reshape(1, 3, 5, 1)
  np.testing.assert_array_equal(vgg.halve(x)[0, :, :, 0], [[6, 8]])
  gradient = jax.grad(lambda x: vgg.halve(x).sum())(x)[0, :, :, 0]
  np.testing.assert_array_equal(np.argwhere(gradient), [[1, 1], [1, 3]])


def test_config_block_sets_norm_remat_and_type():
  config = ml_collections.ConfigDict(dict(
      remat=True, compute='bfloat16', vgg=dict(input_norm='imagenet', content=1.0)))
  module = vgg.perceptual(config, ['relu1_1'])
  assert (module.depth, module.taps, module.input_norm) == (19, ('relu1_1',), 'imagenet')
  assert module.remat and module.dtype == jnp.bfloat16 and module.width == 64


@pytest.mark.parametrize(('options', 'said'), [
    (dict(depth=11), 'choose 16 or 19'), (dict(taps=('relu1_3',)), 'relu1_1, relu1_2'),
    (dict(taps=()), 'it has'), (dict(input_norm='caffe'), "choose 'raw' or 'imagenet'"),
    (dict(taps=('relu5_1',), width=1), 'too small')])
def test_mistakes_are_named(options, said):
  with pytest.raises(ValueError, match=said):
    jax.eval_shape(vgg.VGG(**options).init, jax.random.key(0), jnp.zeros((1, 8, 8, 3)))


# ---- torchvision's files ----


def test_indices_of_torchvision():
  """The indices of `features`, as published."""
  numbers = {16: [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28],
             19: [0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34]}
  for depth, expected in numbers.items():
    table = vgg_weights.table(depth)
    assert list(table.values()) == [f'features.{i}' for i in expected]
    assert [name.replace('conv', 'relu') for name in table] == list(vgg.tap_names(depth))
  assert vgg_weights.table(16)['conv5_3'] == 'features.28'
  assert vgg_weights.table(19)['conv5_1'] == 'features.28'


def torchvision_file(depth, width, path):
  """A file of a whole, thin VGG with torchvision's names and layout."""
  rng, shapes = np.random.default_rng(0), names(vgg.VGG(depth, vgg.tap_names(depth), width=width))
  arrays = {'classifier.0.weight': np.ones((3, 4), np.float32)}
  for ours, theirs in vgg_weights.table(depth).items():
    kernel = rng.normal(size=shapes[f'{ours}/kernel']).astype(np.float32)
    arrays[f'{theirs}.weight'] = kernel.transpose(3, 2, 0, 1)
    arrays[f'{theirs}.bias'] = rng.normal(size=kernel.shape[-1]).astype(np.float32)
  return torch_files.save(path, arrays, torch_files.write_plain), arrays


def test_a_file_fills_exactly_the_network_asked_for(tmp_path, monkeypatch):
  module = vgg.VGG(16, TAPS, width=2)
  path, arrays = torchvision_file(16, 2, tmp_path / 'vgg16.pth')
  file = f'vgg16-{registry.sha256(path)[:8]}.pth'
  path.rename(tmp_path / file)
  monkeypatch.setitem(registry.ENTRIES, 'vgg16',
                      dataclasses.replace(registry.ENTRIES['vgg16'], file=file))
  config = defaults.get_config()
  config.perceptual, config.pretrained_dir = 'vgg', str(tmp_path)
  params = pretrained.load('vgg16', module, None, config)
  flat = traverse_util.flatten_dict(params, sep='/')
  assert {name: leaf.shape for name, leaf in flat.items()} == names(module)
  np.testing.assert_array_equal(params['conv3_1']['kernel'],
                                arrays['features.10.weight'].transpose(2, 3, 1, 0))
  np.testing.assert_array_equal(params['conv1_2']['bias'], arrays['features.2.bias'])


def test_the_file_of_the_other_depth_does_not_pass(tmp_path):
  module = vgg.VGG(19, ('relu5_1',), width=1)
  path, _ = torchvision_file(16, 1, tmp_path / 'vgg.pth')
  found = vgg_weights.READERS['vgg19'](path, tuple(names(module)))
  with pytest.raises(ValueError, match='(?s)missing in the file.*unexpected.*features.17'):
    pretrained.fit(found, names(module), path)

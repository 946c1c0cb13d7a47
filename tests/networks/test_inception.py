"""The FID Inception: sizes, its pooling rules, and its file."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch_files
from flax import traverse_util

from i2vjax import pretrained
from i2vjax.networks import inception
from i2vjax.pretrained import inception_weights

WIDTH = 1 / 16


def shapes(module, side=75):
  frame = jax.ShapeDtypeStruct((1, side, side, 3), jnp.float32)
  tree = jax.eval_shape(module.init, jax.random.key(0), frame)['params']
  return {name: leaf.shape for name, leaf in traverse_util.flatten_dict(tree, sep='/').items()}


def test_parameters_without_the_classifier():
  """94 convolutions, 23,834,568 numbers less 2048 * 1000 + 1000 of the usual classifier."""
  found = shapes(inception.Inception())
  learned = {name: shape for name, shape in found.items() if not name.endswith(('/mean', '/var'))}
  assert len(found) == 94 * 5 and len(learned) == 94 * 3
  assert sum(int(np.prod(shape)) for shape in learned.values()) == 23_834_568 - 2_049_000


def test_a_frame_has_2048_features():
  out = jax.eval_shape(inception.Inception().init_with_output, jax.random.key(0),
                       jnp.zeros((2, 75, 80, 3)))[0]
  assert out.shape == (2, 2048) and out.dtype == jnp.float32


def test_maps_have_the_published_sizes_at_299():
  """73 after the first pooling, 35, 17, 8."""
  seen = {}

  def spy(next_function, args, kwargs, context):
    y = next_function(*args, **kwargs)
    if isinstance(context.module, inception.Block):
      seen[context.module.name] = y.shape[1:]
    return y
  with inception.nn.intercept_methods(spy):
    jax.eval_shape(inception.Inception().init, jax.random.key(0), jnp.zeros((1, 299, 299, 3)))
  assert seen['Mixed_5b'] == (35, 35, 256) and seen['Mixed_5d'] == (35, 35, 288)
  assert seen['Mixed_6a'] == seen['Mixed_6e'] == (17, 17, 768)
  assert seen['Mixed_7a'] == (8, 8, 1280) and seen['Mixed_7c'] == (8, 8, 2048)


def test_averages_leave_the_padding_out_of_the_count():
  x = jnp.asarray([[1.0, 2], [3, 6]]).reshape(1, 2, 2, 1)
  np.testing.assert_allclose(inception.average(x)[0, :, :, 0], np.full((2, 2), 3.0))


def test_maxima_keep_the_size_and_negative_corners():
  """Nothing but the map itself counts at the border: padding is never the largest."""
  x = -jnp.arange(1.0, 10).reshape(1, 3, 3, 1)
  np.testing.assert_array_equal(inception.maximum(x)[0, :, :, 0],
                                [[-1, -1, -2], [-1, -1, -2], [-4, -4, -5]])
  np.testing.assert_array_equal(inception.halve(x)[0, :, :, 0], [[-1]])


def test_the_last_block_takes_the_maximum_and_all_others_average():
  pools = {name: branches[-1][0] for name, branches in inception.BLOCKS.items()}
  assert pools.pop('Mixed_7c') == 'maximum'
  assert pools.pop('Mixed_6a') == pools.pop('Mixed_7a') == 'halve'
  assert set(pools.values()) == {'average'}


def test_unit_is_normalized_by_its_statistics_with_epsilon_0_001():
  unit = inception.Unit(1, (1, 1))
  params = {'kernel': np.full((1, 1, 1, 1), 2.0), 'scale': [3.0], 'bias': [0.5], 'mean': [1.0],
            'var': [0.035]}
  y = unit.apply({'params': jax.tree.map(jnp.asarray, params, is_leaf=lambda x: x is not params)},
                 jnp.full((1, 1, 1, 1), 4.0))
  np.testing.assert_allclose(y, (8 - 1) / np.sqrt(0.036) * 3 + 0.5, rtol=1e-6)


def test_frames_too_small_for_the_last_block_are_refused():
  with pytest.raises(ValueError, match='at least 75'):
    shapes(inception.Inception(), 74)


# ---- the file ----


def public_file(path, classes=1008):
  """A thin network under pytorch-fid's names; every array is random."""
  rng, arrays = np.random.default_rng(0), {}
  leaves = {leaf: theirs for theirs, leaf in inception_weights.LEAVES.items()}
  for name, shape in shapes(inception.Inception(width=WIDTH)).items():
    module, leaf = name.rsplit('/', 1)
    array = rng.normal(size=shape).astype(np.float32)
    array = array.transpose(3, 2, 0, 1) if array.ndim == 4 else array
    arrays[f'{module.replace("/", ".")}.{leaves[leaf]}'] = array
  arrays['Conv2d_1a_3x3.bn.num_batches_tracked'] = np.zeros((), np.int64)
  arrays |= {'fc.weight': np.ones((classes, 128), np.float32),
             'fc.bias': np.ones(classes, np.float32)}
  return torch_files.save(path, arrays, torch_files.write_plain), arrays


def test_a_file_fills_exactly_the_network(tmp_path):
  path, arrays = public_file(tmp_path / 'pt_inception.pth')
  wanted = shapes(inception.Inception(WIDTH))
  params = pretrained.fit(inception_weights.read(path, wanted), wanted, path)
  kernel = arrays['Conv2d_4a_3x3.conv.weight']
  np.testing.assert_array_equal(params['Conv2d_4a_3x3']['kernel'], kernel.transpose(2, 3, 1, 0))
  np.testing.assert_array_equal(params['Conv2d_4a_3x3']['var'],
                                arrays['Conv2d_4a_3x3.bn.running_var'])
  found = params['Mixed_6b']['branch7x7_2']['kernel']
  assert found.shape == (1, 7, 8, 8)
  np.testing.assert_array_equal(
      found, arrays['Mixed_6b.branch7x7_2.conv.weight'].transpose(2, 3, 1, 0))


def test_the_inception_of_torchvision_is_refused(tmp_path):
  path, _ = public_file(tmp_path / 'inception_v3_google.pth', classes=1000)
  with pytest.raises(ValueError, match='(?s)torchvision.*fetch inception_fid'):
    inception_weights.read(path, ())


def test_a_strange_array_is_refused(tmp_path):
  path, arrays = public_file(tmp_path / 'pt_inception.pth')
  torch_files.save(path, {**arrays, 'Mixed_5b.branch9x9.conv.weight': np.ones((1, 1, 1, 1))
                          .astype(np.float32)})
  wanted = shapes(inception.Inception(WIDTH))
  with pytest.raises(ValueError, match='unexpected.*Mixed_5b/branch9x9/kernel'):
    pretrained.fit(inception_weights.read(path, wanted), wanted, path)

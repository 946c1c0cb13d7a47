"""Predictors of the next frame: sizes, names, refusals."""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from method_tools import config_of

from i2vjax.networks import unet

PAIR = jnp.zeros((1, 256, 256, 6))


def shapes(net, x=PAIR):
  return jax.eval_shape(net.init, jax.random.key(0), x)['params']


def count(tree):
  return sum(math.prod(x.shape) for x in jax.tree.leaves(tree))


@pytest.fixture(scope='module')
def small():
  """Five levels at 32 pixels: the innermost map is one pixel. Kernels large enough to be felt."""
  net = unet.UNetPredictor(width=2, downs=5, kernel_init=nn.initializers.normal(0.3))
  pairs = jax.random.uniform(jax.random.key(1), (2, 32, 32, 6), minval=-1)
  return net, jax.jit(net.init)(jax.random.key(0), pairs), pairs


@pytest.mark.parametrize('downs, parameters', [(5, 16_660_867), (6, 29_244_803), (7, 41_828_739),
                                               (8, 54_412_675)])
def test_parameters_of_the_public_u_nets(downs, parameters):
  assert count(shapes(unet.UNetPredictor(downs=downs))) == parameters


def test_parameters_of_the_public_two_stream_network():
  assert count(shapes(unet.TwoStreamPredictor())) == 117_199_267


def test_parameters_of_a_resnet_as_predictor():
  config = config_of('i2vgan')
  config.pred.kind = 'resnet'
  assert count(shapes(unet.predictor(config, 3))) == 7_847_107


def test_names_and_shapes_of_the_checkpoint_tables():
  tree = shapes(unet.UNetPredictor())
  assert set(tree) == {f'{way}_{k}' for way in ('down', 'up') for k in range(7)}
  kernels = {name: tree[name]['kernel'].shape for name in ('up_6', 'up_5', 'up_3', 'up_0')}
  assert kernels == {'up_6': (4, 4, 512, 512), 'up_5': (4, 4, 512, 1024), 'up_3': (4, 4, 256, 1024),
                     'up_0': (4, 4, 3, 128)}
  tree = shapes(unet.TwoStreamPredictor())
  assert set(tree) == {'unet', *(f'{part}_{i}' for part in ('stem', 'tail') for i in range(3))}


def test_frames_come_back_in_range_and_each_by_itself(small):
  net, variables, pairs = small
  predict = jax.jit(net.apply)
  out = predict(variables, pairs)
  assert out.shape == (2, 32, 32, 3) and out.dtype == jnp.float32
  assert jnp.max(jnp.abs(out)) <= 1
  np.testing.assert_allclose(out, predict(variables, pairs[::-1])[::-1], atol=1e-5)
  np.testing.assert_allclose(out[0], predict(variables, pairs.at[1].set(0))[0], atol=1e-5)


def test_a_single_innermost_pixel_is_not_normed_away(small):
  """A norm over one pixel would leave zeros, whatever the innermost kernel."""
  net, variables, pairs = small
  predict = jax.jit(net.apply)
  deep = jax.tree.map(lambda x: x, variables)
  deep['params']['down_4']['kernel'] = -deep['params']['down_4']['kernel']
  assert jnp.max(jnp.abs(predict(deep, pairs) - predict(variables, pairs))) > 1e-4


def test_any_size_is_mirrored_outwards_and_cropped_back():
  frames = jnp.arange(2 * 5 * 6, dtype=jnp.float32).reshape(2, 5, 6, 1)
  seen = []

  def predict(x):
    seen.append(x)
    return x
  np.testing.assert_array_equal(unet.any_size(predict, frames, 4), frames)
  assert seen[0].shape == (2, 8, 8, 1)
  np.testing.assert_array_equal(seen[0][:, 5], seen[0][:, 4])


def test_a_crop_that_cannot_be_halved_names_the_number_that_can():
  config = config_of('i2vgan')
  config.data.crop_size = (96, 160)
  with pytest.raises(ValueError, match='160x96 pixels.*multiples of 128, such as 128/256 x 128; '
                                       'change data.crop_size, or take pred.downs=5'):
    unet.predictor(config, 3)
  config.pred.kind = 'prediction'   # whose halvings cannot be chosen
  with pytest.raises(ValueError, match='multiples of 64, .*; change data.crop_size$'):
    unet.predictor(config, 3)


def test_an_unknown_kind_names_the_field():
  config = config_of('i2vgan')
  config.pred.kind = 'transformer'
  with pytest.raises(ValueError, match="pred.kind='transformer'.*prediction"):
    unet.predictor(config, 3)

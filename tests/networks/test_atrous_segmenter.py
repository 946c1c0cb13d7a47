"""The segmenter with an atrous head."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util

from i2vjax.networks import atrous_segmenter


@pytest.fixture(scope='module')
def small():
  net = atrous_segmenter.AtrousSegmenter(3, 4, impl='plain')
  x = jax.random.uniform(jax.random.key(1), (1, 8, 12, 3), minval=-1)
  return net, jax.jit(net.init)(jax.random.key(0), x), x


def test_as_many_parameters_as_the_public_code():
  net = atrous_segmenter.AtrousSegmenter(19)
  shapes = jax.eval_shape(net.init, jax.random.key(0), jnp.zeros((1, 16, 16, 3)))
  assert sum(np.prod(x.shape) for x in jax.tree.leaves(shapes)) == 5_963_874


def test_only_the_last_layer_has_a_bias(small):
  _, params, _ = small
  paths = traverse_util.flatten_dict(params['params'])
  assert [path for path in paths if path[-1] == 'bias'] == [('head', 'bias')]


def test_logits_at_full_size_and_dropout_in_the_last_layer_alone(small):
  net, params, x = small

  @jax.jit
  def read(params, x):
    h = net.apply(params, x, method='features')
    keys = jax.random.split(jax.random.key(2), 200)
    drawn = jax.vmap(lambda key: net.apply(params, h, key, method='classify'))(keys)
    return net.apply(params, x), net.apply(params, h, method='classify'), drawn
  plain, again, drawn = read(params, x)
  assert plain.shape == (1, 8, 12, 3) and plain.dtype == jnp.float32
  np.testing.assert_allclose(again, plain, atol=1e-6)
  assert (drawn[0] != drawn[1]).any()
  assert float(jnp.mean(jnp.abs(drawn.mean(axis=0) - plain))) < 0.1 * float(plain.std())


def test_coordinates_reach_from_minus_1_to_1():
  found = atrous_segmenter.with_coordinates(jnp.zeros((1, 3, 5, 1)))[0, ..., 1:]
  np.testing.assert_allclose(found[..., 0], np.tile(np.linspace(-1, 1, 5), (3, 1)))
  np.testing.assert_allclose(found[..., 1], np.tile(np.linspace(-1, 1, 3), (5, 1)).T)


def test_reach_of_a_dilated_layer():
  """A single pixel is seen exactly 6 pixels away, in the row and column as well."""
  net = atrous_segmenter.Layer(
    1, dilation=6, norm=False, act=False, kernel_init=jax.nn.initializers.ones
  )
  x = jnp.zeros((1, 25, 25, 1)).at[0, 12, 12, 0].set(1)
  found = net.apply(net.init(jax.random.key(0), x), x)[0, ..., 0]
  assert {tuple(p) for p in np.argwhere(found)} == {(y, x) for y in (6, 12, 18)
                                                   for x in (6, 12, 18)}

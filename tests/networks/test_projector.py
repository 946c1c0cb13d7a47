"""Places, patches and their projection."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from method_tools import config_of

from i2vjax.networks import projector


def test_parameters_of_the_public_projection():
  config = config_of('i2vgan')
  example = projector.example(config, 3)
  assert [x.shape[-1] for x in example] == [3, 128, 256, 256, 256]
  tree = jax.eval_shape(projector.projector(config).init, jax.random.key(0), example)['params']
  assert sum(math.prod(x.shape) for x in jax.tree.leaves(tree)) == 560_384
  assert set(tree) == {f'mlp_{k}' for k in range(5)} and set(tree['mlp_0']) == {'dense_0',
                                                                               'dense_1'}


def test_rows_have_unit_length_and_zeros_a_finite_gradient():
  net = projector.PatchProjector(8)
  x = [jax.random.normal(jax.random.key(0), (2, 5, 3)), jnp.zeros((2, 4, 6))]
  variables = net.init(jax.random.key(1), x)
  z = net.apply(variables, x)
  np.testing.assert_allclose(jnp.linalg.norm(z[0], axis=-1), 1, rtol=1e-4)
  np.testing.assert_array_equal(z[1], jnp.zeros((2, 4, 8)))
  grads = jax.grad(lambda x: sum(jnp.sum(part) for part in net.apply(variables, x)))(x)
  assert all(np.isfinite(part).all() for part in grads)


def test_without_an_mlp_features_are_compared_as_they_are():
  net = projector.PatchProjector(8, mlp=False)
  variables = jax.jit(net.init)(jax.random.key(0), [jnp.ones((1, 2, 4))])
  assert variables == {'params': {}}
  np.testing.assert_allclose(net.apply(variables, [jnp.ones((1, 2, 4))])[0], 0.5, rtol=1e-5)


def test_places_are_drawn_without_repetition_for_each_tap():
  maps = [jnp.zeros((1, 9, 7, 2)), jnp.zeros((1, 9, 7, 2)), jnp.zeros((3, 1, 2, 2, 2))]
  ids = projector.places(jax.random.key(0), maps, 20)
  assert [len(x) for x in ids] == [20, 20, 4]
  assert all(len(set(x.tolist())) == len(x) and x.min() >= 0 for x in ids)
  assert max(x.max() for x in ids[:2]) < 63
  assert ids[0].tolist() != ids[1].tolist() and sorted(ids[2].tolist()) == [0, 1, 2, 3]


def test_every_place_has_the_same_chance():
  draw = jax.vmap(lambda key: projector.places(key, [jnp.zeros((1, 2, 3, 1))], 3)[0])
  ids = np.asarray(draw(jax.random.split(jax.random.key(1), 2000)))
  share = np.bincount(ids.ravel(), minlength=6) / ids.size
  np.testing.assert_allclose(share, 1 / 6, atol=0.02)


def test_patches_are_numbered_row_by_row():
  x = jnp.arange(2 * 3 * 4 * 2).reshape(2, 3, 4, 2)
  found = projector.patches([x], [jnp.array([5, 0])])[0]
  np.testing.assert_array_equal(found, x[:, [1, 0], [1, 0]])


@pytest.mark.parametrize('blocks, up, taps, full', [
    (6, 'blur', ('res_mid', 'up_0'), ('res_2', 'up_0.blur')),
    (9, 'deconv', ('res_mid', 'up_0'), ('res_4', 'up_0.conv')),
    (1, 'blur', ('rgb', 'res_mid'), ('rgb', 'res_0')),
    (6, 'blur', ('layer_16',), ('up_0.blur',)),   # public layer numbers: 10 + k is res_k of stride
    (9, 'blur', ('layer_16',), ('res_6',)), (9, 'deconv', ('layer_16',), ('res_6',)),
    (4, 'blur', ('layer_16',), ('up_0.blur',)),
    (9, 'blur', ('cut_like',), ('rgb', 'down_0.conv', 'down_1.conv', 'res_0', 'res_4'))])
def test_relative_taps_follow_the_generator(blocks, up, taps, full):
  config = config_of('i2vgan')
  config.gen.update(blocks=blocks, up=up)
  config.nce.taps = taps
  assert projector.taps(config) == full


def test_a_tap_beyond_the_generator_is_refused():
  config = config_of('i2vgan')
  config.gen.blocks = 2
  with pytest.raises(ValueError, match='nce.taps: res_2 not in a generator with gen.blocks=2'):
    projector.taps(config)


def test_the_tap_after_a_transposed_convolution_has_its_channels():
  """Stride down and deconv up: layer 16 of the public code is up_0's convolution, 128 channels."""
  assert projector.example(config_of('recyclegan'), 3)[-1].shape[-1] == 128

"""U-Net generator: sizes, field of view, refusals, and choice by config."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from i2vjax import defaults
from i2vjax.core.errors import UserError
from i2vjax.networks import generators, projector, resnet, unet_generator


def settings(**gen):
  config = defaults.get_config()
  config.gen = {'width': 4, 'blocks': 1, 'down': 'blur', 'up': 'blur', 'levels': 3, **gen}
  return config


@pytest.fixture(scope='module')
def net():
  module = unet_generator.UNetGenerator(3, width=4, levels=3, blocks=1,
                                        kernel_init=jax.nn.initializers.normal(0.3))
  x = jnp.asarray(np.random.default_rng(0).uniform(-1, 1, (1, 24, 32, 1)), jnp.float32)
  return module, module.init(jax.random.key(0), x), x


def test_frames_keep_their_size_and_range(net):
  module, params, x = net
  y = module.apply(params, x)
  assert y.shape == (1, 24, 32, 3) and y.dtype == jnp.float32
  assert float(jnp.max(jnp.abs(y))) <= 1


def test_every_pixel_sees_the_whole_frame(net):
  module, params, x = net
  seen = jax.grad(lambda x: module.apply(params, x)[0, 0, 0, 0])(x)
  assert float(jnp.abs(seen[0, -1, -1, 0])) > 0   # the far corner, through the norms at least


def test_sides_that_cannot_be_halved_are_refused(net):
  module, params, _ = net
  with pytest.raises(UserError, match='30x24.*gen.levels=3.*multiples of 8, such as 24/32 x 24'):
    module.apply(params, jnp.zeros((1, 24, 30, 1)))


def test_parameters_are_few_and_named():
  module = generators.generator(settings(kind='unet', width=32, blocks=2, levels=4))
  tree = jax.eval_shape(module.init, jax.random.key(0), jnp.zeros((1, 16, 16, 3)))['params']
  assert set(tree) == {'stem', 'down_0', 'down_1', 'down_2', 'res_0', 'res_1', 'join_0', 'join_1',
                       'join_2', 'narrow', 'head'}
  assert tree['head']['kernel'].shape == (3, 3, 16 + 3, 3)   # beside 16 maps, the frame itself


def test_config_chooses_the_generator():
  assert isinstance(generators.generator(settings()), resnet.ResnetGenerator)   # older runs
  assert isinstance(generators.generator(settings(kind='resnet')), resnet.ResnetGenerator)
  assert isinstance(generators.generator(settings(kind='unet')), unet_generator.UNetGenerator)
  with pytest.raises(UserError, match='resnet, unet'):
    generators.generator(settings(kind='vit'))


def test_features_have_the_channels_and_sizes_that_their_names_say(net):
  module, params, x = net
  names = unet_generator.tap_names(3, 1)
  maps, taps = module.apply(params, x, names, method='encode')
  assert {name: taps[name].shape[1:3] for name in names} == {
      'rgb': (24, 32), 'stem': (12, 16), 'down_0': (6, 8), 'down_1': (3, 4), 'res_0': (3, 4)}
  assert [taps[name].shape[3] for name in names] == unet_generator.tap_channels(names, 4, 1)
  np.testing.assert_array_equal(module.apply(params, maps, method='decode'),
                                module.apply(params, x))


def test_features_are_refused_by_name():
  config = settings(kind='unet')
  config.nce = {'taps': ('rgb', 'down_0.conv')}
  with pytest.raises(UserError, match='down_0.conv not in a U-Net.*it has rgb, stem, down_0'):
    projector.taps(config)
  config.nce.taps = ('rgb', 'res_mid')   # the middle one of one
  assert projector.taps(config) == ('rgb', 'res_0')

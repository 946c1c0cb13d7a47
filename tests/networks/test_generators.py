"""Generator, PatchGAN and pool: sizes, counts, taps, refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util

from i2vjax import defaults
from i2vjax.core import image_pool
from i2vjax.networks import generators, patchgan, resnet

VARIANTS = [('stride', 'deconv'), ('stride', 'blur'), ('blur', 'deconv'), ('blur', 'blur')]


def settings(**gen):
  config = defaults.get_config()
  config.gen = {'width': 4, 'blocks': 2, 'down': 'stride', 'up': 'deconv', **gen}
  config.disc = {'width': 4, 'layers': 3, 'down': 'stride'}
  return config


def shapes(module, *shape):
  """Parameter shapes without computing anything."""
  return jax.eval_shape(module.init, jax.random.key(0), jnp.zeros(shape))['params']


def count(tree):
  return sum(leaf.size for leaf in jax.tree.leaves(tree))


def frame(*shape):
  return jnp.asarray(np.random.default_rng(0).uniform(-1, 1, shape), jnp.float32)


@pytest.mark.parametrize(('down', 'up'), VARIANTS)
@pytest.mark.parametrize(('blocks', 'parameters'), [(4, 5477379), (6, 7837699), (9, 11378179)])
def test_generator_parameter_counts_of_the_public_networks(down, up, blocks, parameters):
  config = settings(width=64, blocks=blocks, down=down, up=up)
  assert count(shapes(resnet.generator(config), 1, 16, 16, 3)) == parameters
  assert count(shapes(resnet.generator(config), 1, 16, 16, 1)) == parameters - 6272


@pytest.mark.parametrize('remat', [False, True])
def test_generator_parameters_are_named_as_in_the_checkpoint_tables(remat):
  config = settings()
  config.remat = remat
  tree = shapes(resnet.generator(config), 1, 16, 16, 3)
  paths = set(traverse_util.flatten_dict(tree, sep='/'))
  stages = ['stem/conv', 'down_0/conv', 'down_1/conv', 'res_0/conv_0', 'res_0/conv_1',
            'res_1/conv_0', 'res_1/conv_1', 'up_0/conv', 'up_1/conv', 'head/conv']
  assert paths == {f'{stage}/{leaf}' for stage in stages for leaf in ('kernel', 'bias')}


def weights(module, x, *options, **more):
  """Random parameters, drawn without compiling the network's own initialization."""
  tree = jax.eval_shape(lambda x: module.init(jax.random.key(0), x, *options, **more), x)
  rng = np.random.default_rng(2)
  return jax.tree.map(lambda leaf: rng.normal(size=leaf.shape).astype(np.float32) * 0.1, tree)


@pytest.mark.parametrize('kind', generators.KINDS)
def test_remat_recomputes_and_changes_neither_values_nor_gradients(kind):
  config, x = settings(blocks=1, kind=kind, levels=2), frame(1, 8, 8, 3)
  params = weights(generators.generator(config), x)

  def grads(remat):
    config.remat = remat
    module = generators.generator(config)
    program = jax.jit(jax.grad(lambda p: jnp.sum(module.apply(p, x) ** 2))).lower(params)
    return (program.as_text().count('optimization_barrier'),
            jax.tree.leaves(program.compile()(params)))
  (more, ours), (fewer, plain) = grads(True), grads(False)
  assert more > fewer   # not 0: convolutions on CPUs have barriers of their own
  # Of the largest gradient: those of biases before a norm are zero but for rounding.
  atol = 1e-5 * max(float(jnp.max(jnp.abs(leaf))) for leaf in plain)
  for a, b in zip(ours, plain, strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=atol)


@pytest.mark.parametrize(('taps', 'down', 'up', 'blocks', 'sizes'), [
    (('rgb', 'down_0.conv', 'down_1', 'res_2', 'up_0.blur'), 'stride', 'blur', 6,
     [(38, 3), (16, 8), (8, 16), (8, 16), (16, 16)]),
    (('rgb', 'down_0.conv', 'down_1', 'res_2', 'up_0.conv'), 'stride', 'deconv', 6,
     [(38, 3), (16, 8), (8, 16), (8, 16), (16, 8)]),
    (('rgb', 'down_0.conv', 'down_1.conv', 'res_0', 'res_4'), 'blur', 'blur', 9,
     [(38, 3), (32, 8), (16, 16), (8, 16), (8, 16)])])
def test_taps_of_the_public_layer_lists(taps, down, up, blocks, sizes):
  """Layers 0, 4, 8, 12, 16 of I2V-GAN, Recycle-GAN and CUT, at 32 pixels and width 4."""
  module = resnet.generator(settings(down=down, up=up, blocks=blocks))
  h, feats = jax.eval_shape(
      lambda x: module.init_with_output(jax.random.key(0), x, taps, method='encode')[0],
      frame(2, 32, 32, 3))
  assert h.shape == (2, 8, 8, 16)
  assert [feats[tap].shape for tap in taps] == [(2, side, side, c) for side, c in sizes]
  assert resnet.tap_channels(taps, 4) == [c for _, c in sizes]


def test_encode_then_decode_is_the_whole_call_and_taps_are_what_flows():
  module, x = resnet.generator(settings(up='blur', blocks=1)), frame(1, 16, 16, 3)
  params = weights(module, x)
  taps = ('stem', 'down_1.conv', 'down_1', 'res_0')

  @jax.jit
  def both(params, x):
    h, feats = module.apply(params, x, taps, method='encode')
    return h, feats, module.apply(params, h, method='decode')
  h, feats, frame_out = both(params, x)
  np.testing.assert_allclose(frame_out, jax.jit(module.apply)(params, x), atol=1e-5)
  np.testing.assert_array_equal(feats['res_0'], h)
  assert float(feats['down_1'].min()) == 0        # after the ReLU
  assert float(feats['down_1.conv'].min()) < 0    # before the norm


def test_generator_is_bounded_float32_under_bfloat16():
  config = settings()
  config.compute = 'bfloat16'
  module, x = resnet.generator(config), frame(1, 8, 12, 3)
  variables = weights(module, x)
  y = jax.jit(module.apply)(variables, x)
  assert (y.dtype, y.shape) == (jnp.float32, (1, 8, 12, 3))
  assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(shapes(module, *x.shape)))
  assert float(jnp.max(jnp.abs(y))) <= 1


@pytest.mark.parametrize('size', [(18, 16), (16, 18), (4, 16)])
def test_generator_refuses_sizes_it_cannot_restore(size):
  with pytest.raises(ValueError, match=f'multiples of 4 and at least 8, got {size[0]}x{size[1]}'):
    shapes(resnet.generator(settings()), 1, *size, 3)


@pytest.mark.parametrize('tap', ['res_2', 'up_0.blur', 'nothing'])
def test_unknown_taps_are_refused_with_the_known(tap):
  module = resnet.generator(settings())
  with pytest.raises(ValueError, match=rf'{tap} not in .*res_1, up_0.conv'):
    module.init(jax.random.key(0), frame(1, 16, 16, 3), (tap,), method='encode')


def test_dropout_acts_only_with_its_key():
  module = resnet.Residual(4, dropout=True, impl='plain')
  x = frame(1, 8, 8, 4)
  params = weights(module, x)
  apply = jax.jit(module.apply)
  still = apply(params, x)
  np.testing.assert_array_equal(still, apply(params, x))
  moved = apply(params, x, rngs={'dropout': jax.random.key(1)})
  assert float(jnp.max(jnp.abs(moved - still))) > 1e-4


def test_unknown_variants_are_refused():
  with pytest.raises(ValueError, match='gen.down'):
    shapes(resnet.generator(settings(down='pool')), 1, 16, 16, 3)


@pytest.mark.parametrize('down', ['stride', 'blur'])
@pytest.mark.parametrize(('layers', 'parameters', 'side'), [
    (1, 136385, 126), (2, 662977, 62), (3, 2764737, 30), (4, 6959553, 14), (5, 11154369, 6)])
def test_patchgan_counts_and_maps_at_256(down, layers, parameters, side):
  config = settings()
  config.disc = {'width': 64, 'layers': layers, 'down': down}
  module = patchgan.discriminator(config, 3)
  logits, variables = jax.eval_shape(
      lambda x: module.init_with_output(jax.random.key(0), x), frame(1, 256, 256, 3))
  assert count(variables) == parameters
  assert logits.shape == (1, side, side, 1)
  assert sorted(variables['params']) == [*(f'conv_{i}' for i in range(layers + 1)), 'head']


@pytest.mark.parametrize(('size', 'side'), [(72, 7), (100, 10), (24, 1)])
def test_patchgan_map_side_is_an_eighth_less_two(size, side):
  module = patchgan.discriminator(settings(), 1)
  y = jax.eval_shape(lambda x: module.init_with_output(jax.random.key(0), x)[0],
                     frame(1, size, size, 1))
  assert y.shape == (1, side, side, 1)


def test_patchgan_refuses_frames_without_one_patch():
  with pytest.raises(ValueError, match='at least 24x24 pixels, got 20x32'):
    shapes(patchgan.discriminator(settings(), 3), 1, 20, 32, 3)


def test_patchgan_intermediates_reproduce_the_logits():
  config = settings()
  config.disc.out_channels = 2
  module, x = patchgan.discriminator(config, 3), frame(2, 32, 32, 3)
  variables = weights(module, x)
  logits, seen = jax.jit(lambda v, x: module.apply(v, x, intermediates=True))(variables, x)
  np.testing.assert_allclose(logits, jax.jit(module.apply)(variables, x), atol=1e-5)
  head, prev = (patchgan.Conv(features, 4, padding=1, impl='plain') for features in (2, 32))
  params = variables['params']
  np.testing.assert_allclose(
      head.apply({'params': params['head']}, seen['conv_in_last']), logits, atol=1e-5)
  raw = prev.apply({'params': params['conv_3']}, seen['conv_in_prev'])
  np.testing.assert_allclose(seen['var'], jnp.var(raw, axis=(1, 2)), rtol=1e-4)
  np.testing.assert_allclose(
      seen['conv_in_last'], jnp.where(seen['norm'] > 0, 1, 0.2) * seen['norm'], atol=1e-6)


def fill(size, steps, batch=1):
  """Pool of numbered 1x1 images and what it returned, image i holding the value i."""
  held, returned = image_pool.create(size, (1, 1, 1)), []
  ask = jax.jit(image_pool.query)
  for i in range(steps):
    images = jnp.arange(i * batch, (i + 1) * batch, dtype=jnp.float32).reshape(batch, 1, 1, 1)
    held, out = ask(held, jax.random.fold_in(jax.random.key(0), i), images)
    returned += np.ravel(out).tolist()
  return held, returned


def test_pool_returns_what_comes_in_while_it_fills():
  held, returned = fill(6, 2, batch=3)
  assert returned == [0, 1, 2, 3, 4, 5]
  assert np.ravel(held['buf']).tolist() == returned
  assert int(held['count']) == 6


def test_full_pool_swaps_half_of_the_time_and_loses_nothing():
  """Every image is either returned or stored, once; about half the returns are old."""
  held, returned = fill(8, 200)
  assert sorted(returned[8:] + np.ravel(held['buf']).tolist()) == [float(i) for i in range(200)]
  new = np.mean([value == i for i, value in enumerate(returned[8:], 8)])
  assert 0.4 < new < 0.6


def test_pool_of_size_zero_passes_through_and_stops_gradients():
  held, out = image_pool.query(
    image_pool.create(0, (1, 1, 1)), jax.random.key(0), jnp.ones((2, 1, 1, 1))
  )
  assert held == {}
  np.testing.assert_array_equal(out, 1)
  image = jnp.ones((1, 1, 1, 1))
  grad = jax.grad(lambda x: jnp.sum(image_pool.query({}, jax.random.key(0), x)[1]))(image)
  np.testing.assert_array_equal(grad, 0)

"""ComboGAN's halves, PearlGAN's attention, ToDayGAN's critics, spectral norm: sizes and rules."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util
from scipy import ndimage

from i2vjax import defaults
from i2vjax.networks import combogan, multi_view_critic, spectral


def settings(**gen):
  config = defaults.get_config()
  config.gen = dict(width=64, blocks_enc=4, blocks_dec=5, attention=False, up_norm='group',
                    groups=32) | gen
  config.disc = dict(width=64, stages=4, norm='spectral')
  return config


def shapes(module, *shape):
  """Parameter shapes without computing anything."""
  return jax.eval_shape(module.init, jax.random.key(0), jnp.zeros(shape))['params']


def count(tree):
  return sum(leaf.size for leaf in jax.tree.leaves(tree))


def drawn(module, x, seed=2):
  """Random parameters, drawn without compiling the network's own initialization."""
  tree = jax.eval_shape(module.init, jax.random.key(0), x)['params']
  rng = np.random.default_rng(seed)
  return jax.tree.map(lambda leaf: rng.normal(size=leaf.shape).astype(np.float32) * 0.1, tree)


def frame(*shape):
  return jnp.asarray(np.random.default_rng(0).uniform(-1, 1, shape), jnp.float32)


# ---- Halves


@pytest.mark.parametrize(('gen', 'encoder', 'renderer'), [
    ({}, 5_099_143, 6_566_154), ({'up_norm': 'instance'}, 5_099_143, 6_565_770),
    ({'attention': True}, 5_167_244, 6_634_255)])
def test_parameters_of_the_halves(gen, encoder, renderer):
  tree = shapes(combogan.generator(settings(**gen)), 1, 16, 16, 3)
  assert (count(tree['encoder']), count(tree['renderer'])) == (encoder, renderer)


def test_one_direction_is_the_46_7_megabytes_of_morngan():
  """What the MornGAN paper gives as its size are bytes of one encoder and one renderer."""
  parameters = count(shapes(combogan.generator(settings()), 1, 16, 16, 3))
  assert parameters == 11_665_297 and round(4 * parameters / 1e6, 1) == 46.7


def test_attention_block_has_68101_parameters():
  tree = shapes(combogan.generator(settings(attention=True)), 1, 16, 16, 3)
  assert {count(tree[half]['attention']) for half in tree} == {68_101}


def test_first_weights():
  """N(0, 0.02) kernels, biases and shifts 0, scales 1, slopes 0.25."""
  init = jax.jit(combogan.Stage(32, up=True, groups=4).init)
  params = init(jax.random.key(0), frame(1, 4, 4, 16))
  leaves = traverse_util.flatten_dict(params['params'], sep='/')
  kernel = leaves.pop('conv/kernel')
  np.testing.assert_allclose([kernel.mean(), kernel.std()], [0, 0.02], atol=1e-3)
  assert {path: set(np.ravel(x).tolist()) for path, x in leaves.items()} == {
      'conv/bias': {0}, 'norm/scale': {1}, 'norm/bias': {0}, 'act/negative_slope': {0.25}}


def test_any_size_of_multiples_of_4_and_the_public_test_size():
  module = combogan.generator(settings(width=4, blocks_enc=1, blocks_dec=1, attention=True))
  out = jax.eval_shape(module.init_with_output, jax.random.key(0), jnp.zeros((2, 288, 360, 3)))[0]
  assert out.shape == (2, 288, 360, 3)
  with pytest.raises(ValueError, match='multiples of 4'):
    shapes(module, 1, 30, 32, 3)
  with pytest.raises(ValueError, match='gen.attention needs 12'):
    shapes(module, 1, 8, 32, 3)


def test_groups_are_halved_where_32_do_not_divide():
  module = combogan.generator(settings(width=16))
  groups = [shapes(module, 1, 16, 16, 3)['renderer'][f'up_{i}']['norm']['scale'].size
            for i in (0, 1)]
  assert groups == [32, 16] and module.groups == 32     # 16 and 8 groups of two channels


@pytest.fixture(scope='module')
def attended():
  """(parameters, x, out, maps) of an attention block on 16 x 18 places."""
  module, x = combogan.Attention(), frame(2, 16, 18, 8)
  params = drawn(module, x)
  out, maps = jax.jit(module.apply)({'params': params}, x)
  return params, x, out, maps


def test_attention_maps_lie_between_0_and_1(attended):
  _, x, out, maps = attended
  assert out.shape == x.shape and maps.shape == (2, 16, 18, 4)
  assert 0 < float(maps.min()) < float(maps.max()) < 1
  assert float(maps[..., 3].std()) > 0.05        # the finest; the coarsest is a single place here
  assert float(jnp.ptp(maps[..., 0])) == 0


def test_attention_adds_each_quarter_under_its_map(attended):
  """out - x = concat(M4 s0, M3 s1, M2 s2, M1 s3), s = PReLU(norm(conv(x)))."""
  params, x, out, maps = attended
  mixed = np.asarray(x) @ np.asarray(params['conv']['kernel'][0, 0]) + params['conv']['bias']
  mixed = (mixed - mixed.mean((1, 2), keepdims=True)) / np.sqrt(
      mixed.var((1, 2), keepdims=True) + 1e-5)
  slope = float(params['act']['negative_slope'])
  s = np.where(mixed > 0, mixed, slope * mixed)
  weight = np.repeat(np.asarray(maps)[..., ::-1], 2, axis=-1)
  np.testing.assert_allclose(out - x, weight * s, atol=1e-4)


def test_encoder_returns_its_maps_only_with_attention():
  for attention in (False, True):
    module = combogan.generator(settings(width=4, blocks_enc=1, blocks_dec=1,
                                         attention=attention))
    x = jnp.zeros((1, 64, 48, 3))
    h, maps = jax.eval_shape(lambda m=module, x=x: m.apply(
        {'params': drawn(m, x)}, x, method='encode'))
    assert h.shape == (1, 16, 12, 16)
    assert (maps.shape == (1, 16, 12, 4)) if attention else maps is None


# ---- Critics


def test_parameters_of_the_critics():
  tree = shapes(multi_view_critic.critics(settings(), 3), 1, 64, 64, 3)
  assert {name: count(tree[name]) for name in tree} == {
      'rgb': 6_966_729, 'gray': 6_964_681, 'grad': 2_766_791}
  assert count(tree) == 16_698_201


def test_sides_of_the_score_maps():
  module = multi_view_critic.critics(settings(), 3)
  maps = jax.eval_shape(module.init_with_output, jax.random.key(0), jnp.zeros((1, 256, 256, 3)))[0]
  assert {name: [m.shape for m in found] for name, found in maps.items()} == {
      name: [(1, side, side) for side in sides] for name, sides in {
          'rgb': (65, 33, 17, 19), 'gray': (65, 33, 17, 19), 'grad': (33, 17, 19)}.items()}


def test_colors_are_seen_without_texture():
  """A Gaussian of deviation 3 folded into a window of 5, zeros outside; sums to 1."""
  one = np.zeros((5, 5))
  one[2, 2] = 1
  window = ndimage.gaussian_filter(one, 3)
  x = np.asarray(frame(1, 9, 8, 2))
  expected = np.stack([ndimage.correlate(x[0, ..., c], window, mode='constant')
                       for c in range(2)], -1)
  np.testing.assert_allclose(multi_view_critic.blurred(x)[0], expected, atol=1e-6)


def test_outlines_are_differences_of_every_second_pixel():
  y, x = np.mgrid[:12, :10].astype(np.float32)
  found = np.asarray(multi_view_critic.differences((3 * y + x * x)[None, ..., None]))[0]
  assert found.shape == (4, 3, 2)
  np.testing.assert_allclose(found[..., 1], 3 * 4)                    # 4 rows apart
  np.testing.assert_allclose(found[0, :, 0], [16, 36 - 4, 64 - 16])   # x = 4 - 0, 6 - 2, 8 - 4


def test_spectral_critics_have_no_other_norm():
  config = settings()
  assert not multi_view_critic.critics(config, 3).norm
  config.disc.norm = 'instance'
  assert multi_view_critic.critics(config, 3).norm


def test_mistakes_are_named():
  config = settings(up_norm='batch')
  with pytest.raises(ValueError, match="gen.up_norm='batch'"):
    combogan.generator(config)
  config.disc.norm = 'batch'
  with pytest.raises(ValueError, match="disc.norm='batch'"):
    multi_view_critic.critics(config, 3)
  config.disc.update(norm='spectral', stages=1)
  with pytest.raises(ValueError, match='disc.stages=1'):
    multi_view_critic.critics(config, 3)


# ---- Spectral norm

normalized = jax.jit(spectral.normalize)


@pytest.fixture(scope='module')
def layers():
  """(parameters of two layers, their vectors)."""
  rng = np.random.default_rng(0)
  params = {'a': {'conv': {'kernel': rng.normal(size=(2, 2, 3, 5)).astype(np.float32),
                           'bias': rng.normal(size=5).astype(np.float32)}},
            'head': {'kernel': rng.normal(size=(1, 1, 5, 1)).astype(np.float32),
                     'bias': np.ones(1, np.float32)}}
  return params, spectral.vectors(params, jax.random.key(0))


def test_power_method_reaches_the_largest_singular_value(layers):
  params, u = layers
  for _ in range(60):
    normal, u = normalized(params, u)
  top = np.linalg.svd(params['a']['conv']['kernel'].reshape(12, 5), compute_uv=False)[0]
  np.testing.assert_allclose(normal['a']['conv']['kernel'], params['a']['conv']['kernel'] / top,
                             rtol=1e-4)
  np.testing.assert_array_equal(normal['a']['conv']['bias'], params['a']['conv']['bias'])
  np.testing.assert_allclose(np.linalg.norm(normal['head']['kernel']), 1, rtol=1e-6)


def test_one_step_by_hand(layers):
  """v = W u / |W u|, u' = W^T v / |W^T v|, W / (v^T W u'), with W the kernel as [k k I, O]."""
  params, u = layers
  W = params['a']['conv']['kernel'].reshape(12, 5)
  v = W @ u['a']['conv']
  v /= np.linalg.norm(v)
  later = W.T @ v / np.linalg.norm(W.T @ v)
  normal, found = normalized(params, u)
  np.testing.assert_allclose(found['a']['conv'], later, rtol=1e-5)
  np.testing.assert_allclose(np.reshape(normal['a']['conv']['kernel'], (12, 5)),
                             W / (v @ W @ later), rtol=1e-5)


def test_gradient_is_at_right_angles_to_the_kernel(layers):
  """The sign that sigma has a gradient: scaling the kernel changes nothing."""
  params, u = layers

  def loss(params):
    normal, _ = spectral.normalize(params, u)
    return jnp.sum(jnp.sin(normal['a']['conv']['kernel']))
  grad = jax.jit(jax.grad(loss))(params)['a']['conv']['kernel']
  assert float(jnp.abs(grad).max()) > 0.1
  assert abs(float(jnp.sum(grad * params['a']['conv']['kernel']))) < 1e-4

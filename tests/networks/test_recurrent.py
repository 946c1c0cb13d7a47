"""The recurrent U-Net, its cell and the clip critic: sizes of the paper, time, causality."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from i2vjax.networks import batchnorm, recurrent


def shapes_of(net, *example):
  return jax.eval_shape(net.init, jax.random.key(0), *example)


def count(tree):
  return sum(math.prod(x.shape) for x in jax.tree.leaves(tree))


def filled(net, *example):
  """Random variables without compiling `init`: scales and variances near 1, all else near 0."""
  rng = np.random.default_rng(0)

  def one(path, x):
    near = float(path[-1].key in ('scale', 'var'))
    return jnp.asarray(near + 0.3 * (1 - near) * rng.normal(size=x.shape), jnp.float32)
  return jax.tree_util.tree_map_with_path(one, shapes_of(net, *example))


def clip(frames, size=32, channels=3, batch=1, seed=0):
  return jax.random.uniform(jax.random.key(seed), (batch, frames, size, size, channels), minval=-1)


# ---- Sizes of the paper


@pytest.mark.parametrize(('channels', 'number'), [(3, 49_888_643), (1, 49_887_489)])
def test_generator_parameters(channels, number):
  params = shapes_of(recurrent.RecurrentUNet(channels), jnp.zeros((1, 1, 128, 128, 3)))['params']
  assert count(params) == number
  assert count(params['memory']) == 1_049_600
  assert sum(count(params[f'down_{k}']) for k in range(7)) == 15_343_424


@pytest.mark.parametrize(('channels', 'number'), [(3, 6_569_605), (1, 6_565_509)])
def test_critic_parameters(channels, number):
  example = jnp.zeros((1, 1, 32, 32, channels + 3)), jnp.zeros((1, 1, 32, 32, channels))
  variables = shapes_of(recurrent.ClipCritic(), *example)
  assert count(variables['params']) == number
  assert set(variables) == {'params'}        # its batch norms keep no averages


@pytest.mark.parametrize(('size', 'inner'), [((256, 256), (2, 2)), ((512, 896), (4, 7))])
def test_shapes_of_the_paper(size, inner):
  net, x = recurrent.RecurrentUNet(), jnp.zeros((1, 2, *size, 3))
  (carry, out), state = jax.eval_shape(
      lambda: net.init_with_output(jax.random.key(0), x, capture_intermediates=True,
                                   mutable=True))
  seen = {name: value['__call__'][0] for name, value in state['intermediates'].items()
          if name != '__call__'}
  widths = (64, 128, 256, 512, 512, 512, 512)
  for k, width in enumerate(widths):
    sides = tuple(n // 2**k for n in size)
    assert seen[f'down_{k}'].shape == (2, sides[0] // 2, sides[1] // 2, width)
    assert seen[f'up_{k}'].shape == (2, *sides, width)
  assert seen['memory'][1].shape == (1, 2, *inner, 512)
  assert carry.shape == (1, *inner, 512) and out.shape == (1, 2, *size, 3)


def test_skips_carry_the_encoder_after_its_activation():
  """The kernel of up_k takes what came up and what down_k gave: 1024 channels, then 768, 384."""
  params = shapes_of(recurrent.RecurrentUNet(), jnp.zeros((1, 1, 128, 128, 3)))['params']
  taken = [params[f'up_{k}']['kernel'].shape[-1] for k in reversed(range(7))]
  assert taken == [512, 1024, 1024, 1024, 768, 384, 192]


def test_a_frame_that_cannot_be_halved_is_refused_with_sizes_that_can():
  with pytest.raises(ValueError, match='854x480.*multiples of 128, such as 768/896 x 384/512'):
    shapes_of(recurrent.RecurrentUNet(), jnp.zeros((1, 1, 480, 854, 3)))


# ---- The cell


def cell(act='tanh', recurrent_=True, channels=3):
  memory = recurrent.Memory(2, 4, act, recurrent_, kernel_init=jax.nn.initializers.normal(0.5))
  x = clip(5, size=2, channels=channels, batch=2)
  params = memory.init(jax.random.key(1), x)['params']
  return memory, jax.tree.map(lambda p: p + 0.1, params), x


def test_scan_equals_a_loop_over_time():
  memory, p, x = cell()
  h, out = jnp.zeros((2, 2, 2, 4)), []
  for t in range(5):
    z = jnp.concatenate([x[:, t], h], -1)                       # z_t = [x_t, h_{t-1}]
    out.append(z @ p['out_kernel'] + p['out_bias'])             # o_t = A z_t + a
    h = jnp.tanh(z @ p['state_kernel'] + p['state_bias'])       # h_t = tanh(B z_t + c)
  carry, found = memory.apply({'params': p}, x)
  np.testing.assert_allclose(found, jnp.stack(out, 1), atol=1e-6)
  np.testing.assert_allclose(carry, h, atol=1e-6)


def test_linear_state_by_hand():
  """One channel, B = [1, 2], c = 0, A = [0, 1], a = 0: o_t = h_{t-1}, h_t = x_t + 2 h_{t-1}."""
  memory = recurrent.Memory(1, 1, 'none')
  p = {'out_kernel': jnp.array([[0.0], [1.0]]), 'state_kernel': jnp.array([[1.0], [2.0]]),
       'out_bias': jnp.zeros(1), 'state_bias': jnp.zeros(1)}
  carry, out = memory.apply({'params': p}, jnp.array([1.0, 1.0, 3.0]).reshape(1, 3, 1, 1, 1))
  assert out.ravel().tolist() == [0.0, 1.0, 3.0] and carry.ravel().tolist() == [9.0]


def test_without_recurrence_each_frame_stands_alone():
  memory, p, x = cell(recurrent_=False)
  carry, out = memory.apply({'params': p}, x)
  assert carry is None and set(p) == {'out_kernel', 'out_bias'}
  np.testing.assert_allclose(out[:, 3], memory.apply({'params': p}, x[:, 3:4])[1][:, 0], atol=1e-6)


def test_a_state_of_unknown_kind_is_refused():
  with pytest.raises(ValueError, match="hidden_act='relu'"):
    cell('relu')


# ---- Batch norm


def test_training_moments_and_running_averages_by_hand():
  """Values 0 2 4 6: mean 3, variance 5, unbiased 20/3; averages move by a tenth."""
  norm, x = batchnorm.BatchNorm(), jnp.array([0.0, 2.0, 4.0, 6.0]).reshape(1, 2, 2, 1)
  variables = {'params': {'scale': jnp.full(1, 2.0), 'bias': jnp.ones(1)},
               'batch_stats': {'mean': jnp.zeros(1), 'var': jnp.ones(1)}}
  y, moved = norm.apply(variables, x, 'train', mutable=['batch_stats'])
  np.testing.assert_allclose(y.ravel(), 1 + 2 * np.array([-3, -1, 1, 3]) / math.sqrt(5), rtol=1e-5)
  np.testing.assert_allclose(moved['batch_stats']['mean'], [0.3], rtol=1e-6)
  np.testing.assert_allclose(moved['batch_stats']['var'], [0.9 + 0.1 * 20 / 3], rtol=1e-6)
  np.testing.assert_allclose(norm.apply(variables, x, 'running').ravel(),
                             1 + 2 * np.array([0, 2, 4, 6]), rtol=1e-4)


def test_two_devices_normalize_and_differentiate_like_one():
  norm, x = batchnorm.BatchNorm('data'), jax.random.normal(jax.random.key(0), (2, 3, 2, 2, 4))
  params = norm.init(jax.random.key(1), x[0], 'train')
  target = jax.random.normal(jax.random.key(2), x.shape)

  def loss(norm, variables, x, target):
    y, moved = norm.apply(variables, x, 'train', mutable=['batch_stats'])
    return jnp.mean(jnp.abs(y - target)), moved['batch_stats']

  def device(x, target):
    grad, stats = jax.grad(lambda x: loss(norm, params, x, target), has_aux=True)(x)
    return grad, stats
  grads, stats = jax.jit(jax.vmap(device, axis_name='data'))(x, target)
  whole = x.reshape(6, 2, 2, 4)
  want, expected = jax.grad(lambda x: loss(batchnorm.BatchNorm(), params, x,
                                           target.reshape(whole.shape)), has_aux=True)(whole)
  # a device's gradient is that of the sum of both devices' means: twice the mean of the whole
  np.testing.assert_allclose(grads.reshape(whole.shape), 2 * want, atol=1e-6)
  for name, value in expected.items():
    np.testing.assert_allclose(stats[name][0], value, atol=1e-6)
    np.testing.assert_allclose(stats[name][1], value, atol=1e-6)


# ---- The generator in time


@pytest.fixture(scope='module')
def small():
  """Compiled generator in use, (frames, carry) -> (carry, frames), with memory that matters."""
  net = recurrent.RecurrentUNet(3, 4, 2, 8, impl='plain')
  variables = filled(net, clip(1))
  return jax.jit(lambda x, carry: net.apply(variables, x, carry))


START = jnp.zeros((1, 8, 8, 8))


def test_folded_frames_equal_frames_one_by_one(small):
  x, carry, out = clip(4), START, []
  for t in range(4):
    carry, y = small(x[:, t:t + 1], carry)
    out.append(y)
  whole = small(x, START)
  np.testing.assert_allclose(whole[1], jnp.concatenate(out, 1), atol=1e-5)
  np.testing.assert_allclose(whole[0], carry, atol=1e-5)


def test_no_frame_looks_ahead_and_every_frame_looks_back(small):
  x = clip(4)
  before, after = small(x, START)[1], small(x.at[:, 2].add(0.5), START)[1]
  np.testing.assert_array_equal(before[:, :2], after[:, :2])
  assert float(jnp.max(jnp.abs(before[:, 3] - after[:, 3]))) > 1e-4


def test_dropout_is_one_mask_per_clip():
  """Without memory equal frames of a clip come out equal; two equal clips do not."""
  net = recurrent.RecurrentUNet(3, 4, 2, 8, recurrent=False, impl='plain')
  x = jnp.broadcast_to(clip(1), (2, 3, 32, 32, 3))
  variables = filled(net, x)
  _, out = jax.jit(lambda x: net.apply(variables, x, rngs={'dropout': jax.random.key(0)}))(x)
  np.testing.assert_allclose(out[:, 1:], out[:, :2], atol=1e-6)
  assert float(jnp.max(jnp.abs(out[0] - out[1]))) > 1e-4


def test_remat_and_first_norm_change_names_of_nothing_else():
  x = clip(1)
  plain, again, first = (shapes_of(recurrent.RecurrentUNet(3, 4, 4, 8, **more), x)['params']
                         for more in ({}, {'remat': True}, {'norm_first': True}))
  assert jax.tree.structure(plain) == jax.tree.structure(again)
  assert set(first['down_0']) == {'kernel', 'norm'} and set(plain['down_0']) == {'kernel', 'bias'}


# ---- The critic


@pytest.fixture(scope='module')
def critic():
  """(network, its variables, compiled logit)."""
  net = recurrent.ClipCritic(4, 8, impl='plain')
  variables = filled(net, clip(4), clip(4))
  return net, variables, jax.jit(net.apply)


def test_one_logit_for_a_clip_half_from_each_stream(critic):
  net, variables, judge = critic
  x, e, p = clip(4, batch=2), clip(4, batch=2, seed=1), dict(variables['params'])
  begins = jax.jit(lambda: [net.init(jax.random.key(0), x, e)['params'][name]
                            for name in ('share', 'bias')])()
  assert begins[0].tolist() == [0.5, 0.5] and float(begins[1]) == 0

  def with_share(*share):
    return judge({'params': {**p, 'share': jnp.array(share), 'bias': jnp.zeros(())}}, x, e)
  frames, residuals = with_share(1.0, 0.0), with_share(0.0, 1.0)
  assert frames.shape == (2,) and float(jnp.min(jnp.abs(frames - residuals))) > 1e-5
  np.testing.assert_allclose(with_share(0.5, 0.5), (frames + residuals) / 2, atol=1e-6)


def test_order_of_residuals_matters(critic):
  """Global consistency: the same residuals in another order are another clip."""
  _, variables, judge = critic
  x, e = clip(4, batch=2), clip(4, batch=2, seed=1)
  turned = judge(variables, x, e[:, ::-1])
  assert float(jnp.min(jnp.abs(judge(variables, x, e) - turned))) > 1e-5
  alone = recurrent.Stream(4, 8, recurrent=False, impl='plain')
  p, score = filled(alone, e), jax.jit(alone.apply)
  np.testing.assert_allclose(score(p, e), score(p, e[:, ::-1]), atol=1e-6)

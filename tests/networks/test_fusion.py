"""The fusion block of STC-V2V and the motion translator of Mocycle-GAN."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from i2vjax.networks.fusion import FusionBlock
from i2vjax.networks.motion_translator import MotionTranslator

KEY = jax.random.key(0)


def count(module, channels):
  shapes = jax.eval_shape(module.init, KEY, jnp.zeros((1, 16, 16, channels)))['params']
  return sum(math.prod(x.shape) for x in jax.tree.leaves(shapes))


# ---- Fusion


@pytest.mark.parametrize(('width', 'kernel', 'expected'), [(64, 7, 213_377), (32, 3, 10_433)])
def test_fusion_parameters(width, kernel, expected):
  assert count(FusionBlock(width, kernel), 3) == expected


def test_mask_is_one_channel_of_the_frames_size_near_one_half_at_first():
  block, x = FusionBlock(4, 3, impl='plain'), jax.random.uniform(KEY, (2, 12, 20, 3), maxval=2)
  mask = jax.jit(block.apply)(jax.jit(block.init)(KEY, x), x)
  assert mask.shape == (2, 12, 20, 1) and mask.dtype == jnp.float32
  np.testing.assert_allclose(mask, 0.5, atol=0.1)
  assert float(jnp.std(mask)) > 0


def test_mask_by_hand():
  """sigmoid(conv(ReLU(IN(conv(ReLU(IN(conv(x)))))))), no norm before the sigmoid."""
  block, x = FusionBlock(1, 1, impl='plain'), jax.random.uniform(KEY, (1, 4, 5, 1))
  weights = {'conv_0': 2.0, 'conv_1': -3.0, 'head': 1.5}
  params = {name: {'kernel': jnp.full((1, 1, 1, 1), w), 'bias': jnp.full(1, 0.25)}
            for name, w in weights.items()}

  def norm(x):
    return (x - x.mean()) / np.sqrt(x.var() + 1e-5)
  y = np.maximum(norm(2.0 * np.asarray(x) + 0.25), 0)
  y = np.maximum(norm(-3.0 * y + 0.25), 0)
  np.testing.assert_allclose(block.apply({'params': params}, x), 1 / (1 + np.exp(-1.5 * y - 0.25)),
                             rtol=1e-5)


def test_rematerialised_fusion_has_the_same_gradient():
  x = jax.random.uniform(KEY, (1, 8, 8, 3))
  grads = []
  for remat in (False, True):
    block = FusionBlock(2, 3, remat, impl='plain')
    params = jax.jit(block.init)(KEY, x)
    grads.append(jax.jit(jax.grad(lambda p, block=block: jnp.sum(block.apply(p, x) ** 2)))(params))
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), *grads)


# ---- Motion


def test_motion_translator_parameters():
  assert count(MotionTranslator(), 2) == 1_076_418


def test_motion_translator_adds_nothing_at_first():
  net, flow = MotionTranslator(4, 1, impl='plain'), 5 * jax.random.normal(KEY, (2, 8, 12, 2))
  added = jax.jit(net.apply)(jax.jit(net.init)(KEY, flow), flow)
  assert added.shape == flow.shape and not added.any()


def test_motion_translator_sees_what_moves_everything_unless_normed():
  """The same flow with 5 pixels added everywhere."""
  flow = 5 * jax.random.normal(KEY, (1, 8, 8, 2))
  for norm, expected in (('none', True), ('instance', False)):
    net = MotionTranslator(4, 1, norm, impl='plain')
    params = jax.jit(net.init)(KEY, flow)
    params['params']['head']['kernel'] = 0.1 * jax.random.normal(KEY, (7, 7, 4, 2))
    call = jax.jit(net.apply)
    change = jnp.max(jnp.abs(call(params, flow) - call(params, flow + 5)))
    assert bool(change > 0.1) is expected, change


def test_motion_translator_refuses_what_it_cannot_halve():
  with pytest.raises(ValueError, match='multiples of 4'):
    MotionTranslator(4, 1).init(KEY, jnp.zeros((1, 8, 10, 2)))

"""Products are those of float32 where that is promised, and as `config.precision` says elsewhere.

Read off the traced program: on a CPU all precisions give the same values.
"""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from i2vjax import defaults, fields, train
from i2vjax.core import parallel, precision
from i2vjax.core.errors import UserError
from i2vjax.core.model import Model
from i2vjax.core.state import State
from i2vjax.evaluation import motion_estimation, scene_segmenter
from i2vjax.flow import estimate
from i2vjax.losses import edges, feature_clusters
from i2vjax.methods import cptrans
from i2vjax.metrics import lpips
from i2vjax.networks import alexnet, patchgan, segmentation
from i2vjax.run import load, translator
from tests.helpers import method_tools

FLOAT32 = {'HIGHEST'}


def precisions(function, *arguments):
  """Names of the precisions of all products in the traced function; None: the device's own."""
  found = set()

  def walk(jaxpr):
    for equation in jaxpr.eqns:
      if equation.primitive.name in ('dot_general', 'conv_general_dilated'):
        asked = equation.params['precision']
        found.update(p if p is None else p.name
                     for p in (asked if isinstance(asked, tuple) else (asked,)))
      for part in jax.tree.leaves(equation.params, is_leaf=lambda x: hasattr(x, 'eqns')):
        if hasattr(part, 'eqns') or hasattr(part, 'jaxpr'):
          walk(getattr(part, 'jaxpr', part))
  walk(jax.make_jaxpr(function)(*arguments).jaxpr)
  return found


def frames(*shape):
  return jnp.asarray(np.random.default_rng(0).uniform(-1, 1, shape), jnp.float32)


def test_the_walk_sees_products_inside_of_loops_and_of_gradients():
  def loss(x):
    return jnp.sum(jax.lax.map(lambda row: jnp.sin(row @ x), x))
  x = frames(4, 4)
  assert precisions(jax.grad(loss), x) == {None}
  assert precisions(precision.exact(jax.grad(loss)), x) == FLOAT32


@pytest.mark.parametrize('compute', ['float32', 'bfloat16'])
def test_content_weights_are_float32_on_every_device(compute):
  config = method_tools.config_of('cptrans', 'demo')
  config.update(compute=compute, precision='default', backbone='none')
  critic = patchgan.PatchDiscriminator(width=4, layers=2)
  x = frames(2, 32, 32, 3)
  model = Model(config, {'disc_b': critic})
  params = {'disc_b': critic.init(jax.random.key(0), x)['params']}
  assert precisions(lambda x: cptrans.gradient_cosine(
      model, params, {'frames': x}, 1, jax.random.key(0))[0], x) == FLOAT32


def test_judges_and_clusters_are_float32_on_every_device():
  x = frames(2, 64, 64, 3)
  rows, mask = frames(9, 4), jnp.ones(9, bool)
  assert precisions(lambda x: feature_clusters.centroids(x, mask, jax.random.key(0), 2),
                    rows) == FLOAT32
  assert precisions(lambda x: feature_clusters.coverage(x[:2], x, mask), rows) == FLOAT32
  assert precisions(edges.contours, x) <= FLOAT32
  net = segmentation.SegmentationUNet(19, 4, 2)
  params = net.init(jax.random.key(0), x)['params']
  seen = jnp.zeros((2, 64, 64, 3), jnp.uint8)
  assert precisions(scene_segmenter._classify, params, seen) == FLOAT32
  assert precisions(scene_segmenter._pool_features, params, seen) == FLOAT32


def test_a_flow_that_judges_is_float32_on_every_device(monkeypatch):
  asked = set()

  def estimate_flow(model, now, after):
    asked.add(jax.config.jax_default_matmul_precision)
    return jnp.zeros((*now.shape[:3], 2))
  monkeypatch.setattr(estimate, 'frozen_networks', lambda config: {})
  monkeypatch.setattr(estimate, 'estimate', estimate_flow)
  call = motion_estimation.motion_estimator(defaults.get_config(), 'raft_small')
  call(np.zeros((2, 16, 16, 3), np.uint8))
  assert asked == {'highest'}


def test_lpips_is_float32_on_every_device():
  nets = {'backbone': alexnet.AlexNet(), 'heads': alexnet.Heads()}
  x = jax.ShapeDtypeStruct((2, 64, 64, 3), jnp.float32)
  features = jax.eval_shape(nets['backbone'].init, jax.random.key(0), x)
  maps = jax.eval_shape(nets['backbone'].apply, features, x)
  heads = jax.eval_shape(nets['heads'].init, jax.random.key(0), *maps.values())
  params = {'backbone': features['params'], 'heads': heads['params']}
  apply = {name: types.SimpleNamespace(apply=net.apply) for name, net in nets.items()}
  assert precisions(lambda p, x: lpips.distance(apply, p, x, x), params, x) == FLOAT32


@pytest.mark.parametrize('name', precision.NAMES)
def test_a_step_and_a_translation_multiply_as_the_config_says(name, monkeypatch):
  """A method of one product, whose gradient has two more."""
  config = defaults.get_config()
  config.precision = name
  config.train.ema = 0.0
  x = frames(1, 1, 4, 4, 3)

  def step(model, state, batch, key):
    grad = jax.grad(lambda w: jnp.sum((batch['a'] @ w @ w)**2))(state.params)
    return state.replace(params=state.params - grad), {}

  def translate(model, params, model_state, carry, clip):
    return carry, clip @ params
  method = types.SimpleNamespace(step=step, translate=translate, PLAYERS={})
  monkeypatch.setattr(parallel, 'map_step', lambda step, mesh, pixels: step)
  state = State(jnp.eye(3), {}, {}, {}, np.int32(0), jax.random.key(0), {})
  raw = {'a': x, 'b': x, 'range_a': jnp.zeros((1, 2)), 'range_b': jnp.zeros((1, 2))}
  model = Model(config, {})
  expected = {'default': {None}, 'high': {'HIGH'}, 'highest': FLOAT32}[name]
  assert precisions(train.compile_step(method, model), state, raw, {},
                    jax.random.key(0)) == expected
  call = translator.compile_chunk(load.Run(method, model, jnp.eye(3), {}, 0))
  assert precisions(lambda x: call(None, x, jnp.zeros((1, 2))), x) == expected


def test_an_unknown_precision_is_refused_and_the_known_ones_are_explained():
  assert tuple(fields.PRECISIONS) == precision.NAMES
  config = defaults.get_config()
  config.precision = 'float64'
  with pytest.raises(UserError, match="precision='float64'.*highest"):
    precision.of(config)

"""CycleGAN: its loss by hand, its passes counted, its players apart."""

import importlib.util
import math
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from method_tools import recorded

from i2vjax.core import model, parallel, state
from i2vjax.core.model import Model
from i2vjax.methods import cyclegan
from i2vjax.run import load

ROOT = pathlib.Path(__file__).parents[2]


def config_of(variant=None):
  spec = importlib.util.spec_from_file_location('cyclegan_config', ROOT / 'configs/cyclegan.py')
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module.get_config(variant)


def tiny():
  config = config_of('demo')
  config.data.update(load_size=32, crop_size=32)
  config.gen.update(width=4, blocks=1)
  config.disc.update(width=4)
  config.gan.pool = 2
  return config


def batch(seed=0):
  frames = jax.random.uniform(jax.random.key(seed), (2, 2, 1, 32, 32, 3), minval=-1)
  return {'a': frames[0], 'b': frames[1]}


def on_one_device(config, nets):
  """(fresh state, step) with plain SGD, without the input pipeline."""
  tx = dict.fromkeys(cyclegan.PLAYERS, optax.sgd(0.01))
  fresh = load.fresh_state(cyclegan, Model(config, nets, tx))

  def step(s, data, fixed, key):
    return cyclegan.step(
      Model(config, nets, optimizers=tx, frozen=fixed, phase='train'), s, data, key
    )

  return fresh, step


@pytest.fixture(scope='module')
def stepped():
  """State before and after one step, and the step's terms."""
  config = tiny()
  before, step = on_one_device(config, cyclegan.networks(config))
  # As they begin, critics differ neither from each other nor between frames: all scores are near 0.
  louder = {'gen_ab': 1, 'gen_ba': 1, 'disc_a': 20, 'disc_b': 40}
  before = before.replace(params={name: jax.tree.map(lambda x, k=k: k * x, before.params[name])
                                  for name, k in louder.items()})
  kept = before.replace(params=parallel.to_host(before.params))   # the step takes its state
  mapped = parallel.map_step(step)
  after, terms = mapped(parallel.place(before), parallel.shard(batch()), {})
  return config, kept, after, terms


def test_trainable_parameters_of_the_paper():
  config = config_of('paper')
  nets = cyclegan.networks(config)
  shapes = {name: jax.eval_shape(nets[name].init, jax.random.key(0), *example)['params']
            for name, example in cyclegan.example_inputs(config).items()}
  assert sum(math.prod(x.shape) for x in jax.tree.leaves(shapes)) == 28_285_832


@pytest.fixture(scope='module')
def translated(stepped):
  """(function of a network's name and frames, a, b, gen_ab(a), gen_ba(b)) before the step."""
  config, before, _, _ = stepped
  nets, data = cyclegan.networks(config), batch()

  def see(name, x):
    return model.apply(nets, before.params, name, x)
  a, b = data['a'][:, 0], data['b'][:, 0]
  return see, a, b, see('gen_ab', a), see('gen_ba', b)


def test_terms_are_finite(stepped):
  _, _, _, terms = stepped
  assert set(terms) == {'adversarial', 'cycle', 'identity', 'disc_a', 'disc_b'}
  assert all(np.isfinite(value) for value in terms.values())


def test_adversarial_terms_and_critics_by_hand(stepped, translated):
  """mean (D_b(b') - 1)^2 + mean (D_a(a') - 1)^2; 1/2 [mean (D(x) - 1)^2 + mean D(x')^2]."""
  terms, (see, a, b, fake_b, fake_a) = stepped[3], translated

  def apart(name, x, target):
    return float(jnp.mean((see(name, x) - target) ** 2))
  np.testing.assert_allclose(
      terms['adversarial'], apart('disc_b', fake_b, 1) + apart('disc_a', fake_a, 1), rtol=1e-4)
  for name, real, fake in (('disc_a', a, fake_a), ('disc_b', b, fake_b)):
    np.testing.assert_allclose(terms[name], (apart(name, real, 1) + apart(name, fake, 0)) / 2,
                               rtol=1e-4)
    assert abs(apart(name, real, 1) + apart(name, fake, 0)
               - apart(name, real, 0) - apart(name, fake, 1)) > 0.02


def test_cycle_and_identity_by_hand(stepped, translated):
  """mean |gen_ba(gen_ab(a)) - a| + mean |gen_ab(gen_ba(b)) - b|, and the identity images."""
  terms, (gen, a, b, fake_b, fake_a) = stepped[3], translated
  cycle = (jnp.mean(jnp.abs(gen('gen_ba', fake_b) - a))
           + jnp.mean(jnp.abs(gen('gen_ab', fake_a) - b)))
  identity = jnp.mean(jnp.abs(gen('gen_ab', b) - b)) + jnp.mean(jnp.abs(gen('gen_ba', a) - a))
  np.testing.assert_allclose(terms['cycle'], cycle, rtol=1e-4)
  np.testing.assert_allclose(terms['identity'], identity, rtol=1e-4)


def test_every_network_moved_and_the_pools_took_the_fakes(stepped):
  _, before, after, _ = stepped
  for name in before.params:
    moved = jax.tree.map(lambda x, y: not np.array_equal(x, y), before.params[name],
                         after.params[name])
    assert any(jax.tree.leaves(moved)), name
  assert int(after.device_state['pool_a']['count'][0]) == 2


def passes(identity):
  """{generator: [batch sizes of its calls]} of one step, found by tracing."""
  config = tiny()
  config.weights.identity = identity
  nets, calls = cyclegan.networks(config), {'gen_ab': [], 'gen_ba': []}
  fresh, step = on_one_device(config, nets)
  one = fresh.replace(device_state=jax.tree.map(lambda x: x[0], fresh.device_state))
  for name, _, images in recorded(lambda: jax.vmap(
      lambda _: step(one, batch(), {}, jax.random.key(0))[1], axis_name=state.AXIS)(jnp.arange(1))):
    if name in calls:
      calls[name].append(images)
  return calls


def test_six_image_passes_in_four_calls():
  assert passes(5.0) == {'gen_ab': [4, 2], 'gen_ba': [4, 2]}


def test_identity_weight_zero_skips_two_passes():
  assert passes(0.0) == {'gen_ab': [2, 2], 'gen_ba': [2, 2]}


def test_clip_in_chunks_equals_the_clip_whole():
  config = tiny()
  nets = cyclegan.networks(config)
  params = load.fresh_params(cyclegan, Model(config, nets))
  frames = jax.random.uniform(jax.random.key(1), (1, 4, 32, 32, 3))

  def translated(part):
    return cyclegan.translate(Model(config, nets, frozen={}), params, {}, None, part)[1]
  whole = translated(frames)
  parts = jnp.concatenate([translated(frames[:, :1]), translated(frames[:, 1:])], 1)
  np.testing.assert_allclose(whole, parts, atol=1e-5)


def test_samples_show_both_directions():
  config = tiny()
  config.data.channels_a = 1
  with pytest.raises(ValueError, match='channels_a=1 and data.channels_b=3.*weights.identity=0'):
    cyclegan.networks(config)
  config.weights.identity = 0.0
  nets = cyclegan.networks(config)
  params = load.fresh_params(cyclegan, Model(config, nets))
  data = batch()
  rows = cyclegan.sample_rows(
    Model(config, nets, frozen={}),
    params,
    {},
    {'a': data['a'][..., :1], 'b': data['b']},
    jax.random.key(0),
  )
  assert list(rows) == ['a', 'a to b', 'back to a', 'b', 'b to a', 'back to b']
  assert all(images.shape == (2, 32, 32, 3) for images in rows.values())

"""CycleGAN: its loss by hand, its passes counted, its players apart."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from method_tools import (
  clips,
  config_of,
  fresh_state,
  one_step,
  parameter_counts,
  recorded,
  with_resnet,
)

from i2vjax.core import parallel
from i2vjax.core.model import Model
from i2vjax.methods import cyclegan
from i2vjax.run import load


def tiny():
  config = with_resnet(config_of('cyclegan', 'demo'))
  config.data.update(load_size=32, crop_size=32)
  config.gen.update(width=4, blocks=1)
  config.disc.update(width=4)
  config.gan.pool = 2
  return config


BATCH = clips(1, batch=2, size=32)


def model_of(config):
  """The method's networks, which learn by plain descent."""
  optimizers = dict.fromkeys(cyclegan.PLAYERS, optax.sgd(0.01))
  return Model(config, cyclegan.networks(config), optimizers)


@pytest.fixture(scope='module')
def stepped():
  """Model, state before and after one step as `train` maps it, and the step's terms."""
  model = model_of(tiny())
  before = load.fresh_state(cyclegan, model)
  # As they begin, critics differ neither from each other nor between frames: all scores are near 0.
  louder = {'gen_ab': 1, 'gen_ba': 1, 'disc_a': 20, 'disc_b': 40}
  before = before.replace(params={name: jax.tree.map(lambda x, k=k: k * x, before.params[name])
                                  for name, k in louder.items()})
  before = before.replace(params=parallel.to_host(before.params))   # the step takes its state
  step = parallel.map_step(lambda s, batch, frozen, key: cyclegan.step(model, s, batch, key))
  after, terms = step(parallel.place(before), parallel.shard(BATCH), {})
  return model, before, after, terms


def test_trainable_parameters_of_the_paper():
  counts = parameter_counts(cyclegan, config_of('cyclegan', 'paper'))
  assert sum(counts.values()) == 28_285_832


@pytest.fixture(scope='module')
def translated(stepped):
  """(function of a network's name and frames, a, b, gen_ab(a), gen_ba(b)) before the step."""
  model, before, _, _ = stepped

  def apply(name, x):
    return model.apply(before.params, name, x)
  a, b = BATCH['a'][:, 0], BATCH['b'][:, 0]
  return apply, a, b, apply('gen_ab', a), apply('gen_ba', b)


def test_terms_are_finite(stepped):
  _, _, _, terms = stepped
  assert set(terms) == {'adversarial', 'cycle', 'identity', 'disc_a', 'disc_b'}
  assert all(np.isfinite(value) for value in terms.values())


def test_adversarial_terms_and_critics_by_hand(stepped, translated):
  """mean (D_b(b') - 1)^2 + mean (D_a(a') - 1)^2; 1/2 [mean (D(x) - 1)^2 + mean D(x')^2]."""
  terms, (apply, a, b, fake_b, fake_a) = stepped[3], translated

  def apart(name, x, target):
    return float(jnp.mean((apply(name, x) - target) ** 2))
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
  """{generator: [batch sizes of its calls]} of one step, by tracing."""
  config = tiny()
  config.weights.identity = identity
  model, calls = model_of(config), {'gen_ab': [], 'gen_ba': []}
  before = fresh_state(cyclegan, model)
  for name, _, images in recorded(lambda: one_step(cyclegan, model, before, BATCH)):
    if name in calls:
      calls[name].append(images)
  return calls


def test_six_image_passes_in_four_calls():
  assert passes(5.0) == {'gen_ab': [4, 2], 'gen_ba': [2, 4]}   # one way, then the other


def test_identity_weight_zero_skips_two_passes():
  assert passes(0.0) == {'gen_ab': [2, 2], 'gen_ba': [2, 2]}


def test_clip_in_chunks_equals_the_clip_whole():
  model = model_of(tiny())
  params = load.fresh_params(cyclegan, model)
  frames = jax.random.uniform(jax.random.key(1), (1, 4, 32, 32, 3))

  def translated(part):
    return cyclegan.translate(model, params, {}, None, part)[1]
  whole = translated(frames)
  parts = jnp.concatenate([translated(frames[:, :1]), translated(frames[:, 1:])], 1)
  np.testing.assert_allclose(whole, parts, atol=1e-5)


def test_an_identity_term_of_unequal_channels_is_refused():
  config = tiny()
  config.data.channels_a = 1
  with pytest.raises(ValueError, match='channels_a=1 and data.channels_b=3.*weights.identity=0'):
    cyclegan.networks(config)


def test_samples_show_both_directions():
  config = tiny()
  config.data.channels_a, config.weights.identity = 1, 0.0
  model = model_of(config)
  params = load.fresh_params(cyclegan, model)
  batch = {'a': BATCH['a'][..., :1], 'b': BATCH['b']}
  rows = cyclegan.sample_rows(model, params, {}, batch, jax.random.key(0))
  assert list(rows) == ['a', 'a to b', 'back to a', 'b', 'b to a', 'back to b']
  assert all(images.shape == (2, 32, 32, 3) for images in rows.values())

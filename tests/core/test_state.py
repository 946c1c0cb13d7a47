"""A player's gradient reaches its own networks and nothing else."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from i2vjax.core import model, parallel, state
from i2vjax.core.model import Model

NETS = {'gen': nn.Dense(2), 'disc': nn.Dense(1)}
X = jnp.arange(6.0).reshape(3, 2)


def fresh():
  params = state.init_params(NETS, {'gen': (X,), 'disc': (X,)}, jax.random.key(0))
  tx = {'gen': optax.sgd(0.1), 'disc': optax.sgd(0.1)}
  opt = {name: tx[name].init({name: params[name]}) for name in NETS}
  return state.State(params, opt, {}, {}, jnp.int32(0), jax.random.key(0)), tx


def move(player):
  before, tx = fresh()

  def loss(params):
    return jnp.mean(
      model.apply(NETS, params, 'disc', model.apply(NETS, params, 'gen', X)) ** 2
    ), None

  mapped = jax.pmap(
    lambda s: state.update(Model({}, {}, tx), s, player, (player,), loss)[0], axis_name=state.AXIS
  )
  after = mapped(jax.tree.map(lambda x: x[None], before))
  return before.params, jax.tree.map(lambda x: x[0], after.params)


@pytest.mark.parametrize(('player', 'other'), [('gen', 'disc'), ('disc', 'gen')])
def test_update_moves_its_player_and_leaves_the_other_bit_equal(player, other):
  before, after = move(player)
  assert all(np.array_equal(x, y) for x, y in zip(
      jax.tree.leaves(before[other]), jax.tree.leaves(after[other]), strict=True))
  assert not np.array_equal(before[player]['kernel'], after[player]['kernel'])


def test_update_in_parts_is_the_update_of_the_sum_and_keeps_less():
  before, tx = fresh()
  wide = jnp.ones((4096, 2))

  def part(factor):
    def loss(params, wait=lambda x: x):
      x = factor * wait(wide)
      for _ in range(6):
        x = jnp.sin(model.apply(NETS, params, 'gen', x))
      return jnp.mean(x), factor
    return loss

  def in_parts(s):
    return state.update_in_parts(Model({}, {}, tx), s, 'gen', ('gen',), [part(1.0), part(2.0)])

  def at_once(s):
    return state.update(Model({}, {}, tx), s, 'gen', ('gen',),
                        lambda p: sum(part(x)(p)[0] for x in (1.0, 2.0)))

  def compiled(step):
    mapped = jax.vmap(step, axis_name=state.AXIS)
    return jax.jit(mapped, compiler_options=parallel._options('cpu')).lower(
        jax.tree.map(lambda x: x[None], before)).compile()
  programs = [compiled(in_parts), compiled(at_once)]
  (after, auxes), (expected, _) = (f(jax.tree.map(lambda x: x[None], before)) for f in programs)
  np.testing.assert_allclose(after.params['gen']['kernel'], expected.params['gen']['kernel'],
                             rtol=1e-5)
  assert [float(np.ravel(x)[0]) for x in auxes] == [1, 2]
  kept = [f.memory_analysis().temp_size_in_bytes for f in programs]
  assert kept[0] <= kept[1]


def test_sgd_step_by_hand():
  """loss = mean((x w)^2) with w = 1: gradient 2 mean(x^2)."""
  net = {'gen': nn.Dense(1, use_bias=False)}
  params, tx = {'gen': {'kernel': jnp.ones((1, 1))}}, {'gen': optax.sgd(0.5)}
  s = state.State(params, {'gen': tx['gen'].init(params)}, {}, {}, jnp.int32(0), jax.random.key(0))
  x = jnp.array([[1.0], [2.0]])

  def loss(p):
    return jnp.mean(model.apply(net, p, 'gen', x) ** 2), None
  out = jax.vmap(lambda _: state.update(Model({}, {}, tx), s, 'gen', ('gen',), loss)[0].params,
                 axis_name=state.AXIS)(jnp.arange(1))
  np.testing.assert_allclose(out['gen']['kernel'].ravel(), 1 - 0.5 * 2 * 2.5)


def test_adding_a_network_leaves_the_others_weights():
  key = jax.random.key(3)
  alone = state.init_params({'gen': NETS['gen']}, {'gen': (X,)}, key)
  both = state.init_params(NETS, {'gen': (X,), 'disc': (X,)}, key)
  np.testing.assert_array_equal(alone['gen']['kernel'], both['gen']['kernel'])


def test_initial_weights_are_the_same_as_part_of_another_program():
  """There they are compiled with the usual options, here with quicker ones."""
  usual = {'xla_backend_optimization_level': 3, 'xla_llvm_disable_expensive_passes': False}
  nets, inputs = {'gen': nn.Dense(64)}, {'gen': (X,)}
  alone = state.init_params(nets, inputs, jax.random.key(3))
  key = jax.random.key(3)
  compiled = functools.partial(jax.jit, compiler_options=usual)
  for part in (compiled(lambda key: state.init_params(nets, inputs, key))(key),
               compiled(lambda: state.init_params(nets, inputs, key))()):
    jax.tree.map(np.testing.assert_array_equal, alone, part)


def test_term_of_weight_zero_is_never_computed():
  def never():
    raise AssertionError('computed')
  total, values = state.weighted({'a': lambda: 3.0, 'b': never}, {'a': 2.0, 'b': 0.0})
  assert (total, values) == (6.0, {'a': 3.0})


def test_a_batch_draws_the_same_on_any_number_of_devices():
  key = jax.random.key(3)
  alone = state.sample_keys(key, 4)
  shared = jax.vmap(lambda _: state.sample_keys(key, 2), axis_name=state.AXIS)(jnp.arange(2))
  as_data = jax.random.key_data
  np.testing.assert_array_equal(as_data(shared).reshape(as_data(alone).shape), as_data(alone))
  np.testing.assert_array_equal(as_data(alone), as_data(jax.random.split(key, 4)))
  own = jax.vmap(lambda _: state.device_key(key), axis_name=state.AXIS)(jnp.arange(2))
  assert len(np.unique(as_data(own), axis=0)) == 2


def test_a_ratio_of_sums_over_devices():
  parts, counts = jnp.array([3.0, 0.0]), jnp.array([2.0, 1.0])
  ratio = jax.vmap(lambda n, d: n / state.pooled(d), axis_name=state.AXIS)(parts, counts)
  assert ratio.mean() == 1.0 and state.pooled(counts) is counts

"""Averages of weights: by hand, beside training, through stop and resume."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import toy
from method_tools import config_of

from i2vjax import methods
from i2vjax.core import parallel, state
from i2vjax.run import averaging, bounds, checkpoint


def moving(values, config):
  """The average after the weight took each of `values`, from a weight of 0."""
  s = state.State({}, {}, {}, {}, jnp.int32(0), None, {'gen': jnp.zeros(())})
  for step, value in enumerate(values):
    s = s.replace(params={'gen': jnp.float32(value)}, step=jnp.int32(step))
    s = averaging.update_averages(s, config)
  return float(s.ema['gen'])


def test_by_hand():
  """d = 1/10, 2/11, 3/12 while that is below the limit."""
  first = 0.9 * 1
  second = 2 / 11 * first + 9 / 11 * 2
  third = 0.25 * second + 0.75 * 4
  assert moving([1, 2, 4], toy.settings()) == pytest.approx(third, rel=1e-6)
  assert moving([1, 2, 4], toy.settings(ema=0.05)) == pytest.approx(
      0.05 * (0.05 * 0.95 + 0.95 * 2) + 0.95 * 4, rel=1e-6)


def test_the_decay_grows_to_its_limit():
  rates = np.array([averaging.decay(0.999, n) for n in (0, 10, 1000, 8990, 100000)])
  np.testing.assert_allclose(rates, [0.1, 11 / 20, 1001 / 1010, 8991 / 9000, 0.999], rtol=1e-6)


def test_weights_that_stand_still_are_their_own_average():
  assert moving([0.3] * 5, toy.settings()) == pytest.approx(0.3 * (1 - 0.1 * 2 / 11 * 0.25 * 4 / 13
                                                               * 5 / 14), rel=1e-6)
  s = state.State({'gen': jnp.full(3, 0.3)}, {}, {}, {}, jnp.int32(7), None,
                  {'gen': jnp.full(3, 0.3)})
  averaged = averaging.update_averages(s, toy.settings())
  np.testing.assert_allclose(averaged.ema['gen'], 0.3, rtol=1e-6)


def test_accumulated_steps_count_once():
  """Weights that move once in two steps are averaged once in two steps."""
  assert moving([5, 1, 5, 2, 5, 4], toy.settings(accumulate=2)) == pytest.approx(
      moving([1, 2, 4], toy.settings()), rel=1e-6)


def test_decay_0_keeps_none():
  method, params = methods.get('cyclegan'), {'gen_ab': {'w': np.ones(2)}}
  assert averaging.fresh(method, params, toy.settings(ema=0.0).train) == {}
  s = state.State(params, {}, {}, {}, jnp.int32(0), None)
  assert averaging.update_averages(s, toy.settings()) is s


@pytest.mark.parametrize('name', methods.names())
def test_papers_keep_no_averages_and_all_else_does(name):
  assert config_of(name, 'paper').train.ema == 0
  assert config_of(name).train.ema == config_of(name, 'demo').train.ema == 0.999


@pytest.mark.parametrize('name', methods.names())
def test_every_network_of_an_average_is_trained(name):
  method = methods.get(name)
  trained = {network for networks in method.PLAYERS.values() for network in networks}
  assert set(averaging.names(method)) <= trained
  assert not any(x.startswith('disc') for x in averaging.names(method))


def test_a_decay_that_is_none_is_refused():
  config = config_of('cyclegan', 'demo')
  config.train.ema = 1.0
  with pytest.raises(ValueError, match='train.ema=1.0: it must be below 1'):
    bounds.check(config)


# ---- In the run folder and on devices


def trained(workdir, steps, ema=0.9):
  """The state of `toy.train` on the host."""
  s, _ = toy.train(workdir, steps, ema)
  return parallel.to_host(s.replace(key=None))


def same(left, right):
  return jax.tree.all(jax.tree.map(np.array_equal, left, right))


@pytest.fixture(scope='module')
def straight(tmp_path_factory):
  """Six steps in one go."""
  return trained(tmp_path_factory.mktemp('straight'), 6)


def test_averages_go_on_bit_for_bit_after_a_stop(straight, tmp_path):
  trained(tmp_path, 3)
  resumed = trained(tmp_path, 6)
  assert same(resumed.ema, straight.ema) and same(resumed.params, straight.params)
  assert not same(straight.ema['gen'], straight.params['gen'])


def test_averages_do_not_change_what_is_trained(straight, tmp_path):
  assert same(trained(tmp_path, 6, ema=0.0).params, straight.params)


def test_a_run_without_averages_begins_them_at_its_weights(tmp_path, caplog):
  before = trained(tmp_path, 3, ema=0.0)
  checkpoints = checkpoint.manager(tmp_path)
  fresh = toy.toy_state({player: optax.adam(1e-2, b1=0.5) for player in toy.PLAYERS},
                        {'gen': nn.Dense(3), 'disc': nn.Dense(1)})
  found, _ = checkpoint.restore(checkpoints, fresh)
  assert 'has no averages of weights (train.ema): they begin at its weights' in caplog.text
  assert same(found.ema['gen'], before.params['gen'])
  trained(tmp_path, 4)
  assert checkpoint.which_weights(checkpoint.manager(tmp_path), 4, 'auto') == 'ema'


def test_leaving_averages_out_is_said(tmp_path, caplog):
  trained(tmp_path, 2)
  assert trained(tmp_path, 3, ema=0.0).ema == {}
  assert 'from here on none are kept' in caplog.text


def test_which_weights(tmp_path):
  trained(tmp_path, 1)
  checkpoints = checkpoint.manager(tmp_path)
  assert [checkpoint.which_weights(checkpoints, 1, x) for x in ('auto', 'ema', 'raw')] == [
      'ema', 'ema', 'raw']
  trained(tmp_path / 'without', 1, ema=0.0)
  checkpoints = checkpoint.manager(tmp_path / 'without')
  assert checkpoint.which_weights(checkpoints, 1, 'auto') == 'raw'
  with pytest.raises(ValueError, match='--weights ema: checkpoint 1 of .*Take --weights raw'):
    checkpoint.which_weights(checkpoints, 1, 'ema')

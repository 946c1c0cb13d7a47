"""Learning-rate formulas by hand."""

import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest

from i2vjax import schedules


def rates(schedule, counts, epochs=2, decay=3, steps=0, fraction=0.0, per_epoch=10):
  optim = ml_collections.ConfigDict(dict(lr=1.0, schedule=schedule))
  train = ml_collections.ConfigDict(dict(epochs=epochs, epochs_decay=decay, steps=steps,
                                         decay_fraction=fraction))
  rate = schedules.learning_rate(optim, train, per_epoch)
  return [float(rate(jnp.int32(c))) for c in counts]


def test_linear_first_decayed_epoch_is_n_and_last_factor_is_one_over_m_plus_one():
  np.testing.assert_allclose(rates('linear', [0, 19, 20, 30, 40, 49]),
                             [1, 1, 0.75, 0.5, 0.25, 0.25])


def test_legacy_decays_one_epoch_earlier_and_ends_at_zero():
  np.testing.assert_allclose(rates('legacy', [0, 9, 10, 20, 30, 40]), [1, 1, 0.75, 0.5, 0.25, 0])


def test_constant_never_decays():
  assert rates('constant', [0, 10**6]) == [1, 1]


def test_steps_decay_over_their_last_share():
  np.testing.assert_allclose(rates('linear', [0, 5, 6, 9], steps=10, fraction=0.4),
                             [1, 1, 0.8, 0.2], rtol=1e-6)


def test_unknown_schedule_is_named():
  with pytest.raises(ValueError, match="optim.schedule='cosine'"):
    rates('cosine', [0])


def test_linear_scaling_multiplies_by_the_devices():
  config = ml_collections.ConfigDict(dict(
      optim=dict(lr=1e-3, b1=0.5, b2=0.999, eps=1e-8, schedule='constant', lr_scale='linear',
                 accumulate=1),
      train=dict(epochs=1, epochs_decay=0, steps=0, decay_fraction=0.0)))
  grads = jnp.ones(3)
  def first_move(count):
    tx = schedules.optimisers(config, ('gen',), 1, count)['gen']
    return float(tx.update(grads, tx.init(grads))[0][0])
  assert first_move(4) == pytest.approx(4 * first_move(1))


def test_accumulated_small_batches_equal_the_large_one():
  config = ml_collections.ConfigDict(dict(
      optim=dict(lr=0.1, b1=0.5, b2=0.999, eps=1e-8, schedule='constant', lr_scale='none',
                 accumulate=1),
      train=dict(epochs=1, epochs_decay=0, steps=0, decay_fraction=0.0)))
  params = jnp.zeros(2)
  one = schedules.optimisers(config, ('gen',), 1)['gen']
  expected, _ = one.update(jnp.array([2.0, -3.0]), one.init(params))
  config.optim.accumulate = 2
  two = schedules.optimisers(config, ('gen',), 1)['gen']
  first, state = two.update(jnp.array([1.0, -3.0]), two.init(params))
  second, _ = two.update(jnp.array([3.0, -3.0]), state)
  np.testing.assert_array_equal(first, 0)
  np.testing.assert_allclose(second, expected, rtol=1e-6)

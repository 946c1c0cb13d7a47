"""Learning-rate formulas by hand."""

import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest

from i2vjax.run import phases, schedules


def rates(schedule, counts, epochs=2, decay=3, steps=0, fraction=0.0, per_epoch=10):
  optim = ml_collections.ConfigDict(dict(lr=1.0, schedule=schedule, lr_scale='none', warmup=0))
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
  config = ml_collections.ConfigDict(
    dict(
      optim=dict(
        lr=1e-3,
        b1=0.5,
        b2=0.999,
        eps=1e-8,
        schedule='constant',
        lr_scale='linear',
        warmup=0,
        accumulate=1,
      ),
      critic=dict(lr=1.0),
      train=dict(epochs=1, epochs_decay=0, steps=0, decay_fraction=0.0),
    )
  )
  grads = jnp.ones(3)
  def first_move(count):
    tx = schedules.optimizers(config, ('gen',), 1, count)['gen']
    return float(tx.update(grads, tx.init(grads))[0][0])
  assert first_move(4) == pytest.approx(4 * first_move(1))


def test_accumulated_small_batches_equal_the_large_one():
  config = ml_collections.ConfigDict(dict(
      optim=dict(lr=0.1, b1=0.5, b2=0.999, eps=1e-8, schedule='constant', lr_scale='none', warmup=0,
                 accumulate=1),
      critic=dict(lr=1.0), train=dict(epochs=1, epochs_decay=0, steps=0, decay_fraction=0.0)))
  params = jnp.zeros(2)
  one = schedules.optimizers(config, ('gen',), 1)['gen']
  expected, _ = one.update(jnp.array([2.0, -3.0]), one.init(params))
  config.optim.accumulate = 2
  two = schedules.optimizers(config, ('gen',), 1)['gen']
  first, state = two.update(jnp.array([1.0, -3.0]), two.init(params))
  second, _ = two.update(jnp.array([3.0, -3.0]), state)
  np.testing.assert_array_equal(first, 0)
  np.testing.assert_allclose(second, expected, rtol=1e-6)


@pytest.mark.parametrize('epochs,steps', [(2, 0), (0, 14)])
def test_an_accumulated_move_has_the_rate_of_the_step_it_is_made_in(epochs, steps):
  config = ml_collections.ConfigDict(
    dict(
      optim=dict(
        lr=0.1,
        b1=0.0,
        b2=0.0,
        eps=1e-30,
        schedule='linear',
        lr_scale='none',
        accumulate=2,
        warmup=0,
      ),
      critic=dict(lr=1.0),
      train=dict(epochs=epochs, epochs_decay=2, steps=steps, decay_fraction=0.5),
    )
  )
  rate = schedules.learning_rate(config.optim, config.train, 3)   # 3 steps: no multiple of 2
  tx = schedules.optimizers(config, ('gen',), 3)['gen']
  state, moved = tx.init(jnp.zeros(1)), []
  for _ in range(12):
    update, state = tx.update(jnp.ones(1), state)
    moved.append(-float(update[0]))   # Adam without memory moves by the rate
  np.testing.assert_allclose(moved, [float(rate(n)) if n % 2 else 0 for n in range(12)], rtol=1e-5)
  assert moved[11] < 0.5 * moved[1]


def test_the_rate_in_the_log_is_that_of_all_devices():
  optim = ml_collections.ConfigDict(dict(lr=1e-3, schedule='constant', lr_scale='linear',
                                          warmup=0))
  train = ml_collections.ConfigDict(dict(epochs=1, epochs_decay=0, steps=0, decay_fraction=0.0))
  assert schedules.learning_rate(optim, train, 3, 4)(0) == pytest.approx(4e-3)


class Phased:
  """A stub of a method module with two phases."""

  @staticmethod
  def phases(config):
    return [(0, 'warm'), (10, 'full')]


def test_phase_of_a_step():
  config = ml_collections.ConfigDict()
  found = [phases.program_key(Phased, config, step) for step in (0, 9, 10)]
  assert found == ['warm', 'warm', 'full']
  assert phases.program_key(object(), config, 3) == 'train'


def test_length_in_steps_or_epochs():
  config = ml_collections.ConfigDict(dict(train=dict(steps=0, epochs=3, epochs_decay=2)))
  assert phases.total_steps(config, 7) == 35
  config.train.steps = 9
  assert phases.total_steps(config, 7) == 9

"""Learning-rate schedules and the Adam optimizers that follow them."""

from collections.abc import Callable, Iterable

import jax
import jax.numpy as jnp
import optax
from ml_collections import ConfigDict

from i2vjax.core.errors import UserError

Rate = Callable[[int | jax.Array], float | jax.Array]   # steps done -> learning rate


def learning_rate(optim: ConfigDict, train: ConfigDict, steps_per_epoch: int,
                  device_count: int = 1) -> Rate:
  """Rate as a function of the number of steps done.

  'linear': 1 - max(0, e + 1 - N) / (M + 1), e the epoch from 0, N = `train.epochs` constant
  epochs, M = `train.epochs_decay` decaying ones (public CUT code); 'legacy': the same with e + 2,
  whose last epoch stands still (public I2V-GAN and Recycle-GAN code); 'constant'.

  Args:
    optim: config block with `lr` and `schedule`.
    train: config block with `epochs`, `epochs_decay`, `steps`. With `steps` > 0 the run is measured
      in steps: the same formulas with one step as the epoch and the last
      `train.decay_fraction` of the steps decaying.
    steps_per_epoch: steps in an epoch.
    device_count: with `optim.lr_scale='linear'` the rate is multiplied by it.

  Returns:
    steps done -> rate.
  """
  if optim.schedule not in ('linear', 'legacy', 'constant'):
    raise UserError(f"optim.schedule={optim.schedule!r}: choose 'linear', 'legacy' or 'constant'")
  if train.steps:
    decay = int(train.steps * train.decay_fraction)
    constant, decay, unit = train.steps - decay, decay, 1
  else:
    constant, decay, unit = train.epochs, train.epochs_decay, steps_per_epoch
  full = optim.lr * (device_count if optim.lr_scale == 'linear' else 1)
  if optim.schedule == 'constant' or not decay:
    return _warmed_up(optax.constant_schedule(full), optim.warmup)
  ahead = 2 if optim.schedule == 'legacy' else 1

  def rate(count):
    epoch = count // unit
    return full * (1 - jnp.clip(epoch + ahead - constant, 0, decay + 1) / (decay + 1))
  return _warmed_up(rate, optim.warmup)


def _warmed_up(rate, steps):
  """The rate, growing from 1 / `steps` of itself over the first `steps` steps."""
  if not steps:
    return rate
  return lambda count: rate(count) * jnp.minimum((count + 1) / steps, 1)


def _scale_by_rate(rate, every):
  """Updates times -rate of the extra argument `step`, or, without one, of the moves made before.

  Its state is that of `optax.scale_by_schedule`, as checkpoints hold it.

  Args:
    rate: steps done -> rate. every: steps to a move.
  """
  def update(updates, state, params=None, *, step=None, **others):
    del params, others
    if step is None:
      step = every * state.count + every - 1
    count = optax.safe_increment(state.count)
    scaled = jax.tree.map(lambda x: -jnp.asarray(rate(step), x.dtype) * x, updates)
    return scaled, optax.ScaleByScheduleState(count)
  return optax.GradientTransformationExtraArgs(
      lambda params: optax.ScaleByScheduleState(jnp.zeros((), jnp.int32)), update)


def optimizers(config: ConfigDict, players: Iterable[str], steps_per_epoch: int,
               device_count: int = 1) -> dict[str, optax.GradientTransformation]:
  """{player: Adam} at the rate of `learning_rate`: every published method here trains by Adam.

  The rate is that of the run's step, however often a player has moved before: one may begin later
  than others, or move twice in a step. Players named `disc...` train critics, at `critic.lr` times
  the rate. `optim.accumulate` = k moves once in k steps by the mean of their gradients, which
  equals a k times larger batch for losses that are means over samples.
  """
  optim, k = config.optim, config.optim.accumulate
  rate = learning_rate(optim, config.train, steps_per_epoch, device_count)

  def adam(factor):
    tx = optax.chain(optax.scale_by_adam(b1=optim.b1, b2=optim.b2, eps=optim.eps),
                     _scale_by_rate(lambda step: factor * rate(step), k))
    return optax.MultiSteps(tx, k).gradient_transformation() if k > 1 else tx
  return {player: adam(config.critic.lr if player.startswith('disc') else 1.0)
          for player in players}

"""The training state, and one optimizer step of one player.

A step runs on one device of a mapped axis named `AXIS`. `update` differentiates with respect to the
networks of one player alone, so its gradient cannot reach another player's weights. A method that
takes gradients itself, to use one forward pass twice (`jax.vjp` in cut.py, cptrans.py and others),
hands them to `apply_gradients`, which moves the networks it gets gradients of and no others.
"""

import functools
import zlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from flax import struct

from i2vjax.core import backend
from i2vjax.core.model import Model

AXIS = 'data'   # name of the device axis inside every step
# LLVM's level 2 draws the same bits as its usual 3, as fast, and compiles in a fifth of the time.
QUICK = {'xla_backend_optimization_level': 2}


class State(struct.PyTreeNode):
  """All that training changes.

  Attributes:
    params: {network name: parameters}.
    opt: {player name: optimizer state}.
    model_state: batch statistics, spectral-norm vectors, memories; equal on all devices.
    device_state: per-device things (image pools); alone has a leading device axis outside a step.
    step: int32 scalar, steps done.
    key: typed PRNG key of the run; never used itself, only folded.
    ema: {network name: average of its parameters} of those that translate; {}: none are kept.
  """

  params: Mapping[str, Any]
  opt: Mapping[str, optax.OptState]
  model_state: Any
  device_state: Any
  step: Any   # an int32 scalar of NumPy or JAX
  key: Any
  ema: Mapping[str, Any] = struct.field(default_factory=dict)


def name_key(key: jax.Array, name: str) -> jax.Array:
  """Key for `name`: adding a network or a purpose leaves all other draws as they were."""
  return jax.random.fold_in(key, zlib.crc32(name.encode()))


def sample_keys(key: jax.Array, count: int) -> jax.Array:
  """[count] keys, one for each of the samples that this device holds of the batch.

  Samples are numbered through over all devices: what is drawn for a sample does not depend on how
  many devices share the batch. On one device these are the keys of `jax.random.split`.
  """
  numbers = _device() * count + jnp.arange(count)
  return jax.vmap(jax.random.fold_in, (None, 0))(key, numbers)


def device_key(key: jax.Array) -> jax.Array:
  """A key of this device alone, for draws that belong to no sample of the batch."""
  return jax.random.fold_in(key, _device())


def pooled(x: jax.Array) -> jax.Array:
  """Mean over the devices of a mapped step; `x` where nothing is mapped.

  For a loss that is a ratio of sums: with the pooled denominator below each device's own numerator,
  the mean of losses, and of gradients, over the devices is the ratio of the whole batch.
  """
  try:
    return jax.lax.pmean(x, AXIS)
  except NameError:   # a sample sheet, or a loss by itself: there is one device
    return x


def _device():
  """Number of this device on the mapped axis; 0 where nothing is mapped."""
  try:
    return jax.lax.axis_index(AXIS)
  except NameError:
    return 0


def init_params(nets: Mapping[str, nn.Module], inputs: Mapping[str, tuple],
                key: jax.Array) -> dict[str, Any]:
  """Initial parameters of each network, drawn by the network's own name.

  Args:
    nets: {name: flax module}.
    inputs: {name: tuple of example arrays the module is called with}, for these names or more.
    key: typed PRNG key.

  Returns:
    {name: params}.
  """
  def one(name):
    return init_compiled(nets[name].init, name_key(key, name), *inputs[name])['params']
  return {name: one(name) for name in nets}


def init_compiled(init: Callable, key: jax.Array, *inputs: Any) -> Any:
  """init(key, *inputs), compiled quickly: many draws of random numbers that run once."""
  # Options hold for a whole program: there are none while this is traced as part of another.
  alone = jax.default_backend() == 'cpu' and not isinstance(key, jax.core.Tracer)
  return jax.jit(init, compiler_options=QUICK if alone else None)(key, *inputs)


def pmean(tree: Any) -> Any:
  """Mean over the devices of the mapped axis."""
  return jax.lax.pmean(tree, AXIS)


def update(model: Model, state: State, player: str, names: Iterable[str],
           loss_fn: Callable) -> tuple[State, Any]:
  """One optimizer step of one player.

  Args:
    model: Model; its optimizers are used.
    state: State.
    player: key into `model.optimizers` and `state.opt`.
    names: the networks this player trains.
    loss_fn: params of all networks -> (scalar, aux), or a scalar alone, which then is the aux too.
      Networks of other players enter as constants.

  Returns:
    (state, aux). Gradients are averaged over the devices, which equals the gradient of the large
    batch for losses that are means over samples.
  """
  def loss(params_of_player):
    out = loss_fn({**state.params, **params_of_player})
    return out if isinstance(out, tuple) else (out, out)

  params_of_player = {name: state.params[name] for name in names}
  grads, aux = jax.grad(loss, has_aux=True)(params_of_player)
  return apply_gradients(model, state, player, grads), aux


def update_in_parts(model: Model, state: State, player: str, names: Iterable[str],
                    losses: Iterable[Callable]) -> tuple[State, list]:
  """`update` for the sum of several losses, which need not be held in memory together.

  Their gradients are taken one after the other, so that what the backward pass of one needs is
  let go before the next begins.

  Args:
    model, state, player, names: as in `update`.
    losses: each (params of all networks, wait) -> (scalar, aux). It reads its frames through
      `wait`, an array that comes out as it went in, once the gradients before are there.

  Returns:
    (state, aux of each).
  """
  own: dict[str, Any] = {name: state.params[name] for name in names}
  total, auxes = None, []
  for loss in losses:
    def of_own(params, loss=loss, done=total):
      return loss({**state.params, **params}, functools.partial(_after, done))
    grads, aux = jax.grad(of_own, has_aux=True)(own)
    total = grads if total is None else jax.tree.map(jnp.add, total, grads)
    auxes.append(aux)
  assert total is not None, 'there is a loss'
  return apply_gradients(model, state, player, total), auxes


def _after(done, x):
  """`x`, as a result of the tree `done`: XLA on CPUs would begin what follows at once."""
  if done is None or backend.name() != 'cpu':
    return x
  mark = sum(jnp.ravel(leaf)[0] for leaf in jax.tree.leaves(done))
  return jnp.where(jnp.isnan(mark), mark, x)   # barriers are gone before XLA orders operations


def apply_gradients(model: Model, state: State, player: str, grads: Mapping[str, Any]) -> State:
  """Move one player along `grads` ({network name: gradient}), averaged over the devices.

  Optimizers that take it are told the run's step (`step`), which their rate follows.
  """
  params = {name: state.params[name] for name in grads}
  optimizer = optax.with_extra_args_support(model.optimizers[player])
  delta, opt = optimizer.update(pmean(grads), state.opt[player], params, step=state.step)
  return state.replace(params={**state.params, **optax.apply_updates(params, delta)},
                       opt={**state.opt, player: opt})


def weighted(terms: Mapping[str, Callable[[], jax.Array]],
             weights: Mapping[str, float]) -> tuple[Any, dict[str, jax.Array]]:
  """Weighted sum of the loss terms of one player.

  Args:
    terms: {name: function without arguments that returns a scalar}. A term of weight 0 is never
      called, so it costs nothing and is not logged.
    weights: mapping with (at least) the same names.

  Returns:
    (total, {name: unweighted value}); the total is the int 0 where every weight is 0.
  """
  values = {name: term() for name, term in terms.items() if weights[name]}
  return sum(weights[name] * value for name, value in values.items()), values

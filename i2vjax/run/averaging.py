"""Exponential moving averages (EMA) of the weights that translate.

A GAN's last weights wander around what it has learned; their average over the last thousand steps
or so draws steadier and cleaner pictures (Yazici et al., ICLR 2019). The average is kept beside the
training and never enters it: a run with `train.ema` trains the same weights as one without.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from ml_collections import ConfigDict

from i2vjax.core import parallel
from i2vjax.core.state import State
from i2vjax.methods import base

WARM_UP = 10   # of the usual rule (1 + n) / (10 + n)


def names(method: base.Method) -> list[str]:
  """The networks whose averages are kept: those that translate and are trained."""
  trained = [name for names in method.PLAYERS.values() for name in names]
  return [name for name in method.INFERENCE_NETWORKS if name in trained]


def fresh(method: base.Method, params: Mapping[str, Any], train: ConfigDict) -> dict[str, Any]:
  """Averages to begin with: copies of the weights, or {} where `train.ema` is 0."""
  if not train.ema:
    return {}
  # Their own memory: weights and averages are both donated to every step.
  return parallel.to_host({name: params[name] for name in names(method)})


def decay(limit: float, moves: int | jax.Array) -> jax.Array:
  """min(limit, (1 + n) / (10 + n)) after n moves: early averages forget the initial noise."""
  return jnp.minimum(limit, (1 + moves) / (WARM_UP + moves))


def update_averages(state: State, config: ConfigDict) -> State:
  """The state with averages that have seen its weights; one without averages passes through.

  avg <- d avg + (1 - d) weights, once for every move of the weights (`optim.accumulate`).

  Args:
    state: State after the players have moved, `step` still that before the move.
    config: of the run.
  """
  if not state.ema:
    return state
  every = config.optim.accumulate
  d = decay(config.train.ema, state.step // every)
  if every > 1:
    d = jnp.where((state.step + 1) % every == 0, d, 1.0)
  weights = {name: state.params[name] for name in state.ema}
  return state.replace(ema=optax.incremental_update(weights, state.ema, 1 - d))

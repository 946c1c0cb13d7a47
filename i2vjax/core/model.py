"""A method's networks, optimizers and frozen parameters."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import optax
from ml_collections import ConfigDict


@dataclasses.dataclass(frozen=True)
class Model:
  """What every function of a method gets first.

  Frozen parameters are traced with the arguments of a compiled step (`replace`), never constants of
  the program, and never in a checkpoint.

  Attributes:
    config: the run's config.
    networks: {name: flax module}, frozen ones included.
    optimizers: {player: optimizer}; empty where nothing is trained.
    frozen: {name: parameters} of the frozen networks.
    phase: what a step is compiled for: name of the training's phase, or the pair (name, choice) of
      a method with the hook `step_variant` (run/phases.py, `program_key`).
    critic_view: (network, frames) -> what critics see of them while training; None: frames as they
      are.
  """

  config: ConfigDict
  networks: Mapping[str, nn.Module]
  optimizers: Mapping[str, optax.GradientTransformation] = dataclasses.field(default_factory=dict)
  frozen: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  phase: Any = 'train'
  critic_view: Callable | None = None

  def apply(self, params: Mapping[str, Any], name: str, *inputs, **options) -> Any:
    """Network `name` with `params[name]`; of a frozen network with `model.frozen`."""
    if self.critic_view and name.startswith('disc'):
      inputs = (self.critic_view(name, inputs[0]), *inputs[1:])
    return apply(self.networks, params, name, *inputs, **options)

  def replace(self, **changes) -> Model:
    """A copy with other values in some fields."""
    return dataclasses.replace(self, **changes)


def apply(networks: Mapping[str, nn.Module], params: Mapping[str, Any], name: str, *inputs,
          **options) -> jax.Array | Any:
  """Apply network `name` of `networks` with `params[name]`."""
  return networks[name].apply({'params': params[name]}, *inputs, **options)

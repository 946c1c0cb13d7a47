"""Use a two-way run from domain b to a."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from i2vjax.core.errors import UserError
from i2vjax.run.load import Run

GENERATORS = ('gen_ab', 'gen', 'gen_ba')   # the networks that translate


def in_direction(run: Run, network: str | None) -> Run:
  """The run that translates by `network`.

  Args:
    run: load.Run.
    network: 'gen_ab' or 'gen', what a run translates by; 'gen_ba': the way back; None: the usual.

  Returns:
    The run itself, or `swap_domains` of it for 'gen_ba'.

  Raises:
    UserError: this run has no such generator.
  """
  generators = [name for name in GENERATORS if name in run.params]
  if network is not None and network not in generators:
    raise UserError(f'--network {network}: this run translates by {" or ".join(generators)}')
  return swap_domains(run) if network == 'gen_ba' else run


def swap_domains(run: Run) -> Run:
  """The run with its domains exchanged: the generator from b to a becomes `gen_ab`.

  Every network of a domain changes place with its partner, predictors included; `data.direction`
  turns round, so that evaluation takes its source frames from the other domain.
  """
  config = run.config.copy_and_resolve_references()
  with config.unlocked():
    data = config.data
    data.channels_a, data.channels_b = data.channels_b, data.channels_a
    data.direction = {'a2b': 'b2a', 'b2a': 'a2b'}[data.direction]
  model = run.model.replace(config=config, networks=swap_names(run.model.networks),
                            frozen=swap_names(run.model.frozen))
  return dataclasses.replace(run, model=model, params=swap_names(run.params),
                             model_state=swap_names(run.model_state))


def swap_names(by_name: Mapping[str, Any]) -> dict[str, Any]:
  """{'gen_ab': x, 'gen_ba': y, 'vgg19': z} -> {'gen_ab': y, 'gen_ba': x, 'vgg19': z}."""
  return {name: by_name.get(partner(name), item) for name, item in by_name.items()}


def partner(name: str) -> str:
  """Name of the network of the other domain or direction; without any, its own."""
  stem, _, side = name.rpartition('_')
  other = {'a': 'b', 'b': 'a', 'ab': 'ba', 'ba': 'ab'}.get(side)
  return f'{stem}_{other}' if stem and other else name

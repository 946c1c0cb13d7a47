"""Refuse config fields whose values cannot be meant."""

import math

from ml_collections import ConfigDict

from i2vjax import defaults
from i2vjax.core.errors import UserError
from i2vjax.run import folder as run_folder

LARGEST = {int: 2**62, float: 3e38}   # beyond it NumPy's int64 and JAX' float32 have none


def check(config: ConfigDict) -> None:
  """Refuse a settled config with a number that cannot be meant (`defaults.FIELDS`).

  Raises:
    UserError: names the field, its value and what would do.
  """
  check_values(config)
  flat = run_folder.flatten(config)
  epochs = flat.get('eval.epochs', [])
  if not all(isinstance(epoch, int) and epoch > 0 for epoch in epochs):
    raise UserError(f'eval.epochs={epochs}: write epochs from 1 on, as in 10,20,40')
  decay, rate = flat.get('train.ema', 0), flat['optim.lr']
  if not 0 <= decay < 1:
    raise UserError(f'train.ema={decay}: a decay lies from 0 (no averages) to below 1')
  if rate <= 0:
    raise UserError(f'optim.lr={rate}: a rate must be above 0')


def check_values(config: ConfigDict) -> None:
  """The same for each field alone: also of a config that nobody trains with any more."""
  for name, value in run_folder.flatten(config).items():
    choices = defaults.choices(name)
    for number in value if isinstance(value, list) else [value]:
      if isinstance(number, int | float):
        _check_number(name, number)
    if choices and value not in choices:
      texts = [f'{choice} ({meaning})' for choice, meaning in choices.items()]
      raise UserError(f'{name}={value}: choose {" or ".join(texts)}')


def _check_number(name, number):
  if abs(number) > LARGEST[int if isinstance(number, int) else float] or not math.isfinite(number):
    raise UserError(f'{name}={number}: it must be a finite number, and none so large')
  least, most = defaults.lower_bound(name), defaults.upper_bound(name)
  if least is not None and number < least:
    raise UserError(f'{name}={number}: it must be at least {least}')
  if most is not None and number > most:
    raise UserError(f'{name}={number}: it must be at most {most}')

"""Refuse config fields whose values cannot be meant."""

import math

from ml_collections import ConfigDict

from i2vjax import fields
from i2vjax.core import class_names
from i2vjax.core.errors import UserError
from i2vjax.run import folder as run_folder

LARGEST = {int: 2**62, float: 3e38}   # beyond it NumPy's int64 and JAX' float32 have none


def check(config: ConfigDict) -> None:
  """Refuse a settled config with a number that cannot be meant (`fields.FIELDS`).

  Raises:
    UserError: names the field, its value and what would do.
  """
  check_values(config)
  if config.optim.lr <= 0:
    raise UserError(f'optim.lr={config.optim.lr}: a rate must be above 0')


def check_values(config: ConfigDict) -> None:
  """The same for each field alone: also of a config that nobody trains with any more."""
  flat = run_folder.flatten(config)
  for name, value in flat.items():
    choices = fields.choices(name)
    for number in value if isinstance(value, list) else [value]:
      if isinstance(number, int | float):
        _check_number(name, number)
    if choices and value not in choices:
      texts = [f'{choice} ({meaning})' for choice, meaning in choices.items()]
      raise UserError(f'{name}={value}: choose {" or ".join(texts)}')
  epochs, degrees = flat.get('eval.epochs', []), flat.get('eval.kid_degrees', [3])
  if not _from_one(epochs):
    raise UserError(f'eval.epochs={epochs}: write epochs from 1 on, as in 10,20,40')
  if not degrees or not _from_one(degrees):
    raise UserError(f'eval.kid_degrees={degrees}: write degrees from 1 on, as in 3,21')
  if 'eval.classes' in flat:
    class_names.class_list(flat['eval.classes'])   # raises where a name is unknown


def _from_one(numbers):
  return all(isinstance(number, int) and number > 0 for number in numbers)


def _check_number(name, number):
  if abs(number) > LARGEST[int if isinstance(number, int) else float] or not math.isfinite(number):
    raise UserError(f'{name}={number}: it must be a finite number, and none so large')
  least, most = fields.lower_bound(name), fields.upper_bound(name)
  if least is not None and number < least:
    raise UserError(f'{name}={number}: it must be at least {least}')
  if most is not None and number > most:
    raise UserError(f'{name}={number}: it must be at most {most}')
  if (end := fields.field(name).below) is not None and number >= end:
    raise UserError(f'{name}={number}: it must be below {end}')

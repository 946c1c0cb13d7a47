"""Refuse config fields whose values cannot be meant."""

from ml_collections import ConfigDict

from i2vjax import defaults
from i2vjax.core.errors import UserError
from i2vjax.run import folder as run_folder


def check(config: ConfigDict) -> None:
  """Refuse a settled config with a number that cannot be meant (`defaults.FIELDS`).

  Raises:
    UserError: names the field, its value and what would do.
  """
  flat = run_folder.flatten(config)
  for name, value in flat.items():
    least, choices = defaults.lower_bound(name), defaults.choices(name)
    if None not in (least, value) and value < least:
      raise UserError(f'{name}={value}: it must be at least {least}')
    if choices and value not in choices:
      texts = [f'{choice} ({meaning})' for choice, meaning in choices.items()]
      raise UserError(f'{name}={value}: choose {" or ".join(texts)}')
  epochs = flat.get('eval.epochs', [])
  if not all(isinstance(epoch, int) and epoch > 0 for epoch in epochs):
    raise UserError(f'eval.epochs={epochs}: write epochs from 1 on, as in 10,20,40')
  decay, rate = flat.get('train.ema', 0), flat['optim.lr']
  if not 0 <= decay < 1:
    raise UserError(f'train.ema={decay}: a decay lies from 0 (no averages) to below 1')
  if rate <= 0:
    raise UserError(f'optim.lr={rate}: a rate must be above 0')

"""The methods, one file each, found by name with `get`.

What a method offers is in base.py; names of what methods share are in `PARTS`.
"""

import importlib
import pkgutil

from i2vjax.core.errors import UserError, did_you_mean

PARTS = ('base', 'shared', 'feature_terms', 'triplets', 'vit_parts', 'morngan_memory')


def names():
  """All methods, sorted."""
  return sorted({module.name for module in pkgutil.iter_modules(__path__)} - set(PARTS))


def get(name):
  """The method's module (`base.Method`).

  Raises:
    UserError: no such method; lists those there are.
  """
  if name not in names():
    raise UserError(f'config.method={name!r}: no such method; there are {", ".join(names())}.'
                    f'{did_you_mean(name, names())}')
  return importlib.import_module(f'{__name__}.{name}')

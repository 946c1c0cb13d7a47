"""The methods, one file each, found by name with `get`.

What a method offers is in base.py. A file that defines `PLAYERS` is a method; the others are parts
that methods share.
"""

import importlib
import pkgutil
import re

from i2vjax.core.errors import UserError, did_you_mean


def names():
  """All methods, sorted. Their files are read, not imported."""
  return sorted(module.name for module in pkgutil.iter_modules(__path__)
                if re.search(r'^PLAYERS\b', _source(module), re.M))


def _source(module):
  return module.module_finder.find_spec(module.name).loader.get_source(module.name)


def get(name):
  """The method's module (`base.Method`).

  Raises:
    UserError: no such method; lists those there are.
  """
  if name not in names():
    raise UserError(f'config.method={name!r}: no such method; there are {", ".join(names())}.'
                    f'{did_you_mean(name, names())}')
  return importlib.import_module(f'{__name__}.{name}')

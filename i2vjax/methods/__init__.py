"""One file per method. `get` finds it by name; the optional parts have their defaults here."""

import importlib
import pkgutil

REQUIRED = ('PLAYERS', 'networks', 'inputs', 'step', 'translate')


def names():
  """All methods, sorted."""
  return sorted(module.name for module in pkgutil.iter_modules(__path__))


def get(name):
  """The method's module.

  Raises:
    ValueError: no such method; lists those there are.
  """
  if name not in names():
    raise ValueError(f'config.method={name!r}: no such method; there are {", ".join(names())}')
  return importlib.import_module(f'{__name__}.{name}')


def optional(method, part, *args, default=None):
  """Call `method.part(*args)` where the method has it, else return `default`."""
  return getattr(method, part)(*args) if hasattr(method, part) else default

"""What kind of device a program is traced for."""

import contextlib
import contextvars
from collections.abc import Iterator

import jax

_COMPILING_FOR: contextvars.ContextVar[str] = contextvars.ContextVar('compiling_for', default='')


def name() -> str:
  """'cpu', 'gpu' or 'tpu': what the traced program will run on."""
  return _COMPILING_FOR.get() or jax.default_backend()


@contextlib.contextmanager
def compiling_for(platform: str) -> Iterator[None]:
  """Have `name` tell another platform: what is traced meanwhile is compiled for that one."""
  token = _COMPILING_FOR.set(platform)
  try:
    yield
  finally:
    _COMPILING_FOR.reset(token)

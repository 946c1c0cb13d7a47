"""Precision of products on accelerators; exact where float32 is promised.

XLA rounds the factors of a float32 product to what a device multiplies fast: 10 bits of fraction on
NVIDIA GPUs (TF32), 7 on TPUs (bfloat16). CPUs do not. `config.precision` decides for a method's
networks. What measures (scores, descriptors, content weights, clusters) is `exact`, whatever it
says.
"""

import contextlib
import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import jax
from ml_collections import ConfigDict

from i2vjax.core.errors import UserError

NAMES = ('default', 'high', 'highest')   # what they mean: fields.PRECISIONS
P = ParamSpec('P')
T = TypeVar('T')


def exact(function: Callable[P, T]) -> Callable[P, T]:
  """Decorator: products inside are those of float32 on every device, their gradients too.

  It acts while the function is traced, so it stands inside `jax.jit`, next to the function.
  """
  @functools.wraps(function)
  def traced(*args: P.args, **kwargs: P.kwargs) -> T:
    with jax.default_matmul_precision('highest'):
      return function(*args, **kwargs)
  return traced


def of(config: ConfigDict) -> contextlib.AbstractContextManager:
  """Context in which the networks of a run are traced, from `config.precision`.

  'default' changes nothing: XLA's own choice, or that of JAX_DEFAULT_MATMUL_PRECISION.

  Raises:
    UserError: no such precision.
  """
  name = config.get('precision', 'default')
  if name not in NAMES:
    raise UserError(f'precision={name!r}: choose one of {", ".join(NAMES)}')
  return contextlib.nullcontext() if name == 'default' else jax.default_matmul_precision(name)

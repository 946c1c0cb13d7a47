"""Memory of the process on a Linux CPU: kept, and handed back.

There a step takes all its temporaries from glibc, in one block of up to several GB. With another
system or C library, or on an accelerator, nothing here does anything.
"""

from __future__ import annotations

import contextlib
import ctypes
import time
from collections.abc import Callable
from typing import Any

import jax

LARGE = 256 * 2**20       # bytes of temporaries from which a step waits for them
LONGEST_WAIT = 1.0        # seconds


class _Use(ctypes.Structure):
  """`struct mallinfo2` of glibc 2.33 and newer."""

  _fields_ = [(name, ctypes.c_size_t) for name in (
      'arena', 'ordblks', 'smblks', 'hblks', 'hblkhd', 'usmblks', 'fsmblks', 'uordblks',
      'fordblks', 'keepcost')]


def _glibc(function):
  """The library if it has this function, or None."""
  with contextlib.suppress(AttributeError, OSError, TypeError):   # Windows has no CDLL(None)
    library = ctypes.CDLL(None)
    getattr(library, function)
    return library
  return None


def keep() -> None:
  """Have freed memory kept instead of handed back to the system after each call.

  Large temporary arrays otherwise come back as untouched pages in every step, and touching them
  anew costs up to half of its time. One arena, because the arenas of other threads hold 64 MB at
  most and take anything larger from the system. Call before any thread exists.
  """
  if glibc := _glibc('mallopt'):
    glibc.mallopt(-8, 1)            # M_ARENA_MAX
    glibc.mallopt(-4, 0)            # M_MMAP_MAX: nothing from mmap
    glibc.mallopt(-1, -1)           # M_TRIM_THRESHOLD: nothing handed back, however large


def hand_back() -> None:
  """What is free goes back to the system, once: the compiler leaves up to 1 GB."""
  if glibc := _glibc('malloc_trim'):
    glibc.malloc_trim(0)


def until_freed(step: Callable[..., Any], temporaries: int) -> Callable[..., Any]:
  """`step`, returning only when its temporaries are free again; small ones are not waited for.

  XLA lets go of them some milliseconds after its results are there. A step that begins meanwhile
  takes new ones beside them, and as freed memory is kept, the process holds both from then on.

  Args:
    step: a compiled program on a CPU. temporaries: bytes it takes while it runs.
  """
  glibc = _glibc('mallinfo2')
  if glibc is None or temporaries < LARGE:
    return step
  glibc.mallinfo2.restype = _Use

  def waiting(*args):
    before = glibc.mallinfo2().uordblks
    results = jax.block_until_ready(step(*args))
    end = time.monotonic() + LONGEST_WAIT
    while glibc.mallinfo2().uordblks > before + temporaries // 2 and time.monotonic() < end:
      time.sleep(0.001)
    return results
  return waiting

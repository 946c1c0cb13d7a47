"""How a command ends: in order, whatever came in between."""

from __future__ import annotations

import atexit
import contextlib
import multiprocessing
import os
import signal
import sys
import threading
from typing import Any, NoReturn

ENDING = [getattr(signal, name) for name in ('SIGINT', 'SIGTERM', 'SIGHUP')
          if hasattr(signal, name)]
PAUSE = 0.05   # seconds


def repeat_interrupt(unraisable: Any) -> None:
  """`sys.unraisablehook`: a Ctrl-C that went under is sent again.

  Python raises KeyboardInterrupt wherever the main thread happens to be. Inside a callback of the
  garbage collector (jax has one) or a `__del__` nobody can catch it: it would be printed and
  forgotten, and the command would go on.
  """
  if not issubclass(unraisable.exc_type, KeyboardInterrupt):
    sys.__unraisablehook__(unraisable)
    return
  # To the main thread itself: raised in this timer's thread, it would not wake a sleeping one.
  again = threading.Timer(PAUSE, signal.pthread_kill,
                          (threading.main_thread().ident, signal.SIGINT))
  again.daemon = True
  again.start()


def leave(code: int) -> NoReturn:
  """End this process.

  Signals that come from here on change nothing: a second Ctrl-C would only tear the exit of some
  library. After an error or an interrupt threads of orbax, TensorStore and XLA may still be at
  work, and the interpreter must not be taken apart under them (it crashed with SIGSEGV): what is
  registered for the exit is done, then the process ends. One of several processes ends at once:
  jax would wait minutes for the others, who wait for this one.
  """
  if threading.current_thread() is threading.main_thread():
    for number in ENDING:
      signal.signal(number, signal.SIG_IGN)
  if not code:
    sys.exit(code)
  if _is_one_of_several():
    for child in multiprocessing.active_children():
      child.terminate()
  else:
    atexit._run_exitfuncs()
  for stream in (sys.stdout, sys.stderr):
    _flush(stream)
  os._exit(code)


def _flush(stream: Any) -> None:
  with contextlib.suppress(OSError, ValueError):   # a full disk, a closed pipe
    stream.flush()


def _is_one_of_several() -> bool:
  if 'i2vjax.core.parallel' not in sys.modules:   # so early that there is none
    return False
  from i2vjax.core import parallel
  return parallel.joined()

"""Signals, a lost terminal, a lost parent: save, then stop."""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import Any

HANG_UP = getattr(signal, 'SIGHUP', None)   # Windows has none
PARENT = 'I2VJAX_PARENT'   # environment variable: number of the process that this one works for


def follow_parent(every: float = 1.0) -> None:
  """Where `PARENT` names our parent: SIGTERM to ourselves as soon as it has ended, even if killed.

  Its training must not go on unseen, in a folder that the next one wants.

  Args:
    every: seconds between two looks.
  """
  parent = int(os.environ.pop(PARENT, '0'))   # our own children are no one's business
  if not parent:
    return

  def follow():
    while os.getppid() == parent:
      time.sleep(every)
    os.kill(os.getpid(), signal.SIGTERM)
  threading.Thread(target=follow, daemon=True).start()


class StopOnSignal:
  """SIGTERM, SIGHUP and Ctrl-C ask the loop to save and end; a Ctrl-C after that ends it at once.

  SIGHUP comes where the terminal is gone (a dropped connection). What was printed there goes
  nowhere from then on: an error of writing must not cost the checkpoint. Where it is ignored
  (nohup) it stays ignored, and the run goes on.

  A second SIGTERM does not: schedulers send several, and the checkpoint is being written. It holds
  inside `with` alone: before the loop starts Ctrl-C is a plain KeyboardInterrupt. The loop looks at
  `asked` after each step; several processes have to agree, and do so every `log.every` steps only.

  Attributes:
    asked: True as soon as a signal has come.
  """

  SIGNALS = (signal.SIGTERM, signal.SIGINT, *([HANG_UP] if HANG_UP else []))

  def __init__(self) -> None:
    self.asked = False
    self.before: dict[signal.Signals, Any] = {}
    self.on_terminal: list[int] = []

  def __enter__(self) -> StopOnSignal:
    self.asked = False
    self.on_terminal = [number for number in (1, 2) if os.isatty(number)]
    wanted = [s for s in self.SIGNALS if s != HANG_UP or signal.getsignal(s) != signal.SIG_IGN]
    try:
      self.before = {s: signal.signal(s, self._ask) for s in wanted}
    except ValueError:   # not the main thread (a notebook's executor): no handlers, no harm
      self.before = {}
    return self

  def _ask(self, number: int, frame: Any) -> None:
    if self.asked and number == signal.SIGINT:
      raise KeyboardInterrupt
    self.asked = True
    if number == HANG_UP:
      nowhere = os.open(os.devnull, os.O_WRONLY)
      for output in self.on_terminal:
        os.dup2(nowhere, output)
      os.close(nowhere)

  def __exit__(self, *_: Any) -> None:
    for number, handler in self.before.items():
      signal.signal(number, handler)

"""SIGTERM and Ctrl-C while training: save, then stop."""

from __future__ import annotations

import signal
from typing import Any


class StopOnSignal:
  """SIGTERM and Ctrl-C ask the loop to save and end; a Ctrl-C after that ends it at once.

  A second SIGTERM does not: schedulers send several, and the checkpoint is being written. It holds
  inside `with` alone: before the loop starts Ctrl-C is a plain KeyboardInterrupt. The loop looks at
  `asked` after each step; several processes have to agree, and do so every `log.every` steps only.

  Attributes:
    asked: True as soon as a signal has come.
  """

  SIGNALS = (signal.SIGTERM, signal.SIGINT)

  def __init__(self) -> None:
    self.asked = False
    self.before: dict[signal.Signals, Any] = {}

  def __enter__(self) -> StopOnSignal:
    self.asked = False
    try:
      self.before = {s: signal.signal(s, self._ask) for s in self.SIGNALS}
    except ValueError:   # not the main thread (a notebook's executor): no handlers, no harm
      self.before = {}
    return self

  def _ask(self, number: int, frame: Any) -> None:
    if self.asked and number == signal.SIGINT:
      raise KeyboardInterrupt
    self.asked = True

  def __exit__(self, *_: Any) -> None:
    for number, handler in self.before.items():
      signal.signal(number, handler)

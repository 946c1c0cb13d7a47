"""Lines for the terminal that say what was decided, each once."""

import sys

_said: set[str] = set()


def say_once(text: str) -> None:
  """Print a line, unless this process has printed it before.

  Sources are opened many times in a run; what was decided on opening them is said once. It goes to
  the standard error, beside warnings, as results go to the standard output.
  """
  if text not in _said:
    _said.add(text)
    print(text, file=sys.stderr, flush=True)

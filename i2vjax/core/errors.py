"""Errors that the person at the keyboard can mend."""

import difflib
from collections.abc import Iterable


class UserError(ValueError):
  """A mistake of the user: the message names the field, file or flag at fault, and the remedy.

  It alone, and an OSError with its path, becomes one line and exit code 2; every other error is
  ours and keeps its traceback. A ValueError, so that callers who know no class of ours catch it.
  """


class NonFinite(ArithmeticError):
  """A loss term or a parameter is no longer a finite number; becomes exit code 3."""


def did_you_mean(name: str, names: Iterable[str]) -> str:
  """' Did you mean ...?' with the nearest of `names`, or an empty string."""
  close = difflib.get_close_matches(name, list(names), n=1, cutoff=0.5)
  return f' Did you mean {close[0]!r}?' if close else ''

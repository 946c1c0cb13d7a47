"""Errors that the person at the keyboard can mend."""

import difflib


class UserError(ValueError):
  """A mistake of the user: the message names the field, file or flag at fault, and the remedy.

  It alone, and an OSError with its path, becomes one line and exit code 2; every other error is
  ours and keeps its traceback. A ValueError, so that callers who know no class of ours catch it.
  """


def did_you_mean(name, names):
  """' Did you mean ...?' with the nearest of `names`, or an empty string."""
  close = difflib.get_close_matches(name, list(names), n=1, cutoff=0.5)
  return f' Did you mean {close[0]!r}?' if close else ''

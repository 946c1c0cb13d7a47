"""Errors of the person at the keyboard."""

import difflib


def did_you_mean(name, names):
  """' Did you mean ...?' or an empty string."""
  close = difflib.get_close_matches(name, list(names), n=1, cutoff=0.5)
  return f' Did you mean {close[0]!r}?' if close else ''

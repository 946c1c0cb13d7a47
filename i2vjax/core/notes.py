"""Lines for the terminal that say what was decided, each once."""

import re
import sys

import tqdm

# All but tab and line feed; halves of characters, which no terminal can print.
CONTROL = re.compile(r'[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]')
_said: set[str] = set()


def printable(text: str) -> str:
  """A text without control characters, which a terminal would obey: their numbers instead.

  Names of files may hold any, and files come from others.
  """
  return CONTROL.sub(lambda found: found[0].encode('unicode_escape').decode(), text)


def say_once(text: str, about: str = '') -> None:
  """Print a line, unless this process has printed it, or another one about the same, before.

  Sources are opened many times in a run; what was decided on opening them is said once. It goes to
  the standard error, beside warnings, as results go to the standard output.
  """
  if (about or text) not in _said:
    _said.add(about or text)
    tqdm.tqdm.write(printable(text), file=sys.stderr)   # above a progress bar, not behind it

"""Exit code and message of an error."""

import errno
import sys

from i2vjax.core import files, notes
from i2vjax.core.errors import NonFinite, UserError

__all__ = ['DONE', 'INTERRUPTED', 'NOT_FINITE', 'OURS', 'USER', 'UserError', 'explain',
           'show_warning']

# How the exchange between processes fails where one of them is gone (gloo, NCCL, jax' coordinator).
OF_PEERS = ('Gloo', 'closed by peer', 'reset by peer', 'NCCL', 'heartbeat', 'oordination service',
            'UNAVAILABLE', 'DEADLINE_EXCEEDED', 'Barrier')
LOST = ('another process of this run has ended or does not answer ({reason}). What it said is in '
        'its own log. Checkpoints are whole: start all processes again, and the run goes on')
DONE = 0           # also: a training that was asked to stop and saved itself
OURS = 1           # an error of this package, with its traceback; or another process is gone
USER = 2           # a mistake that the user can mend
NOT_FINITE = 3     # a loss or a parameter is no number
INTERRUPTED = 130  # as shells have it for Ctrl-C


def explain(error: BaseException) -> tuple[str, int] | None:
  """(one line for the user, exit code), or None for an error of ours, which keeps its traceback.

  The class of an error decides, never where it was raised: a plain ValueError is always ours.
  """
  explained = _explained(error)
  return explained and (notes.printable(explained[0]), explained[1])


def show_warning(message: Warning | str, *_: object, **__: object) -> None:
  """`warnings.showwarning`: one plain line; a place in our code is of no use to a user."""
  print(notes.printable(f'warning: {message}'), file=sys.stderr)


def _explained(error):
  if isinstance(error, NonFinite):
    return f'error: {error}', NOT_FINITE
  if type(error).__module__.startswith('av.') and getattr(error, 'errno', 0) not in (
      *files.OF_DISKS, errno.ENOENT):
    return None      # a failure inside the decoder is no mistake of the user, whatever its number
  if isinstance(error, UserError | OSError):
    return f'error: {error}', USER
  if _is_of_peers(error):
    return f"error: {LOST.format(reason=str(error).strip().splitlines()[0][:160])}", OURS
  if isinstance(error, KeyboardInterrupt):
    return f'stopped: {str(error) or "no half-written file is left"}', INTERRUPTED
  return None


def _is_of_peers(error):
  """True where another process of this run is the cause: nothing of ours is at fault."""
  parallel = sys.modules.get('i2vjax.core.parallel')   # absent: so early that there are no others
  return (parallel is not None and parallel.joined()   # jax raises what it likes: the text decides
          and any(text in str(error) for text in OF_PEERS))

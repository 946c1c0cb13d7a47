"""Exit code and message of an error."""

from i2vjax.core.errors import NonFinite, UserError

__all__ = ['DONE', 'INTERRUPTED', 'NOT_FINITE', 'OURS', 'USER', 'UserError', 'explain']

DONE = 0           # also: a training that was asked to stop and saved itself
OURS = 1           # an error of this package: Python prints its traceback and exits with 1
USER = 2           # a mistake that the user can mend
NOT_FINITE = 3     # a loss or a parameter is no number
INTERRUPTED = 130  # as shells have it for Ctrl-C


def explain(error: BaseException) -> tuple[str, int] | None:
  """(one line for the user, exit code), or None for an error of ours, which keeps its traceback.

  The class of an error decides, never where it was raised: a plain ValueError is always ours.
  """
  if isinstance(error, NonFinite):
    return f'error: {error}', NOT_FINITE
  if isinstance(error, UserError | OSError):
    return f'error: {error}', USER
  if isinstance(error, KeyboardInterrupt):
    return f'stopped: {str(error) or "no half-written file is left"}', INTERRUPTED
  return None

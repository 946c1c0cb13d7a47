"""A limit of this process on the size of files, as ulimit -f sets it."""

import contextlib
import resource


@contextlib.contextmanager
def largest_file(size):
  """Inside, what would make a file larger than `size` bytes fails: File too large."""
  soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
  resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
  try:
    yield
  finally:
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

"""Folders that are there whole or not at all: written beside their place, then renamed."""

import contextlib
import os
import pathlib
import secrets
import shutil


@contextlib.contextmanager
def scratch(parent):
  """A fresh hidden folder in `parent`, on the same disk; gone with all it holds afterwards.

  Folders made on the way to it are taken away again if they stayed empty.
  """
  parent = pathlib.Path(parent).expanduser().absolute()
  made = [path for path in (parent, *parent.parents) if not path.exists()]
  part = parent / f'.prepare-{secrets.token_hex(4)}'
  part.mkdir(parents=True)
  try:
    yield part
  finally:
    shutil.rmtree(part, ignore_errors=True)
    with contextlib.suppress(OSError):    # the first that is not empty ends it
      for path in made:
        path.rmdir()


def check_free(target, overwrite=False):
  """Refuse a place that is taken: a file, or a folder with something in it.

  Raises:
    FileExistsError: names it and what to do.
  """
  target = pathlib.Path(target)
  if target.is_dir() and (overwrite or not any(target.iterdir())):
    return
  if target.exists():
    raise FileExistsError(f'{target} exists already: use --overwrite to make it anew, or another '
                          f'name' if target.is_dir() else f'{target}: there is a file of that name')


def put(source, target, part):
  """Give a folder its place; what was there goes to the scratch folder `part`."""
  target = pathlib.Path(target)
  target.parent.mkdir(parents=True, exist_ok=True)
  if target.exists():
    os.replace(target, part / f'old-{secrets.token_hex(4)}')
  os.replace(source, target)

"""Where results go: what may stand there, and folders that are there whole or not at all."""

import contextlib
import glob
import os
import pathlib
import secrets
import shutil

from i2vjax.core.errors import UserError
from i2vjax.data.io import images, video_reader


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


def check_replaceable(target, ours):
  """Refuse to replace a folder that holds anything but what we write there ourselves.

  Args:
    target: folder, which need not exist.
    ours: path -> True for a file that we write.

  Raises:
    FileExistsError: names the first thing that stands in the way.
  """
  for folder, inner, found in os.walk(target):
    paths = sorted(pathlib.Path(folder, name) for name in (*inner, *found))
    foreign = [path for path in paths if path.is_symlink() or not (path.is_dir() or ours(path))]
    if foreign:
      raise FileExistsError(f'{foreign[0]} was not written by this command, and --overwrite would '
                            f'delete it: move it, or choose another --output than {target}')


def check_apart(input, target):
  """Refuse an output that is the input, holds it, or lies in it; links are followed.

  Args:
    input: file, folder or glob.
    target: folder to be written.

  Raises:
    ValueError: names both.
  """
  place = os.path.expanduser(str(input))
  own = pathlib.Path(target).resolve()
  found = [place] if os.path.lexists(place) else glob.glob(place, recursive=True)
  for path in (pathlib.Path(name).resolve() for name in found):
    if own == path or own in path.parents or (path in own.parents and path.is_dir()):
      how = ('is the input itself' if own == path else
             f'holds the input {path}' if own in path.parents else f'lies in the input {path}')
      raise UserError(f'the output {target} {how}: choose another --output')


def check_writable(folder):
  """Find out by a trial whether files can be written to a folder, before the work begins.

  Folders that the trial makes are taken away again.

  Raises:
    OSError: says why not.
  """
  folder = pathlib.Path(folder).expanduser().absolute()
  there = next(path for path in (folder, *folder.parents) if path.exists())
  if not there.is_dir():
    raise NotADirectoryError(f'{there} is a file: nothing can be written to {folder}'
                             if there != folder else f'{folder} is a file: name a folder')
  try:
    with scratch(folder) as part:
      (part / 'trial').write_bytes(b'x' * 4096)
  except OSError as error:
    raise OSError(f'nothing can be written to {folder}: {error.strerror}') from error


def as_film(output, lossless):
  """True if `output` names a video, False if it names a folder; refuses what is neither."""
  path = pathlib.Path(output)
  film = video_reader.is_video(path)
  if lossless and path.suffix.lower() != '.mkv':
    raise UserError(f'--lossless writes FFV1 in .mkv: name the output {path.stem}.mkv')
  if not film and images.is_image(path):
    raise UserError(f'{output} names one picture: give a folder, or a video such as {path.stem}'
                     '.mp4')
  return film


def check_output(input, output, film, overwrite):
  """Refuse to write over anything, unless asked to; never over the input."""
  path = pathlib.Path(output)
  if path.exists() and os.path.exists(input) and path.samefile(input):
    raise UserError(f'{output} is the input itself: choose another output')
  if not path.exists():
    check_writable(path.parent if film else path)
    return
  if film != path.is_file():
    kind = 'a folder' if path.is_dir() else 'a file'
    raise FileExistsError(f'{output}: there is {kind} of that name already')
  if not overwrite and (film or any(path.iterdir())):
    what = 'exists already' if film else 'exists already and is not empty'
    raise FileExistsError(f'{output} {what}: use --overwrite or another name')
  check_writable(path.parent if film else path)


def put(source, target, part):
  """Give a folder its place; what was there goes to the scratch folder `part`."""
  target = pathlib.Path(target)
  target.parent.mkdir(parents=True, exist_ok=True)
  if target.exists():
    os.replace(target, part / f'old-{secrets.token_hex(4)}')
  os.replace(source, target)

"""Checks of output paths; folders that appear whole or not at all."""

import contextlib
import fnmatch
import glob
import os
import pathlib
import re
import secrets
import shutil
from collections.abc import Callable, Iterator

from i2vjax.core import files
from i2vjax.core.errors import UserError
from i2vjax.data.io import film_kinds, images, video_reader, video_writer

# Endings of files that a folder's name has by mistake. Folders of steps and days end in digits.
OF_FILES = tuple(ending for ending in (
    *images.EXTENSIONS, *film_kinds.ENDINGS, *film_kinds.UNREAD, '.gif', '.apng', '.avif', '.heic',
    '.jxl', '.svg', '.pdf', '.html', '.htm', '.md', '.txt', '.csv', '.json', '.jsonl', '.onnx',
    '.pt', '.pth', '.safetensors', '.npy', '.npz', '.pkl', '.h5', '.pb', '.tflite', '.msgpack',
    '.zip', '.tar', '.gz', '.tgz', '.mp3', '.wav') if not ending[1:].isdecimal())


@contextlib.contextmanager
def scratch(parent: str | os.PathLike) -> Iterator[pathlib.Path]:
  """A fresh hidden folder in `parent`, on the same disk; deleted with its content afterwards.

  Parent folders created on the way are removed again if they stayed empty. What a killed process
  left there goes too.
  """
  parent = files.expanded(parent).absolute()
  files.sweep(parent)
  created = [path for path in (parent, *parent.parents) if not path.exists()]
  part = parent / f'{files.part_prefix()}{secrets.token_hex(4)}'
  part.mkdir(parents=True)
  try:
    yield part
  finally:
    shutil.rmtree(part, ignore_errors=True)
    with contextlib.suppress(OSError):    # the first that is not empty ends the loop
      for path in created:
        path.rmdir()


def stays_below(name: str) -> bool:
  """True for a relative path that does not lead out of the folder it is put below."""
  path, parts = pathlib.PurePath(name), re.split(r'[/\\]', name)
  return not (path.is_absolute() or path.drive or '..' in parts or '\0' in name
              or not _is_encodable(name))


def _is_encodable(name):
  try:
    return bool(os.fsencode(name)) or not name
  except UnicodeEncodeError:     # half a character, as JSON can state it
    return False


def check_free(target: str | os.PathLike, overwrite: bool = False) -> None:
  """Refuse an output that exists: a file, or a folder that is not empty.

  Raises:
    FileExistsError: names it and what to do.
  """
  target = pathlib.Path(target)
  files.sweep(target.parent)   # a killed command may have put it aside
  if target.is_dir() and (overwrite or not any(target.iterdir())):
    return
  if target.is_dir():
    raise FileExistsError(f'{target} exists already: use --overwrite to make it anew, or another '
                          f'name')
  if target.exists():
    raise FileExistsError(f'{target}: there is a file of that name')


def check_replaceable(target: str | os.PathLike, is_ours: Callable) -> None:
  """Refuse to replace a folder that holds anything but files of our own making.

  Args:
    target: folder, which need not exist.
    is_ours: path -> True for a file that we write.

  Raises:
    FileExistsError: names the first foreign file.
  """
  for folder, inner_folders, names in os.walk(target):
    paths = sorted(pathlib.Path(folder, name) for name in (*inner_folders, *names))
    foreign = [path for path in paths if path.is_symlink() or not (path.is_dir() or is_ours(path))]
    if foreign:
      raise FileExistsError(f'{foreign[0]} was not written by this command, and --overwrite would '
                            f'delete it: move it, or choose another --output than {target}')


def check_apart(input: str | os.PathLike, target: str | os.PathLike, may_hold: bool = False,
                name: str = '--output') -> None:
  """Refuse an output that is the input, contains it, or is inside it; links are followed.

  What is inside the input would be read as input the next time.

  Args:
    input: file, folder or glob.
    target: file or folder to be written.
    may_hold: it may contain the input, since nothing there is deleted.
    name: of the flag or field that names the target, for the message.

  Raises:
    UserError: names both.
  """
  place = os.path.expanduser(str(input))
  output = pathlib.Path(target).resolve()
  inputs = [place] if os.path.lexists(place) else glob.glob(place, recursive=True)
  for found in inputs:
    path = pathlib.Path(found).resolve()
    if output == path:
      relation = 'is the input itself'
    elif output in path.parents and not may_hold:
      relation = f'holds the input {path}'
    elif path in output.parents and path.is_dir():
      relation = f'is inside the input {path}'
    else:
      continue
    raise UserError(f'the output {target} {relation}: choose another {name}')
  if not os.path.lexists(place) and _would_match(place, target):
    raise UserError(f'the output {target} would be matched by the input {place} the next time: '
                    f'choose another {name}, or a glob that leaves it out')


def _would_match(place, target):
  """True if a glob matches an output, or what will be written to that folder."""
  output, pattern = os.path.abspath(target), os.path.abspath(place)
  names = [output] if is_frames_file(output) else [output, f'{output}/0.png', f'{output}/0/0.png']
  return any(_matches(name.split('/'), pattern.split('/')) for name in names)


def _matches(parts, pattern):
  """True if the parts of a path fit those of a glob, in which ** is any number of folders."""
  if not pattern:
    return not parts
  if pattern[0] == '**':
    return any(_matches(parts[k:], pattern[1:]) for k in range(len(parts) + 1))
  return bool(parts) and fnmatch.fnmatchcase(parts[0], pattern[0]) and _matches(
      parts[1:], pattern[1:])


def inside(folder: str | os.PathLike, *names: str) -> pathlib.Path:
  """`folder/NAME/...` of names that files, lists or records gave, which may hold anything.

  Raises:
    UserError: it would lead out of the folder.
  """
  path, name = pathlib.Path(folder, *names), '/'.join(names)
  top = os.path.abspath(folder)
  place = os.path.abspath(path)   # without .., but links in the folder stay: they are the user's
  if '\0' in name or not os.path.join(place, '').startswith(os.path.join(top, '')):
    raise UserError(f'the name {ascii(name)} would lead out of {folder}: rename what is called so')
  return path


def is_frames_file(path: str | os.PathLike) -> bool:
  """True if a name ends like a picture or a video."""
  return images.is_image(path) or video_reader.is_video(path)


def check_writable(folder: str | os.PathLike) -> None:
  """Find out by a trial whether files can be written to a folder, before the work begins.

  Folders that the trial creates are removed again.

  Raises:
    OSError: says why not.
  """
  folder = files.expanded(folder).absolute()
  existing = next(path for path in (folder, *folder.parents) if path.exists())
  if existing == folder and not folder.is_dir():
    raise NotADirectoryError(f'{folder} is a file: name a folder')
  if not existing.is_dir():
    raise NotADirectoryError(f'{existing} is a file: nothing can be written to {folder}')
  try:
    with scratch(folder) as part:
      (part / 'trial').write_bytes(b'x' * 4096)
  except OSError as error:
    raise OSError(f'nothing can be written to {folder}: {error.strerror}. Free or mount it, or '
                  f'name another place') from error


def check_folder_name(folder: str | os.PathLike, name: str = '--output') -> None:
  """Refuse a name that ends like a film, picture, page or network, where a folder is to be made.

  run.v2 and 2024.11.03 are names of folders, and so is whatever a folder has already.

  Args:
    folder: to be made. name: of the flag that names it, for the message.

  Raises:
    UserError: names it, and one without the ending.
  """
  path = pathlib.Path(folder)
  if _ends_like_file(path):
    raise UserError(f'{name} {folder}: a folder is made of that name, which ends like a file '
                    f'({path.suffix}): name it {path.stem}, say')


def _ends_like_file(path):
  return path.suffix.lower() in OF_FILES and not path.is_dir()


def is_video_output(output: str | os.PathLike, lossless: bool) -> bool:
  """True if `output` names a video, False if it names a folder.

  Raises:
    UserError: neither, such as x.gif, or a kind of video that is not written.
  """
  path = pathlib.Path(output)
  is_video = video_reader.is_video(path)
  if lossless and path.suffix.lower() != '.mkv':
    raise UserError(f'--lossless writes FFV1 in .mkv: name the output {path.stem}.mkv')
  if not is_video and images.is_image(path):
    raise UserError(f'{output} names one picture, which only one picture file becomes: give a '
                    f'folder, or a video such as {path.stem}.mp4')
  if is_video and path.suffix.lower() not in video_writer.H264 + video_writer.FFV1:
    raise UserError(f'{output}: videos are written as .mp4 (H.264, plays everywhere) or .mkv '
                    f'(FFV1, lossless): name it {path.stem}.mp4, say')
  if not is_video and _ends_like_file(path):
    raise UserError(f'{output} ends like a file of a kind that is not written ({path.suffix}): '
                    f'give a folder, or a video such as {path.stem}.mp4')
  return is_video


def is_picture_output(input: str | os.PathLike, output: str | os.PathLike) -> bool:
  """True if one picture is to become another, of that name.

  Raises:
    UserError: the output is a kind of picture that is not written.
  """
  path, place = pathlib.Path(output), os.path.expanduser(input)
  if not (images.is_image(path) and images.is_image(place) and os.path.isfile(place)):
    return False
  if path.suffix.lower() != '.png':
    raise UserError(f'{output}: pictures are written as PNG: name it {path.stem}.png')
  return True


def check_output(
  input: str | os.PathLike, output: str | os.PathLike, is_file: bool, overwrite: bool
) -> None:
  """Refuse to write over anything, unless asked to; never over the input.

  A folder that the same command began and did not finish is as good as an empty one (`unfinished`).

  Args:
    input, output: places. is_file: the output is one file, a video or a picture, no folder.
    overwrite: allow it to exist.
  """
  path = pathlib.Path(output)
  if path.exists() and os.path.exists(input) and path.samefile(input):
    raise UserError(f'{output} is the input itself: choose another output')
  if not path.exists():
    check_writable(path.parent if is_file else path)
    return
  if is_file != path.is_file():
    kind = 'a folder' if path.is_dir() else 'a file'
    raise FileExistsError(f'{output}: there is {kind} of that name already')
  if not is_file:
    files.sweep(path, deep=True)
    overwrite = overwrite or goes_on(path, input)
  if not overwrite and (is_file or any(path.iterdir())):
    what = 'exists already' if is_file else 'exists already and is not empty'
    raise FileExistsError(f'{output} {what}: use --overwrite or another name')
  check_writable(path.parent if is_file else path)


UNFINISHED = '.unfinished'   # a file in a folder that is being written


@contextlib.contextmanager
def unfinished(folder: str | os.PathLike, origin: str | os.PathLike) -> Iterator[None]:
  """Marks a folder while it is being written, until that ends without an error.

  However the command ends before, even if it is killed: the same command may then go on in the
  folder, without --overwrite (`goes_on`). An error before anything was written leaves nothing.

  Args:
    folder: made if it is missing. origin: what it is made from.
  """
  folder = pathlib.Path(folder)
  mark, was_there = folder / UNFINISHED, folder.exists()
  files.save_text(mark, _origin(origin))
  try:
    yield
  except BaseException:
    if set(folder.iterdir()) == {mark}:
      mark.unlink()
      if not was_there:
        folder.rmdir()
    raise
  mark.unlink(missing_ok=True)


def goes_on(folder: str | os.PathLike, origin: str | os.PathLike) -> bool:
  """True where a folder holds what the same command began and did not finish."""
  mark = pathlib.Path(folder) / UNFINISHED
  with contextlib.suppress(OSError, ValueError):
    return mark.read_text('utf-8') == _origin(origin)
  return False


def _origin(origin):
  text = os.fspath(origin)
  line = f'unfinished: {os.path.abspath(text) if text else ""}\n'
  return line.encode('utf-8', 'backslashreplace').decode()   # as `files.save_text` writes it

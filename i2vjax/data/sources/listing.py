"""Which files of a place are frames, and what is left out."""

import collections
import fnmatch
import glob
import os
import pathlib
import re
from collections.abc import Callable, Iterable, Iterator

from i2vjax.core import notes
from i2vjax.core.errors import UserError
from i2vjax.data.io import animation, film_kinds, images, video_reader
from i2vjax.data.sources import locate

# Folders that file servers, archives and systems add to those of people, in lower case: previews,
# bins, copies of old days. Never frames; hidden folders are not either.
SYSTEM_FOLDERS = ('@eadir', '@recycle', '@recently-snapshot', '@tmp', '#recycle', '#snapshot',
                  '$recycle.bin', '__macosx', 'lost+found', 'system volume information')
SYSTEM_FILES = ('thumbs.db', 'ehthumbs.db', 'desktop.ini')
SHOWN = 4   # endings in a message
CONVERT = 'convert them by the programs of their camera, or try: ffmpeg -i {} -c:v ffv1 NEW.mkv'


class LeftOut:
  """What was found at a place and is not read, for the line that says so."""

  def __init__(self):
    self.folders: list[str] = []       # of file servers and systems, or hidden
    self.system: list[str] = []        # hidden files, and those of systems
    self.others: list[str] = []        # files of another kind
    self.other_case: list[str] = []    # a glob misses them by capital letters alone

  def __len__(self):
    return len(self.system) + len(self.others)

  def __str__(self):
    parts = []
    if self.others:
      endings = collections.Counter(pathlib.Path(path).suffix.lower() or 'without ending'
                                    for path in self.others)
      kinds = ', '.join(f'{count} {ending}' for ending, count in endings.most_common(SHOWN))
      rest = ', ...' if len(endings) > SHOWN else ''
      parts.append(f'{_count(self.others, "file")} of other kinds ({kinds}{rest})')
    for paths, what in ((self.system, 'hidden or system file'),
                        (self.folders, 'hidden or system folder'),
                        (self.other_case, 'file whose ending has other capitals')):
      if paths:
        parts.append(f'{_count(paths, what)} (such as {min(paths)})')
    return ', '.join(parts)


def _count(paths, what):
  name, _, rest = what.partition(' whose ')
  plural = f'{name}s' if len(paths) > 1 else name
  return f'{len(paths)} {plural}' + (f' whose {rest}' if rest else '')


def natural_key(path: str | os.PathLike) -> tuple:
  """Sort key with digits as numbers and without regard to capitals: 2.png before 10.PNG."""
  parts = re.split(r'([0-9]+)', str(path))
  return [int(x) if k % 2 else x.casefold() for k, x in enumerate(parts)], str(path)


def find_files(place: str | os.PathLike,
               one_picture: bool = False) -> tuple[dict[str, list[str]], list[str]]:
  """All pictures below a folder or matching a glob, or else the videos there; or one video file.

  With `one_picture` the place may be a picture, too: that of a clip would be named after its
  folder, so data that are trained or scored on are folders.

  What is there and left out is said on the terminal, with counts.

  Returns:
    ({folder relative to `place` ('' for itself): files in natural order}, [video files]).

  Raises:
    FileNotFoundError: nothing there (with what was left out). OSError: a folder cannot be listed.
    UserError: a single file that is not a video, films of a kind that is not read, pictures beside
      videos, or a folder that holds two domains.
  """
  picture = os.path.expanduser(str(place))
  if one_picture and os.path.isfile(picture) and images.is_image(picture):
    return {'': [picture]}, []
  pictures, video_files, _ = list_place(place)
  return pictures, video_files


def list_place(place: str | os.PathLike) -> tuple[dict[str, list[str]], list[str], int]:
  """`find_files`, and the number of files that were left out."""
  place = os.path.expanduser(str(place))
  if os.path.isfile(place):
    if video_reader.is_video(place):
      return {}, [place], 0
    advice = '. Name the folder of a picture; the prepare command unpacks a TIFF or an animation'
    raise UserError(f'{place} is neither a folder nor a video file ({" ".join(film_kinds.ENDINGS)})'
                     + (advice if images.is_image(place) else _advice(place)))
  left_out = LeftOut()
  paths, base = _list_files(place, left_out)
  groups, video_files = _by_kind(paths, base, left_out)
  if not groups:     # beside pictures a film may be what they were made from: it is counted below
    _check_all_read(place, left_out)
  if not groups and not video_files:
    raise FileNotFoundError(_nothing(place, left_out))
  if groups and video_files:
    raise UserError(_mixed(place, [file for files in groups.values() for file in files],
                           video_files))
  _check_one_domain(place, groups, video_files, base)
  text = str(left_out)
  if text:
    count = sum(map(len, groups.values())) or len(video_files)
    notes.say_once(f'{place}: {count} {"pictures" if groups else "videos"}; left out: {text}')
  return groups, video_files, len(left_out)


def _by_kind(paths, base, left_out):
  """({relative folder: pictures}, videos); other files are added to `left_out`."""
  groups, video_files = collections.defaultdict(list), []
  for path in sorted(paths, key=natural_key):
    name = os.path.basename(path)
    if name.startswith('.') or name.lower() in SYSTEM_FILES:
      left_out.system.append(path)
    elif images.is_image(path):
      folder = _folder_below(base, path)
      groups['' if folder == '.' else folder.replace(os.sep, '/')].append(path)
    elif video_reader.is_video(path):
      video_files.append(path)
    else:
      left_out.others.append(path)
  return dict(groups), video_files


def _folder_below(base, path):
  """The folder of a file relative to `base`; either may be '', the folder of today."""
  return os.path.relpath(os.path.dirname(path) or '.', base or '.')


# ---- walking


def walk(place: str, left_out: LeftOut | None = None) -> Iterator[tuple[str, list[str]]]:
  """(folder, names of its files) below a place; links are followed, but not in a circle.

  Hidden folders and those of `SYSTEM_FOLDERS` are left out.

  Raises:
    OSError: a folder cannot be listed, so that its frames would be missing; named.
  """
  for folder, inner, files in os.walk(place, onerror=_refuse, followlinks=True):
    strange = [name for name in inner if name.startswith('.') or name.lower() in SYSTEM_FOLDERS]
    if left_out is not None:
      left_out.folders += [os.path.join(folder, name) for name in strange]
    inner[:] = sorted(name for name in inner if name not in strange
                      and not _leads_back(os.path.join(folder, name)))
    yield folder, sorted(files)


def _refuse(error):
  raise type(error)(f'{error.filename} cannot be listed ({error.strerror}), and what it holds '
                    f'would be missing: make it readable, or name the others by a glob') from error


def _leads_back(path):
  """True for a link to one of the folders above it."""
  if not os.path.islink(path):
    return False
  above = os.path.abspath(path)
  while above != os.path.dirname(above):
    above = os.path.dirname(above)
    if os.path.samefile(path, above):
      return True
  return False


def _list_files(place, left_out):
  """(every file below a folder or matching a glob, the folder that clips are named from)."""
  if os.path.isdir(place):
    return [os.path.join(folder, name) for folder, names in walk(place, left_out)
            for name in names], place
  if not glob.has_magic(place):
    raise FileNotFoundError(f'{place}: no such folder or file')
  matches = matches_of(place, left_out)
  left_out.other_case += sorted(set(glob.glob(_any_case(place), recursive=True)) - set(matches)
                                - set(left_out.folders))
  paths = set()   # a glob with ** matches folders and their files: each file once
  for match in matches:
    if os.path.isdir(match):
      paths.update(os.path.join(folder, name) for folder, names in walk(match, left_out)
                   for name in names)
    else:
      paths.add(match)
  paths = sorted(paths)
  return paths, os.path.commonpath([os.path.dirname(path) for path in paths]) if paths else ''


def matches_of(place: str, left_out: LeftOut | None = None) -> list[str]:
  """What a glob matches, sorted, without what is in folders of file servers and systems.

  Raises:
    OSError: a folder that the glob would look into cannot be listed.
  """
  fixed = _fixed_part(place)
  _check_readable(place)
  matches = []
  for match in sorted(glob.glob(place, recursive=True)):
    below = match[len(fixed):].replace(os.sep, '/').split('/')
    strange = [k for k, name in enumerate(below) if name.lower() in SYSTEM_FOLDERS]
    if not strange:
      matches.append(match)
      continue
    folder = fixed + '/'.join(below[:strange[0] + 1])
    if left_out is not None and folder not in left_out.folders:
      left_out.folders.append(folder)
  return matches


def _fixed_part(place):
  """A glob up to the last folder before its first special sign, with the separator."""
  parts = re.split(r'(?<=[/\\])' if os.sep == '\\' else '(?<=/)', place)
  fixed = ''
  for part in parts:
    if glob.has_magic(part):
      break
    fixed += part
  return fixed


def _check_readable(place):
  """Refuse a glob through a folder that cannot be listed: it would match nothing there."""
  folder = os.path.dirname(place)
  while folder and folder != os.path.dirname(folder):
    for match in glob.glob(folder, recursive=True):
      if os.path.isdir(match) and not os.access(match, os.R_OK | os.X_OK):
        raise PermissionError(f'{match} cannot be listed, and {place} would find nothing there: '
                              f'make it readable, or give a glob that does not look into it')
    if not glob.has_magic(folder):
      return
    folder = os.path.dirname(folder)


def _any_case(place):
  """A glob whose last ending fits in small and capital letters."""
  root, ending = os.path.splitext(place)
  if glob.has_magic(ending):
    return place
  return root + ''.join(f'[{x.lower()}{x.upper()}]' if x.isalpha() else x for x in ending)


# ---- messages


def _nothing(place, left_out):
  endings = ' '.join(images.EXTENSIONS)
  text = f' Left out: {left_out}.' if str(left_out) else ''
  example = f' The first is {min(left_out.others)}.' if left_out.others else ''
  return (f'{place}: no pictures ({endings}) and no videos found there.{text}{example}'
          + _advice(*left_out.others))


def _advice(*paths):
  """What to do with files of formats that are not read but can be converted."""
  animated = [path for path in paths if animation.is_animation(path)]
  unread = [path for path in paths if film_kinds.is_unread(path)]
  if unread:
    return f'. Films of this kind are not read: {CONVERT.format(unread[0])}'
  return f'. {images.UNPACK.format(animated[0])}' if animated else ''


def _check_all_read(place, left_out):
  """Refuse a place with films of a kind that is not read: without them it would not be whole."""
  unread = [path for path in left_out.others if film_kinds.is_unread(path)]
  if unread:
    raise UserError(f'{place} holds {_count(unread, "film")} of a kind that is not read (such as '
                    f'{min(unread)}): {CONVERT.format(min(unread))}. Or name the other files by a '
                    'glob')


def _mixed(place, pictures, video_files):
  return (f'{place} holds {_count(pictures, "picture")} (such as {pictures[0]}) and '
          f'{_count(video_files, "video")} (such as {video_files[0]}), and one kind is read at a '
          f"time: name it by a glob, '{_glob_of(place, pictures)}' or "
          f"'{_glob_of(place, video_files)}'")


def _glob_of(place, files):
  """A glob of the files of one ending at a place: no wider than the place where that can be."""
  ending = glob.escape(pathlib.Path(files[0]).suffix)
  if os.path.isdir(place):
    return os.path.join(glob.escape(place), '**', f'*{ending}')
  wanted = {file for file in files if pathlib.Path(file).suffix == pathlib.Path(files[0]).suffix}
  below = place if place.endswith('**') else os.path.join(place, '**')
  for pattern in (f'{place.rstrip("*")}*{ending}', os.path.join(below, f'*{ending}'),
                  os.path.join(os.path.dirname(place), f'*{ending}')):
    if wanted <= set(glob.glob(pattern, recursive=True)):
      return pattern
  return os.path.join(_fixed_part(place) or '.', '**', f'*{ending}')


def _check_one_domain(place, groups, video_files, base):
  """Refuse frames of two cameras in one place, told by the names of folders or of all files."""
  inner = [_folder_below(base, path) for path in video_files]
  mixed = locate.both_domains([*groups, *inner])
  if mixed:
    raise UserError(f'{place} holds both {mixed[0]} and {mixed[1]}, which look like two domains: '
                     f'name one of them, or give this folder as data.root')
  for files in (*groups.values(), video_files):
    mixed = locate.both_cameras([pathlib.Path(file).stem for file in files])
    if mixed:
      raise UserError(f'{place} holds both {mixed[0]} and {mixed[1]}, by their names of two '
                      f'cameras: name the files of one by a glob, such as '
                      f"'{_glob_of_camera(files, mixed[2])}'")


def _glob_of_camera(files, word):
  """A glob of the files of one camera, told by a word of their names, beside the first file."""
  names, edge = [os.path.basename(file) for file in files], '[!0-9A-Za-z]'
  for pattern in (f'*{word}*', f'*{edge}{word}{edge}*', f'{word}{edge}*'):   # ir is in bird, too
    found = fnmatch.filter(names, pattern)
    if found and not locate.both_cameras([pathlib.Path(name).stem for name in found]):
      break
  return os.path.join(glob.escape(os.path.dirname(files[0])), pattern)


def unique_names(paths: Iterable[str]) -> dict[str, str]:
  """{path: stem}; of files of one stem the name, with as many folders as tell them apart.

  Raises:
    UserError: two paths are alike once their folders are joined; both are named.
  """
  names = {path: pathlib.Path(path).stem for path in paths}
  for depth in range(1, 1 + max((len(pathlib.Path(path).parts) for path in names), default=0)):
    count = collections.Counter(names.values())
    for path in [path for path, name in names.items() if count[name] > 1]:
      x = pathlib.Path(path)
      folders = [part for part in x.parts[:-1] if part != x.anchor]
      names[path] = '_'.join([*folders[-depth:], x.name])
  _check_unique(names)
  return names


def _check_unique(names):
  path_of = {}
  for path, name in names.items():
    other = path_of.setdefault(name, path)
    if other != path:
      raise UserError(f'{other} and {path} would both be named {name}, and one would overwrite the '
                      f'other: rename one of them or its folder')


def check_clip_names(names: Iterable[str], found: Callable[[str, int], str], remedy: str) -> None:
  """Refuse clips of one name that shall become folders: `x` and `./x` are one.

  Args:
    names: of the clips.
    found: (name, how many clips have it) -> what is wrong, how the message begins.
    remedy: how it ends.

  Raises:
    UserError: `found`, why that cannot be, `remedy`.
  """
  for name, count in collections.Counter(map(os.path.normpath, names)).most_common(1):
    if count > 1:
      raise UserError(f'{found(name, count)}, and one would overwrite the other{remedy}')

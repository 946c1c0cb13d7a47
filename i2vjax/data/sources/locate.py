"""The folder of each split and domain: `data.train_a` ..., or below `data.root`."""

import glob
import itertools
import os
import re
from collections.abc import Iterable

from ml_collections import ConfigDict

from i2vjax.core import files
from i2vjax.core.errors import UserError
from i2vjax.data.io import output_paths

LETTERS = {'a': ('A', 'a'), 'b': ('B', 'b')}
CAMERAS = {'a': ('ir', 'infrared', 'thermal', 'lwir'), 'b': ('vis', 'visible', 'rgb', 'color')}

PLACES = tuple(f'{split}_{domain}' for split in ('train', 'test') for domain in 'ab')

# Words in names of folders and files that say the camera.
WORDS = {'a': (*CAMERAS['a'], 'tir', 'mwir', 'swir'), 'b': (*CAMERAS['b'], 'visual')}


def layouts(split: str, domain: str) -> list[str]:
  """Folder names tried below `data.root`, CycleGAN's first: trainA, train/A, train_ir, ir/train."""
  names = LETTERS[domain] + CAMERAS[domain]
  folders = [f'{split}{LETTERS[domain][0]}']
  for name in names:
    folders += [f'{split}/{name}', f'{split}_{name}', f'{name}/{split}']
  return folders


def find_split(data: ConfigDict, split: str, domain: str) -> str:
  """The place of one split and domain: `data.<split>_<domain>`, or a folder below `data.root`.

  Args:
    data: config.data; `train_a`, `test_b` ... win over `root`. The test split falls back
      to the folders of `val` (ROMA's loader does the same).

  Returns:
    A path or glob, '' where the field is empty and none exists below the root.
  """
  place = named_place(data, split, domain)
  if place or not data.root:
    return place
  root = files.expanded(data.root)
  if not root.is_dir():
    raise FileNotFoundError(f'data.root={data.root}: no such folder')
  for name in (split, 'val') if split == 'test' else (split,):
    folders = _existing(root, layouts(name, domain))
    if len(folders) > 1:
      raise UserError(f'data.root={data.root} holds both {folders[0].relative_to(root)} and '
                       f'{folders[1].relative_to(root)}: say which with data.{split}_{domain}=PATH')
    if folders:
      return str(folders[0])
  return ''


def named_place(data: ConfigDict, split: str, domain: str) -> str:
  """`data.<split>_<domain>`; '' for `val`, which has no fields."""
  return data.get(f'{split}_{domain}', '')


def _existing(root, names):
  """The folders that exist, each once (some disks do not tell A from a)."""
  folders = []
  for path in (root / name for name in names):
    if path.is_dir() and not any(path.samefile(other) for other in folders):
      folders.append(path)
  return folders


def places(data: ConfigDict) -> dict[str, str]:
  """{field of `data`: its place} of all frames and maps that are folders, globs or files."""
  if data.source != 'folders':
    return {}
  names = ['root', *PLACES]
  names += [name for name in data if name.startswith(('labels_', 'edges_'))]
  return {name: data[name] for name in names
          if isinstance(data.get(name), str) and data[name]}


def check_apart(data: ConfigDict, target: str | os.PathLike, name: str) -> None:
  """Refuse to write where the frames are read from: what is written would be read as frames.

  Args:
    data: config.data. target: what is written. name: of its flag or field, for the message.

  Raises:
    UserError: names both.
  """
  for field, place in places(data).items():
    if field == 'root':
      continue
    output_paths.check_apart(place, target, may_hold=True, name=name)
  for split, domain in itertools.product(('train', 'test') if data.root else (), 'ab'):
    place = find_split(data, split, domain) if places(data) else ''
    if place:
      output_paths.check_apart(place, target, may_hold=True, name=name)


def absolute(place: str) -> str:
  """A place as it is found from any folder: relative ones are below the folder of today.

  Of a glob the signs in the name of that folder mean themselves.
  """
  if not place or os.path.isabs(os.path.expanduser(place)):
    return place
  here = os.getcwd()
  return os.path.join(glob.escape(here) if glob.has_magic(place) and not os.path.exists(place)
                      else here, place)


def with_absolute(config: ConfigDict) -> ConfigDict:
  """Make the places of a config absolute, in place; returns it.

  A run is scored from other folders than it was trained in: what `config.json` keeps must be found
  from there.
  """
  fields = ['root'] if config.data.source == 'tfds' else list(places(config.data))
  for name in fields:
    config.data[name] = absolute(config.data[name])
  reference = config.get('eval', {}).get('fid_reference', 'auto')
  if reference not in ('auto', 'test_b', 'train_b'):
    config.eval.fid_reference = absolute(reference)
  return config


def missing(data: ConfigDict, split: str, domain: str) -> str:
  """Message for a split and domain that is needed but was not named."""
  field = f'data.{split}_{domain}'
  if data.source == 'tfds':
    start = f'{data.name} has no frames for' if data.name else 'No frames given for'
    return (f'{start} {field}: name a set, data.name=irvi/traffic, or a split of one, '
            f'{field}=viper/img:train')
  if not data.root:
    return (f'No frames given for {field}: name a folder, a glob or a video file, or a '
            f'data.root that holds {", ".join(layouts(split, domain)[:5])} ...')
  root = files.expanded(data.root)
  content = sorted(x.name for x in root.iterdir()) if root.is_dir() else []
  return (f'data.root={data.root} has no frames for {field}. Looked for '
          f'{", ".join(layouts(split, domain))}; it holds {", ".join(content[:12]) or "nothing"}. '
          f'Name the place with {field}=PATH.')


def both_domains(folders: Iterable[str]) -> tuple[str, str] | None:
  """A name of domain a and one of domain b among paths of folders, at any depth, or None.

  Whoever points `train_a` one folder too high would otherwise mix infrared and visible frames.
  """
  domain_of = {}
  for domain in 'ab':
    domain_of |= dict.fromkeys(CAMERAS[domain], domain)
    for split in ('train', 'test', 'val'):
      domain_of |= {name.lower(): domain for name in layouts(split, domain)}
  name_of = {}
  for folder in folders:
    parts = folder.split('/')
    for name in (*parts, *(f'{x}/{y}' for x, y in zip(parts, parts[1:], strict=False))):
      domain = domain_of.get(name.lower()) or ('' if '/' in name else _camera(name))
      if domain:
        name_of.setdefault(domain, name)
  return (name_of['a'], name_of['b']) if len(name_of) == 2 else None


def both_cameras(names: list[str]) -> tuple[str, str, str] | None:
  """(a name of an infrared file, a visible one, its word) where each of the names says a camera.

  DJI_0001_thermal.jpg beside DJI_0001_rgb.jpg. None where some name says none, or all the same.
  """
  cameras = [_camera(name) for name in names]
  if '' in cameras or len(set(cameras)) < 2:
    return None
  first, second = names[cameras.index('a')], names[cameras.index('b')]
  word = next(x for x in re.split(r'[\W_]+', first) if x.lower() in WORDS['a'])
  return first, second, word


def _camera(name):
  """'a' or 'b' where words of a name say which camera it is, '' where they say none or both."""
  words = {word.lower() for word in re.split(r'[\W_]+', name)}
  domains = [domain for domain in 'ab' if words & set(WORDS[domain])]
  return domains[0] if len(domains) == 1 else ''

"""Which folder holds which split and domain: `data.train_a` and kin, or a known `data.root`."""

import pathlib

from i2vjax.core.errors import UserError

LETTERS = {'a': ('A', 'a'), 'b': ('B', 'b')}
CAMERAS = {'a': ('ir', 'infrared', 'thermal', 'lwir'), 'b': ('vis', 'visible', 'rgb', 'color')}


def layouts(split, domain):
  """Folder names tried below `data.root`, CycleGAN's first: trainA, train/A, train_ir, ir/train."""
  names = LETTERS[domain] + CAMERAS[domain]
  tried = [f'{split}{LETTERS[domain][0]}']
  tried += [form.format(split=split, name=name) for name in names
            for form in ('{split}/{name}', '{split}_{name}', '{name}/{split}')]
  return tried


def find_split(data, split, domain):
  """The place given for one split and domain.

  Args:
    data: config.data; `train_a` and kin win over `root`. The test split falls back to the folders
      of `val` (ROMA's loader does the same).

  Returns:
    A path or glob as text, '' where none was given or none exists below the root.
  """
  place = data.get(f'{split}_{domain}', '')
  if place or not data.root:
    return place
  root = pathlib.Path(data.root).expanduser()
  if not root.is_dir():
    raise FileNotFoundError(f'data.root={data.root}: no such folder')
  for name in (split, 'val') if split == 'test' else (split,):
    found = _existing(root, layouts(name, domain))
    if len(found) > 1:
      raise UserError(f'data.root={data.root} holds both {found[0].relative_to(root)} and '
                       f'{found[1].relative_to(root)}: say which with data.{split}_{domain}=PATH')
    if found:
      return str(found[0])
  return ''


def _existing(root, names):
  """The folders that exist, each once (some disks do not tell A from a)."""
  found = []
  for path in (root / name for name in names):
    if path.is_dir() and not any(path.samefile(other) for other in found):
      found.append(path)
  return found


def missing(data, split, domain):
  """Message for a split and domain that is needed but was not given."""
  field = f'data.{split}_{domain}'
  if data.get('source') == 'tfds':
    name = data.get('name', '')
    start = f'{name} has no frames for' if name else 'No frames given for'
    return (f'{start} {field}: name a set, data.name=irvi/traffic, or a split of one, '
            f'{field}=viper/img:train')
  if not data.root:
    return (f'No frames given for {field}: name a folder, a glob or a video file, or a '
            f'data.root that holds {", ".join(layouts(split, domain)[:5])} ...')
  root = pathlib.Path(data.root).expanduser()
  held = sorted(x.name for x in root.iterdir()) if root.is_dir() else []
  return (f'data.root={data.root} has no frames for {field}. Looked for '
          f'{", ".join(layouts(split, domain))}; it holds {", ".join(held[:12]) or "nothing"}. '
          f'Name the place with {field}=PATH.')


def both_domains(names):
  """Two of `names` that known layouts use for different domains or splits, or None.

  Whoever points `train_a` one folder too high would otherwise mix infrared and visible frames.
  """
  known = {name: domain for domain in 'ab' for split in ('train', 'test', 'val')
           for name in layouts(split, domain) if '/' not in name}
  known.update({name: domain for domain in 'ab' for name in CAMERAS[domain]})
  seen = {known[name]: name for name in names if name in known}
  return tuple(seen[domain] for domain in 'ab') if len(seen) == 2 else None

"""Named ways to damage bytes, trees of JSON and folders, drawn by a random number generator."""

import contextlib
import json
import os
import shutil
import struct

HUGE = (0xFFFFFFFF, 0x7FFFFFFF, 0x80000000, 100_000, 65535, 2 ** 63 - 1)
FORMS = ('>I', '<I', '>H', '<H', '>Q', '<Q')
# What stands in a tree where something else should.
WRONG = (None, True, 'x', '', '7', [], {}, [[[]]], {'a': {}}, -1, 0, 1.5, float('nan'),
         float('inf'), 1e30, 10 ** 30, 10 ** 400, 2 ** 31, '../../x', '/x', 'a\0b', 'a\nb',
         '\ud800')
NAMES = (b'a\nb', b'bad\xff', b'a' * 250, b'\xd9\xa3\xd9\xa3', b'a b', b'-x', b'%03d', b'\x1b[2J',
         b'12:30', b'#?*[x', '²'.encode(), b'~x')


# ---- bytes: (rng, data, bytes of other kinds of files) -> bytes


def cut(rng, data, others):
  return data[:rng.randrange(len(data))]


def flipped(rng, data, others):
  data = bytearray(data)
  for _ in range(rng.randint(1, 8)):
    data[rng.randrange(len(data))] ^= rng.randint(1, 255)
  return bytes(data)


def huge(rng, data, others):
  """A number in the file, mostly in its head, becomes a huge one: a length, a size, a count."""
  data = bytearray(data)
  for _ in range(rng.randint(1, 2)):
    form = rng.choice(FORMS)
    size = struct.calcsize(form)
    most = max(min(len(data), rng.choice((64, 512, len(data)))) - size, 1)
    place = rng.randrange(most)
    data[place:place + size] = struct.pack(form, rng.choice(HUGE) % 256 ** size)
  return bytes(data)


def body(rng, data, others):
  head = min(rng.choice((4, 12, 32, 64, 256)), len(data))
  return data[:head] + rng.randbytes(len(data) - head)


def zeros(rng, data, others):
  start = rng.randrange(len(data))
  end = min(start + rng.choice((4, 64, len(data))), len(data))
  return data[:start] + bytes(end - start) + data[end:]


def rubbish(rng, data, others):
  return data + rng.randbytes(rng.choice((1, 100, 5000)))


def hole(rng, data, others):
  start = rng.randrange(len(data))
  return data[:start] + data[start + rng.choice((1, 7, 100)):]


def inserted(rng, data, others):
  start = rng.randrange(len(data))
  return data[:start] + rng.randbytes(rng.choice((1, 7, 100))) + data[start:]


def empty(rng, data, others):
  return b''


def another(rng, data, others):
  return rng.choice(others)


BYTES = (cut, flipped, huge, body, zeros, rubbish, hole, inserted, empty, another)


# ---- JSON: (rng, tree) -> bytes


def places_of(tree, found=None):
  """(container, key) of everything in a tree."""
  found = [] if found is None else found
  pairs = tree.items() if isinstance(tree, dict) else (
      enumerate(tree) if isinstance(tree, list) else ())
  for key, value in pairs:
    found.append((tree, key))
    places_of(value, found)
  return found


def damaged_tree(rng, tree):
  """(name of the damage, bytes): one to three places of a tree are no longer what they were."""
  tree, done = json.loads(json.dumps(tree)), []
  for _ in range(rng.randint(1, 3)):
    if not (found := places_of(tree)):
      break
    container, key = rng.choice(found)
    kind = rng.choice(('missing', 'wrong', 'wrong', 'wrapped', 'twice', 'key', 'nested'))
    done.append(kind)
    if kind == 'missing':
      del container[key]
    elif kind == 'wrong':
      container[key] = rng.choice(WRONG)
    elif kind == 'wrapped':
      container[key] = rng.choice(([container[key]], {'x': container[key]}))
    elif kind == 'twice' and isinstance(container, list):
      container.append(container[key])
    elif kind == 'key' and isinstance(container, dict):
      container[rng.choice(('', '../x', 'ü', '7'))] = container.pop(key)
    else:
      container[key] = json.loads('[' * 80 + ']' * 80)
  return '+'.join(done), json.dumps(tree).encode()


def damaged_text(rng, data, others):
  """(name, bytes) of a text: as bytes, or no UTF-8, or nested without end."""
  kind = rng.choice(('bytes', 'no utf-8', 'deep', 'long'))
  if kind == 'bytes':
    way = rng.choice(BYTES)
    return way.__name__, way(rng, data, others)
  place = rng.randrange(len(data))
  more = {'no utf-8': b'\xff\xfe\x80', 'deep': b'[' * 200_000, 'long': b'9' * 10_000}[kind]
  return kind, data[:place] + more + data[place:]


# ---- folders


def damaged_folder(rng, folder, others):
  """Damage one thing below a folder; returns what was done."""
  files = sorted(path for path in folder.rglob('*') if path.is_file())
  path = rng.choice(files)
  kind = rng.choice(('bytes',) * 4 + ('gone', 'renamed', 'a folder', 'a loop', 'a pipe', 'no link',
                                      'more', 'moved', 'copied'))
  if kind == 'bytes':
    way = rng.choice(BYTES)
    path.write_bytes(way(rng, path.read_bytes() or b'x', others))
    return way.__name__
  with contextlib.suppress(OSError, shutil.Error):     # where it was done before, say
    _change(rng, folder, path, kind, others)
  return kind


def _change(rng, folder, path, kind, others):
  if kind in ('gone', 'a folder', 'a loop', 'a pipe', 'no link'):
    path.unlink()
  if kind == 'renamed':
    os.rename(path, os.path.join(os.fsencode(path.parent), rng.choice(NAMES) + _ending(path)))
  elif kind == 'a folder':
    path.mkdir()
  elif kind == 'a loop':
    path.symlink_to(rng.choice((path.name, '..', '.')))
  elif kind == 'a pipe':
    os.mkfifo(path)
  elif kind == 'no link':
    path.symlink_to('/nowhere/at all')
  elif kind == 'more':
    (path.parent / rng.choice(('x.mp4', 'y.png', 'z.txt', 'Thumbs.db'))).write_bytes(
        rng.choice(others))
  elif kind == 'moved' and path.parent != folder:
    shutil.move(path.parent, path.parent.with_name(rng.choice(('trainA', 'other', 'A', 'ir'))))
  elif kind == 'copied':
    shutil.copytree(path.parent, path.parent / 'inner', symlinks=True)


def _ending(path):
  return os.fsencode(path.suffix)

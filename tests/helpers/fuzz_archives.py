"""Damaged and crafted weight files and run folders against what reads them; counts what came of it.

  python tests/helpers/fuzz_archives.py [--count 1000] [--seed 0] [NAME ...]

The only good outcomes are 'right' and 'refused', and 'other names', which whoever reads the arrays
compares with what the network has; 'other numbers' where a format has no checksum.
"""

import argparse
import collections
import contextlib
import json
import os
import pathlib
import signal
import struct
import sys
import tempfile
import zipfile

os.environ.setdefault('JAX_COMPILATION_CACHE_DIR', os.environ.get(
    'I2VJAX_TEST_CACHE', os.path.join(tempfile.gettempdir(), 'i2vjax-test-cache')))
os.environ.setdefault('JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS', '0.5')

import numpy as np
import torch_files
from safetensors.numpy import save_file

from i2vjax.core.errors import UserError
from i2vjax.pretrained import files

SECONDS, MEGABYTES = 10, 2000   # that no file may cost
GOOD = ('right', 'refused', 'other names')
ARRAYS = {'conv.weight': np.arange(24, dtype=np.float32).reshape(4, 3, 2),
          'conv.bias': np.array([1.5, -2], np.float16), 'steps': np.arange(3)}


# ---- What came of it ----------------------------------------------------------------------------


class Hang(Exception):
  """It took longer than it may."""


class Watch:
  """What Python's audit events tell while it is on: code that ran, files written elsewhere."""

  RUNS = ('os.system', 'os.exec', 'os.posix_spawn', 'os.spawn', 'subprocess.Popen', 'os.fork',
          'pickle.find_class', 'socket.connect', 'marshal.loads')
  CHANGES = ('os.rename', 'os.remove', 'os.rmdir', 'os.mkdir', 'os.symlink', 'os.link', 'os.chmod')
  WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC

  def __init__(self):
    self.on, self.folder, self.found = False, '', []
    sys.addaudithook(self.hook)   # for good: it cannot be taken away

  def hook(self, event, arguments):
    if not self.on:
      return
    if event in self.RUNS and not self.inside_import():
      self.found.append(f'ran {event} {arguments[:2]!r}')
    elif event in ('exec', 'compile'):
      name = getattr(arguments[0], 'co_filename', None) or arguments[-1]
      if str(name).startswith(self.folder):
        self.found.append(f'ran {name}')
    elif (event == 'open' and isinstance(arguments[2], int) and arguments[2] & self.WRITES) or \
        event in self.CHANGES:
      at = arguments[-1] if event in self.CHANGES and isinstance(arguments[-1], int) else -1
      self.check(arguments[0], os.readlink(f'/proc/self/fd/{at}') if at > 2 else '')

  def inside_import(self):
    """True while a module is imported, which reads its .pyc by marshal."""
    frame = sys._getframe()
    while frame:
      if frame.f_code.co_filename.startswith('<frozen importlib'):
        return True
      frame = frame.f_back
    return False

  def check(self, path, base):
    if isinstance(path, str | bytes | os.PathLike):
      place = os.path.abspath(os.path.join(base, os.fsdecode(path)))
      allowed = self.folder, '/dev/', '/proc/', os.environ['JAX_COMPILATION_CACHE_DIR']
      if not place.startswith(allowed) and '__pycache__' not in place:
        self.found.append(f'wrote {place}')

  @contextlib.contextmanager
  def over(self, folder):
    """List of what was found while the block ran; `folder`: where it may write."""
    self.folder, self.found, self.on = str(folder), [], True
    try:
      yield self.found
    finally:
      self.on = False


WATCH = Watch()


def outcome(read, name, folder, seconds=SECONDS):
  """What came of one call.

  Args:
    read: () -> 'right' or another word for its result.
    name: what an error has to name.
    folder: all that may be written to.

  Returns:
    (word, text): 'right', 'refused', 'refused without a name', 'traceback', 'hang', 'memory',
    'ran', 'wrote', or the word of `read`.
  """
  reset_peak()
  before = peak()
  with WATCH.over(folder) as found:
    word, text = _called(read, name, seconds)
  if found:
    return found[0].split()[0], found[0]
  if peak() - before > MEGABYTES:
    return 'memory', f'{peak() - before} MB'
  return word, text


def _called(read, name, seconds):
  def late(*_):
    raise Hang
  before = signal.signal(signal.SIGALRM, late)
  signal.setitimer(signal.ITIMER_REAL, seconds)
  try:
    return read(), ''
  except Hang:
    return 'hang', f'more than {seconds} s'
  except (UserError, OSError) as error:
    return ('refused' if name in str(error) else 'refused without a name'), str(error)
  except BaseException as error:   # a panic of a library in Rust is no Exception
    return 'traceback', f'{type(error).__name__}: {error}'
  finally:
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def reset_peak():
  """Have `peak` begin anew, where the system can."""
  with contextlib.suppress(OSError):
    pathlib.Path('/proc/self/clear_refs').write_text('5')


def peak():
  """Most megabytes this process had since `reset_peak`; 0 where the system does not say."""
  try:
    status = pathlib.Path('/proc/self/status').read_text()
  except OSError:
    return 0
  return int(status.partition('VmHWM:')[2].split()[0]) // 1024


# ---- Damage -------------------------------------------------------------------------------------

EDGES = (b'\0', b'\xff', b'\x7f', b'\x80', b'\0\0\0\0', b'\xff\xff\xff\xff', b'\xff\xff\xff\x7f',
         b'\0' * 8, b'\xff' * 8, b'\xff' * 7 + b'\x7f', b'../', b'/', b'\n', b'.', b'c', b'R', b'(')


def damaged(data, rng):
  """Bytes with one to three changes of any kind."""
  data = bytearray(data)
  for _ in range(int(rng.integers(1, 4))):
    at, other = (int(x) for x in rng.integers(0, len(data) + 1, 2))
    edge = EDGES[int(rng.integers(len(EDGES)))]
    kind = rng.integers(7)
    if kind == 0:
      data[at:at + 1] = bytes([int(rng.integers(256))])
    elif kind == 1:
      data[at:at + len(edge)] = edge
    elif kind == 2:
      data[at:at] = edge
    elif kind == 3:
      del data[at:at + int(rng.integers(1, 64))]
    elif kind == 4:
      data[at:at] = data[other:other + int(rng.integers(1, 64))]
    elif kind == 5:
      del data[at:]
    elif data:
      data[min(at, len(data) - 1)] ^= 1 << int(rng.integers(8))
  return bytes(data)


# ---- Weight files -------------------------------------------------------------------------------


def instructions(rng):
  """A pickle of instructions in any order: those of tensors, and those that run code."""
  parts = [
      b'(', b'}', b']', b')', b'N', b'\x88', b'K\x07', b'.', b't', b'e', b'u', b's', b'a', b'R',
      b'b', b'Q', b'P1\n', b'\x81', b'\x92', b'\x93', b'\x94', b'\x85', b'\x86', b'\x87', b'0',
      b'2', b'h\x00', b'q\x00', b'j\xff\xff\xff\xff', b'r\xff\xff\xff\x7f', b'o', b'ios\nsystem\n',
      b'cos\nsystem\n', b'cbuiltins\nexec\n', b'\x82\x01', b'\x83\x01\x00', b'\x84\x01\0\0\0',
      b'\x8f', b'\x90', b'\x91', b'\x97', b'\x98', b'\x96' + struct.pack('<Q', 2**60),
      b'X' + struct.pack('<I', 2**31), b'\x8d' + struct.pack('<Q', 2**62), b'\x8b\xff\xff\xff\x7f',
      b'\x8a\xff' + b'\x7f' * 255, b'I9' + b'9' * 5000 + b'\n', b'F1e999\n', torch_files.text('x'),
      torch_files.text('storage'), torch_files.ORDERED, torch_files.name('torch', 'FloatStorage'),
      torch_files.name('torch._utils', '_rebuild_tensor_v2'),
      torch_files.name('torch._utils', '_rebuild_parameter'), torch_files.integer(-1),
      torch_files.storage('0', 'float32', 6), torch_files.whole('0', np.zeros(6, np.float32))]
  chosen = rng.integers(0, len(parts), int(rng.integers(1, 40)))
  return b'\x80\x02' + b''.join(parts[int(k)] for k in chosen) + b'.'


def header(rng):
  """A safetensors file whose header lies."""
  numbers = (0, 1, 2, 8, 48, 63, 64, 2**31, 2**63, 2**64, -1, 1.5, 'x', None, [], {})
  pick = lambda values: values[int(rng.integers(len(values)))]   # noqa: E731
  entry = {'dtype': pick(('F32', 'F16', 'BF16', 'F8_E4M3', 'F4', 'BOOL', 'I64', 'X', 3)),
           'shape': [pick(numbers) for _ in range(int(rng.integers(4)))],
           'data_offsets': [pick(numbers), pick(numbers)]}
  for field in list(entry):
    if rng.integers(8) == 0:
      entry[field] = pick(numbers)
  tree = {pick(('x', '', '../x', 'a/b', '__metadata__')): entry,
          pick(('y', 'a', '__metadata__')): pick((entry, {'a': 'b'}, {'a': 1}, numbers[0]))}
  text = pick((json.dumps(tree), '{' * 1000, '[' * 100000, json.dumps(tree)[:-2], '')).encode()
  length = pick((len(text), len(text) + 1, len(text) - 1, 0, 2**32, 2**63, 2**64 - 1))
  return struct.pack('<Q', length % 2**64) + text + bytes(64)


def members(path, rng):
  """An .npz file whose members or headers lie."""
  pick = lambda values: values[int(rng.integers(len(values)))]   # noqa: E731
  shape = pick(('()', '(3,)', '(1000000000000,)', '(-1,)', '(2, 3)', '3', '(True,)', "('x',)",
                '(' * 300, '(4611686018427387904, 4)', '(1e3,)', '(0, 4611686018427387904)'))
  kind = pick(("'<f4'", "'<f4'", "'|O'", "'<U1000000000'", "'|V8'", "[('a', '|O')]", "'x'", '3',
               "('<f4', 9)"))
  text = f"{{'descr': {kind}, 'fortran_order': False, 'shape': {shape}}}".ljust(117) + '\n'
  version = pick(((1, 0), (1, 0), (2, 0), (3, 0), (9, 9)))
  length = struct.pack('<H' if version == (1, 0) else '<I', pick((len(text), len(text) + 9, 7)))
  member = b'\x93NUMPY' + bytes(version) + length + text.encode() + bytes(int(rng.integers(64)))
  name = pick(('x.npy', '../x.npy', '/x.npy', 'x.npy', 'x', 'a\nb.npy', 'x.npy/'))
  with zipfile.ZipFile(path, 'w', pick((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
    archive.writestr(name, pick((member, member, b'', b'\x80\x04.', bytes(1000))))
    if rng.integers(2):
      archive.writestr('y.npy', member)


def weight_files(folder):
  """{name: (path of a good file, how to craft bad ones or None, its format has checksums)}."""
  plain = torch_files.save(folder / 'plain.pth', ARRAYS, torch_files.write_plain)
  zipped = torch_files.save(folder / 'zip.pt', ARRAYS)
  save_file(ARRAYS, folder / 'x.safetensors')
  np.savez(folder / 'x.npz', **ARRAYS)
  np.savez_compressed(folder / 'packed.npz', **ARRAYS)

  def pickled(write):
    return lambda path, rng: write(path, instructions(rng), {'0': np.zeros(6, np.float32)})

  def with_header(path, rng):
    path.write_bytes(header(rng))
  return {'.pth': (plain, pickled(torch_files.write_plain), False),
          '.pt': (zipped, pickled(torch_files.write_zip), True),
          '.safetensors': (folder / 'x.safetensors', with_header, False),
          '.npz': (folder / 'x.npz', members, True),
          '.npz, packed': (folder / 'packed.npz', members, True)}


def read_weights(path):
  """'right', or 'other names', 'other numbers' where they are not those of ARRAYS."""
  found = files.read(path)
  if found.keys() != ARRAYS.keys():
    return 'other names'
  same = all(found[name].dtype == array.dtype and np.array_equal(found[name], array)
             for name, array in ARRAYS.items())
  return 'right' if same else 'other numbers'


def weights(name, folder, count, seed=0, say=None):
  """Counter of outcomes of so many files of one format: three of four damaged, one crafted."""
  folder, rng = pathlib.Path(folder), np.random.default_rng(seed)
  good, craft, _ = weight_files(folder)[name]
  data, counts = good.read_bytes(), collections.Counter()
  path = folder / f'bad{good.suffix}'
  for k in range(count):
    if k % 4:
      path.write_bytes(damaged(data, rng))
    else:
      craft(path, rng)
    word, text = outcome(lambda: read_weights(path), path.name, folder)
    word = word if k % 4 or word != 'other numbers' else 'right'   # of a crafted file nobody knows
    counts[word] += 1
    if say and word not in (*GOOD, 'other numbers'):
      say(f'{name} {k}: {word} {text[:300]}')
  return counts


# ---- By hand ------------------------------------------------------------------------------------


def main():
  parser = argparse.ArgumentParser()
  parser.add_argument('names', nargs='*')
  parser.add_argument('--count', type=int, default=1000)
  parser.add_argument('--seed', type=int, default=0)
  flags = parser.parse_args()
  import fuzz_runs
  with tempfile.TemporaryDirectory() as folder:
    folder = pathlib.Path(folder)
    for name in flags.names or (*weight_files(folder), *fuzz_runs.NAMES):
      campaign = fuzz_runs.damage if name in fuzz_runs.NAMES else weights
      place = folder / name.replace('/', '-').replace(' ', '')
      place.mkdir()
      found = campaign(name, place, flags.count, flags.seed, lambda text: print(text, flush=True))
      print(f'{name:18}', dict(found), flush=True)


if __name__ == '__main__':
  main()

"""Tensors of PyTorch files (.pth, .pt), read without PyTorch.

No code in the file is run. Both formats of `torch.save` are read: the zip archive (since 1.6) and
the plain file before it.
"""

import collections
import io
import math
import mmap
import os
import struct
import zipfile

import numpy as np

from i2vjax.core.errors import UserError
from i2vjax.pretrained.torch_pickle import ALONE, Refused, Tensor, describe, short, walk

MAGIC = 0x1950A86A20F9469CFC6C   # first object of the plain format
MAX_EXPANDED = 2**24             # numbers in a tensor that repeats its storage (`expand`)
MAX_SHARED = 4                   # times a file's size that its tensors may have: some share numbers
# What reading a damaged file can raise.
DAMAGE = (zipfile.BadZipFile, ValueError, TypeError, KeyError, IndexError, AttributeError,
          EOFError, OSError, OverflowError, RuntimeError, struct.error)


def read(path, keep=None):
  """Tensors of a state dict by name.

  Args:
    path: file written by `torch.save(module.state_dict(), path)` of any PyTorch.
    keep: name -> bool; the numbers of other tensors are never read. None keeps all.

  Returns:
    {name: NumPy array}, contiguous and writable; bfloat16 as `ml_dtypes.bfloat16`.

  Raises:
    UserError: damaged, a web page, a TorchScript archive, or with an entry that is no tensor, which
      is named.
  """
  with open(path, 'rb') as file:
    try:
      tensors, fetch = _open(file)
      for name, tensor in tensors.items():
        _check(short(name), tensor)
      wanted = {name: tensor for name, tensor in tensors.items() if keep is None or keep(name)}
      _check_sum(wanted.values(), os.fstat(file.fileno()).st_size)
      return _arrays(wanted, fetch)
    except Refused as error:
      raise UserError(f'{path} {error}') from error
    except DAMAGE as error:
      raise UserError(f'{path} is damaged or was cut off ({error}); delete it and get it '
                       'again') from error


def _open(file):
  """({name: Tensor}, function that reads the bytes of a storage), by the first bytes of a file."""
  head = file.read(64)
  file.seek(0)
  if head.startswith(b'PK'):
    return _open_zip(file)
  if head.startswith(b'\x80'):
    return _open_plain(file)
  text = head.lstrip().lower()
  what = ('it is empty' if not head else
          'it is a web page saved under that name' if text.startswith(b'<') else
          'it only points to a file kept by Git LFS' if text.startswith(b'version https:') else
          'it begins like none')
  raise Refused(f'is no PyTorch file: {what}. Get it again')


def _open_zip(file):
  archive = zipfile.ZipFile(file)
  members = {info.filename.partition('/')[2]: info for info in archive.infolist()}
  if 'constants.pkl' in members or any(name.startswith('code/') for name in members):
    raise Refused('is a TorchScript archive, a program with its weights, and no state dict. For '
                  "FID's Inception take pt_inception-2015-12-05-6726825d.pth; else save the "
                  "network's state_dict()")
  if 'data.pkl' not in members:
    raise Refused('is a zip archive but none of PyTorch: it has no data.pkl')
  if len(members) < len(archive.infolist()):
    raise Refused('is not to be trusted: it holds several members of one name. Get it again')
  if any(info.compress_type != zipfile.ZIP_STORED for info in members.values()):
    raise Refused('was packed again: PyTorch never compresses. Take the original file')
  end = file.seek(0, 2)
  if sum(max(info.file_size, info.compress_size) for info in members.values()) > end:
    raise ValueError('its members are larger than the file')
  _little(archive.read(members['byteorder']) != b'big' if 'byteorder' in members else True)
  tensors = _state_dict(walk(io.BytesIO(archive.read(members['data.pkl']))))
  for tensor in tensors.values():
    size = members[f'data/{tensor.storage.key}'].file_size
    _check_storage(tensor.storage, size // tensor.storage.dtype.itemsize)
  return tensors, lambda storage: archive.read(members[f'data/{storage.key}'])


def _open_plain(file):
  # A memory map: reading from a file would allocate any length that a damaged pickle names.
  file = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
  if walk(file) != MAGIC:
    raise Refused('is a pickle but none of PyTorch')
  walk(file)   # version of the format, 1001 ever since
  _little(walk(file)['little_endian'])
  tensors = _state_dict(walk(file))
  sizes = {tensor.storage.key: tensor.storage.dtype.itemsize for tensor in tensors.values()}
  places = _places(file, walk(file), sizes)
  for tensor in tensors.values():
    _check_storage(tensor.storage, places[tensor.storage.key][1])

  def fetch(storage):
    start, count = places[storage.key]
    file.seek(start)
    return file.read(count * storage.dtype.itemsize)
  return tensors, fetch


def _places(file, keys, sizes):
  """{storage: (first byte, numbers)}; for each key the file has an int64 count and the numbers."""
  place, places, end = file.tell(), {}, file.size()
  for key in keys:
    if not isinstance(key, str):
      raise ValueError('a storage without a name')
    file.seek(place)
    count, = struct.unpack('<q', file.read(8))
    places[key] = (place + 8, count)
    place += 8 + count * sizes[key]
    if count < 0 or place > end:
      raise ValueError(f'storage {short(key)} ends at byte {place}, the file at {end}')
  return places


def _little(is_little):
  if not is_little:
    raise Refused('was written on a big-endian machine; save it again on another')


def _state_dict(value):
  """The object of a file, if it is a dict of tensors by name."""
  if not isinstance(value, dict):
    raise Refused(f'holds {describe(value)}, not a dict of tensors; {ALONE}')
  for name, item in value.items():
    if not isinstance(name, str) or not isinstance(item, Tensor):
      raise Refused(f'holds {describe(item)} as entry {short(str(name))!r}, not a tensor; {ALONE}')
  return value


def _check_storage(storage, count):
  """Refuse a storage with more numbers than the file has."""
  if type(storage.start) is not int or type(storage.count) is not int or storage.start < 0:
    raise ValueError(f'storage {short(storage.key)} without a length')
  if storage.start + storage.count > count:
    raise ValueError(f'storage {short(storage.key)} should have {storage.start + storage.count} '
                     f'numbers, there are {count}')


def _check(name, tensor):
  """Refuse a tensor that exceeds its storage or has an implausible size."""
  numbers = (tensor.offset, *tensor.shape, *tensor.strides)
  if (len(tensor.shape) != len(tensor.strides) or len(tensor.shape) > 32
      or any(type(n) is not int or n < 0 for n in numbers)):
    raise ValueError(f'tensor {name}: shape {tensor.shape}, strides {tensor.strides}, offset '
                     f'{tensor.offset}')
  last = tensor.offset + sum((n - 1) * s for n, s in
                             zip(tensor.shape, tensor.strides, strict=True))
  if 0 not in tensor.shape and last >= tensor.storage.count:
    raise ValueError(f'tensor {name} reaches number {last} of a storage of '
                     f'{tensor.storage.count}')
  if math.prod(tensor.shape) > max(tensor.storage.count, MAX_EXPANDED):
    raise ValueError(f'tensor {name} repeats {tensor.storage.count} numbers into {tensor.shape}')


def _check_sum(tensors, size):
  """Refuse a small file whose tensors share or repeat its numbers until they fill the memory."""
  total = sum(math.prod(tensor.shape) * tensor.storage.dtype.itemsize for tensor in tensors)
  if total > MAX_SHARED * size + 8 * MAX_EXPANDED:
    raise ValueError(f'{size} bytes that would become {total}')


def _arrays(tensors, fetch):
  """{name: array}; each storage is read once, however many tensors look into it."""
  of_storage = collections.defaultdict(list)
  for name, tensor in tensors.items():
    of_storage[tensor.storage.key].append(name)
  arrays = {}
  for names in of_storage.values():
    raw = fetch(tensors[names[0]].storage)
    arrays |= {name: _array(name, tensors[name], raw) for name in names}
  return {name: arrays[name] for name in tensors}


def _array(name, tensor, raw):
  """A copy of the tensor's window into the bytes of its storage."""
  storage = tensor.storage
  if 0 in tensor.shape:
    return np.zeros(tensor.shape, storage.dtype)
  numbers = np.frombuffer(raw, storage.dtype)[storage.start:storage.start + storage.count]
  if len(numbers) != storage.count:
    raise ValueError(f'the numbers of {short(name)} end early')
  strides = [s * storage.dtype.itemsize for s in tensor.strides]
  window = np.lib.stride_tricks.as_strided(numbers[tensor.offset:], tensor.shape, strides)
  return np.array(window, order='C')

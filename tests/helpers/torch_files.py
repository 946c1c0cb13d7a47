"""Writes PyTorch's two file formats instruction by instruction, honest or not, without PyTorch."""

import struct
import zipfile

import numpy as np

MAGIC = b'\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.'
TYPES = {'float32': 'FloatStorage', 'int64': 'LongStorage', 'float16': 'HalfStorage'}


def text(value):
  raw = value.encode()
  return b'X' + struct.pack('<I', len(raw)) + raw


def integer(value):
  return b'J' + struct.pack('<i', value)


def many(*items):
  return b'(' + b''.join(items) + b't'


def name(module, attribute):
  return f'c{module}\n{attribute}\n'.encode()


ORDERED = name('collections', 'OrderedDict')


def storage(key, dtype, count, view=b''):
  return many(text('storage'), name('torch', TYPES[dtype]), text(key), text('cpu'), integer(count),
              view) + b'Q'


def tensor(key, dtype, count, offset, shape, strides, function='_rebuild_tensor_v2', view=b''):
  """Instructions that rebuild one tensor."""
  arguments = [storage(key, dtype, count, view), integer(offset), many(*map(integer, shape)),
               many(*map(integer, strides))]
  if function.endswith('v2'):
    arguments += [b'\x89', ORDERED + b')R']
  return name('torch._utils', function) + many(*arguments) + b'R'


def whole(key, array):
  """Instructions of a tensor that is its storage."""
  strides = [s // array.itemsize for s in array.strides]
  return tensor(key, str(array.dtype), array.size, 0, array.shape, strides)


def state_dict(entries):
  """A pickle of {name: instructions}."""
  body = b''.join(text(key) + value for key, value in entries.items())
  return b'\x80\x02' + ORDERED + b')R(' + body + b'u.'


def write_zip(path, pickled, storages, members=None):
  """The format since 1.6: the pickle and one member a storage."""
  with zipfile.ZipFile(path, 'w') as archive:
    archive.writestr('archive/data.pkl', pickled)
    archive.writestr('archive/byteorder', 'little')
    for key, array in storages.items():
      archive.writestr(f'archive/data/{key}', array.tobytes())
    for key, content in (members or {}).items():
      archive.writestr(f'archive/{key}', content)
  return path


def write_plain(path, pickled, storages):
  """The format before it: header pickles, the object, the storages' names, their numbers."""
  info = b'\x80\x02}' + text('little_endian') + b'\x88s.'
  keys = b'\x80\x02](' + b''.join(text(key) for key in storages) + b'e.'
  numbers = b''.join(struct.pack('<q', array.size) + array.tobytes()
                     for array in storages.values())
  path.write_bytes(MAGIC + b'\x80\x02M\xe9\x03.' + info + pickled + keys + numbers)
  return path


def save(path, arrays, write=write_zip):
  """A state dict of whole arrays, as `torch.save` would write it."""
  arrays = {key: np.ascontiguousarray(array) for key, array in arrays.items()}
  keys = {key: str(i) for i, key in enumerate(arrays)}
  entries = {key: whole(keys[key], array) for key, array in arrays.items()}
  return write(path, state_dict(entries), {keys[key]: array for key, array in arrays.items()})

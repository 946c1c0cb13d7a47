"""Arrays by name from weight files; the suffix gives the format."""

import pathlib

import ml_dtypes
import safetensors

from i2vjax.core import npz
from i2vjax.core.errors import UserError
from i2vjax.pretrained import torch_file


def read(path, keep=None, suffix=None):
  """Arrays of a weight file.

  Args:
    path: .pth, .pt (state dict of PyTorch), .safetensors, or .npz.
    keep: name -> bool; the numbers of other arrays are never read. None keeps all.
    suffix: format of a file without such a name.

  Returns:
    {name: NumPy array} in the file's own layout and types.

  Raises:
    FileNotFoundError: no such file.
    UserError: another suffix, a damaged file, or one that holds more than arrays.
  """
  path = pathlib.Path(path)
  if not path.is_file():
    raise FileNotFoundError(f'{path}: no such file')
  suffix = suffix or path.suffix
  if suffix not in FORMATS:
    raise UserError(f'{path}: weights are read from {", ".join(sorted(FORMATS))}')
  return FORMATS[suffix](path, keep or (lambda name: True))


def read_safetensors(path, keep):
  """`read` of .safetensors."""
  try:
    with safetensors.safe_open(path, framework='np') as file:
      return {name: file.get_tensor(name) for name in file.keys() if keep(name)}  # noqa: SIM118
  except (safetensors.SafetensorError, OSError, ValueError, TypeError, AttributeError,
          MemoryError, OverflowError) as error:   # AttributeError: types that NumPy does not have
    raise UserError(f'{path} is no whole .safetensors file ({error}): {guess(path)}') from error


def read_npz(path, keep):
  """`read` of .npz; arrays of two opaque bytes per number are bfloat16, unknown to NumPy."""
  try:
    return {name: _typed(array) for name, array in npz.read(path, keep).items()}
  except npz.Damaged as error:
    hint = '' if isinstance(error, npz.Untrusted) else f'; {guess(path)}'
    raise UserError(f'{path} is {error}{hint}') from error


def _typed(array):
  opaque = array.dtype.kind == 'V' and array.dtype.itemsize == 2
  return array.view(ml_dtypes.bfloat16) if opaque else array


def from_torch(array):
  """A PyTorch convolution kernel [O, I, kh, kw] as ours [kh, kw, I, O]; other arrays unchanged."""
  return array.transpose(2, 3, 1, 0) if array.ndim == 4 else array


def guess(path):
  """A guess, for messages, why a file cannot be read."""
  with open(path, 'rb') as file:
    head = file.read(256).lstrip().lower()
  if head.startswith(b'<'):
    return 'it is a web page saved under that name; download it again'
  return 'the download was cut off, or it is another file; delete it and fetch it again'


FORMATS = {'.pth': torch_file.read, '.pt': torch_file.read,
           '.safetensors': read_safetensors, '.npz': read_npz}

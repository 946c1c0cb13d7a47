"""Arrays by name from weight files of any known kind, told apart by suffix."""

import pathlib
import zipfile

import ml_dtypes
import numpy as np
import safetensors

from i2vjax.core.errors import UserError
from i2vjax.pretrained import torch_file


def read(path, keep=None, suffix=None):
  """Arrays of a weight file.

  Args:
    path: .pth, .pt (state dict of PyTorch), .safetensors, or .npz.
    keep: name -> bool; the numbers of other arrays are never read. None keeps all.
    suffix: kind of the file where its name does not tell.

  Returns:
    {name: NumPy array} in the file's own layout and types.

  Raises:
    FileNotFoundError: no such file.
    ValueError: another suffix, a damaged file, or one that holds more than arrays.
  """
  path = pathlib.Path(path)
  if not path.is_file():
    raise FileNotFoundError(f'{path}: no such file')
  suffix = suffix or path.suffix
  if suffix not in READERS:
    raise UserError(f'{path}: weights are read from {", ".join(sorted(READERS))}')
  return READERS[suffix](path, keep or (lambda name: True))


def read_safetensors(path, keep):
  """`read` of .safetensors."""
  try:
    with safetensors.safe_open(path, framework='np') as file:
      return {name: file.get_tensor(name) for name in file.keys() if keep(name)}  # noqa: SIM118
  except (safetensors.SafetensorError, OSError, ValueError, TypeError) as error:
    raise UserError(f'{path} is no whole .safetensors file ({error}): {guess(path)}') from error


def read_npz(path, keep):
  """`read` of .npz; arrays of two opaque bytes a number are bfloat16, which NumPy cannot name."""
  try:
    with np.load(path, allow_pickle=False) as archive:
      return {name: _plain(archive[name]) for name in archive.files if keep(name)}
  except (zipfile.BadZipFile, ValueError, EOFError, OSError, AttributeError) as error:
    raise UserError(f'{path} is no whole .npz file ({error}): {guess(path)}') from error


def _plain(array):
  opaque = array.dtype.kind == 'V' and array.dtype.itemsize == 2
  return array.view(ml_dtypes.bfloat16) if opaque else array


def guess(path):
  """What a file that cannot be read probably is."""
  with open(path, 'rb') as file:
    head = file.read(256).lstrip().lower()
  if head.startswith(b'<'):
    return 'it is a web page saved under that name; download it again'
  return 'the download was cut off, or it is another file; delete it and fetch it again'


READERS = {'.pth': torch_file.read, '.pt': torch_file.read,
           '.safetensors': read_safetensors, '.npz': read_npz}

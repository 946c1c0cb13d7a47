"""Reader of the AugReg ViT files (.npz, arrays already named and laid out as our network's)."""

import re
import zipfile

import jax.numpy as jnp
import numpy as np

PREFIX = 'opt/target/'                 # of files saved with their optimiser
UNUSED = ('head/', 'pre_logits/')


def read(path, wanted):
  """Arrays of the network's own names.

  Arrays in `wanted` are loaded, others never: the blocks after the last one the network has, and
  the classifier, stay on disk.

  Args:
    path: .npz file.
    wanted: names 'Transformer/encoderblock_0/LayerNorm_0/scale', ...

  Returns:
    {name: array}. Names that are neither wanted nor known to be unused come with the array too, so
    that the caller can refuse them.

  Raises:
    ValueError: not a whole .npz file.
  """
  try:
    with np.load(path, allow_pickle=False) as archive:
      names = {name.removeprefix(PREFIX): name for name in archive.files}
      return {name: _plain(archive[stored]) for name, stored in names.items()
              if name in wanted or not _unused(name, wanted)}
  except (zipfile.BadZipFile, ValueError, EOFError, OSError, AttributeError) as error:
    raise ValueError(f'{path} is no whole .npz file ({error}): {_guess(path)}') from error


def _unused(name, wanted):
  """Classifier, or a block that the network does not have."""
  block = re.match(r'Transformer/encoderblock_\d+/', name)
  return name.startswith(UNUSED) or bool(
      block and not any(other.startswith(block.group()) for other in wanted))


def _plain(array):
  """NumPy has no bfloat16: such arrays come back as two opaque bytes a number."""
  opaque = array.dtype.kind == 'V' and array.dtype.itemsize == 2
  return array.view(jnp.bfloat16) if opaque else array


def _guess(path):
  with open(path, 'rb') as file:
    head = file.read(256).lstrip().lower()
  if head.startswith(b'<'):
    return 'it is a web page saved under that name; download it again'
  return 'the download was cut off, or it is another file; delete it and fetch it again'

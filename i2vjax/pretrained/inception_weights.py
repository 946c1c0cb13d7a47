"""pytorch-fid's file of the FID Inception under the names of `networks/inception.py`.

Names differ only in how a convolution and its batch norm are called; the classifier, and blocks
behind the features asked for, stay on disk.
"""

from i2vjax.core.errors import UserError
from i2vjax.networks import inception
from i2vjax.pretrained import files

LEAVES = {'conv.weight': 'kernel', 'bn.weight': 'scale', 'bn.bias': 'bias',
          'bn.running_mean': 'mean', 'bn.running_var': 'var'}
IGNORED = ('fc.', 'AuxLogits.')   # classifiers


def ours(name):
  """'Mixed_5b/branch1x1/kernel' for 'Mixed_5b.branch1x1.conv.weight'; other names stay."""
  for theirs, leaf in LEAVES.items():
    if name.endswith(f'.{theirs}'):
      return f'{name.removesuffix(theirs)}{leaf}'.replace('.', '/')
  return name


def read(path, wanted):
  """Arrays of the file by our names.

  Args:
    path: .pth, .safetensors or .npz with pytorch-fid's names.
    wanted: our names; of the other blocks nothing is read.

  Returns:
    {name: array}; kernels [rows, columns, I, O]. Names that belong to no block of this network come
    too, so that the caller can refuse them.

  Raises:
    ValueError: torchvision's Inception, which gives other features; see also `files.read`.
  """
  later = _later(wanted)

  def keep(name):
    return not name.startswith(IGNORED + later) and not name.endswith('num_batches_tracked')
  classes = files.read(path, lambda name: name == 'fc.bias').get('fc.bias')
  if classes is not None and len(classes) == 1000:
    raise UserError(f'{path} is the Inception of torchvision (1000 classes): FID is defined by '
                     'another one; get it by: python -m i2vjax.main fetch inception_fid')
  return {ours(name): array.transpose(2, 3, 1, 0) if array.ndim == 4 else array
          for name, array in files.read(path, keep).items()}


def _later(wanted):
  """How names in the file begin that lie behind the last part wanted."""
  asked = {name.split('/')[0] for name in wanted}
  last = max((i for i, part in enumerate(inception.PARTS) if part in asked), default=-1)
  return tuple(f'{part}.' for part in inception.PARTS[last + 1:])


READERS = {'inception_fid': read}

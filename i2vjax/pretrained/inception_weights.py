"""Reader of pytorch-fid's file of the FID Inception.

Arrays get the names of `networks/inception.py`. Names differ only in those of a convolution and its
batch norm; the classifier is not read.
"""

from i2vjax.core.errors import UserError
from i2vjax.pretrained import files

LEAVES = {'conv.weight': 'kernel', 'bn.weight': 'scale', 'bn.bias': 'bias',
          'bn.running_mean': 'mean', 'bn.running_var': 'var'}
IGNORED = ('fc.', 'AuxLogits.')   # classifiers


def our_name(name):
  """'Mixed_5b/branch1x1/kernel' for 'Mixed_5b.branch1x1.conv.weight'; other names stay."""
  for theirs, leaf in LEAVES.items():
    if name.endswith(f'.{theirs}'):
      return f'{name.removesuffix(theirs)}{leaf}'.replace('.', '/')
  return name


def read(path, shapes):
  """Arrays of the file by our names.

  Args:
    path: .pth, .safetensors or .npz with pytorch-fid's names.
    shapes: {our name: shape}; not used, as all blocks are read.

  Returns:
    {our name: array}; kernels [rows, columns, I, O]. Names that belong to no block of this network
    are included, so that the caller can refuse them.

  Raises:
    UserError: torchvision's Inception, which gives other features; see also `files.read`.
  """
  del shapes

  def keep(name):
    return not name.startswith(IGNORED) and not name.endswith('num_batches_tracked')
  classes = files.read(path, lambda name: name == 'fc.bias').get('fc.bias')
  if classes is not None and len(classes) == 1000:
    raise UserError(f'{path} is the Inception of torchvision (1000 classes): FID is defined by '
                    'another one; get it by: python -m i2vjax.main fetch inception_fid')
  arrays = files.read(path, keep)
  return {our_name(name): files.from_torch(array) for name, array in arrays.items()}


READERS = {'inception_fid': read}

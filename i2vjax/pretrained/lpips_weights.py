"""Readers of LPIPS files: torchvision's AlexNet, and the authors' heads (0.1).

VGG-16, the other network with heads, has its own module (`vgg_weights`).
"""

from i2vjax.core.errors import UserError
from i2vjax.pretrained import files

LAYERS = {'features.0': 'conv1', 'features.3': 'conv2', 'features.6': 'conv3',
          'features.8': 'conv4', 'features.10': 'conv5'}
LEAVES = {'weight': 'kernel', 'bias': 'bias'}


def read_alexnet(path, shapes):
  """Arrays of torchvision's AlexNet by the names of `networks/alexnet.py`.

  Args:
    path: .pth, .safetensors or .npz with torchvision's names.
    shapes: {our name: shape}; not used, as all convolutions are read.

  Returns:
    {our name: array}; kernels [k, k, I, O]. Unknown names are included, so that the caller can
    refuse them.

  Raises:
    UserError: see `files.read`.
  """
  del shapes
  our_names = {f'{theirs}.{leaf}': f'{ours}/{our_leaf}' for theirs, ours in LAYERS.items()
               for leaf, our_leaf in LEAVES.items()}
  arrays = files.read(path, lambda name: not name.startswith('classifier.'))
  return {our_names.get(name, name): files.from_torch(array) for name, array in arrays.items()}


def read_heads(path, shapes):
  """Arrays of a file of heads: `lin{i}.model.1.weight` [1, C, 1, 1] as `lin{i}` [C].

  Args:
    path: .pth, .safetensors or .npz.
    shapes: {our name: shape}; not used, as all heads are read.

  Returns:
    {our name: array}. Unknown names are included, so that the caller can refuse them.

  Raises:
    UserError: a negative weight, with which LPIPS would not be a distance; see also `files.read`.
  """
  del shapes
  arrays = {}
  for name, array in files.read(path).items():
    name = name.removesuffix('.model.1.weight')
    arrays[name] = array.reshape(-1) if array.ndim == 4 else array
  negative = [name for name, array in arrays.items() if array.size and array.min() < 0]
  if negative:
    raise UserError(f'{path} holds no heads of LPIPS: negative weights in {", ".join(negative)}')
  return arrays


READERS = {'alexnet': read_alexnet, 'lpips_alex': read_heads, 'lpips_vgg': read_heads}

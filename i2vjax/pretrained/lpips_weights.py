"""Files of LPIPS: torchvision's AlexNet, and the authors' heads of version 0.1.

VGG-16, the other network with heads, has its own module (`vgg_weights`).
"""

from i2vjax.core.errors import UserError
from i2vjax.pretrained import files

LAYERS = {'features.0': 'conv1', 'features.3': 'conv2', 'features.6': 'conv3',
          'features.8': 'conv4', 'features.10': 'conv5'}
LEAVES = {'weight': 'kernel', 'bias': 'bias'}


def read_alexnet(path, wanted):
  """Arrays of torchvision's AlexNet by the names of `networks/alexnet.py`.

  Args:
    path: .pth, .safetensors or .npz with torchvision's names.
    wanted: our names; all convolutions are read, whatever is wanted.

  Returns:
    {name: array}; kernels [k, k, I, O]. Strange names come too, so that the caller can refuse them.

  Raises:
    ValueError: see `files.read`.
  """
  del wanted
  names = {f'{theirs}.{leaf}': f'{ours}/{own}' for theirs, ours in LAYERS.items()
           for leaf, own in LEAVES.items()}
  arrays = files.read(path, lambda name: not name.startswith('classifier.'))
  return {names.get(name, name): array.transpose(2, 3, 1, 0) if array.ndim == 4 else array
          for name, array in arrays.items()}


def read_heads(path, wanted):
  """Arrays of a file of heads, `lin{i}.model.1.weight` [1, C, 1, 1] in it, as `lin{i}` [C].

  Args:
    path: .pth, .safetensors or .npz.
    wanted: our names; all heads are read, whatever is wanted.

  Returns:
    {name: array}. Strange names come too, so that the caller can refuse them.

  Raises:
    ValueError: a negative weight, with which LPIPS would be no distance; see also `files.read`.
  """
  del wanted
  arrays = {name.removesuffix('.model.1.weight'): array.reshape(-1) if array.ndim == 4 else array
            for name, array in files.read(path).items()}
  negative = [name for name, array in arrays.items() if array.size and array.min() < 0]
  if negative:
    raise UserError(f'{path} holds no heads of LPIPS: negative weights in {", ".join(negative)}')
  return arrays


READERS = {'alexnet': read_alexnet, 'lpips_alex': read_heads, 'lpips_vgg': read_heads}

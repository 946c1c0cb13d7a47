"""Reader of torchvision's VGG files.

Arrays get the names of `networks/vgg.py`. torchvision numbers the layers of `features`
(convolution, ReLU and pooling each count one); we name convolutions by block. The classifier, and
convolutions after the network's last one, are not read.
"""

import functools

from i2vjax.networks import vgg
from i2vjax.pretrained import files


def table(depth):
  """{our name of a convolution: its torchvision name}, in order.

  Args:
    depth: 16 or 19. VGG-16 ends with conv5_3 = features.28, VGG-19 with conv5_4 = features.34.
  """
  names, index = {}, 0
  for block, count in enumerate(vgg.BLOCKS[depth], 1):
    for i in range(1, count + 1):
      names[f'conv{block}_{i}'] = f'features.{index}'
      index += 2
    index += 1
  return names


def read(path, shapes, depth):
  """Arrays of a VGG file by our names.

  Args:
    path: .pth, .safetensors or .npz with torchvision's names.
    shapes: {our name such as 'conv1_1/kernel': shape}; others of the same network are not read.
    depth: 16 or 19.

  Returns:
    {our name: array}; kernels [3, 3, I, O]. Names that belong to no VGG of this depth are included,
    so that the caller can refuse them.

  Raises:
    UserError: see `files.read`.
  """
  our_names = {}
  for ours, theirs in table(depth).items():
    our_names |= {f'{theirs}.weight': f'{ours}/kernel', f'{theirs}.bias': f'{ours}/bias'}

  def keep(name):
    is_classifier = name.startswith('classifier.')
    return not is_classifier and (name not in our_names or our_names[name] in shapes)
  arrays = files.read(path, keep)
  return {our_names.get(name, name): files.from_torch(array) for name, array in arrays.items()}


READERS = {f'vgg{depth}': functools.partial(read, depth=depth) for depth in vgg.BLOCKS}

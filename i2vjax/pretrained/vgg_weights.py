"""torchvision's VGG files under the names of `networks/vgg.py`.

torchvision numbers the layers of `features` (convolution, ReLU and pooling each count one); we name
convolutions by block. The classifier, and convolutions after the last one the network has, stay on
disk.
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


def read(path, wanted, depth):
  """Arrays of a VGG file by our names.

  Args:
    path: .pth, .safetensors or .npz with torchvision's names.
    wanted: our names, 'conv1_1/kernel' and so on; others of the same network are left out.
    depth: 16 or 19.

  Returns:
    {name: array}; kernels [3, 3, I, O]. Names that belong to no VGG of this depth come too, so that
    the caller can refuse them.

  Raises:
    ValueError: see `files.read`.
  """
  ours = {f'{theirs}.{leaf}': f'{name}/{kind}' for name, theirs in table(depth).items()
          for leaf, kind in (('weight', 'kernel'), ('bias', 'bias'))}

  def keep(name):
    return not name.startswith('classifier.') and (name not in ours or ours[name] in wanted)
  return {ours.get(name, name): array.transpose(2, 3, 1, 0) if array.ndim == 4 else array
          for name, array in files.read(path, keep).items()}


READERS = {f'vgg{depth}': functools.partial(read, depth=depth) for depth in vgg.BLOCKS}

"""Reader of the AugReg ViT files (.npz, arrays already named and laid out as our network's)."""

import re

from i2vjax.pretrained import files

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
  def keep(stored):
    name = stored.removeprefix(PREFIX)
    return name in wanted or not _unused(name, wanted)
  return {name.removeprefix(PREFIX): array for name, array in files.read(path, keep).items()}


def _unused(name, wanted):
  """Classifier, or a block that the network does not have."""
  block = re.match(r'Transformer/encoderblock_\d+/', name)
  return name.startswith(UNUSED) or bool(
      block and not any(other.startswith(block.group()) for other in wanted))

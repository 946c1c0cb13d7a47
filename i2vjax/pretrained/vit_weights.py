"""Reader of ViT files: AugReg's .npz, and PyTorch state dicts.

AugReg's arrays have the names and shapes of our network. PyTorch state dicts are those of timm and
DINO: one matrix for query, key and value, linear weights [out, in]. The names of the arrays tell
which of the two a file is. Positions of another grid are interpolated.
"""

import re

import jax
import jax.numpy as jnp
import numpy as np

from i2vjax.pretrained import files

PREFIX = 'opt/target/'                 # in files saved with their optimizer
UNUSED = ('head/', 'pre_logits/', 'head.', 'head_dist.', 'fc_norm.', 'pre_logits.')
POSITIONS = 'Transformer/posembed_input/pos_embedding'
WHOLE = {'cls_token': 'cls', 'pos_embed': POSITIONS, 'patch_embed.proj': 'embedding',
         'norm': 'Transformer/encoder_norm'}
ATTENTION = 'MultiHeadDotProductAttention_1'
IN_BLOCK = {'norm1': 'LayerNorm_0', 'norm2': 'LayerNorm_2', 'attn.proj': f'{ATTENTION}/out',
            'mlp.fc1': 'MlpBlock_3/Dense_0', 'mlp.fc2': 'MlpBlock_3/Dense_1'}


def read(path, shapes):
  """Arrays of a ViT file by our names.

  Blocks after the network's last one, and the classifier, are not read where the format allows it.

  Args:
    path: .npz with AugReg's names; .pth, .safetensors or .npz with timm's.
    shapes: {'Transformer/encoderblock_0/LayerNorm_0/scale': shape, ...}.

  Returns:
    {our name: array}. Unknown names are included, so that the caller can refuse them.

  Raises:
    UserError: see `files.read`.
  """
  def keep(stored):
    names = our_names(stored)
    return any(name in shapes for name in names) or not _is_unused(names[0], shapes)
  arrays = {}
  for stored, array in files.read(path, keep).items():
    names = our_names(stored)
    if names == [stored.removeprefix(PREFIX)]:   # our layout, or an unknown array
      arrays[names[0]] = array
      continue
    for name, part in zip(names, np.array_split(array, len(names)), strict=True):
      arrays[name] = from_torch(part, shapes.get(name))
  if POSITIONS in arrays and POSITIONS in shapes:
    arrays[POSITIONS] = resize_positions(arrays[POSITIONS], shapes[POSITIONS][1])
  return arrays


def our_names(stored):
  """Our names of a stored array: three for timm's query, key and value in one, else one."""
  name = stored.removeprefix(PREFIX)
  if name in WHOLE:
    return [WHOLE[name]]
  match = re.fullmatch(r'(?:blocks\.(\d+)\.)?(.+)\.(weight|bias)', name)
  if not match:
    return [name]
  block, layer, leaf = match.groups()
  norm = layer.startswith('norm')
  leaf = 'bias' if leaf == 'bias' else 'scale' if norm else 'kernel'
  if block is None:
    return [f'{WHOLE[layer]}/{leaf}'] if layer in WHOLE else [name]
  root = f'Transformer/encoderblock_{block}'
  if layer == 'attn.qkv':
    return [f'{root}/{ATTENTION}/{part}/{leaf}' for part in ('query', 'key', 'value')]
  return [f'{root}/{IN_BLOCK[layer]}/{leaf}'] if layer in IN_BLOCK else [name]


def from_torch(array, shape):
  """A PyTorch array in our layout: kernels transposed, heads separated as in `shape`."""
  array = array.T if array.ndim == 2 else files.from_torch(array)
  fits = shape is not None and array.size == np.prod(shape)
  return array.reshape(shape) if fits else array   # `pretrained.fit` refuses what does not fit


def resize_positions(positions, count):
  """Positions [1, 1 + n^2, C] for `count` tokens: the map is resized, the class token's stays.

  Cubic, half-pixel centers, as timm does since its version 0.8. [1, count, C].
  """
  old, new = round((positions.shape[1] - 1)**0.5), round((count - 1)**0.5)
  if old == new or 1 + old**2 != positions.shape[1] or 1 + new**2 != count:
    return positions
  C = positions.shape[2]
  grid = jnp.asarray(positions[:, 1:], jnp.float32).reshape(1, old, old, C)
  grid = jax.image.resize(grid, (1, new, new, C), 'cubic').reshape(1, new * new, C)
  return np.concatenate([np.asarray(positions[:, :1], np.float32), np.asarray(grid)], axis=1)


def _is_unused(name, shapes):
  """True for the classifier, and for a block that the network does not have."""
  block = re.match(r'Transformer/encoderblock_\d+/', name)
  return name.startswith(UNUSED) or bool(
      block and not any(other.startswith(block.group()) for other in shapes))

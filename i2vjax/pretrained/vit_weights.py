"""Readers of ViT files: AugReg's .npz, named and laid out as our network, and PyTorch state dicts.

The latter are those of timm and DINO: one matrix for query, key and value, linear weights
[out, in]. Which of the two a file is, its names tell. Positions of another grid are interpolated.
"""

import re

import jax
import jax.numpy as jnp
import numpy as np

from i2vjax.pretrained import files

PREFIX = 'opt/target/'                 # of files saved with their optimizer
UNUSED = ('head/', 'pre_logits/', 'head.', 'head_dist.', 'fc_norm.', 'pre_logits.')
POSITIONS = 'Transformer/posembed_input/pos_embedding'
WHOLE = {'cls_token': 'cls', 'pos_embed': POSITIONS, 'patch_embed.proj': 'embedding',
         'norm': 'Transformer/encoder_norm'}
ATTENTION = 'MultiHeadDotProductAttention_1'
IN_BLOCK = {'norm1': 'LayerNorm_0', 'norm2': 'LayerNorm_2', 'attn.proj': f'{ATTENTION}/out',
            'mlp.fc1': 'MlpBlock_3/Dense_0', 'mlp.fc2': 'MlpBlock_3/Dense_1'}


def read(path, wanted):
  """Arrays of the network's own names.

  Arrays that are not wanted are not loaded where the file allows it: the blocks after the last one
  the network has, and the classifier, stay on disk.

  Args:
    path: .npz of AugReg's names; .pth, .safetensors or .npz of timm's.
    wanted: {'Transformer/encoderblock_0/LayerNorm_0/scale': shape, ...}.

  Returns:
    {name: array}. Names that are neither wanted nor known to be unused come with the array too, so
    that the caller can refuse them.

  Raises:
    ValueError: not a whole file of its kind.
  """
  def keep(stored):
    return any(name in wanted for name in ours(stored)) or not _unused(ours(stored)[0], wanted)
  found = {}
  for stored, array in files.read(path, keep).items():
    names = ours(stored)
    if names == [stored.removeprefix(PREFIX)]:   # laid out as ours, or nobody knows it
      found[names[0]] = array
      continue
    for name, part in zip(names, np.array_split(array, len(names)), strict=True):
      found[name] = arranged(part, wanted.get(name))
  if POSITIONS in found and POSITIONS in wanted:
    found[POSITIONS] = on_grid(found[POSITIONS], wanted[POSITIONS][1])
  return found


def ours(stored):
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


def arranged(array, shape):
  """A PyTorch array in our layout: kernels turned, heads apart where `shape` has them apart."""
  if array.ndim == 4:
    array = array.transpose(2, 3, 1, 0)
  elif array.ndim == 2:
    array = array.T
  fits = shape is not None and array.size == np.prod(shape)
  return array.reshape(shape) if fits else array   # what does not fit is refused by its own shape


def on_grid(positions, count):
  """Positions [1, 1 + n^2, C] for `count` tokens: the class token's stays, the map is resized.

  Cubic, half-pixel centers, as timm does since its version 0.8. [1, count, C].
  """
  old, new = (round((number - 1)**0.5) for number in (positions.shape[1], count))
  if old == new or 1 + old**2 != positions.shape[1] or 1 + new**2 != count:
    return positions
  C = positions.shape[2]
  grid = jnp.asarray(positions[:, 1:], jnp.float32).reshape(1, old, old, C)
  grid = jax.image.resize(grid, (1, new, new, C), 'cubic').reshape(1, new * new, C)
  return np.concatenate([np.asarray(positions[:, :1], np.float32), np.asarray(grid)], axis=1)


def _unused(name, wanted):
  """Classifier, or a block that the network does not have."""
  block = re.match(r'Transformer/encoderblock_\d+/', name)
  return name.startswith(UNUSED) or bool(
      block and not any(other.startswith(block.group()) for other in wanted))

"""Key tables of public ToDayGAN, PearlGAN and MornGAN checkpoints (generator halves).

A file is an encoder or a renderer of one domain (networks/combogan.py), a list `model` of layers.
With PearlGAN's attention the encoder's list ends with it and the residual blocks are
`model_postfix`; in the renderer it is `model_att`. Instance norms have no entries, a PReLU has only
`weight`.
"""

import re

from i2vjax.core.errors import UserError
from i2vjax.interop.layouts import Layout, shape

GROUPS = 32   # of their group norms; the files do not contain it


def encoder(arrays):
  """Layout of an encoder, by its keys.

  Raises:
    ValueError: it is none.
  """
  attention = 'model.10.conv.0.weight' in arrays
  place = ('model_postfix', 0) if attention else ('model', 10)
  blocks, second = residuals(arrays, *place, 'encoder')
  layers, leaves = encoder_layers(blocks, attention, second)
  width, channels = shape(arrays, layers['stem/conv'])[:2]
  fields = {'gen.width': width, 'gen.blocks_enc': blocks, 'gen.attention': attention}
  return Layout(_what('an encoder', blocks, width, attention), layers, {}, fields,
                (channels, channels), leaves)


def renderer(arrays):
  """Layout of a renderer, by its keys.

  Raises:
    ValueError: it is none.
  """
  attention = 'model_att.conv.0.weight' in arrays
  blocks, second = residuals(arrays, 'model', 0, 'renderer')
  norm = 'group' if f'model.{blocks + 1}.weight' in arrays else 'instance'
  layers, leaves = renderer_layers(blocks, attention, norm, second)
  channels, width = shape(arrays, layers['head/conv'])[:2]
  fields = {'gen.width': width, 'gen.blocks_dec': blocks, 'gen.attention': attention,
            'gen.up_norm': norm} | ({'gen.groups': GROUPS} if norm == 'group' else {})
  return Layout(_what('a renderer', blocks, width, attention) + f', {norm} norm', layers, {},
                fields, (channels, channels), leaves)


def _what(name, blocks, width, attention):
  return f'{name} of {blocks} blocks, width {width}' + (', with attention' if attention else '')


def residuals(arrays, prefix, first, half):
  """Number of residual blocks, and place of the second convolution in a block.

  Args:
    prefix, first: entries of the first block are called PREFIX.FIRST.conv_block.
    half: 'encoder' or 'renderer', for the message.

  Returns:
    (number, place: 5, or 6 after dropout).

  Raises:
    UserError: there are none, or the first has another number.
  """
  pattern = rf'{prefix}\.(\d+)\.conv_block\.(\d+)\.bias$'
  matches = [re.match(pattern, name) for name in arrays]
  pairs = [(int(match[1]), int(match[2])) for match in matches if match]
  if not pairs or min(pairs)[0] != first:
    raise UserError(f'is no {half}: it has no entry {prefix}.{first}.conv_block')
  return len({block for block, _ in pairs}), max(place for _, place in pairs)


# ---- Tables: ({our layer: their entry}, {our leaf: their entry}) --------------------------------


def encoder_layers(blocks, attention, second=5):
  """Of an encoder. Layers count three places (with norm and PReLU), padding one."""
  layers, leaves = {}, {}
  for name, place in (('stem', 1), ('down_0', 4), ('down_1', 7)):
    layers[f'{name}/conv'] = f'model.{place}'
    leaves[f'{name}/act/negative_slope'] = f'model.{place + 2}.weight'
  if attention:
    _attention(layers, leaves, 'model.10')
  prefix, first = ('model_postfix', 0) if attention else ('model', 10)
  _residuals(layers, leaves, blocks, prefix, first, second)
  return layers, leaves


def renderer_layers(blocks, attention, norm, second=5):
  """Of a renderer. norm: after its upsampling, 'group' | 'instance'."""
  layers, leaves = {}, {}
  if attention:
    _attention(layers, leaves, 'model_att')
  _residuals(layers, leaves, blocks, 'model', 0, second)
  for i in range(2):
    place = blocks + 3 * i
    layers[f'up_{i}/conv'] = f'model.{place}'
    leaves[f'up_{i}/act/negative_slope'] = f'model.{place + 2}.weight'
    if norm == 'group':
      leaves |= {f'up_{i}/norm/scale': f'model.{place + 1}.weight',
                 f'up_{i}/norm/bias': f'model.{place + 1}.bias'}
  layers['head/conv'] = f'model.{blocks + 7}'
  return layers, leaves


def _residuals(layers, leaves, blocks, prefix, first, second):
  for i in range(blocks):
    block = f'{prefix}.{first + i}.conv_block'
    layers |= {f'res_{i}/conv_0': f'{block}.1', f'res_{i}/conv_1': f'{block}.{second}'}
    leaves[f'res_{i}/act/negative_slope'] = f'{block}.3.weight'


def _attention(layers, leaves, prefix):
  layers['attention/conv'] = f'{prefix}.conv.0'
  leaves['attention/act/negative_slope'] = f'{prefix}.conv.2.weight'
  layers |= {f'attention/gate_{i}': f'{prefix}.bottlenec{i}.1' for i in range(1, 5)}


DETECT = {'encoder': encoder, 'renderer': renderer}

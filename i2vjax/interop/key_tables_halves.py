"""Key tables of the public checkpoints of ToDayGAN, PearlGAN and MornGAN: halves of generators.

A file is an encoder or a renderer of one domain (networks/combogan.py), a list `model` of layers.
PearlGAN's attention ends that of the encoder, whose residual blocks are then `model_postfix`, and
is `model_att` in the renderer. Instance norms have no entries, a PReLU has `weight` alone.
"""

import re

from i2vjax.core.errors import UserError
from i2vjax.interop.layouts import Layout, shape

GROUPS = 32   # of their group norms, which a file does not tell


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
  """(number of residual blocks from `first` on, place of the second convolution in one: 5, or 6
  after dropout).

  Raises:
    ValueError: there are none, or elsewhere.
  """
  found = [tuple(map(int, match.groups())) for match in (
      re.match(rf'{prefix}\.(\d+)\.conv_block\.(\d+)\.bias$', name) for name in arrays) if match]
  if not found or min(found)[0] != first:
    raise UserError(f'is no {half}: it has no entry {prefix}.{first}.conv_block')
  return len({block for block, _ in found}), max(place for _, place in found)


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
  """Of a renderer. norm: of its doublings, 'group' | 'instance'."""
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

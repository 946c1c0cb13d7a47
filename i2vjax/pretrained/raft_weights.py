"""Reader of RAFT files: torchvision's, and those of RAFT's authors.

Arrays get the names of `flow/raft.py`. The authors' files (raft-things.pth, raft-sintel.pth,
raft-small.pth ...) come in one archive and have no hash in their names:
`--config.flow.weights=PATH` names one. The names of the arrays tell which of the two kinds a file
is.
"""

import functools

from i2vjax.flow import raft
from i2vjax.pretrained import files

NORM = {'weight': 'scale', 'bias': 'bias', 'running_mean': 'mean', 'running_var': 'var'}
CONV = {'weight': 'kernel', 'bias': 'bias'}


def blocks(kind):
  """[(stage, block, number of units, whether its shortcut has parameters)] of an encoder."""
  units = 3 if raft.SIZES[kind]['bottleneck'] else 2
  return [(stage, i, units, bool(stage and not i)) for stage in range(3) for i in range(2)]


def torchvision_table(kind):
  """{our module: torchvision's module} of all convolutions and norms."""
  table = {}
  for ours, theirs in (('feature', 'feature_encoder'), ('context', 'context_encoder')):
    table |= _unit(f'{ours}/stem', f'{theirs}.convnormrelu')
    for stage, i, units, shortcut in blocks(kind):
      here, there = f'{ours}/stage_{stage}_{i}', f'{theirs}.layer{stage + 1}.{i}'
      for k in range(units):
        table |= _unit(f'{here}/unit_{k}', f'{there}.convnormrelu{k + 1}')
      if shortcut:
        table |= _unit(f'{here}/skip', f'{there}.downsample')
    table[f'{ours}/head'] = f'{theirs}.conv'
  sizes, motion = raft.SIZES[kind], 'update_block.motion_encoder'
  for part in ('corr', 'flow'):
    for k in range(len(sizes[part])):
      table[f'update/{part}_{k}/conv'] = f'{motion}.conv{part}{k + 1}.0'
  table['update/merge/conv'] = f'{motion}.conv.0'
  for k in range(len(sizes['gru'])):
    table |= {f'update/gru_{k}/{gate}': f'update_block.recurrent_block.convgru{k + 1}.conv{gate}'
              for gate in 'zrq'}
  table |= _head('update_block.flow_head.conv1', 'update_block.flow_head.conv2')
  return table | _mask(sizes, 'mask_predictor.convrelu.0', 'mask_predictor.conv')


def authors_table(kind):
  """{our module: the authors' module}, without the prefix `module.` of their files."""
  table = {}
  for ours, theirs in (('feature', 'fnet'), ('context', 'cnet')):
    table |= {f'{ours}/stem/conv': f'{theirs}.conv1', f'{ours}/stem/norm': f'{theirs}.norm1'}
    for stage, i, units, shortcut in blocks(kind):
      here, there = f'{ours}/stage_{stage}_{i}', f'{theirs}.layer{stage + 1}.{i}'
      for k in range(units):
        table |= {f'{here}/unit_{k}/{part}': f'{there}.{part}{k + 1}' for part in ('conv', 'norm')}
      if shortcut:
        table |= _unit(f'{here}/skip', f'{there}.downsample')
    table[f'{ours}/head'] = f'{theirs}.conv2'
  sizes = raft.SIZES[kind]
  numbered = len(sizes['gru']) > 1   # two units of the large network
  for part in ('corr', 'flow'):
    for k in range(len(sizes[part])):
      table[f'update/{part}_{k}/conv'] = f'update_block.encoder.conv{part[0]}{k + 1}'
  table['update/merge/conv'] = 'update_block.encoder.conv'
  for k in range(len(sizes['gru'])):
    number = k + 1 if numbered else ''
    table |= {f'update/gru_{k}/{gate}': f'update_block.gru.conv{gate}{number}' for gate in 'zrq'}
  table |= _head('update_block.flow_head.conv1', 'update_block.flow_head.conv2')
  return table | _mask(sizes, 'update_block.mask.0', 'update_block.mask.2')


def _unit(ours, theirs):
  return {f'{ours}/conv': f'{theirs}.0', f'{ours}/norm': f'{theirs}.1'}


def _head(first, second):
  return {'update/head_0/conv': first, 'update/head_1': second}


def _mask(sizes, first, second):
  return {'mask_0/conv': first, 'mask_1': second} if sizes['mask_head'] else {}


def read(path, shapes, kind):
  """Arrays of a RAFT file by our names.

  Args:
    path: .pth, .safetensors or .npz, with torchvision's names or the authors'.
    shapes: {our name: shape}; not used, as all arrays are read.
    kind: 'large' or 'small'.

  Returns:
    {our name: array}; kernels [k, k, I, O]. Names that belong to no RAFT of this kind are included,
    so that the caller can refuse them.

  Raises:
    UserError: see `files.read`.
  """
  del shapes
  arrays = files.read(path, lambda name: not name.endswith('num_batches_tracked'))
  arrays = {name.removeprefix('module.'): array for name, array in arrays.items()}
  from_authors = any(name.startswith('fnet.') for name in arrays)
  if from_authors:
    arrays = {name: array for name, array in arrays.items() if not _is_duplicate(name, arrays)}
  our_names = {}
  for ours, theirs in (authors_table if from_authors else torchvision_table)(kind).items():
    for leaf, our_leaf in (NORM if ours.endswith('/norm') else CONV).items():
      our_names[f'{theirs}.{leaf}'] = f'{ours}/{our_leaf}'
  return {our_names.get(name, name): files.from_torch(array) for name, array in arrays.items()}


def _is_duplicate(name, arrays):
  """True for the norm of a shortcut where the authors' files hold it a second time.

  Their blocks store it as `norm3` (of three units: `norm4`) and again inside `downsample`.
  """
  block, _, leaf = name.rpartition('.')
  block, _, norm = block.rpartition('.')
  last = 4 if f'{block}.conv3.weight' in arrays else 3
  return norm == f'norm{last}' and f'{block}.downsample.1.{leaf}' in arrays


READERS = {weight_id: functools.partial(read, kind=weight_id.split('_')[1])
           for weight_id in ('raft_small', 'raft_large', 'raft_large_v1')}

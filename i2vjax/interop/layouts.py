"""Conversion between public PyTorch state dicts and our parameters.

A `Layout` says which of our layers is which entry (tables: key_tables.py, key_tables_halves.py).

Our convolution kernels are the transposes [kh, kw, I, O] of PyTorch's [O, I, kh, kw]; transposed
convolutions are stored [I, O, kh, kw] there and [kh, kw, O, I] here: one and the same permutation.
"""

import dataclasses
import re

import numpy as np

from i2vjax.core.errors import UserError

STATISTICS = ('.running_mean', '.running_var', '.num_batches_tracked')   # unused by instance norm
BINOMIAL = {3: (1, 2, 1), 4: (1, 3, 3, 1)}   # blurs of 3 x 3 and 4 x 4; their products over 16
MAX_LISTED = 4                               # keys in a message


@dataclasses.dataclass(frozen=True)
class Layout:
  """One network of a public code base.

  Attributes:
    what: description for the user.
    layers: {our layer: their entry}, both without the leaf ('stem/conv': 'model.1').
    filters: {their constant blur filter: its side}.
    fields: {config field: value} that make our network this one.
    channels: (in, out) of frames.
    leaves: {our leaf: their entry} of other parameters ('act/negative_slope': 'model.3.weight');
      same shape in both, except that a single number is [1] there.
  """

  what: str
  layers: dict
  filters: dict
  fields: dict
  channels: tuple = ()
  leaves: dict = dataclasses.field(default_factory=dict)


def clean(arrays):
  """Entries without the prefix 'module.' of parallel training and without unused statistics."""
  return {name.removeprefix('module.'): array for name, array in arrays.items()
          if not name.endswith(STATISTICS)}


def parameters(arrays, layout):
  """Our parameters from a state dict.

  Args:
    arrays: {their name: array}, cleaned.
    layout: Layout.

  Returns:
    {'stem/conv/kernel': array, ...}.

  Raises:
    UserError: entries missing, unknown, or a blur filter other than the binomial one; all named.
  """
  expected = {f'{entry}.{leaf}' for entry in layout.layers.values() for leaf in ('weight', 'bias')}
  expected.update(layout.leaves.values())
  problems = {
      'missing': sorted(expected - arrays.keys()),
      'unknown': sorted(arrays.keys() - expected - layout.filters.keys()),
      'filters of another kind': [name for name, side in layout.filters.items()
                                  if name in arrays and not _is_blur(arrays[name], side)]}
  lines = [f'{kind} ({len(names)}): {", ".join(names[:MAX_LISTED])}'
           for kind, names in problems.items() if names]
  if lines:
    raise UserError(f'does not fit {layout.what}:\n  ' + '\n  '.join(lines))
  ours = {}
  for layer, entry in layout.layers.items():
    weight = arrays[f'{entry}.weight']
    ours[f'{layer}/kernel'] = weight.transpose(2, 3, 1, 0) if weight.ndim == 4 else weight.T
    ours[f'{layer}/bias'] = arrays[f'{entry}.bias']
  return ours | {leaf: arrays[entry].squeeze() for leaf, entry in layout.leaves.items()}


def state_dict(params, layout):
  """The inverse of `parameters`: {their name: array}, blur filters included.

  Args:
    params: {'stem/conv/kernel': array, ...}. layout: Layout.
  """
  theirs = {entry: np.atleast_1d(params[leaf]) for leaf, entry in layout.leaves.items()}
  for layer, entry in layout.layers.items():
    kernel = np.asarray(params[f'{layer}/kernel'])
    order = (3, 2, 0, 1) if kernel.ndim == 4 else (1, 0)
    theirs[f'{entry}.weight'] = np.ascontiguousarray(kernel.transpose(order))
    theirs[f'{entry}.bias'] = np.asarray(params[f'{layer}/bias'])
  for name, side in layout.filters.items():
    channels = _channels_before(theirs, name)
    theirs[name] = np.broadcast_to(blur(side), (channels, 1, side, side)).copy()
  return theirs


def _channels_before(theirs, name):
  """Channels of the input of a blur filter: those of the last convolution before it."""
  place = int(name.split('.')[1])
  channels = {}
  for key, array in theirs.items():
    if key.endswith('.bias'):
      channels[int(re.match(r'model\.(\d+)', key).group(1))] = array.shape[0]
  return channels[max(index for index in channels if index < place)]


def blur(side):
  """Binomial filter [side, side] over 16: the halving one sums to 1, the doubling one to 4."""
  return np.outer(BINOMIAL[side], BINOMIAL[side]).astype(np.float32) / 16


def _is_blur(array, side):
  return array.shape[1:] == (1, side, side) and np.allclose(array, blur(side), atol=1e-6)


def shape(arrays, entry):
  """Shape of the weight of one of their layers; a missing one is refused."""
  if f'{entry}.weight' not in arrays:
    raise UserError(f'has no entry {entry}.weight')
  return arrays[f'{entry}.weight'].shape

"""Networks found in a folder of public PyTorch checkpoints.

The files carry no settings: the layout of each network is detected from its keys and shapes.
"""

import dataclasses
import pathlib

from i2vjax.core.errors import UserError
from i2vjax.interop import key_tables, key_tables_halves, layouts
from i2vjax.pretrained import files

TWO_SIDED = {'G_A': 'gen_ab', 'G_B': 'gen_ba', 'D_A': 'disc_b', 'D_B': 'disc_a'}
PREDICTORS = {'P_A': 'pred_a', 'P_B': 'pred_b'}
# Their G0 and G1 are encoders, G2 and G3 renderers, of day and night: our b and a.
HALVES = {'G1': 'gen_ab/encoder', 'G2': 'gen_ab/renderer',
          'G0': 'gen_ba/encoder', 'G3': 'gen_ba/renderer'}
# Source -> (our method[:variant], {their network: ours}). Their G_A translates a to b, and D_A
# scores frames of b. I2V-GAN's G_A translates to a and its D_A scores frames of a, but F_A goes
# with G_B: it projects features of a and of a's translation, as our proj_ab does.
SOURCES = {
    'cyclegan': ('cyclegan', {**TWO_SIDED, 'G': 'gen_ab'}),   # G: published one-way models
    'recyclegan': ('recyclegan', {**TWO_SIDED, **PREDICTORS}),
    'i2vgan': ('i2vgan', {'G_B': 'gen_ab', 'G_A': 'gen_ba', 'D_A': 'disc_a', 'D_B': 'disc_b',
                          **PREDICTORS, 'F_A': 'proj_ab', 'F_B': 'proj_ba'}),
    'cut': ('cut', {'G': 'gen', 'F': 'proj_ab', 'D': 'disc_b'}),
    'todaygan': ('pearlgan:todaygan', HALVES), 'pearlgan': ('pearlgan', HALVES),
    'morngan': ('morngan', HALVES)}
# {kind of our network: function of its arrays that gives its Layout}
DETECT = key_tables.DETECT | key_tables_halves.DETECT
SUFFIXES = ('.pth', '.pt', '.safetensors', '.npz')
MAX_LISTED = 12   # files named in a message


@dataclasses.dataclass(frozen=True)
class TorchNetwork:
  """One network of a public checkpoint, or half of one.

  Attributes:
    path: its file.
    layout: layouts.Layout.
    arrays: {our leaf: array}.
  """

  path: pathlib.Path
  layout: layouts.Layout
  arrays: dict


def source_entry(source):
  """(our method[:variant], {their network: ours}) of a code base."""
  if source not in SOURCES:
    raise UserError(f'--source {source}: choose one of {", ".join(SOURCES)}; file names alone do '
                    'not tell, I2V-GAN calls G_B what the others call G_A')
  return SOURCES[source]


def find(folder, label, names):
  """{our network: path} of the files in a folder.

  Args:
    folder: with files LABEL_net_NAME.pth.
    label: 'latest' or an epoch.
    names: {their network: ours}.

  Raises:
    FileNotFoundError: none, or half of a network; lists the files of the folder.
  """
  folder, paths = pathlib.Path(folder), {}
  for theirs, ours in names.items():
    for suffix in SUFFIXES:
      path = folder / f'{label}_net_{theirs}{suffix}'
      if path.is_file():
        paths.setdefault(ours, path)
  if not paths:
    raise FileNotFoundError(f'--from {folder}: no file {label}_net_NAME.pth with NAME '
                            f'{", ".join(names)}. {_contents(folder)}')
  for theirs, ours in names.items():
    network, is_half, _ = ours.partition('/')
    other_half_present = any(name.startswith(f'{network}/') for name in paths)
    if is_half and ours not in paths and other_half_present:
      raise FileNotFoundError(f'--from {folder}: {network} lacks a half, {label}_net_{theirs}.pth')
  return paths


def _contents(folder):
  """A sentence about the files of a folder."""
  if not folder.is_dir():
    return 'There is no such folder'
  names = sorted(path.name for path in folder.glob('*'))
  if not names:
    return 'The folder is empty'
  return f'There are {", ".join(names[:MAX_LISTED])}; --label chooses the first part'


def load(name, path):
  """TorchNetwork for our network `name` from its file.

  Raises:
    UserError: the file cannot be read or is another network; names the entries that do not fit.
  """
  arrays = layouts.clean(files.read(path))
  kind = name.rpartition('/')[2].split('_')[0]
  try:
    layout = DETECT[kind](arrays)
    return TorchNetwork(path, layout, layouts.parameters(arrays, layout))
  except ValueError as error:
    raise UserError(f'{path}, for {name}, {error}') from error

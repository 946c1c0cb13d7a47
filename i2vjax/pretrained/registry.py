"""Known weight files: names, licenses, addresses, and search folders.

The eight hex digits in a name are the first of the file's SHA-256 (the rule of PyTorch's hub). For
files without them the first use is trusted: its hash is stored in `meta.json` beside the file and
compared from then on.
"""

import dataclasses
import hashlib
import json
import os
import pathlib
import re

import jax
import jax.numpy as jnp

from i2vjax.core import files
from i2vjax.core.errors import UserError

TORCH = 'https://download.pytorch.org/models/'
LPIPS = 'https://github.com/richzhang/PerceptualSimilarity/raw/master/lpips/weights/v0.1/'
RESEARCH = 'code BSD-3-Clause; weights trained on ImageNet (research terms)'
FRAME = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
LARGE_FRAME = jax.ShapeDtypeStruct((1, 128, 128, 3), jnp.float32)


def _maps(*channels):
  """Shapes of feature maps, the inputs of LPIPS's heads."""
  return tuple(jax.ShapeDtypeStruct((1, 4, 4, c), jnp.float32) for c in channels)


ALEX_MAPS = _maps(64, 192, 384, 256, 256)   # of AlexNet
VGG_MAPS = _maps(64, 128, 256, 512, 512)    # of VGG-16


class MissingWeights(FileNotFoundError):
  """A weight file that a config asked for is not on this machine."""


@dataclasses.dataclass(frozen=True)
class Entry:
  """One weight file.

  Attributes:
    id: its name for `load` and `fetch`.
    file: its public name.
    url: where `fetch` gets it, without the file's name.
    megabytes: approximate size.
    license: as its authors state it.
    field: config field that requests it; the value 'random' there gives random weights.
    without: the override with which the file is not needed.
    path_field: config field that may hold the file's path, or ''.
    example: shapes of the inputs from which the network's parameter shapes are computed.
  """

  id: str
  file: str
  url: str
  megabytes: float
  license: str
  field: str
  without: str
  path_field: str = ''
  example: tuple = (FRAME,)


def _entries():
  flow = {'field': 'flow.name', 'without': '--config.flow.name=tvl1', 'license': 'BSD-3-Clause',
          'path_field': 'flow.weights', 'example': (LARGE_FRAME, LARGE_FRAME)}
  score = {'field': 'eval.weights', 'without': 'nothing to set: scores that need it are left out'}
  vgg = {'field': 'perceptual', 'without': '--config.perceptual=none', 'license': RESEARCH}
  vit = {'field': 'backbone', 'without': '--config.backbone=none', 'license': 'Apache-2.0',
         'path_field': 'vit.weights'}
  return (
      Entry('vit_b16_384', 'B_16-i21k-300ep-lr_0.001-aug_medium1-wd_0.1-do_0.0-sd_0.0'
            '--imagenet2012-steps_20k-lr_0.01-res_384.npz',
            'https://storage.googleapis.com/vit_models/augreg/', 350, **vit),
      Entry('vgg19', 'vgg19-dcbb9e9d.pth', TORCH, 548, **vgg),
      Entry('vgg16', 'vgg16-397923af.pth', TORCH, 528, **vgg),
      Entry('raft_small', 'raft_small_C_T_V2-01064c6d.pth', TORCH, 4, **flow),
      Entry('raft_large', 'raft_large_C_T_SKHT_V2-ff5fadd5.pth', TORCH, 20, **flow),
      Entry('raft_large_v1', 'raft_large_C_T_SKHT_V1-0b8c9e55.pth', TORCH, 20, **flow),
      Entry('inception_fid', 'pt_inception-2015-12-05-6726825d.pth',
            'https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/', 91,
            license='Apache-2.0', example=(LARGE_FRAME,), **score),
      Entry('alexnet', 'alexnet-owt-7be5be79.pth', TORCH, 233, license=RESEARCH, **score),
      Entry('lpips_alex', 'alex.pth', LPIPS, 0.006, license='BSD-2-Clause', example=ALEX_MAPS,
            **score),
      Entry('lpips_vgg', 'vgg.pth', LPIPS, 0.007, license='BSD-2-Clause', example=VGG_MAPS,
            **score),
  )


ENTRIES = {item.id: item for item in _entries()}
FIELDS = tuple(sorted({item.field for item in ENTRIES.values()}))


def entry(weight_id):
  """Entry of an id; an unknown one is refused with a list of all."""
  if weight_id not in ENTRIES:
    raise UserError(f'unknown weights {weight_id!r}: known are {", ".join(ENTRIES)}')
  return ENTRIES[weight_id]


def lookup(config, field):
  """Value of a dotted config field, None where a part of it does not exist."""
  for part in field.split('.'):
    config = config.get(part) if hasattr(config, 'get') else None
  return config


def search_folders(config):
  """Folders searched for weight files, in order; the first one is where `fetch` puts them."""
  named = [lookup(config, 'pretrained_dir'), os.environ.get('I2VJAX_PRETRAINED')]
  folders = [pathlib.Path(name).expanduser() for name in named if name]
  return [*folders, files.cache('pretrained')]


def _named_path(item, config):
  """The path that the config gives for the file of an Entry, or None."""
  value = lookup(config, item.path_field) if item.path_field else None
  return pathlib.Path(value) if value else None


def find(item, config):
  """Path of the file of an Entry, or None. A path in the config is taken without a search."""
  named = _named_path(item, config)
  candidates = [folder / item.file for folder in search_folders(config)]
  if named:
    candidates = [named.expanduser()]
  return next((path for path in candidates if path.is_file()), None)


def require(item, config):
  """Path of the file of an Entry; MissingWeights says how to get it."""
  path = find(item, config)
  if path is not None:
    return path
  named = _named_path(item, config)
  searched = [named] if named else search_folders(config)
  command = f'python -m i2vjax.main fetch {item.id}'
  raise MissingWeights('\n'.join([
      f'weights {item.id} are missing, asked for by {item.field}={lookup(config, item.field)}',
      f'  file:      {item.file} (about {item.megabytes:g} MB, {item.license})',
      '  searched:  ' + ', '.join(str(folder) for folder in searched),
      f'  get it:    {command}',
      f'  or, on a machine without a network: {command} --file PATH',
      '  or put the file into one of the searched folders; the environment variable '
      'I2VJAX_PRETRAINED or --config.pretrained_dir names another'
      + (f', --config.{item.path_field}=PATH the file itself' if item.path_field else ''),
      f'  without it: {item.without}']))


def sha256(path):
  """Hex digest of a file, read in pieces."""
  with open(path, 'rb') as file:
    return hashlib.file_digest(file, 'sha256').hexdigest()


def published(item):
  """First digits of a file's SHA-256 as part of its name, or None."""
  match = re.search(r'-([0-9a-f]{8})\.', item.file)
  return match.group(1) if match else None


def verify(item, path):
  """Digest of the file, after comparing it with its name or with the digest of its first use.

  A file of another name, whose path the config gives, is the user's own and is not compared.
  """
  digest = sha256(path)
  if path.name != item.file:
    return digest
  expected, origin = published(item), '...'
  if expected is None:
    expected, origin = _first_use(path, digest), ' (its first use here)'
  if not digest.startswith(expected):
    raise UserError(f'{path} is not the published file: SHA-256 is {digest}, expected '
                    f'{expected}{origin}. Delete it and run python -m i2vjax.main fetch {item.id}')
  return digest


def _first_use(path, digest):
  """Digest in `meta.json` beside the file; written there the first time, if the folder allows."""
  meta = path.with_name('meta.json')
  digests = _digests(meta) if meta.is_file() else {}
  if path.name not in digests and os.access(path.parent, os.W_OK):
    files.save_text(meta, json.dumps({**digests, path.name: digest}, indent=1))
  return digests.get(path.name, digest)


def _digests(meta):
  """{file: its digest} that `_first_use` stored."""
  try:
    digests = json.loads(meta.read_text('utf-8'))
    if not isinstance(digests, dict) or not all(isinstance(x, str) for x in digests.values()):
      raise ValueError('it holds no hashes')
  except (ValueError, RecursionError) as error:
    raise UserError(f'{meta}, which holds the hashes of the files beside it, is damaged ({error}): '
                    'restore it from a copy; or delete it, and check those files yourself'
                    ) from error
  return digests

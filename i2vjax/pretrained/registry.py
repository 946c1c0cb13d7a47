"""Known weight files: names, licenses, addresses, and the places where they may lie.

The eight hex digits in a name are the first of the file's SHA-256 (the rule of PyTorch's hub). For
files without them the first use is trusted: its hash is kept in `meta.json` beside the file and
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

from i2vjax.core.errors import UserError

TORCH = 'https://download.pytorch.org/models/'
LPIPS = 'https://github.com/richzhang/PerceptualSimilarity/raw/master/lpips/weights/v0.1/'
RESEARCH = 'code BSD-3-Clause; weights trained on ImageNet (research terms)'
FRAME = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
LARGE_FRAME = jax.ShapeDtypeStruct((1, 128, 128, 3), jnp.float32)
# What LPIPS's heads are called with: the features of AlexNet, and of VGG-16.
ALEX_MAPS, VGG_MAPS = (tuple(jax.ShapeDtypeStruct((1, 4, 4, channels), jnp.float32)
                             for channels in counts)
                       for counts in ((64, 192, 384, 256, 256), (64, 128, 256, 512, 512)))


class MissingWeights(FileNotFoundError):
  """A weight file that a config asked for is not on this machine."""


@dataclasses.dataclass(frozen=True)
class Entry:
  """One weight file.

  Attributes:
    id: what `load` and `fetch` call it.
    file: its public name.
    url: where `fetch` gets it, all but the file's name.
    megabytes: about.
    license: as its authors state it.
    field: config field that asks for it; the value 'random' there gives random weights.
    without: the override that does without the file.
    path_field: config field that may name the file outright, or ''.
    example: what the network is called with when its shapes are asked for.
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
  """Entry of an id; unknown ones are refused with the known."""
  if weight_id not in ENTRIES:
    raise UserError(f'unknown weights {weight_id!r}: known are {", ".join(ENTRIES)}')
  return ENTRIES[weight_id]


def lookup(config, field):
  """Value of a dotted config field, None where a part of it does not exist."""
  for part in field.split('.'):
    config = config.get(part) if hasattr(config, 'get') else None
  return config


def places(config):
  """Folders searched for weight files, in order."""
  named = [lookup(config, 'pretrained_dir'), os.environ.get('I2VJAX_PRETRAINED'),
           '~/.cache/i2vjax/pretrained']
  return [pathlib.Path(name).expanduser() for name in named if name]


def find(item, config):
  """Path of the file of an Entry, or None. A file named outright in the config is taken as is."""
  named = lookup(config, item.path_field) if item.path_field else None
  candidates = [pathlib.Path(named).expanduser()] if named else [
      folder / item.file for folder in places(config)]
  return next((path for path in candidates if path.is_file()), None)


def require(item, config):
  """Path of the file of an Entry; MissingWeights tells all that helps to get it."""
  path = find(item, config)
  if path is not None:
    return path
  named = lookup(config, item.path_field) if item.path_field else None
  searched = [pathlib.Path(named)] if named else places(config)
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
  """First digits of a file's SHA-256 as its name gives them, or None."""
  known = re.search(r'-([0-9a-f]{8})\.', item.file)
  return known.group(1) if known else None


def verify(item, path):
  """Digest of the file, after comparing it with its name or with the digest of its first use.

  A file the config names outright under another name is somebody's own and is not compared.
  """
  digest = sha256(path)
  known = published(item)
  if path.name != item.file:
    return digest
  expected = known or _first_use(path, digest)
  if not digest.startswith(expected):
    raise UserError(f'{path} is not the published file: SHA-256 is {digest}, expected '
                     f'{expected}{"..." if known else " (its first use here)"}. Delete it and run '
                     f'python -m i2vjax.main fetch {item.id}')
  return digest


def _first_use(path, digest):
  """Digest in `meta.json` beside the file; written there the first time, if the folder allows."""
  meta = path.with_name('meta.json')
  known = json.loads(meta.read_text()) if meta.is_file() else {}
  if path.name not in known and os.access(path.parent, os.W_OK):
    part = meta.with_name(f'meta.json.{os.getpid()}')
    part.write_text(json.dumps({**known, path.name: digest}, indent=1))
    part.rename(meta)
  return known.get(path.name, digest)

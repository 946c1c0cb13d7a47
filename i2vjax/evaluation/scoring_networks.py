"""The frozen networks that scores are measured with: are their files here, and load them.

`eval.weights='random'` gives random ones for smoke tests; names of such scores end in `RANDOM`.
"""

import dataclasses
from typing import Any

from i2vjax import pretrained
from i2vjax.core.errors import UserError
from i2vjax.networks import alexnet, inception, vgg
from i2vjax.pretrained import registry

RANDOM = '_RANDOM'
VGG_TAPS = ('relu1_2', 'relu2_2', 'relu3_3', 'relu4_3', 'relu5_3')   # of LPIPS
NEEDS = {'fid': ('inception_fid',), 'kid': ('inception_fid',),
         'lpips_alex': ('alexnet', 'lpips_alex'), 'lpips_vgg': ('vgg16', 'lpips_vgg')}


@dataclasses.dataclass(frozen=True)
class Scorer:
  """Networks of one score with their parameters.

  Attributes:
    nets: {name: flax module}.
    params: {name: parameters}.
    files: {weight id: 'NAME of the file, first 8 digits of its SHA-256', or 'random'}.
    suffix: what names of scores end in: '' or '_RANDOM'.
  """

  nets: dict
  params: Any
  files: dict
  suffix: str = ''


def needs(metric, config):
  """Weight ids of a score: 'fid', 'kid' or 'lpips' (`eval.lpips_net`: 'alex', the default, 'vgg').

  Raises:
    ValueError: another LPIPS network, or another score.
  """
  if metric == 'lpips':
    net = registry.lookup(config, 'eval.lpips_net') or 'alex'
    metric = f'lpips_{net}'
    if metric not in NEEDS:
      raise UserError(f"eval.lpips_net={net!r}: choose 'alex' or 'vgg'")
  if metric not in NEEDS:
    raise UserError(f'{metric}: no score with weights of its own; there are fid, kid, lpips')
  return NEEDS[metric]


def missing(metric, config):
  """Why a score cannot be computed, with the commands that help, or None. Loads nothing.

  Args:
    metric: 'fid', 'kid' or 'lpips'.
    config: ConfigDict; says where files lie, and whether random weights will do.

  Raises:
    ValueError: `eval.weights` is neither 'file' nor 'random'; see `needs`.
  """
  ids = needs(metric, config)
  if is_random(config):
    return None
  absent = [entry for entry in map(registry.entry, ids) if registry.find(entry, config) is None]
  if not absent:
    return None
  names = ' and '.join(f'{entry.file} ({entry.megabytes:g} MB)' for entry in absent)
  commands = '; '.join(f'python -m i2vjax.main fetch {entry.id}' for entry in absent)
  return f'needs {names}, not on this machine; get {"it" if len(absent) == 1 else "them"} by: ' \
         f'{commands}'


def is_random(config):
  """True where `eval.weights` asks for random weights; other values than 'file' are refused."""
  value = registry.lookup(config, 'eval.weights') or 'file'
  if value not in ('file', 'random'):
    raise UserError(f"eval.weights={value!r}: choose 'file' or 'random'")
  return value == 'random'


def load_inception(config, dims=2048):
  """Scorer of FID and KID: networks {'inception'}.

  Args:
    config: ConfigDict.
    dims: features, see `networks/inception.py`; 2048 is FID.

  Raises:
    MissingWeights, ValueError: see `pretrained.load`.
  """
  return load({'inception': (inception.Inception(dims), 'inception_fid')}, config)


def load_lpips(config):
  """Scorer of LPIPS, `eval.lpips_net`: networks {'backbone', 'heads'}.

  Raises:
    MissingWeights, ValueError: see `pretrained.load`.
  """
  backbone, heads = needs('lpips', config)
  net = alexnet.AlexNet() if backbone == 'alexnet' else vgg.VGG(16, VGG_TAPS)
  return load({'backbone': (net, backbone), 'heads': (alexnet.Heads(), heads)}, config)


def load(named, config):
  """Scorer of {name: (module, weight id)}.

  VGG-16 serves training losses too, where `perceptual` says if it is random; here `eval.weights`
  alone decides.
  """
  random = is_random(config)
  config = config.copy_and_resolve_references()
  with config.unlocked():
    config.perceptual = 'random' if random else 'vgg'
  params = {name: pretrained.load(weight_id, module, None, config)
            for name, (module, weight_id) in named.items()}
  record = pretrained.loaded_weights()
  files = {weight_id: 'random' if random else
           f'{record[weight_id]["file"]}, {record[weight_id]["sha256"][:8]}'
           for _, weight_id in named.values()}
  nets = {name: module for name, (module, _) in named.items()}
  return Scorer(nets, params, files, RANDOM if random else '')

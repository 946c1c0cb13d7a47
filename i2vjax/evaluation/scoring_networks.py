"""Frozen networks that scores are measured with: find and load their weights.

`eval.weights='random'` gives random ones for smoke tests, and names of such scores say so
(`metrics/score_names.py`). Not to be confused with the weights of the run that is scored.
"""

import dataclasses
from typing import Any

import flax.linen as nn
from ml_collections import ConfigDict

from i2vjax import pretrained
from i2vjax.core.errors import UserError
from i2vjax.networks import alexnet, inception, vgg
from i2vjax.pretrained import registry

VGG_TAPS = ('relu1_2', 'relu2_2', 'relu3_3', 'relu4_3', 'relu5_3')   # of LPIPS
NEEDS = {'fid': ('inception_fid',), 'kid': ('inception_fid',),
         'lpips_alex': ('alexnet', 'lpips_alex'), 'lpips_vgg': ('vgg16', 'lpips_vgg')}


@dataclasses.dataclass(frozen=True)
class ScoringNetworks:
  """Networks of one score with their parameters.

  Attributes:
    nets: {name: flax module}.
    params: {name: parameters}.
    files: {weight id: 'NAME of the file, first 8 digits of its SHA-256', or 'random'}.
    random: the parameters are random, which names of scores must say.
  """

  nets: dict[str, nn.Module]
  params: dict[str, Any]
  files: dict[str, str]
  random: bool = False


def needs(metric: str, config: ConfigDict) -> tuple[str, ...]:
  """Weight ids of a score: 'fid', 'kid' or 'lpips' (`eval.lpips_net`: 'alex', the default, 'vgg').

  Raises:
    UserError: another LPIPS network, or another score.
  """
  if metric == 'lpips':
    net = registry.lookup(config, 'eval.lpips_net') or 'alex'
    metric = f'lpips_{net}'
    if metric not in NEEDS:
      raise UserError(f"eval.lpips_net={net!r}: choose 'alex' or 'vgg'")
  if metric not in NEEDS:
    raise UserError(f'{metric}: no score with weights of its own; there are fid, kid, lpips')
  return NEEDS[metric]


def missing(metric: str, config: ConfigDict) -> str | None:
  """Why a score cannot be computed, with the commands that help, or None. Loads nothing.

  Args:
    metric: 'fid', 'kid' or 'lpips'.
    config: ConfigDict; says where files lie, and whether random weights will do.

  Raises:
    UserError: `eval.weights` is neither 'file' nor 'random'; see `needs`.
  """
  ids = needs(metric, config)
  if is_random(config):
    return None
  absent = [entry for entry in map(registry.entry, ids) if registry.find(entry, config) is None]
  if not absent:
    return None
  names = ' and '.join(f'{entry.file} ({entry.megabytes:g} MB)' for entry in absent)
  commands = '; '.join(f'python -m i2vjax.main fetch {entry.id}' for entry in absent)
  them = 'it' if len(absent) == 1 else 'them'
  return f'needs {names}, not on this machine; get {them} by: {commands}'


def is_random(config: ConfigDict) -> bool:
  """True where `eval.weights` asks for random weights; other values than 'file' are refused."""
  value = registry.lookup(config, 'eval.weights') or 'file'
  if value not in ('file', 'random'):
    raise UserError(f"eval.weights={value!r}: choose 'file' or 'random'")
  return value == 'random'


def load_inception(config: ConfigDict) -> ScoringNetworks:
  """The network of FID and KID: {'inception'}.

  Raises:
    MissingWeights, ValueError: see `pretrained.load`.
  """
  return load({'inception': (inception.Inception(), 'inception_fid')}, config)


def load_lpips(config: ConfigDict) -> ScoringNetworks:
  """The networks of LPIPS, `eval.lpips_net`: {'backbone', 'heads'}.

  Raises:
    MissingWeights, ValueError: see `pretrained.load`.
  """
  backbone, heads = needs('lpips', config)
  net = alexnet.AlexNet() if backbone == 'alexnet' else vgg.VGG(16, VGG_TAPS)
  return load({'backbone': (net, backbone), 'heads': (alexnet.Heads(), heads)}, config)


def load(named: dict[str, tuple[nn.Module, str]], config: ConfigDict) -> ScoringNetworks:
  """The networks {name: (module, weight id)} with their parameters.

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
  files = {}
  for _, weight_id in named.values():
    files[weight_id] = 'random'
    if not random:
      used = record[weight_id]
      files[weight_id] = f'{used["file"]}, {used["sha256"][:8]}'
  nets = {name: module for name, (module, _) in named.items()}
  return ScoringNetworks(nets, params, files, random)


def describe(networks: ScoringNetworks) -> str:
  """The weight files of networks in one line, for the protocol."""
  return ', '.join(f'{name}: {file}' for name, file in networks.files.items())

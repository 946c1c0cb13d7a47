"""Settle what 'auto' and empty fields of a config mean."""

import logging
import re

from ml_collections import ConfigDict

from i2vjax.core import ops
from i2vjax.core.errors import UserError
from i2vjax.data.sources import locate
from i2vjax.pretrained import registry

# {field: block that a config has if its method uses features of that network}
FEATURES = {'backbone': 'vit', 'perceptual': 'vgg'}


def settle(config: ConfigDict) -> ConfigDict:
  """Decide what 'auto' and an empty learning rate mean, before anything is built.

  `backbone='auto'` becomes 'vit' if the file is here, else 'none' with one loud line;
  `flow.name='auto'` becomes 'gt+raft_small', else 'gt+tvl1' (flow/estimate.py). An empty `optim.lr`
  is filled from `optim.lr_by_backbone`, because features and critic decide which rate trains.
  Critics on copies of the crop that are too small for them are left out, with one line.
  Relative places of frames become absolute: they are below the folder that training is started in.

  Args:
    config: ConfigDict; it is not changed. Settling twice changes nothing.

  Returns:
    A settled copy.

  Raises:
    UserError: features that the method does not use, random ones in a variant with the word
      'paper', an unknown backbone, no learning rate for the backbone.
  """
  config = config.copy_and_resolve_references()
  if 'data' in config:
    locate.with_absolute(config)
  for field, block in FEATURES.items():
    if config[field] != 'none' and block not in config:
      raise UserError(f'{field}={config[field]!r}: {config.method or "this method"} looks at no '
                       f'features of a {block.upper()}; leave --config.{field}=none')
  if config.backbone == 'auto':
    config.backbone = _available_backbone(config)
  if config.backbone not in ('vit', 'none', 'random'):
    raise UserError(f"backbone={config.backbone!r}: choose 'auto', 'vit', 'none' or 'random'")
  if registry.lookup(config, 'flow.name') == 'auto':
    config.flow.name = f'gt+{_available_flow(config)}'
  random = [f'{field}=random' for field in registry.FIELDS
            if registry.lookup(config, field) == 'random']
  if 'paper' in re.split('[-_]', config.get('variant') or '') and random:
    raise UserError(f"{', '.join(random)}: the paper variant refuses random features; they are "
                     'for smoke tests')
  _settle_scales(config)
  return _settle_rate(config)


def _available_backbone(config):
  entry = registry.ENTRIES['vit_b16_384']
  if registry.find(entry, config) is not None:
    return 'vit'
  logging.warning('backbone=auto: no %s found, so this run takes backbone=none: convolutional '
                  'critic, training-free descriptors. With the file results differ; get it by: '
                  'python -m i2vjax.main fetch %s', entry.file, entry.id)
  return 'none'


def _available_flow(config):
  entry = registry.ENTRIES['raft_small']
  if registry.find(entry, config) is not None:
    name, reason = 'raft_small', f'its file {entry.file} is here'
  else:
    name, reason = 'tvl1', (f'no {entry.file} found; get it by: '
                            'python -m i2vjax.main fetch raft_small')
  logging.warning('flow.name=auto: %s where the data bring no flow (%s)', name, reason)
  return name


def _settle_scales(config):
  """As many scales as leave room for a logit of a PatchGAN (patchgan.py)."""
  layers = registry.lookup(config, 'disc.layers')
  if layers is None or registry.lookup(config, 'critic.scales') in (None, 1):
    return
  wanted, side = config.critic.scales, min(ops.hw(config.data.crop_size))
  fit = max(1, sum(side // 2**k >= 3 * 2**layers for k in range(wanted)))
  if fit < wanted:
    logging.warning('critic.scales=%d: crops of %d pixels have room for %d', wanted, side, fit)
    config.critic.scales = fit


def _settle_rate(config):
  optim = config.get('optim')
  if optim is None or optim.lr is not None:
    return config
  rate = registry.lookup(config, f'optim.lr_by_backbone.{config.backbone}')
  if rate is None:
    raise UserError(f'optim.lr is empty and optim.lr_by_backbone names no rate for '
                     f'backbone={config.backbone}: set --config.optim.lr')
  optim.lr = float(rate)
  return config

"""Decide once what 'auto' means in a config."""

import logging
import re

from i2vjax.core.errors import UserError
from i2vjax.pretrained import registry

# Field -> the block that the config of every method has that looks at such features.
FEATURES = {'backbone': 'vit', 'perceptual': 'vgg'}


def settle(config):
  """Decide once what 'auto' means, before anything is built.

  `backbone='auto'` becomes 'vit' if the file is here, else 'none' with one loud line;
  `flow.name='auto'` becomes 'gt+raft_small', else 'gt+tvl1' (flow/estimate.py). An empty `optim.lr`
  is filled from `optim.lr_by_backbone`, because features and critic decide which rate trains.

  Args:
    config: ConfigDict; it is not changed. Settling twice changes nothing.

  Returns:
    A settled copy.

  Raises:
    ValueError: features that the method does not look at, random ones in a variant with the word
      'paper', a backbone nobody knows, a rate that is named nowhere.
  """
  config = config.copy_and_resolve_references()
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
  chosen = [f'{field}={registry.lookup(config, field)}' for field in registry.FIELDS
            if registry.lookup(config, field) == 'random']
  if 'paper' in re.split('[-_]', config.get('variant') or '') and chosen:
    raise UserError(f"{', '.join(chosen)}: the paper variant refuses random features; they are "
                     'for smoke tests')
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
  found = 'tvl1' if registry.find(entry, config) is None else 'raft_small'
  logging.warning('flow.name=auto: %s where the data bring no flow (%s)', found,
                  f'its file {entry.file} is here' if found == 'raft_small' else
                  f'no {entry.file} found; get it by: python -m i2vjax.main fetch raft_small')
  return found


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

"""Configs to measure, without files of footage and weights."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from ml_collections import ConfigDict

from i2vjax import methods
from i2vjax.core import ops
from i2vjax.core.errors import UserError
from i2vjax.pretrained import registry
from i2vjax.run import config_files, phases, settle


@dataclasses.dataclass(frozen=True)
class Case:
  """A step to measure.

  Attributes:
    name: of the config, 'cut:demo', and the epoch behind it, 'morngan@77', where it is not 1.
    config: settled; `data.batch` is the batch of one device.
    epoch: from 1, whose phase the step is of.
  """

  name: str
  config: ConfigDict
  epoch: int = 1

  @property
  def phase(self) -> str:
    """What the step is of: name of the training's phase."""
    config = with_epochs(self.config)
    return phases.phase_of(methods.get(config.method), config, self.epoch - 1)[1]


def read(names: Sequence[str], overrides: Sequence[str] = (),
         read_config: Callable[[Sequence[str]], ConfigDict] | None = None) -> list[Case]:
  """Cases of what --methods lists.

  Args:
    names: CONFIG[:VARIANT][@EPOCH]; (): the default config of every method.
    overrides: '--config.FIELD=VALUE' for all of them.
    read_config: (arguments of a command line) -> config; None: `config_files.read` alone.

  Raises:
    UserError: no such config; footage in folders, which a measurement does not read.
  """
  return [case(name, overrides, read_config) for name in names or methods.names()]


def case(name: str, overrides: Sequence[str] = (),
         read_config: Callable[[Sequence[str]], ConfigDict] | None = None) -> Case:
  """The case of one name: see `read`."""
  text, _, epoch = name.partition('@')
  if epoch and not (epoch.isdecimal() and len(epoch) < 10 and int(epoch)):
    raise UserError(f'--methods {name}: write a whole epoch from 1 on behind @, as in morngan@77')
  config = (read_config([f'--config={text}', *overrides]) if read_config
            else config_files.read(text))
  config = settle.settle(without_files(config, overrides))
  return Case(name, config, int(epoch or 1))


def without_files(config: ConfigDict, overrides: Sequence[str] = ()) -> ConfigDict:
  """The config on scenes and with random features where it asks for a file of weights.

  The backbone of 'auto' is 'none', as where the file is missing; flow is estimated by TV-L1. What
  `overrides` sets stays.
  """
  config = config.copy_and_resolve_references()
  asked = {text.lstrip('-').partition('=')[0].removeprefix('config.') for text in overrides}
  if config.data.source != 'scenes':
    raise UserError(f'{config.method}: the variant reads data.source={config.data.source}; measure '
                    'a variant on scenes, or add --config.data.source=scenes')
  for field in ('backbone', 'perceptual'):
    if field not in asked and config[field] not in ('none', 'random'):
      config[field] = 'none' if config[field] == 'auto' else 'random'
  if registry.lookup(config, 'flow.name') and 'flow.name' not in asked:
    config.flow.name = 'tvl1'
  config.variant = 'bench'   # a variant of a paper refuses random features
  return config


def with_batch(config: ConfigDict, batch: int) -> ConfigDict:
  """A copy with so many windows a step."""
  config = config.copy_and_resolve_references()
  config.data.batch = batch
  return config


def with_epochs(config: ConfigDict) -> ConfigDict:
  """A copy whose epochs have one step, so that step N is of epoch N + 1."""
  config = config.copy_and_resolve_references()
  with config.unlocked():
    config.train.per_epoch = 1
  return config


def size(config: ConfigDict) -> tuple[int, int]:
  """(height, width) of the frames that are trained on."""
  return ops.hw(config.data.crop_size)

"""Numbers in a config that cannot be meant, refused before anything is built."""

from i2vjax.core.errors import UserError
from i2vjax.run import folder as run_folder

LOWER_BOUNDS = {
    'seed': 0, 'data.batch': 1, 'data.frames': 1, 'data.stride': 1, 'data.threads': 0,
    'data.workers': 0, 'data.prefetch': 0, 'gen.width': 1, 'gen.blocks': 0, 'disc.width': 1,
    'gan.pool': 0, 'optim.accumulate': 1, 'train.epochs': 0, 'train.epochs_decay': 0,
    'train.steps': 0, 'train.checkpoint_steps': 0, 'train.keep': 1, 'log.every': 1,
    'log.samples': 1, 'log.samples_every': 0, 'eval.every': 0, 'eval.batch': 1,
}
CHANNELS = (1, 3)


def check(config):
  """Refuse a settled config with such a number.

  Raises:
    ValueError: names the field, its value and the least that works.
  """
  flat = run_folder.flatten(config)
  for name, least in LOWER_BOUNDS.items():
    if name in flat and flat[name] < least:
      raise UserError(f'{name}={flat[name]}: it must be at least {least}')
  if not 0 <= flat.get('train.ema', 0) < 1:
    raise UserError(f"train.ema={flat['train.ema']}: a decay lies from 0 (no averages) to below 1")
  if flat['optim.lr'] <= 0:
    raise UserError(f"optim.lr={flat['optim.lr']}: a rate must be above 0")
  for name in ('data.channels_a', 'data.channels_b'):
    if flat[name] not in CHANNELS:
      raise UserError(f'{name}={flat[name]}: frames have 1 channel (gray) or 3 (color)')

"""Config of the method `tiny_faults`: 16 steps in which everything happens often."""

from i2vjax import defaults


def get_config(variant=None):
  config = defaults.get_config()
  config.method, config.variant = 'tiny_faults', variant or 'default'
  config.data.update(load_size=20, crop_size=16, batch=2, prefetch=2)
  config.gan.pool = 4
  config.optim.update(lr=1e-2, schedule='constant')
  config.train.update(steps=16, checkpoint_steps=2, checkpoint_minutes=99.0, keep=2, ema=0.9)
  config.log.update(every=1, samples_every=3, samples=1)
  config.eval.update(every=4, metrics='psnr', max_clips=1)
  return config

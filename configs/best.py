"""best (ours): of thirteen methods the parts that pay; docs/best.md.

python -m i2vjax.main --config configs/best.py:demo --workdir runs/best-demo

All numbers are ours.

Expect: ':demo' 19.4 dB (three seeds from 19.3 to 19.5; the best single color has 16.1):
docs/best.md; 2,697 steps take four minutes on one core: docs/results.md.
"""

from i2vjax import defaults


def get_config(variant=None):
  """The config of a variant.

    default  256 pixels, on scenes
    paper    the same on folders of real data
    live     the default with the demo's network, which two CPU cores can follow
    demo     two CPU cores, minutes, 64 pixels, on scenes
    street   two CPU cores, an hour or so, 128 pixels, on scenes
    small    your own footage, a few dozen frames or more: goes on from the starter
  """
  config = defaults.get_config()
  config.method, config.variant = 'best', variant or 'default'
  config.data.update(frames=2, batch=1, load_size=286, crop_size=256, flip=False)
  config.gen = dict(kind='unet', width=48, levels=5, blocks=3, down='blur', up='blur')
  config.disc = dict(width=48, layers=3, down='blur')
  config.critic.update(scales=3, lr=0.5)
  config.init = dict(kind='normal', gain=0.02)
  config.gan = dict(mode='lsgan', d_scale=0.5)
  config.weights = dict(adversarial=1.0, cs_global=1.0, cs_local=0.5, ctn=30.0, identity=3.0)
  config.ctn = dict(
      gamma=8.0, sigma=24.0,     # pixels at 256: rms and smoothness of the motion
      norm='mse', stop_target=False,
      noise_std=0.05,            # on W(x, F): a thermal camera's,
      column_std=0.03,           # and that of its columns, which stays where it is
  )
  config.cs = dict(local_nums=64, side=7)
  config.lss = dict(radii=(2, 4, 8), angles=8, sigma=2.0, floor=0.01, cell=16, sub=2)
  config.optim.update(lr=4e-4, b1=0.5, b2=0.999, schedule='linear')
  config.train.update(epochs=100, epochs_decay=100)
  return defaults.choose(config, variant, VARIANTS)


def demo(config):
  """Two CPU cores, minutes, 64 pixels."""
  config.data.update(load_size=72, crop_size=64)
  config.data.scenes.update(camera='driving', weather='clear')
  defaults.demo_networks(config)
  config.lss.floor = 0.03
  config.train.update(steps=1500, decay_fraction=0.5, checkpoint_minutes=1.0)
  config.log.update(every=20, samples_every=500)


def live(config):
  """256 pixels, a network that translates 25 frames a second on two CPU cores."""
  config.gen.update(width=32, levels=4, blocks=2)


STREET = defaults.in_turn(demo, defaults.street)
VARIANTS = {'paper': defaults.as_published, 'live': live, 'demo': demo, 'street': STREET,
            'small': defaults.in_turn(STREET, defaults.little_footage)}

"""CycleGAN (Zhu et al., ICCV 2017), the image baseline of this field.

python -m i2vjax.main --config configs/cyclegan.py:demo --workdir runs/cyclegan-demo

Sources: P the paper as commonly known; C public code junyanz/pytorch-CycleGAN-and-pix2pix.

Paper, public code, here:
  identity term | for paintings | on, half the weight of the cycle | on, 5
  which way a name leads | G to Y, F to X; D_Y judges Y | G_A to B; D_A judges B | gen_ab to b;
    disc_b judges b
  optimizers of the critics | not said | one for both | one each, the same with Adam
  fakes of the critics | pool of 50 | pool of 50 | pool of 50, one per device

Expect: ':demo' 18.7 dB after 1,623 steps, which take four minutes on one core (the best single
color has 16.1): docs/results.md; a step at 256 pixels takes 6.0 s on two CPU cores, measured before
averages of weights came: docs/performance.md.
"""

from i2vjax import defaults


def get_config(variant=None):
  """The config of a variant.

    default  the paper's sizes, on scenes
    paper    the same on folders of real data
    cptrans-tables  a row of CPTrans' tables: folders, 9 blocks, 100 epochs
    demo     two CPU cores, a few minutes, 64 pixels, on scenes
    street   the same at 128 pixels, hours
  """
  config = defaults.get_config()
  config.method, config.variant = 'cyclegan', variant or 'default'
  config.data.update(frames=1, batch=1, load_size=286, crop_size=256, flip=True)   # P, C
  config.gen = dict(width=64, blocks=9, down='stride', up='deconv')                # P, C
  config.gen.update(kind='resnet', levels=4)   # O: 'unet' of so many halvings, faster on CPUs
  config.disc = dict(width=64, layers=3, down='stride')                            # 70x70: P
  config.init = dict(kind='normal', gain=0.02)                                     # P, C
  config.gan = dict(mode='lsgan', pool=50, d_scale=0.5)                            # P, C
  config.weights = dict(
      adversarial=1.0,
      cycle=10.0,        # lambda, P
      identity=5.0,      # lambda * 0.5: C's default; P uses it for paintings only
  )
  config.optim.update(lr=2e-4, b1=0.5, b2=0.999, schedule='linear')                # P, C
  config.train.update(epochs=100, epochs_decay=100)                                # P, C
  return defaults.choose(config, variant, VARIANTS)


def demo(config):
  """Two CPU cores, a few minutes. All ours: sizes that fit."""
  config.data.update(load_size=72, crop_size=64, batch=2, flip=True)
  config.data.scenes.update(camera='driving', weather='clear')
  defaults.demo_networks(config)
  config.gan.pool = 20
  config.optim.lr = 4e-4
  config.train.update(steps=600, decay_fraction=0.5, checkpoint_minutes=1.0)
  config.log.update(every=20, samples_every=200)


VARIANTS = {'paper': defaults.as_published, 'demo': demo,
            'street': defaults.in_turn(demo, defaults.street),
            'cptrans-tables': defaults.cptrans_tables}

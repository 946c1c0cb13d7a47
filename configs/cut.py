"""CUT and FastCUT (ECCV 2020), the one-sided image baseline.

python -m i2vjax.main --config configs/cut.py:demo --workdir runs/cut-demo

Sources: C public code taesungp/contrastive-unpaired-translation, which both methods share; O our
choice.

Paper, public code, here:
  taps | not at hand | layers 0, 4, 8, 12, 16 | the same, by name (`nce.taps`)
  order of updates | not at hand | critic, then generator and projection | the same; translated
    once for both
  crop once the rate decays | not at hand | none, whole images | the same
    (`data.finetune_no_crop`)
  gray frames | not at hand | as three channels | as three, or `data.channels_a` and `_b` alike

Expect: ':demo' 19.1 dB after 2,823 steps, which take four minutes on one core (the best single
color has 16.1): docs/results.md; a step at 256 pixels takes 4.0 s on two CPU cores, measured before
averages of weights came: docs/performance.md.
"""

from i2vjax import defaults


def get_config(variant=None):
  """The config of a variant.

    default  CUT at the published sizes, on scenes
    paper    the same on folders of real data
    cptrans-tables  a row of CPTrans' tables: folders, 9 blocks, 100 epochs
    fastcut  FastCUT on scenes; on folders with --config.data.source=folders
    demo     CUT on two CPU cores, a few minutes, 64 pixels, on scenes
    street   the same at 128 pixels, hours
  """
  config = defaults.get_config()
  config.method, config.variant = 'cut', variant or 'default'
  config.data.update(
      frames=1, batch=1, load_size=286, crop_size=256, flip=True,   # C
      finetune_no_crop=True,   # C: from where the rate decays, whole images of crop_size
  )
  config.gen = dict(width=64, blocks=9, down='blur', up='blur')                    # C
  config.gen.update(kind='resnet', levels=4)   # O: 'unet' of so many halvings, faster on CPUs
  config.disc = dict(width=64, layers=3, down='blur')                              # C
  config.init = dict(kind='xavier', gain=0.02)                                     # C
  config.gan = dict(mode='lsgan', d_scale=0.5)                                     # C
  config.weights = dict(
      adversarial=1.0,       # lambda_GAN, C
      nce=0.5,               # lambda_NCE / 2 = 1 / 2, C
      nce_identity=0.5,      # the other half, C
  )
  config.nce = dict(
      taps=('rgb', 'down_0.conv', 'down_1.conv', 'res_0', 'res_mid'),   # C: layers 0 4 8 12 16
      patches=256, tau=0.07, width=256, mlp=True,                       # C
      flip=False,            # True in FastCUT
  )
  config.optim.update(lr=2e-4, b1=0.5, b2=0.999, schedule='linear')     # C
  config.train.update(epochs=200, epochs_decay=200)                     # C
  return defaults.choose(config, variant, VARIANTS)


def fastcut(config):
  """FastCUT: no identity images, a stronger contrast, equal under mirroring."""
  config.weights.update(nce=10.0, nce_identity=0.0)                     # C
  config.nce.flip = True                                                # C
  config.train.update(epochs=150, epochs_decay=50)                      # C


def demo(config):
  """Two CPU cores, a few minutes, 64 pixels. All O: sizes that fit."""
  config.data.update(load_size=72, crop_size=64, batch=2)
  config.data.scenes.update(camera='driving', weather='clear')
  defaults.demo_networks(config)
  config.nce.taps = ('rgb', 'stem', 'down_0', 'down_1', 'res_0')
  config.nce.width = 64
  config.optim.lr = 4e-4
  config.train.update(steps=600, decay_fraction=0.5, checkpoint_minutes=1.0)
  config.log.update(every=20, samples_every=200)


VARIANTS = {'paper': defaults.as_published, 'fastcut': fastcut, 'demo': demo,
            'street': defaults.in_turn(demo, defaults.street),
            'cptrans-tables': defaults.cptrans_tables}

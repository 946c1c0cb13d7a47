"""F-LSeSim (CVPR 2021), the spatially-correlative loss, the ancestor of ROMA's cross-similarity.

python -m i2vjax.main --config configs/lsesim.py:demo --workdir runs/lsesim-demo

Sources: C public code lyndonzheng/F-LSeSim; O our choice.

Paper, public code, here:
  windows of LSeSim | not at hand | a loop over places | one gather, in chunks for memory
  plain or smooth distance | not at hand | tied to use_norm | the same
  VGG while heads learn | not at hand | in an optimizer of rate 0 | frozen
  heads' unrelated image | not at hand | b, turned by half a circle | the same

Expect: ':demo' 18.6 dB after 2,077 steps, which take four minutes on one core (the best single
color has 16.1): docs/results.md; a step at 256 pixels takes 2.3 s without a VGG on two CPU cores,
measured before averages of weights came: docs/performance.md.
"""

from i2vjax import defaults


def get_config(variant=None):
  """The config of a variant.

    default  FSeSim at the published sizes, on scenes
    paper    the same on folders of real data
    cptrans-tables  a row of CPTrans' tables: folders, 9 blocks, 100 epochs
    learned  LSeSim, with heads that learn what to compare, on scenes; on folders with
             --config.data.source=folders
    demo     FSeSim on two CPU cores, a few minutes, 64 pixels, on scenes; no weight file
    street   the same at 128 pixels, hours

  All but the demo need the file of VGG-16; `--config.perceptual=none` does without.
  """
  config = defaults.get_config()
  config.method, config.variant = 'lsesim', variant or 'default'
  config.data.update(frames=1, batch=1, load_size=286, crop_size=256, flip=True)   # C
  config.gen = dict(width=64, blocks=9, down='blur', up='blur')                    # C
  config.gen.update(kind='resnet', levels=4)   # O: 'unet' of so many halvings, faster on CPUs
  config.disc = dict(width=64, layers=3, down='blur')                              # C
  config.init = dict(kind='xavier', gain=0.02)                                     # C
  config.gan = dict(mode='lsgan', pool=50, d_scale=0.5)                            # C
  config.weights = dict(
      adversarial=1.0,       # C; users who see artifacts are advised to raise it
      spatial=10.0,          # lambda_spatial, C
      heads=1.0,             # C; LSeSim alone
      identity=0.0,          # |G(b) - b|, off in C
  )
  config.lsesim = dict(
      taps=('relu3_1', 'relu4_1', 'relu4_3'),   # C: layers 4 7 9
      patch_nums=256,        # query places, C; -1: all
      patch_size=64,         # C: window around them; as large as the maps it is the whole map
      use_norm=False,        # C; True compares directions
      loss_mode='cos',       # C; 'l1'
      learned=False, augment=False,   # C
      temperature=0.07,      # C
  )
  config.perceptual = 'vgg'                                             # C
  config.vgg = dict(input_norm='imagenet', width=64)                    # C
  config.lss = dict(         # O: in place of the VGG with perceptual 'none', sizes for 256 pixels
      radii=(2, 4, 8), angles=8, sigma=2.0, floor=0.01,
      cell=(4, 8, 8), sub=1,          # maps of the same sizes as those of the VGG
  )
  config.optim.update(lr=1e-4, b1=0.5, b2=0.999, schedule='linear')     # C
  config.train.update(epochs=200, epochs_decay=200)                     # C
  return defaults.choose(config, variant, VARIANTS)


def learned(config):
  """LSeSim: its contrast needs local windows."""
  config.lsesim.update(learned=True, augment=True, patch_size=32)       # C


def demo(config):
  """Two CPU cores, a few minutes, 64 pixels, no weight file. All O: sizes that fit.

  By day and clear weather from the car.
  """
  config.perceptual = 'none'
  config.data.update(load_size=72, crop_size=64, batch=2)
  config.data.scenes.update(camera='driving', weather='clear')
  defaults.demo_networks(config)
  config.init.kind = 'normal'      # the tiny xavier weights need ten times the steps to wake up
  config.weights.update(identity=1.0)
  config.lss.floor = 0.03
  config.lsesim.use_norm = True
  config.optim.lr = 4e-4
  config.train.update(steps=1000, decay_fraction=0.5, checkpoint_minutes=1.0)
  config.log.update(every=20, samples_every=200)


VARIANTS = {'paper': defaults.as_published, 'learned': learned, 'demo': demo,
            'street': defaults.in_turn(demo, defaults.street),
            'cptrans-tables': defaults.cptrans_tables}

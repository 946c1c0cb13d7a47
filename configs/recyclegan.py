"""Recycle-GAN (ECCV 2018): the video baseline that I2V-GAN is built on.

python -m i2vjax.main --config configs/recyclegan.py:demo --workdir runs/recyclegan-demo

Sources: P as the I2V-GAN paper restates it; C public code aayushbansal/Recycle-GAN; O our choice.
I2V-GAN's ablation adds one of its terms to variant 2 with that method's generator:
--config configs/recyclegan.py:paper_cycle --config.gen.up=blur --config.data.load_size=256 and
one of --config.perceptual=vgg, --config.weights.exs=0.1, --config.weights.ins=40.

Paper, public code, here:
  distance of frames | L2 norm, as restated | absolute | absolute (`rec.norm`)
  cycle and identity | none, as restated | in 'recycle_gan_cycle' alone | variant 2 alone
  predictor of variant 2 | not at hand | unet_128, whatever is asked | the same (`pred.downs=7`)
  epochs | not at hand | 100 and 100 | 35 and 35, I2V-GAN's budget

Expect: ':demo' 18.3 dB after 1,092 steps, which take four minutes on one core (the best single
color has 16.1): docs/results.md; a step at 256 pixels takes 9.0 s on two CPU cores, measured before
averages of weights came: docs/performance.md.
"""

from i2vjax import defaults


def get_config(variant=None):
  """The config of a variant.

    default      variant 1, the published model, on scenes
    paper        the same on folders of real data
    cptrans-tables  a row of CPTrans' tables: folders, 9 blocks, 100 epochs
    paper_cycle  variant 2, with cycle and identity losses, on folders
    demo         variant 2 on two CPU cores, minutes, 64 pixels, on scenes
    street       the same at 128 pixels, hours
  """
  config = defaults.get_config()
  config.method, config.variant = 'recyclegan', variant or 'default'
  config.data.update(frames=3, batch=1, load_size=286, crop_size=256, flip=False)   # C
  config.gen = dict(width=64, blocks=6, down='stride', up='deconv', dropout=False)  # C scripts
  config.gen.update(kind='resnet', levels=4)   # O: 'unet' of so many halvings, faster on CPUs
  config.pred = dict(
      kind='unet',           # C scripts; 'prediction' | 'resnet'
      width=64, downs=8,     # unet_256, C
      stream_width=8,        # of 'prediction', C
      dropout=False,         # C
  )
  config.disc = dict(width=64, layers=3, down='stride')                             # 70x70, C
  config.init = dict(kind='normal', gain=0.02)    # C; biases 0 (O), C leaves PyTorch's default
  config.gan = dict(mode='lsgan', pool=0, d_scale=0.5)                              # C scripts
  config.rec = dict(norm='l1')                    # C; 'l2' is the norm that P prints
  config.weights = dict(
      adversarial=1.0,
      recurrent=10.0,        # P, C
      recycle=10.0,          # P, C
      cycle=0.0,             # variant 2: 10, C
      identity=0.0,          # variant 2: 10 * 0.5, C
      predictor_adversarial=0.0,   # C's flag, off
      exs=0.0, ins=0.0,      # I2V-GAN's ablation: 0.1 and 40
  )
  additions(config)
  config.optim.update(lr=2e-4, b1=0.5, b2=0.999, schedule='linear')   # C; 'legacy' is C's schedule
  config.train.update(epochs=35, epochs_decay=35)   # O: I2V-GAN's budget; C 100 + 100
  return defaults.choose(config, variant, VARIANTS)


def second(config):
  """Variant 2, 'recycle_gan_cycle' of C."""
  config.weights.update(cycle=10.0, identity=5.0)
  config.pred.downs = 7      # C always takes unet_128 here


def additions(config):
  """What I2V-GAN's terms need; see configs/i2vgan.py for the sources."""
  config.nce = dict(taps=('rgb', 'down_0.conv', 'down_1', 'res_2', 'layer_16'), patches=256,
                    tau=0.07, width=256, mlp=True, train_projection=False)
  config.ins = dict(detach_keys=True)
  config.perceptual = 'none'
  config.vgg = dict(content=1.0, content_taps=('relu4_1',), content_norm='l1',
                    style=100.0, style_taps=('relu1_1', 'relu2_1', 'relu3_1', 'relu4_1', 'relu5_1'),
                    style_taps_weights=(1 / 32, 1 / 16, 1 / 8, 1.0, 1.0), input_norm='raw',
                    width=64)


def demo(config):
  """Two CPU cores, minutes, 64 pixels: variant 2, which holds its frames together. All O."""
  second(config)
  config.data.update(load_size=64, crop_size=64, batch=1)
  config.data.scenes.update(camera='driving', weather='clear')
  defaults.demo_networks(config)
  config.pred.update(width=16, downs=5)
  config.nce.taps = ('rgb', 'stem', 'down_0', 'down_1', 'res_0')
  config.gan.pool = 20             # else the critics follow every fake and colors tear
  config.optim.lr = 3e-4
  config.train.update(steps=600, decay_fraction=0.5, checkpoint_minutes=1.0)
  config.log.update(every=20, samples_every=100)


VARIANTS = {'paper': defaults.as_published,
            'paper_cycle': defaults.in_turn(defaults.as_published, second), 'demo': demo,
            'street': defaults.in_turn(demo, defaults.street),
            'cptrans-tables': defaults.cptrans_tables}

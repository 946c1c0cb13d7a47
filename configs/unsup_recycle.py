"""Unsupervised Recycle-GAN (AAAI 2022): synthetic motion replaces the next frame.

python -m i2vjax.main --config configs/unsup_recycle.py:demo --workdir runs/unsup_recycle-demo

Sources: C public code wangkaihong/Unsup_Recycle_GAN and its two commands; O our choice.

Paper, public code, here:
  grid of the warp | not at hand | two conventions, rescales a little | exact pixels
  one motion for | not at hand | the batch | each sample
  content network | not at hand | VGG-19 of AdaIN, last ReLU | VGG-16, relu5_3
  epochs | not at hand | 2, the last at rate 0 | 2 at the full rate
  plain cycle at weight 0 | not at hand | computed | left out

Expect: ':demo' 17.4 dB after 1,433 steps, which take four minutes on one core (the best single
color has 16.1): docs/results.md; a step at 256 pixels takes 5.7 s on two CPU cores, measured before
averages of weights came: docs/performance.md.
"""

from i2vjax import defaults


def get_config(variant=None):
  """The config of a variant.

    default  the first command's weights, on scenes, 256 pixels square
    paper    the first command (VIPER to Cityscapes) on folders
    cptrans-tables  a row of CPTrans' tables: folders, 9 blocks, 100 epochs
    labels   the second, video (a) and label pictures (b), on folders
    demo     two CPU cores, minutes, 64 pixels, on scenes; no weight file
    street   the same at 128 pixels, hours

  Default and paper need the file of VGG-16; `--config.perceptual=none` does without the content
  terms.
  """
  config = defaults.get_config()
  config.method, config.variant = 'unsup_recycle', variant or 'default'
  config.data.update(frames=1, batch=1, load_size=286, crop_size=256, flip=False)   # C
  config.gen = dict(width=64, blocks=6, down='stride', up='deconv')   # C; CPTrans compares with 9
  config.gen.update(kind='resnet', levels=4)   # O: 'unet' of so many halvings, faster on CPUs
  config.disc = dict(width=64, layers=3, down='stride')               # 70x70, C
  config.init = dict(kind='normal', gain=0.02)   # C; biases 0 (O), C leaves PyTorch's default
  config.gan = dict(mode='lsgan', pool=0, d_scale=0.5)                # C
  config.synth = dict(       # pixels on frames of 256 rows
      motion=8.0,            # of the noise on a grid of some 2 x 2, C; 0: whole shifts alone
      shift=10.0,            # largest shift of the whole frame, C
      scale=0.0,             # > 0: a weak zoom instead of both, C
      noise=0.001,           # on what goes through a generator, once to twice as much, C
      mask_border=False,     # C; True: where the edge was repeated nothing is compared, O
  )
  config.weights = dict(
      adversarial=1.0,                 # C
      cycle_a=0.0, cycle_b=0.0,        # C; urec takes its place
      urec_a=10.0, urec_b=10.0,        # C
      uspa_a=10.0, uspa_b=10.0,        # C
      content_a=1.0, content_b=1.0,    # C
      identity=0.0,                    # C
  )
  config.perceptual = 'vgg'            # C has the VGG-19 of AdaIN, to its last ReLU
  config.vgg = dict(input_norm='imagenet', width=64)   # O: VGG-16 relu5_3 as trained, as for STC
  config.optim.update(lr=2e-4, b1=0.5, b2=0.999, schedule='linear')   # C; without decay: constant
  # C's rule brings the rate to 0 an epoch early: as run it is 1 epoch (and 4 of ':labels').
  config.train.update(epochs=2, epochs_decay=0)                       # C
  return defaults.choose(config, variant, VARIANTS)


def paper(config):
  """The first command of C, at its shape."""
  defaults.as_published(config)
  config.data.update(load_size=(286, 542), crop_size=(256, 512))      # C


def labels(config):
  """The second command of C: label pictures hold no texture, so theirs is no spatial term."""
  defaults.as_published(config)
  config.weights.update(cycle_a=10.0, cycle_b=10.0, urec_a=0.0, uspa_b=0.0, content_a=0.0,
                        content_b=0.0)                                # C
  config.perceptual = 'none'
  config.train.epochs = 5                                             # C


def demo(config):
  """Two CPU cores, minutes, 64 pixels, no weight file. All O: sizes that fit.

  By day and clear weather from the car.
  """
  config.data.update(load_size=72, crop_size=64, batch=2)
  config.data.scenes.update(camera='driving', weather='clear')
  defaults.demo_networks(config)
  config.perceptual = 'none'
  config.optim.lr = 4e-4
  config.train.update(steps=1000, decay_fraction=0.5, checkpoint_minutes=1.0)
  config.log.update(every=20, samples_every=200)


VARIANTS = {'paper': paper, 'labels': labels, 'demo': demo,
            'street': defaults.in_turn(demo, defaults.street),
            'cptrans-tables': defaults.cptrans_tables}

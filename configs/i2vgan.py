"""I2V-GAN (ACM MM 2021) for infrared to visible video.

python -m i2vjax.main --config configs/i2vgan.py:demo --workdir runs/i2vgan-demo

Sources: P the paper; C public code BIT-DA/I2V-GAN with the command of its README (6 blocks,
unet_128, no dropout, no pool); O our choice where both are silent. Ablations of P:
--config.perceptual=none, --config.weights.exs=0, --config.weights.ins=0.

Paper, public code, here:
  adversarial | log form, minimax | least squares | least squares (`gan.mode`, `gan.g_form`)
  content distance | norm over C H W | mean of absolute differences | the code's
    (`vgg.content_norm`)
  style weight | 1 | 100 | 100
  identity term | none | 5 | 5
  projection of patches | an MLP | never trained, gradients are cleared | as the code
    (`nce.train_projection`)
  EXS over layers and patches | sum | mean | mean
  style of several samples | not said | mixed in one matrix | one matrix each
  resizing strips of three | not said | whole, then cut | cut, then resized

Expect: ':demo' 18.4 dB after 400 steps (the best single color has 16.1): docs/results.md; a step at
256 pixels takes 22 s with a VGG on two CPU cores, measured before averages of weights came:
docs/performance.md.
"""

from i2vjax import defaults


def get_config(variant=None):
  """The config of a variant.

    default  the paper's sizes, on scenes
    paper    the same on folders of real data
    cptrans-tables  a row of CPTrans' tables: folders, 9 blocks, 100 epochs
    demo     two CPU cores, minutes, 64 pixels, on scenes; no weight file
    street   the same at 128 pixels, hours

  Default and paper need the file of VGG-19; `--config.perceptual=none` does without.
  """
  config = defaults.get_config()
  config.method, config.variant = 'i2vgan', variant or 'default'
  config.data.update(frames=3, batch=1, load_size=256, crop_size=256, flip=False)   # C; batch P
  config.gen = dict(width=64, blocks=6, down='stride', up='blur', dropout=False)    # C
  config.gen.update(kind='resnet', levels=4)   # O: 'unet' of so many halvings, faster on CPUs
  config.pred = dict(
      kind='unet',           # C; 'prediction' | 'resnet'
      width=64, downs=7,     # unet_128, C
      stream_width=8,        # of 'prediction', C
      dropout=False,         # C
  )
  config.disc = dict(width=64, layers=3, down='stride')                             # 70x70, C
  config.init = dict(kind='normal', gain=0.02)                                      # C
  config.gan = dict(
      mode='lsgan',          # C; Eq. 1 of P is the log form, 'vanilla'
      g_form='nonsaturating',    # C; 'minimax' with 'vanilla' is Eq. 1 as printed
      pool=0, d_scale=0.5)       # C
  config.weights = dict(
      adversarial=1.0,
      cycle=10.0,            # lambda_cyc, P
      recycle=10.0,          # lambda_recyc, P
      recurrent=10.0,        # lambda_recur, P
      exs=0.1,               # P; belongs to C's mean over layers and patches
      ins=40.0,              # P
      identity=5.0,          # 10 * 0.5, C; not in P
      predictor_adversarial=0.0,   # O: 1 lets the critics speak to predictions of real frames too
  )
  similarity(config)
  perceptual(config)
  config.eval.mode = 'generator'   # C's test; 'predictor' | 'average' look back two frames
  config.optim.update(lr=2e-4, b1=0.5, b2=0.999, schedule='linear')   # C; 'legacy' is C's schedule
  config.train.update(epochs=35, epochs_decay=35)                     # C
  return defaults.choose(config, variant, VARIANTS)


def paper(config):
  """Folders of real data, scores as in its tables."""
  defaults.as_published(config)
  config.eval.paper_scale = True     # FID / 100


def similarity(config):
  """External and internal similarity."""
  config.nce = dict(
      # C's layers 0 4 8 12 16: the last is up_0 of 6 blocks, res_6 of 9; ('cut_like',) is O's.
      taps=('rgb', 'down_0.conv', 'down_1', 'res_2', 'layer_16'),
      patches=256, tau=0.07,     # C
      width=256, mlp=True,       # P: two layers of 256 units
      train_projection=False,    # C, where they stay random; P implies True
  )
  config.ins = dict(detach_keys=True)   # C; False lets the predictors learn from INS, O


def perceptual(config):
  """VL: what comes back is compared in pixels and in features of VGG-19."""
  config.perceptual = 'vgg'             # P, C
  config.vgg = dict(
      content=1.0, content_taps=('relu4_1',),                                 # C
      content_norm='l1',     # C; 'l2' is Eq. 5 of P: the squared norm over C H W
      style=100.0,                                                            # C; P 1
      style_taps=('relu1_1', 'relu2_1', 'relu3_1', 'relu4_1', 'relu5_1'),     # C
      style_taps_weights=(1 / 32, 1 / 16, 1 / 8, 1.0, 1.0),                   # C
      input_norm='raw',      # C; 'imagenet' is what VGG was trained on
      width=64,
  )


def demo(config):
  """Two CPU cores, minutes, 64 pixels, no weight file. All O: sizes that fit."""
  config.data.update(load_size=64, crop_size=64, batch=1)
  config.data.scenes.update(camera='driving', weather='clear')
  defaults.demo_networks(config)
  # INS wipes all detail out of a U-Net, whose skips its features come from: docs/results.md.
  config.gen.update(kind='resnet', width=16, blocks=4)
  config.pred.update(width=16, downs=5)
  config.nce.taps = ('rgb', 'down_0.conv', 'down_1', 'res_mid', 'up_0')   # for any gen.blocks
  config.nce.width = 64
  config.perceptual = 'none'
  config.gan.pool = 20             # else the critics follow every fake and colors tear
  config.optim.lr = 2e-4
  config.train.update(steps=600, decay_fraction=0.5, checkpoint_minutes=1.0)
  config.log.update(every=20, samples_every=100)


def street(config):
  """The demo at 128 pixels, with wider networks and a critic on an eighth as well."""
  demo(config)
  defaults.street(config)
  config.gen.update(width=24, blocks=4)   # of a ResNet; 40 would take seconds a step


VARIANTS = {'paper': paper, 'demo': demo, 'street': street,
            'cptrans-tables': defaults.cptrans_tables}

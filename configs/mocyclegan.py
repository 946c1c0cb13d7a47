"""Mocycle-GAN (Chen et al., ACM MM 2019), a reconstruction: see i2vjax/methods/mocyclegan.py.

python -m i2vjax.main --config configs/mocyclegan.py:demo --workdir runs/mocyclegan-demo

Sources: P the paper's abstract and overview, all we have of it; CG public CycleGAN code; O ours.
I2V-GAN's ablation adds one of its terms to this method; O, with the generator of that method:
--config configs/mocyclegan.py:paper --config.gen.blocks=6 --config.gen.up=blur
--config.data.load_size=256 and one of --config.perceptual=vgg, --config.weights.exs=0.1,
--config.weights.ins=40 --config.data.frames=3.

Paper, public code, here:
  warp of the motion cycle | frame 1 along the forward flow | none | along the flow that lies on
    frame 2
  optical flow | FlowNet | none | RAFT, TV-L1, or known (`flow.name`)
  generators, critics, pool | not at hand | CycleGAN's | CycleGAN's
  motion translator | named | none | a small ResNet without norm, starts at the identity

Expect: ':demo' 17.8 dB after 1,701 steps, which take four minutes on one core (the best single
color has 16.1): docs/results.md; a step at 256 pixels takes 12 s with TV-L1 on two CPU cores,
measured before averages of weights came: docs/performance.md.
"""

from i2vjax import defaults


def get_config(variant=None):
  """The config of a variant.

    default  256 pixels, on scenes
    paper    the same on folders of real data; needs the file of RAFT, small
             (`--config.flow.name=tvl1` does without)
    cptrans-tables  a row of CPTrans' tables: folders, 9 blocks, 100 epochs
    demo     two CPU cores, minutes, 64 pixels, on scenes; no weight file
    street   the same at 128 pixels, hours
  """
  config = defaults.get_config()
  config.method, config.variant = 'mocyclegan', variant or 'default'
  config.data.update(frames=2, batch=1, load_size=286, crop_size=256, flip=True)   # P; sizes CG
  config.gen = dict(width=64, blocks=9, down='stride', up='deconv')                # CG
  config.gen.update(kind='resnet', levels=4)   # O: 'unet' of so many halvings, faster on CPUs
  config.disc = dict(width=64, layers=3, down='stride')                            # CG
  config.motion = dict(
      width=32, blocks=3,    # O
      norm='none',           # O: instance norm would take away what moves the whole frame
      scale=20.0,            # pixels that count as 1, O
      cycle='auto',          # 'flow' | 'warp'; P re-estimates the flow, which takes a learned one
      iters=4,               # corrections of both estimates, O
  )
  config.flow = dict(
      name='auto',           # P: FlowNet, which needs kernels and weights of its own
      iters=6,               # corrections of RAFT, whose files had 12; enough to teach with, O
      weights='', levels=5, warps=5, inner=30, stretch=True,   # O
  )
  config.init = dict(kind='normal', gain=0.02)                                     # CG
  config.gan = dict(mode='lsgan', pool=50, d_scale=0.5)                            # CG
  config.weights = dict(
      adversarial=1.0,       # CG
      cycle=10.0,            # CG
      motion_cycle=1.0,      # O, of pixels
      motion_cycle_warp=10.0,    # O, in its place without a learned estimator
      motion_transfer=10.0,  # O
      motion_anchor=0.01,    # O
      exs=0.0, ins=0.0,      # I2V-GAN's ablation: 0.1 and 40
  )
  additions(config)
  config.optim.update(lr=2e-4, b1=0.5, b2=0.999, schedule='linear')                # CG
  config.train.update(epochs=100, epochs_decay=100)                                # CG
  return defaults.choose(config, variant, VARIANTS)


def learned_flow(config):
  """The flow of the paper's quality."""
  config.flow.name = 'raft_small'    # O: trained on the same data as FlowNet


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
  """Two CPU cores, minutes, 64 pixels, no weight file. All O: sizes that fit.

  By day and clear weather from the car.
  """
  config.data.update(load_size=72, crop_size=64, batch=1)
  config.data.scenes.update(camera='driving', weather='clear')
  defaults.demo_networks(config)
  config.motion.update(width=8, blocks=1, scale=5.0)
  config.nce.taps = ('rgb', 'stem', 'down_0', 'down_1', 'res_0')
  config.flow.name = 'gt+tvl1'
  config.gan.pool = 20
  config.optim.lr = 3e-4
  config.train.update(steps=600, decay_fraction=0.5, checkpoint_minutes=1.0)
  config.log.update(every=20, samples_every=200)


VARIANTS = {'paper': defaults.in_turn(defaults.as_published, learned_flow), 'demo': demo,
            'street': defaults.in_turn(demo, defaults.street),
            'cptrans-tables': defaults.in_turn(defaults.cptrans_tables, learned_flow)}

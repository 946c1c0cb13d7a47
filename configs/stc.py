"""STC-V2V (ACM MM 2019): a recurrent translator fed by optical flow.

python -m i2vjax.main --config configs/stc.py:demo --workdir runs/stc-demo

Sources: P the paper; UR public code wangkaihong/Unsup_Recycle_GAN, whose authors ran this method;
CG public CycleGAN code, on which P builds; BT public code of Lai et al., ECCV 2018, from which P
has its mask; O our choice where all are silent. Ablations of P: --config.weights.temporal=0,
--config.weights.content=0, --config.fuse.kind=average, --config.fuse.kind=mask.

Paper, public code, here:
  input of the fusion block | text absolute, formula signed | no code | absolute (`fuse.input`)
  adversarial | log form | no code; CycleGAN: least squares | least squares (`gan.mode`)
  norm of the mask | plain | its origin: signed sum of channels, squared | plain (`mask.norm`)
  optical flow | FlowNet2 | no code | RAFT, small, or TV-L1 (`flow.name`)
  temporal loss | printed for one direction | no code | both (`temporal.directions`)
  outside of the frame | not said | no code | does not count (`mask.in_frame`)

Expect: ':demo' 18.6 dB after 1,046 steps, which take four minutes on one core (the best single
color has 16.1): docs/results.md; a step at 256 x 512 pixels takes 44 s with a VGG on two CPU cores,
measured before averages of weights came: docs/performance.md.
"""

from i2vjax import defaults


def get_config(variant=None):
  """The config of a variant.

    default  the paper's sizes, on scenes
    paper    the same on folders of real data
    demo     two CPU cores, minutes, 64 pixels, on scenes; no weight file
    street   the same at 128 pixels, hours

  Default and paper need the file of VGG-16 (`--config.perceptual=none` does without), the paper
  that of RAFT, small (`--config.flow.name=tvl1`).
  """
  config = defaults.get_config()
  config.method, config.variant = 'stc', variant or 'default'
  config.data.update(frames=3, batch=1, load_size=(256, 512), crop_size=(256, 512),   # P
                     flip=False, flip_time=0.5)    # temporal flipping: P; how often: O
  config.gen = dict(width=64, blocks=6, down='stride', up='deconv')                   # P
  config.gen.update(kind='resnet', levels=4)   # O: 'unet' of so many halvings, faster on CPUs
  config.disc = dict(width=64, layers=3, down='stride')                               # 70x70: P
  fusion(config)
  config.init = dict(kind='normal', gain=0.02)                                        # CG
  config.gan = dict(
      mode='lsgan',          # CG, UR; P prints the log form ('vanilla')
      pool=0,                # UR; not in P
      d_scale=0.5,           # CG
  )
  config.cycle = dict(prev='real')   # P; 'recon': what was led back of the frame before, O
  config.temporal = dict(directions='both')   # O: P prints Eq. 7 for a to b; 'forward': it alone
  config.weights = dict(
      adversarial=1.0,       # P
      cycle_2d=10.0,         # P
      cycle_3d=10.0,         # P
      content=1.0,           # P
      temporal=10.0,         # P
  )
  config.perceptual = 'vgg'                                                           # P
  config.vgg = dict(
      net='vgg16',           # O; P "5_3-th layer" of a VGG
      layer='relu5_3',       # O; 'conv5_3' is the same before its ReLU
      input_norm='imagenet', width=64,   # O: as the network was trained
  )
  config.optim.update(lr=2e-4, b1=0.5, b2=0.999, schedule='constant')                 # P
  config.train.steps = 200_000       # O: P trains for two days on one GPU
  return defaults.choose(config, variant, VARIANTS)


def paper(config):
  """Folders of real data, the flow of the paper's quality."""
  defaults.as_published(config)
  config.flow.name = 'raft_small'    # O: trained on the same data as P's FlowNet2
  config.flow.stretch = False        # O: made for infrared; P's frames are color (VIPER)


def fusion(config):
  """Flow, the block that fuses, and the mask of the temporal loss."""
  config.flow = dict(
      name='auto',           # P: FlowNet2, which needs kernels and weights of its own
      weights='',
      iters=12,              # O: as translating has it, though half would do to train
      levels=5, warps=5, inner=30, stretch=True,   # O
  )
  config.fuse = dict(
      kind='learned',        # P; ablations: 'average' | 'mask'
      kernel=7, width=64,    # UR
      input='abs',           # P's text; 'signed' is its formula
      detach=False,          # O: all gradients flow
  )
  config.mask = dict(
      alpha=50.0,            # P
      norm='l2',             # P; 'l2sq' forgives more, as noisy infrared may need; 'bt_code': BT
      in_frame=True,         # O
      cut=0.0,               # O: below this mean of the mask a new scene begins; 0: never
  )


def demo(config):
  """Two CPU cores, minutes, 64 pixels, no weight file. All O: sizes that fit.

  By day and clear weather from the car.
  mask.norm stays 'l2', with which the published scores were measured: the mean of O_t is about 0.63
  in infrared and 0.65 in visible windows, against 0.96 and 0.94 with 'l2sq'.
  """
  config.data.update(load_size=64, crop_size=64, batch=1)
  config.data.scenes.update(camera='driving', weather='clear')
  defaults.demo_networks(config)
  config.fuse.update(kernel=3, width=16)
  config.flow.name = 'tvl1'        # not the known flow: the blocks learn on what they will be given
  config.perceptual = 'none'
  config.gan.pool = 20             # else the critics follow every fake and colors tear
  config.optim.update(lr=3e-4, schedule='linear')
  config.train.update(steps=600, decay_fraction=0.5, checkpoint_minutes=1.0)
  config.log.update(every=20, samples_every=200)


VARIANTS = {'paper': paper, 'demo': demo, 'street': defaults.in_turn(demo, defaults.street)}

"""PearlGAN (T-ITS 2022) and its ancestors ToDayGAN, ToDayGAN-TIR.

python -m i2vjax.main --config configs/pearlgan.py:demo --workdir runs/pearlgan-demo
python -m i2vjax.main --config configs/pearlgan.py:paper --config.data.train_a=THERMAL \
    --config.data.train_b=COLOR

Public folders trainA and trainB hold color and thermal frames: there, A is our b.

`data.edges_a` and `data.edges_b` name folders of edge maps, 8-bit gray PNGs of the names of the
training frames (255 an edge); C takes MCI for thermal frames and Canny for color. Without, edges
are drawn from the frames in each step.

Sources: C public code FuyaLuo/PearlGAN (FLIR unless a line says more), T public code
AAnoosheh/ToDayGAN, P the MornGAN paper on them, O our choice. The papers' own texts were not at
hand.

Paper, public code, here:
  brightness of the output | not at hand | each frame stretched to 0..255 | as it is
    (`eval.stretch`)
  spectral norm's vectors move | not at hand | three times a step | once a step
  half and half of the epochs | not at hand | 41 and 39 as run, 40 and 40 as said | 41 and 39
  KAIST's test frames | not at hand | cut without the resize | the same with `raw`

Expect: ':demo' 17.8 dB after 870 steps, which take four minutes on one core (the best single color
has 16.1): docs/results.md.
"""

from i2vjax import defaults


def get_config(variant=None):
  """The config of a variant: words joined by '-' in any order.

    default       PearlGAN as for FLIR, on scenes, 256 pixels square
    paper         the same on folders of prepared frames, 360 x 288
    kaist         folders, KAIST's numbers
    demo          two CPU cores, a few minutes, 64 pixels, on scenes
    street        the same at 128 pixels, hours
    raw           with paper or kaist: frames as published, 640 x 512, made 360 x 288 on reading

    todaygan      ToDayGAN
    todaygan_tir  ToDayGAN-TIR, with which PearlGAN and MornGAN compare
  """
  config = defaults.get_config()
  config.method, config.variant = 'pearlgan', variant or 'default'
  config.data.update(frames=1, batch=1, load_size=(288, 360), crop_size=256, flip=True)   # C, P
  config.data.update(edges_a='', edges_b='')
  config.gen = dict(
      width=64, blocks_enc=4, blocks_dec=5,      # C, T
      attention=True,                            # C
      up_norm='group', groups=32,                # C; P: against dots in the output
  )
  config.disc = dict(width=64, stages=4, norm='spectral')      # C; gradients have one stage fewer
  config.init = dict(kind='normal', gain=0.02)                 # C, T
  config.gan = dict(pool=50, d_scale=0.5)                      # C, T
  config.sga = dict(grid=8, threshold=0.8)                     # C
  config.weights = dict(
      adversarial=1.0,       # C, T
      cycle=10.0,            # C, T
      cycle_ssim=1.0,        # C
      tv=5.0,                # C, P
      sga=0.5,               # C, P
      ad=1.0, accs=1.0,      # C
  )
  config.start = dict(ssim=11, accs=11)          # C: first epoch, from 1, in which it counts
  config.optim.update(lr=2e-4, b1=0.5, b2=0.999, schedule='linear')   # C, T, P
  # C says 40 and 40, but sets the rate at the end of an epoch: 41 are constant, and the last one
  # has 1/40 of the rate.
  config.train.update(epochs=41, epochs_decay=39)
  config.eval.stretch = 'none'                   # 'minmax': each frame to the whole range, C
  return defaults.join(config, variant, WORDS)


def paper(config):
  """Folders of prepared frames, 360 x 288, which C crops at random and does not resize."""
  defaults.as_published(config)
  config.data.resize = 'none'


def raw(config):
  """Frames as published, 640 x 512: made 360 x 288 on reading."""
  config.data.prepare.update(resize='500x400', crop='360x288')   # C
  # C: KAIST's test frames are only cut, which its authors call an oversight.
  config.data.prepare.resize_test = 'kaist' not in config.variant.split('-')


def kaist(config):
  """The same, KAIST's numbers."""
  paper(config)
  config.sga.threshold = 0.44                                  # C
  config.start.update(ssim=31, accs=31)                        # C
  config.train.update(epochs=61, epochs_decay=59)              # C, 60 and 60, see above


def todaygan_tir(config):
  """P's baseline: ToDayGAN with group norm, spectral norm, SSIM and TV."""
  config.gen.attention = False
  config.weights.update(sga=0.0, ad=0.0, accs=0.0)             # P


def todaygan(config):
  """Night to day of Anoosheh et al.: no attention, instance norm, two losses."""
  todaygan_tir(config)
  config.gen.up_norm, config.disc.norm = 'instance', 'instance'   # T
  config.weights.update(cycle_ssim=0.0, tv=0.0)                # T
  config.data.update(load_size=512, crop_size=384, resize='square')   # T
  config.train.update(epochs=76, epochs_decay=74)              # T, 75 and 75, see above


def demo(config):
  """Two CPU cores, a few minutes, 64 pixels. O: sizes that fit, all losses from the beginning."""
  config.data.update(load_size=72, crop_size=64, resize='square', batch=2)
  config.data.scenes.update(camera='driving', weather='clear')
  config.gen.update(width=16, blocks_enc=2, blocks_dec=2)
  config.disc.update(width=16, stages=3)
  config.gan.pool = 20
  config.start.update(ssim=1, accs=1)
  config.optim.lr = 4e-4
  config.train.update(steps=600, decay_fraction=0.5, checkpoint_minutes=1.0)
  config.log.update(every=20, samples_every=200)


def street(config):
  """The demo at 128 pixels, with wider networks."""
  demo(config)
  defaults.street_frames(config)
  config.gen.width = config.disc.width = 24


# In this order: a demo of todaygan is small.
WORDS = {'paper': paper, 'kaist': kaist, 'raw': raw, 'todaygan_tir': todaygan_tir,
         'todaygan': todaygan, 'demo': demo, 'street': street}

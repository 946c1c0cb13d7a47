"""MornGAN (arXiv 2208.02960), and ToDayGAN-NTIR and DlamGAN, its baselines.

python -m i2vjax.main --config configs/morngan.py:demo --workdir runs/morngan-demo
python -m i2vjax.main --config configs/morngan.py:paper --config.data.train_a=THERMAL \
    --config.data.train_b=COLOR --config.data.labels_b=CLASS_MAPS

Visible training frames need class maps, but for 'baseline': 8-bit PNGs of the same names that hold
Cityscapes train ids (255: no class), made by a parser of your choice; frames without a map count as
without classes. Records (FLIR, KAIST) take such folders too. `data.labels_b_aux`, a second folder
by a parser of things (COCO: persons, cars, trucks, buildings), is fused with it as in the paper,
and `data.labels_b_denoise`, on in ':paper', rejects what looks like another class: the visible half
of semantic denoising, as `mining.sdp` is the thermal one. Thermal frames need none; scenes bring
theirs. Edge maps may be given as for PearlGAN, by `data.edges_a`, `data.edges_b`.

The rows of the paper's ablation (table 5) are words of the variant, each with all above it:
'baseline', 'sc', 'sdp', 'mgca', 'cgr' (configs/morngan.py:paper-sdp); all is the method itself.

Sources: P paper, C public code FuyaLuo/MornGAN, O our choice. Where P and C differ, the word
'literal' takes P throughout and 'release' C, without its two slips; these come with 'slips'.

Paper, public code, here:
  weights of mono and temp | 0.5, 0.5 | 1, 1; temp from epoch 11 | the code's
  mined labels are sure in | both predictions | the first (a slip) | both
  mining in the last phase | where both agree | thermal prediction alone | the code's
  test of 0.99 and denoising | test first | denoising first | test first
  memory chooses | the most alike | any ten (a slip) | the most alike
  classes of aca | six | five, vehicles as one | six
  cgr's background | its classes | and what has no class | the code's
  scale is drawn | every epoch | every step | every step
  boundary loss | as long as S_b learns | not in its first phase | the code's
  holes in given maps | stay | filled where S_b is sure | the code's

Expect: ':demo' 18.3 dB after 611 steps, which take four minutes on one core (the best single color
has 16.1): docs/results.md; a step at 256 pixels takes 7 to 13 s, by phase on two CPU cores,
measured before averages of weights came: docs/performance.md.
"""

from i2vjax import defaults


def get_config(variant=None):
  """The config of a variant: words joined by '-' in any order.

    default        FLIR's numbers, on scenes, 256 pixels square
    paper          the same on folders of prepared frames, 360 x 288
    kaist          folders, KAIST's numbers
    demo           two CPU cores, minutes, 64 pixels, on scenes
    street         the same at 128 pixels, hours
    raw            with paper or kaist: frames as published, 640 x 512, made 360 x 288 on reading

    literal        the paper throughout, where it and the public code differ
    release        the public code, less its two slips
    slips          the public code to the letter

    todaygan_ntir  ToDayGAN-NTIR, the same as baseline
    dlamgan        DlamGAN, an approximation
    baseline, sc, sdp, mgca, cgr: rows of the ablation
  """
  config = defaults.get_config()
  config.method, config.variant = 'morngan', variant or 'default'
  config.data.update(frames=1, batch=1, load_size=(288, 360), crop_size=256, flip=True)   # C, P
  config.data.update(edges_a='', edges_b='', labels_b='', labels_b_aux='',
                     labels_b_denoise=False,   # scenes' maps are exact; True in paper and below: P
                     label_classes=19,   # ids 0 to 18 (and 255) in class maps
                     label_noise=0.0)    # scenes: share of regions a made-up parser misses
  config.gen = dict(width=64, blocks_enc=4, blocks_dec=5, attention=False, up_norm='group',
                    groups=32)                                   # C
  config.disc = dict(width=64, stages=4, norm='spectral')        # C
  config.seg = dict(
      width=64, dropout=0.5,           # C
      sizes=(128, 192, 256, 312),      # C draws one of 128, 132 .. 316; fewer: one program each, O
      small_weight=7.0, small_pixels=1024,   # C
      fill=0.95,                       # C; 0: holes in given maps stay, P
      boundary_first=False,            # C; P: as long as S_b trains, so from the first phase on
      boundary_floor=0.0,              # C; O above 0: least denominator, a share of the pixels
  )
  config.init = dict(kind='normal', gain=0.02)                   # C
  config.gan = dict(pool=50, d_scale=0.5)                        # C
  config.sga = dict(grid=8, threshold=0.8)                       # C
  config.classes = dict(               # Cityscapes train ids; -1: a list without such a class
      foreground=(2, 6, 7, 11, 12, 13, 14, 15, 16, 17, 18),   # P, C
      small=(6, 7, 11, 14, 15, 17),                              # P, C
      background=tuple(range(11)),     # of cgr, C
      road=0, person=11, vegetation=8, pole=5, sky=10)
  config.mining = dict(
      theta_fg=0.95, theta_bg=0.99,    # P, C
      phase3='both_confident',         # P; 'first_confident': a slip of C
      phase4='thermal_only',           # C; 'both_confident': P, which leaves little to correct
      background_last=False,           # P; True: theta_bg is tested after denoising, C
      sdp='paper',                     # P; 'release': C; 'none'
  )
  config.memory = dict(use=True, top_k=10)   # C; P leaves k open. -10: the slip of C, any ten
  config.aca = dict(
      clusters=4, local=0.9, overall=0.9,                        # P; phi_local, phi_global there
      rounds=20,                       # O; C until it converges
      groups=((6,), (7,), (11,), (14,), (15,), (17,)),           # P
      every=False,                     # C: mean over the groups present; True: over all, P
  )
  config.cgr = dict(unlabeled=True)   # C; P names background classes alone
  config.sr = dict(small=0.5, large=1.5,   # P, C
                   coin='step')        # C; 'epoch': P
  config.weights = dict(
      adversarial=1.0, cycle=10.0, cycle_ssim=1.0, tv=5.0, sga=0.5,   # P, C
      mono=1.0, temp=1.0,              # C; P 0.5 each
      ce_real_b=1.0, boundary=0.5, ce_fake_a=1.0, ce_real_a=1.0, ce_fake_b=1.0,   # P, C
      aca=1.0, cgr=1.0, sr_l1=10.0, sr_ssim=1.0,                 # P, C
  )
  config.start = dict(                 # epochs, from 1, in which something begins
      phases=(21, 31, 41, 76),         # C
      ssim=11, temp=11)                # C
  config.optim.update(lr=2e-4, b1=0.5, b2=0.999, schedule='constant')   # P, C
  config.train.update(epochs=80, epochs_decay=0)                 # C
  config.eval.stretch = 'none'         # 'minmax': each frame to the whole range, C
  return defaults.join(config, variant, WORDS)


def paper(config):
  """Folders of prepared frames, 360 x 288, cropped at random and not resized."""
  defaults.as_published(config)
  config.data.resize = 'none'
  config.data.labels_b_denoise = True                            # P 3.3.2, C


def raw(config):
  """Frames as published, 640 x 512: made 360 x 288 on reading."""
  config.data.prepare.update(resize='500x400', crop='360x288')   # C
  # C: KAIST's test frames are only cut, which its authors call an oversight.
  config.data.prepare.resize_test = 'kaist' not in config.variant.split('-')


def kaist(config):
  """The same, KAIST's numbers."""
  paper(config)
  config.sga.threshold = 0.44                                    # C
  config.start.phases = (51, 91, 101, 146)                       # C
  config.train.epochs = 160                                      # C


def literal(config):
  """P where it and C differ."""
  config.weights.update(mono=0.5, temp=0.5)
  config.start.update(ssim=1, temp=1)
  config.data.labels_b_denoise = True
  config.classes.background = (0, 1, 3, 4, 5, 8, 9, 10)   # all that are not of the foreground
  config.seg.update(sizes=(256,), fill=0.0, boundary_first=True)
  config.mining.phase4 = 'both_confident'
  config.aca.every = True
  config.cgr.unlabeled = False
  config.sr.coin = 'epoch'


def release(config):
  """C where it and P differ, less what must be slips."""
  config.mining.update(background_last=True, sdp='release')
  config.aca.groups = ((6,), (7,), (11,), (13, 14, 15, 16), (17,))
  config.eval.stretch = 'minmax'


def slips(config):
  """C to the letter: S_b's confidence is not tested, and the memory gives ten arbitrary windows."""
  release(config)
  config.mining.phase3 = 'first_confident'
  config.memory.top_k = -10


def cgr(config):
  """All but scale robustness."""
  config.weights.update(sr_l1=0.0, sr_ssim=0.0)


def mgca(config):
  """Nor gradient repair."""
  cgr(config)
  config.weights.cgr = 0.0


def sdp(config):
  """Nor memory and collaborative attention."""
  mgca(config)
  config.memory.use = False
  config.weights.aca = 0.0


def sc(config):
  """Nor semantic denoising, of neither domain: semantic consistency is left."""
  sdp(config)
  config.mining.sdp = 'none'
  config.data.labels_b_denoise = False


def baseline(config):
  """ToDayGAN-NTIR: no classes but in the temperature term, left out for folders without maps."""
  sc(config)
  config.weights.update(ce_real_b=0.0, boundary=0.0, ce_fake_a=0.0, ce_real_a=0.0, ce_fake_b=0.0)
  config.start.phases = ()


def dlamgan(config):
  """DlamGAN, without public code: an approximation after P's account. One threshold."""
  sc(config)
  config.mining.theta_bg = config.mining.theta_fg


def demo(config):
  """Two CPU cores, minutes, 64 pixels. O: sizes that fit, thresholds that a short run can reach."""
  config.data.update(load_size=72, crop_size=64, resize='square', batch=2)
  config.data.scenes.update(camera='driving', weather='clear')
  config.gen.update(width=16, blocks_enc=2, blocks_dec=2)
  config.disc.update(width=16, stages=3)
  config.seg.update(width=16, sizes=(64,), small_pixels=64, boundary_floor=0.05)
  config.gan.pool = 20
  config.sga.grid = 4
  config.mining.update(theta_fg=0.8, theta_bg=0.9)
  config.start.update(ssim=1, temp=min(config.start.temp, 2))   # 'literal' has it from the first on
  config.start.phases = (3, 4, 5, 9)
  config.optim.lr = 4e-4
  config.train.update(epochs=10, steps=600, checkpoint_minutes=1.0)
  config.log.update(every=20, samples_every=200)


def street(config):
  """The demo at 128 pixels, with wider networks."""
  demo(config)
  defaults.street_frames(config)
  config.gen.width = config.disc.width = 24
  config.seg.update(sizes=(128,), small_pixels=128)


# In this order: a demo is small, and has a baseline's phases.
WORDS = {'paper': paper, 'kaist': kaist, 'raw': raw, 'literal': literal, 'release': release,
         'slips': slips, 'demo': demo, 'street': street, 'todaygan_ntir': baseline,
         'dlamgan': dlamgan, 'baseline': baseline, 'sc': sc, 'sdp': sdp, 'mgca': mgca, 'cgr': cgr}

"""CPTrans (CVPR 2023) for infrared to visible video.

python -m i2vjax.main --config configs/cptrans.py:demo --workdir runs/cptrans-demo

Sources: P the paper; C public code of ROMA, on which CPTrans is built (CPTrans' own is not public);
CUT public code of contrastive-unpaired-translation; O our choice where all are silent.

The baselines of the paper's tables are the variant `:cptrans-tables` of their configs: 9 blocks,
100 epochs, the same data, so that a table is one `compare` of configs/cptrans.py:paper and
configs/NAME.py:cptrans-tables, NAME one of cyclegan, recyclegan, i2vgan, mocyclegan, unsup_recycle,
cut, lsesim, roma.

Paper, public code, here:
  critic | PatchGAN "following ROMA", one scale | ROMA: dense layers on tokens of a ViT, and on
    regions | on tokens, no regions; a PatchGAN without a ViT
  scores for a patch | one | ROMA: 768 | one (`disc.out_channels`)
  GAN loss | log-likelihoods | ROMA: least squares | log-likelihoods (`gan.mode`)
  structure | one term, weight 6 | ROMA: two, weight 5 each | two, weight 6 each
  time | CTN, single frames | ROMA: cs_motion, two frames | CTN
  learning rate | 2e-6 | ROMA: 1e-5 | 2e-6 with a ViT, 2e-4 without
  epochs | 100 | ROMA: 100 and 100 of decay | 100

Expect: ':demo' 18.2 dB (the best single color has 16.1): docs/results.md; a step at 256 pixels
takes 5.1 s without a ViT on two CPU cores: docs/performance.md.
"""

from i2vjax import defaults


def get_config(variant=None):
  """The config of a variant.

    default  the paper's sizes, on scenes; with a ViT if its file is there, else without
    paper    the same on folders of real data; insists on the ViT
    demo     two CPU cores, a few minutes, 64 pixels, on scenes; no ViT
    street   two CPU cores, some hours, 128 pixels, on scenes
    small    your own footage, a few dozen frames or more: goes on from the starter, no ViT
  """
  config = defaults.get_config()
  config.method, config.variant = 'cptrans', variant or 'default'
  config.backbone = 'auto'                                                  # P: pre-trained ViT
  config.data.update(frames=1, batch=1, load_size=286, crop_size=256, flip=False)   # P batch; C
  config.gen = dict(width=64, blocks=9, down='blur', up='blur')             # P resnet_9blocks; C
  config.gen.update(kind='resnet', levels=4)   # O: 'unet' of so many halvings, faster on CPUs
  config.disc = dict(
      kind='auto',           # 'token_mlp' with a ViT, 'patchgan' without
      hidden=768, out_channels=1,         # token_mlp: C; O, P has one score p_i per patch (C: 768)
      width=64, layers=3, down='blur',    # patchgan: CUT, 70x70
  )
  config.vit = dict(image_size=384, weights='')   # C; path of the file, '' searches for it
  config.init = dict(kind='xavier', gain=0.02)                              # C
  config.gan = dict(
      mode='vanilla',        # P writes log-likelihoods; 'lsgan' is C's
      g_form='nonsaturating',   # O: P's 'minimax' form has no gradient early on
      d_scale=0.5,           # C
  )
  config.weights = dict(
      adversarial=1.0,       # P
      cs_global=6.0,         # lambda_1, P
      # O: 6 + 6 for P's one structure term of weight 6 (Eq. 11), since C weighs both alike; 0 is
      # the printed formula, and cheaper.
      cs_local=6.0,
      ctn=10.0,              # lambda_2, P; 0 is the paper's "w/o CTN"
      identity=0.0,          # O: |G(y) - y|, not in P
  )
  content(config)
  structure(config)
  config.optim.update(b1=0.5, b2=0.999, schedule='constant')                # P names no decay; C
  defaults.rate_by_backbone(
      config,
      vit=2e-6,              # P
      none=2e-4,             # CUT, which trains this generator, init and PatchGAN with it
      random=2e-6,
  )
  config.train.update(epochs=100, epochs_decay=0)                           # P
  config.eval.kid_degrees = (3, 21)                                              # P
  return defaults.choose(config, variant, VARIANTS)


def paper(config):
  """Folders of real data, the ViT, scores as in its tables."""
  config.backbone = 'vit'
  defaults.as_published(config)
  config.eval.update(epochs=(10, 20, 40, 60, 80, 100), paper_scale=True)   # P Fig. 6; its tables


def content(config):
  """Content-aware optimization and temporal normalization."""
  config.co = dict(
      enabled=True,          # False is the paper's "w/o CO": the motion keeps its weights
      eta=0.4,               # eta_ratio, P
      lambda_inc=3.0,        # O: not in P; above e every chosen patch gains, none ever loses
      method='auto',         # 'closed_form' | 'jvp_last' | 'jvp_probe' | 'vmap_grad' (definition)
      grad_params='all',     # P: theta_D; 'last' layer only is cheaper
      select='lowest',       # 'lowest_abs'
      border_exclude=2,      # O: patchgan alone: rings of patches at the border, never chosen,
                             # where its own zero padding looks like content
      recompute_for_g=False,    # O: the weights of the critic before its move save half the cost
      chunk=32,              # patches at a time on a CPU: memory
      calibrate=2,           # O: jvp_last, patches taken in full; the ratio varies by 7 to 12 %
      probes=64,             # jvp_probe
  )
  config.ctn = dict(         # all O: P gives the formula without its parts
      gamma=4.0,             # pixels at 256: plausible motion between frames
      sigma=16.0,            # pixels at 256: an object's size; gamma / sigma <= 0.35, no folds
      unit_gain=True,        # smoothing alone would shrink 4 pixels to 0.07
      smooth='gaussian',     # 'box'
      normalize='minmax',    # patches without content stay; 'max' leaves them a third
      upsample='linear',     # 'nearest'
      norm='mse',            # 'l1' | 'pixel_l2' | 'frobenius'
      stop_target=False,     # gradients through both sides (Unsupervised Recycle-GAN)
      noise_std=0.0,         # on W(x, F); Unsupervised Recycle-GAN 0.001
      column_std=0.0,        # the same, one draw for each column; configs/best.py has it
  )


def structure(config):
  """Cross-similarity; `lss` takes the ViT's place with backbone 'none' (sizes for 256 pixels)."""
  config.cs = dict(layers=(1, 3, 5), local_nums=64, side=7)                 # C
  config.lss = dict(
      radii=(2, 4, 8), angles=8, sigma=2.0,   # O: three levels for C's three layers
      floor=0.01,            # O: keeps flat regions quiet; 0.03 below 128 pixels
      cell=16, sub=2,        # O: 16 x 16 tokens of 32 channels
  )


def demo(config):
  """Two CPU cores, a few minutes, 64 pixels. All O: tuned on the built-in street.

  By day and clear weather from the car: with rain and snow drawn too, the best gray guess is hard
  to beat in so few steps. Three things made the picture: critics that also see a half and a quarter
  of the frame, for which sky is bright and a road gray; a U-Net, which is faster; and a critic
  slower than the generator. The motion has the noise of a thermal camera, else it flickers.
  """
  config.backbone = 'none'
  config.data.update(load_size=72, crop_size=64, batch=2)
  config.data.scenes.update(camera='driving', weather='clear')
  defaults.demo_networks(config)
  config.init.kind = 'normal'      # the tiny xavier weights need ten times the steps to wake up
  config.gan.mode = 'lsgan'
  config.weights.update(cs_global=2.0, cs_local=1.0, identity=0.5, ctn=30.0)
  config.co.grad_params = 'last'   # of the critic's last layer: a step takes two thirds of the time
  config.ctn.noise_std = 0.02
  config.lss.floor = 0.03
  config.optim.update(lr=4e-4, schedule='linear')
  config.train.update(steps=2000, decay_fraction=0.5, checkpoint_minutes=1.0)
  config.log.update(every=20, samples_every=500)


def street(config):
  """The demo at 128 pixels, with wider networks and a critic on an eighth as well."""
  demo(config)
  defaults.street(config)
  config.train.steps = 7000


def small(config):
  """Your own camera, by little footage; critics see frames moved, so patches have no weights."""
  street(config)
  defaults.little_footage(config)
  config.co.enabled = False


VARIANTS = {'paper': paper, 'demo': demo, 'street': street, 'small': small}

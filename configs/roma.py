"""ROMA (ACM MM 2022) for night infrared to day visible video.

python -m i2vjax.main --config configs/roma.py:demo --workdir runs/roma-demo

Sources: C public code BIT-DA/ROMA with the command of its README; CUT public code of
contrastive-unpaired-translation; O our choice. Published training files hold two frames side by
side; ':paper' tells them from single frames and says so. C cuts out the same place of both domains,
which show different scenes; here each has a place of its own.

Paper, public code, here:
  weight of cs_motion | not at hand | switches it on, never multiplies | multiplies
  regions of the critic | not at hand | reach one row too far | exact (`disc.roma_window_quirk`)
  place of the crop | not at hand | the same in both domains | one for each
  single frames | not at hand | a model of its own | `data.frames=1`, without cs_motion
  batch | not at hand | 1 | any

Expect: ':demo' 17.5 dB (five seeds from 16.8 to 18.5; the best single color has 16.1):
docs/results.md; a step at 256 pixels takes 4.0 s without a ViT on two CPU cores, measured before
averages of weights came: docs/performance.md.
"""

from i2vjax import defaults


def get_config(variant=None):
  """The config of a variant.

    default  published sizes, on scenes; with a ViT if its file is there, else without
    paper    the same on folders of real data; insists on the ViT
    cptrans-tables  a row of CPTrans' tables: folders, 9 blocks, 100 epochs
    demo     two CPU cores, a few minutes, 64 pixels, on scenes; no ViT
    street   the same at 128 pixels, hours
  """
  config = defaults.get_config()
  config.method, config.variant = 'roma', variant or 'default'
  config.backbone = 'auto'                                                  # C: ViT-B/16, 384
  config.data.update(
      frames=2, batch=1, load_size=286, crop_size=256, flip=False,   # C
      finetune_no_crop=True,   # C: from where the rate decays, whole images of crop_size
  )
  config.gen = dict(width=64, blocks=9, down='blur', up='blur')             # C
  config.gen.update(kind='resnet', levels=4)   # O: 'unet' of so many halvings, faster on CPUs
  config.disc = dict(
      kind='auto',           # 'token_mlp' with a ViT, 'patchgan' without
      hidden=768, out_channels=768,       # token_mlp: C
      scales=(2, 4, 6, 8, 12),            # C: sides of the regions in tokens
      roma_window_quirk=False,            # C's regions reach one row too far; True does so too
      width=64, layers=3, down='blur',    # patchgan: CUT, 70x70
  )
  config.vit = dict(image_size=384, weights='')   # C; path (.npz, or timm's), '' searches for it
  config.init = dict(kind='xavier', gain=0.02)                              # C
  config.gan = dict(mode='lsgan', d_scale=0.5)                              # C
  config.weights = dict(
      adversarial=1.0,       # C
      cs_global=5.0,         # C
      cs_local=5.0,          # C
      cs_motion=1.0,         # C
      identity=0.0,          # O: |G(y) - y|, not in C
  )
  structure(config)
  config.optim.update(b1=0.5, b2=0.999, schedule='linear')                  # C
  defaults.rate_by_backbone(
      config,
      vit=1e-5,              # C
      none=2e-4,             # CUT, which trains this generator, init and PatchGAN with it
      random=1e-5,
  )
  config.train.update(epochs=100, epochs_decay=100)                         # C
  return defaults.choose(config, variant, VARIANTS)


def with_vit(config):
  """Insists on the file of the ViT."""
  config.backbone = 'vit'


def paper(config):
  """Folders of real data, the ViT, scores as in its tables."""
  defaults.as_published(config)
  with_vit(config)
  config.eval.paper_scale = True     # FID / 100


def structure(config):
  """Cross-similarity; `lss` takes the ViT's place with backbone 'none' (sizes for 256 pixels)."""
  config.cs = dict(layers=(1, 3, 5), local_nums=64, side=7)                 # C
  config.lss = dict(
      radii=(2, 4, 8), angles=8, sigma=2.0,   # O: three levels for C's three layers
      floor=0.01,            # O: keeps flat regions quiet; 0.03 below 128 pixels
      cell=16, sub=2,        # O: 16 x 16 tokens of 32 channels
  )


def demo(config):
  """Two CPU cores, a few minutes, 64 pixels. All O: sizes and weights of CPTrans' demo.

  A single small critic won in one seed of three; critics that also see a half and a quarter of the
  frame, at half of the rate, did not in any of five.
  """
  config.backbone = 'none'
  config.data.update(load_size=72, crop_size=64, batch=1, finetune_no_crop=False)   # two frames
  config.data.scenes.update(camera='driving', weather='clear')
  defaults.demo_networks(config)
  config.init.kind = 'normal'      # the tiny xavier weights need ten times the steps to wake up
  config.weights.update(cs_global=2.0, cs_local=1.0, cs_motion=0.5, identity=0.5)
  config.lss.floor = 0.03
  config.optim.update(lr=4e-4, schedule='linear')
  config.train.update(steps=1000, decay_fraction=0.5, checkpoint_minutes=1.0)
  config.log.update(every=20, samples_every=200)


VARIANTS = {'paper': paper, 'demo': demo, 'street': defaults.in_turn(demo, defaults.street),
            'cptrans-tables': defaults.in_turn(defaults.cptrans_tables, with_vit)}

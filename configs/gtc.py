"""GTC (ACM MM 2018): supervised video to video, consistent over time.

python -m i2vjax.main --config configs/gtc.py:demo --workdir runs/gtc-demo
python -m i2vjax.main --config configs/gtc.py:paper-color --config.data.train_b=VIDEOS

The paper's table, from the bottom up:

  + local + global   as it is
  + local            --config.disc.residual=false
  video2video        --config.disc.residual=false --config.weights.temporal=0
  image2image        the word image2image: single frames, and pix2pix's PatchGAN as critic

The critic of the other rows gives one logit for a clip. That of image2image is another one, as in
the paper, which means pix2pix by it; --config.disc.kind=clip keeps one logit for a frame.

P trains on 903 clips of five frames of DAVIS 2017 without saying how they are cut. `data.stride` is
the number of frames from one clip to the next: 5 (ours) takes blocks side by side, and a last one
shifted back over what remains; --config.data.stride=4 lets neighbors share a frame, 1 takes every
clip there is. On DAVIS' training videos 903 lies between 5 and 4. With 5 and
--config.train.steps=180600 --config.train.decay_fraction=0.5 a run has the steps of 200 epochs of
903 clips.

Sources: P paper (no code is public); C public code of pix2pix, which it builds on; O our choice.

Paper, public code, here:
  frame before is sampled | along the flow from t-1 to t | no code | along the flow from t to t-1
  occlusions, boundaries | times the maps of them | no code | times their complement
  norms | sums | pix2pix: means | means
  generator's adversarial loss | minimax | pix2pix: non-saturating | non-saturating
  batch norm in translation | not said | pix2pix: of the batch | running (`norm.eval`)
  optical flow | FlowNet2 | no code | RAFT, small, TV-L1 or known (`flow.name`)
  order of norm and first layer | with norm | pix2pix: without | without (`gen.norm_first`)

Expect: ':demo-color' 26.5 dB gray to color after 300 steps (the input itself has 24.4); a step at
256 pixels takes 3.9 s with TV-L1 on two CPU cores. Measured before averages of weights came:
docs/results.md, docs/performance.md.
"""

from i2vjax import defaults


def get_config(variant=None):
  """The config of a variant: words joined by '-' in any order, a size and a task.

    default       infrared to visible on registered clips of scenes, 256 pixels square
    paper         folders of real data; alone it is paper-color
    demo          two CPU cores, a few minutes, 64 pixels, on scenes; alone it is demo-translate

    color         gray to color
    superres      twice the size
    segmentation  frames to masks
    translate     infrared to visible, on registered clips

    image2image   pix2pix, the lowest row of the paper's table
  """
  config = defaults.get_config()
  config.method, config.variant = 'gtc', variant or 'default'
  config.data.update(
      frames=5, stride=5,            # clips of 5 frames, P; side by side: O, see above
      load_size=288, crop_size=256,  # O: a crop has room to move
      batch=1, flip=True, paired=True)                                             # batch: O
  config.data.task = 'translate'     # 'color' | 'superres' | 'segmentation': P; 'translate': O
  config.gen = dict(
      width=64, levels=7,            # C64-C128-C256-C512-C512-C512-C512, P
      hidden=512,                    # of the state, O: as many as come in
      hidden_act='tanh',             # O, 'none': linear; the critic's cells too
      recurrent=True,
      dropout=0.5,                   # P
      norm_first=False,              # C; P's list can be read as True
  )
  config.disc = dict(
      kind='clip',                   # 'patch': C's 70x70 PatchGAN, of the row image2image
      layers=3, down='stride',       # of the PatchGAN, C
      width=64, hidden=512,          # C64-C128-C256-C512-RNN, P; hidden: O
      recurrent=True,
      residual=True,                 # the stream that makes consistency global, P
      conditional=True,              # Eq. 5 of P; its figure shows the frames alone
  )
  config.init = dict(kind='normal', gain=0.02)                                     # C
  config.norm = dict(
      sync=True,                     # batch norm over all devices, O: the own batch is one clip
      eval='running',                # 'batch': C, but then a frame depends on the clip's length
  )
  config.flow = dict(
      name='auto',                   # P: FlowNet2, which needs kernels and weights of its own
      weights='', iters=6,           # O: fewer corrections than the 12 of RAFT; for training alone
      levels=5, warps=5, inner=30, stretch=True,
  )
  config.gan = dict(mode='vanilla', d_scale=0.5)                                   # P; half: C
  config.weights = dict(
      temporal=1.0,                  # P, local consistency
      spatial=100.0,                 # lambda, not given; C
      adversarial=1.0,               # eta, not given; C
  )
  config.optim.update(lr=2e-4, b1=0.5, b2=0.999, schedule='linear')                # P: Adam; C
  config.train.update(epochs=100, epochs_decay=100)                                # C
  return defaults.join(config, variant, WORDS)


def paper(config):
  """DAVIS 2017 or other videos in folders, at its shape; the flow of the paper's quality."""
  defaults.as_published(config)
  config.data.resize = 'none'        # O: crops of 480p as it is, load_size unused; P names no size
  config.data.task = 'color'
  config.flow.name = 'raft_small'    # O: the errors of FlowNet2 at the least size
  config.flow.stretch = False        # O: made for infrared; of color it would leave the luma


def image2image(config):
  """Pix2pix: single frames without a memory, a critic of patches, no motion."""
  config.data.update(frames=1, stride=1)
  config.gen.recurrent = False
  config.disc.update(kind='patch', recurrent=False, residual=False)
  config.weights.temporal = 0.0


def color(config):
  """Gray to color: `data.train_b` alone."""
  config.data.task = 'color'


def superres(config):
  """Twice the size: `data.train_b` alone."""
  config.data.task = 'superres'


def segmentation(config):
  """Frames to masks: `data.train_a` the frames, `data.train_b` the annotations; scenes have both.
  """
  config.data.task = 'segmentation'
  config.eval.metrics = 'auto,davis'
  config.data.channels_b = 1


def translate(config):
  """Registered clips of two cameras, infrared to visible."""
  config.data.task = 'translate'
  config.flow.stretch = True


def demo(config):
  """Two CPU cores, a few minutes, 64 pixels. Ours: sizes that fit, the true flow of the scenes."""
  config.data.update(load_size=72, crop_size=64, batch=2)
  config.data.scenes.update(camera='driving', weather='clear')
  config.gen.update(width=24, levels=5, hidden=64, dropout=0.2)   # less noise, so early
  config.disc.update(width=8, hidden=16)                          # small enough not to win
  config.flow.update(name='gt+tvl1', iters=12)                    # iters: unused
  config.optim.lr = 4e-4
  config.train.update(steps=600, decay_fraction=0.5, checkpoint_minutes=1.0)
  config.log.update(every=20, samples_every=200)


# In this order: a task has the last word.
WORDS = {'paper': paper, 'demo': demo, 'image2image': image2image, 'color': color,
         'superres': superres, 'segmentation': segmentation, 'translate': translate}

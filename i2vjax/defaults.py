"""The config fields that every run has.

A method's config starts from these. Every number a method reads stands in its own config under
`configs/`; here are only the fields that mean the same for every method. What each of them decides,
and which values can be meant, is in `fields.py`: add a new one there too.
"""

from __future__ import annotations

import ml_collections
from ml_collections.config_dict import FieldReference, placeholder


def get_config():
  """The fields every run has, unlocked, to be completed by a method's `get_config`."""
  config = ml_collections.ConfigDict()
  config.method = ''                 # file under i2vjax/methods
  config.variant = ''                # 'paper', 'demo', ... as asked for
  config.seed = 0
  config.backbone = 'none'           # 'auto' | 'vit' | 'none' | 'random': features of a frozen ViT
  config.perceptual = 'none'         # 'vgg' | 'none' | 'random': features of a frozen VGG
  config.pretrained_dir = placeholder(str)   # default: $I2VJAX_PRETRAINED or the user's cache
  config.compute = 'float32'         # 'bfloat16': activations only; losses and weights stay float32
  config.precision = 'default'       # 'high' | 'highest': of products on accelerators (fields.py)
  config.remat = False               # recompute activations in the backward pass: less memory

  config.data = data()
  config.weights = ml_collections.ConfigDict()   # one per loss term; 0 = not computed, not logged
  config.gan = dict(mode='lsgan', pool=0)        # 'lsgan' | 'vanilla'; images in the pool of fakes
  config.init = dict(kind='normal', gain=0.02)   # 'normal' | 'xavier' | 'kaiming' | 'orthogonal'
  config.critic = critic()

  config.optim = dict(
      lr=2e-4, b1=0.5, b2=0.999, eps=1e-8,
      schedule='linear',             # 'linear' | 'legacy' | 'constant' (schedules.py)
      lr_scale='none',               # 'linear': times the number of devices
      accumulate=1,                  # steps whose gradients are averaged before a player moves
      warmup=0,                      # steps over which the rate grows to lr
  )
  config.train = dict(
      init_from='',                  # a run folder or 'starter': begin at its weights
      epochs=100, epochs_decay=100,  # constant, then decaying; an epoch = max(|A|, |B|) windows
      steps=0,                       # > 0: so many steps instead of epochs
      per_epoch=0,                   # steps in an epoch of the data: filled in as training starts
      decay_fraction=0.0,            # with steps: the last share of them decays
      ema=0.999,                     # decay of the averages of weights (averaging.py); 0: none
      checkpoint_minutes=10.0,       # whichever comes first
      checkpoint_steps=0,            # 0: by minutes only
      keep=3,                        # newest checkpoints kept, besides the best
      best='auto',                   # score naming the best: 'psnr' where tests are paired
  )
  config.log = dict(
      every=20,                      # steps between lines of metrics.jsonl
      samples_every=500,             # steps between contact sheets; 0: only at the end
      samples=4,                     # windows on a sheet
      tensorboard=True,
  )
  config.eval = evaluation()
  return config


def critic():
  """Remedies against a critic that wins or learns by heart; none of the papers here has them."""
  return ml_collections.ConfigDict(dict(
      scales=1,                      # PatchGANs on the frame, its half, its quarter, ...
      lr=1.0,                        # times optim.lr: rate of the players that train only critics
      augment='',                    # 'color,shift,cutout': changes to all frames that critics see
      r1=0.0, r1_every=16,           # weight of the gradient penalty; steps from one to the next
  ))


def choose(config, variant, variants):
  """The config as a variant of it.

  Args:
    config: complete but for that.
    variant: its name; None changes nothing.
    variants: {name: change}, a function of the config.

  Raises:
    ValueError: no such variant; it names those there are.
  """
  if variant:
    if variant not in variants:
      raise ValueError(f'configs/{config.method}.py:{variant}: choose {", ".join(variants)}')
    variants[variant](config)
  return config


def join(config, variant, words):
  """The config as a variant of several words says, joined by '-' in any order.

  Args:
    config, variant: see `choose`.
    words: {word: change}; they are made in this order, so that the last one has the last word.

  Raises:
    ValueError: no such word; it names those there are.
  """
  asked = variant.split('-') if variant else []
  if not set(asked) <= set(words):
    raise ValueError(f'configs/{config.method}.py:{variant}: join of {", ".join(words)} with -')
  for word, change in words.items():
    if word in asked:
      change(config)
  return config


def in_turn(*changes):
  """One change of a config out of several."""
  def change(config):
    for one in changes:
      one(config)
  return change


def as_published(config):
  """What every ':paper' variant shares: real data in folders, and no averages of weights.

  None of the papers here averages weights; what is shown there are the last step's. Training files
  of ROMA, InfraredCity, IRVI and Recycle-GAN are strips, which every method must read alike.
  """
  config.data.source = 'folders'
  config.data.frames_per_image = 'auto'
  config.train.ema = 0.0


def cptrans_tables(config):
  """A baseline as the tables of CPTrans have it: `:cptrans-tables`, a row beside cptrans.py:paper.

  All are trained there for 100 epochs with nine residual blocks; that the data is the same for all,
  and that a method whose rate decays in half of its epochs does so in half of these, is ours.
  """
  as_published(config)
  config.data.update(load_size=286, crop_size=256, flip=False, batch=1, finetune_no_crop=False)
  config.gen.blocks = 9
  constant = 50 if config.train.epochs_decay else 100
  config.train.update(epochs=constant, epochs_decay=100 - constant)
  config.eval.update(kid_degrees=(3, 21), epochs=(10, 20, 40, 60, 80, 100), paper_scale=True)


def demo_networks(config):
  """What most demos train: a U-Net, and critics that also see a half and a quarter of the frame.

  All ours. The ResNet of the papers leaves halos and stripes at this size and takes longer; a
  single small critic cannot know that a sky is bright and a road below it gray; one that learns as
  fast as the generator wins now and then.
  """
  config.gen.update(kind='unet', width=32, levels=4, blocks=2)
  config.disc.update(width=24, layers=2)
  config.critic.update(scales=3, lr=0.5)


def street(config):
  """A demo at 128 pixels, with networks of the shapes of the weights inside the package.

  All ours. What begins at those weights (`little_footage`) must have a generator of these shapes.
  """
  street_frames(config)
  config.gen.update(width=40, blocks=3)
  config.disc.width = 32
  config.critic.scales = 4


def street_frames(config):
  """What every `:street` trains on, and how long: 128 pixels of three times as many clips."""
  config.data.update(load_size=144, crop_size=128, batch=1)
  config.data.scenes.clips = 200
  config.train.update(steps=6000, checkpoint_minutes=5.0)


def little_footage(config):
  """Your own camera, by some dozen frames: goes on from `street`. Tuned on stills from a car.

  From nothing so few frames end in the tones of the thermal camera, with a dark sky: the starter
  brings what it has learned on the street, that a cold sky is bright and a road gray. Critics see
  their frames shifted and cut, else they learn them by heart; nothing pulls towards the input's
  tones.
  """
  config.data.update(source='folders', flip=True)
  config.train.init_from = 'starter'
  config.critic.augment = 'shift,cutout'
  config.weights.update(cs_global=1.0, cs_local=0.0, identity=0.0)
  config.optim.update(lr=2e-4, warmup=200)
  config.train.steps = 1500


def size(value):
  """A config field that takes one int, a pair (height, width), or 'WIDTHxHEIGHT'."""
  return FieldReference(value, field_type=object)


def rate_by_backbone(config, **rates):
  """Leave `optim.lr` empty, to be filled by the backbone the run settles on.

  Args:
    config: a run's config.
    **rates: rate for each of 'vit', 'none', 'random'. `--config.optim.lr` overrides them.
  """
  del config.optim['lr']
  config.optim.lr = placeholder(float)
  config.optim.lr_by_backbone = rates


def data():
  """Where frames come from and how windows are cut (datasets: data/__init__.py)."""
  return ml_collections.ConfigDict(dict(
      source='scenes',               # 'scenes' | 'folders' | 'tfds'
      root='',                       # folders: fills the empty four below; tfds: data_dir
      name='',                       # tfds: set/config; fills the empty four below
      train_a='', train_b='', test_a='', test_b='',   # folder, glob, video; tfds: viper/img:train
      direction='a2b',               # 'b2a' swaps the domains: visible to infrared
      frames=1,                      # T, frames in a window
      stride=1,                      # between the starts of neighboring windows
      batch=1,                       # windows per step over all devices
      load_size=size(286), crop_size=size(256),   # resize, then crop: int, (h, w) or 'WxH'
      resize='square',               # 'square' | 'width' | 'none'
      # Folders: first of all WIDTHxHEIGHT or '': resize, then cut out the middle (preprocess.py).
      prepare=dict(resize='', crop='', resize_test=True),   # False: test frames are only cut
      finetune_no_crop=False,        # True: whole frames from where the rate decays, no crops
      flip=False,                    # half of the windows mirrored
      flip_time=0.0,                 # share of the windows played backwards
      tone_jitter=0.0,               # share of training windows of a under other cameras' tones
      paired=False,                  # windows of a and b show the same moments
      channels_a=3, channels_b=3,    # what the networks read; gray is repeated, color to luma
      thermal_range='clip',          # 16 bit: 'clip' | 'frame' | 'dtype' | 'LOW,HIGH'
      polarity='white',              # infrared: hot is 'white' | 'black' (turned round) | 'auto'
      unpalette='',                  # infrared in colors: a palette, a picture of it, or 'none'
      clip_regex='',                 # flat folders: group 1 names the clip
      clip_regex_a='', clip_regex_b='',   # the same for one domain; '': clip_regex
      max_gap=0,                     # frame numbers further apart start a clip; 0: twice the usual
      frames_per_image='1',          # strips of '2' | '3' frames side by side; 'auto': strips.py
      cache_dir=placeholder(str),    # unpacked videos; default: the user's cache folder
      threads=placeholder(int),      # that make batches; default: one a core, at most 16
      prefetch=placeholder(int),     # batches made ahead of the device; default: 8, or threads
      workers=0,                     # > 0: processes instead of threads
      scenes=dict(
          size=size(0),              # of a drawn frame; 0: load_size
          camera='mix',              # 'driving' | 'monitoring' | 'mix'
          weather='mix',             # 'clear' | 'overcast' | 'rain' | 'snow' | 'mix'
          gain_jumps=False, thermal_bits=8, thermal_noise=1.0,
          heat_spread=0.0,           # degrees C by which kinds of surface differ, training clips
          clips=64, test_clips=8, val_clips=4, clip_length=24,
          paired=False, seed=0,
          cache_mb=placeholder(int),  # of drawn frames; default: by the memory, at most 1024
      ),
  ))


def evaluation():
  """What `evaluate` computes and how (metrics)."""
  return ml_collections.ConfigDict(dict(
      every=0,                       # steps between scores while training; 0: never
      epochs=(),                     # checkpoints kept; evaluate: their FID and KID as a curve
      metrics='auto',                # or names: psnr,ssim,lpips,warping,flicker,fid,kid,iou,apce
      max_clips=0,                   # 0: all test clips
      quantize=True,                 # scores of 8-bit frames, as saved files would give
      psnr_cap=100.0, ssim_gray=False, batch=16,
      warp_kind='mse',               # 'euclidean': as the text of STC-V2V
      flow='auto',                   # of sources whose motion is not known: raft_large, tvl1, ...
      fid_mode='pytorch_fid',        # 'clean' | 'torchmetrics'
      fid_reference='auto',          # 'test_b' | 'train_b', or a folder, glob or video of frames;
                                     # auto: test_b if there is one
      kid_degrees=(3,), kid_subsets=100, kid_subset_size=1000, seed=0,
      paper_scale=False,             # show FID / 100 too, as I2V-GAN, ROMA and CPTrans print it
      lpips_net='alex',              # 'vgg'
      weights='file',                # 'random': smoke tests of fid, kid and lpips
      classes='scenes',              # of iou: cityscapes, flir, kaist, viper, small, or names
      absent='ignore',               # classes that nothing has: 'zero' counts them
      # Of other programs (evaluate --result): class maps as PNG folders, boxes as COCO files.
      labels='', predictions='', label_map='train_ids',   # label_ids, viper, or 7:0,8:1
      boxes='', detections='', ap_classes='', ap_style='coco', ap_score=0.1,
  ))

"""The config fields that every run has, and the role of each.

A method's config starts from these. Every number a method reads stands in its own config under
`configs/`; here are only the fields that mean the same for every method. `FIELDS`, at the end, is
the one table of what a field decides: read it before you add a field.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping

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
  config.precision = 'default'       # 'high' | 'highest': of products on GPUs and TPUs (PRECISIONS)
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
  """A demo at 128 pixels: the street, and the networks of the weights inside the package.

  All ours. What begins at those weights (`little_footage`) must have a generator of these shapes.
  """
  config.data.update(load_size=144, crop_size=128, batch=1)
  config.data.scenes.clips = 200
  config.gen.update(width=40, blocks=3)
  config.disc.width = 32
  config.critic.scales = 4
  config.train.checkpoint_minutes = 5.0


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
  """A config field that takes one int or a pair (height, width)."""
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
      load_size=size(286), crop_size=size(256),   # resize, then random crop; int or (h, w)
      resize='square',               # 'square' | 'width' | 'none'
      # Folders: first of all WIDTHxHEIGHT or '': resize, then cut out the middle (preprocess.py).
      prepare=dict(resize='', crop='', resize_test=True),   # False: test frames are only cut
      finetune_no_crop=False,        # True: whole frames from where the rate decays, no crops
      flip=False,                    # half of the windows mirrored
      flip_time=0.0,                 # share of the windows played backwards
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


# ---- What a field decides ---------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Field:
  """What a field of the config decides.

  Attributes:
    role: what another value would change:
      'state': what is trained, or what it means; a run keeps such a field to its end.
      'length': how long a run goes on and how fast it learns; it may change when a run goes on.
      'score': how a run is scored.
      'output': what is logged, saved and shown.
      'speed': the time and memory a run takes, and nothing else.
    network: True where the shapes of parameters may depend on it.
    table: in a table of several runs, 'same': all rows must agree, or scores do not compare;
      'note': each method chooses, and a footnote says so; '': it does not matter there.
    segmenter: True where the scene segmenter, which learns on frames of the data, depends on it.
    at_least, at_most: the least and the greatest value that can be meant; of each side of a size.
    below: the least value that is too great, where none is the greatest (decays end before 1).
    choices: {value: its meaning} of all values that can be meant; {}: any can.
  """

  role: str = 'state'
  network: bool = False
  table: str = ''
  segmenter: bool = False
  at_least: int | None = None
  at_most: int | None = None
  below: int | None = None
  choices: Mapping[int | str, str] = dataclasses.field(default_factory=dict)


SEEDS = 2**32 - 1    # what all generators of random numbers here take
SIDES = 2**15        # pixels: a step of larger frames fits into no memory
CHANNELS: dict[int | str, str] = {1: 'gray', 3: 'color'}
PRECISIONS: dict[int | str, str] = {
    'default': 'as fast as the device can: 10 bits of fraction on GPUs, 7 on TPUs',
    'high': '10 bits on GPUs, about 16 on TPUs',
    'highest': 'float32 everywhere'}
FLOWS: dict[int | str, str] = {
    'auto': 'the truth, or the best that is here', 'raft_large': 'its file: fetch raft_large',
    'raft_small': 'its file: fetch raft_small', 'tvl1': 'no file', 'lk': 'fast, no file',
    'zero': 'nothing moves'}
# A name that ends in a dot stands for all fields of that block which are not listed themselves.
# Blocks that are not listed at all belong to methods (`gen.`, `co.`, `motion.`, ...): `OF_METHOD`.
OF_METHOD = Field('state', network=True, at_most=2**16)
# Fields that end so count what a network is built of, one after the other: more takes forever.
LAYERS = ('blocks', 'blocks_dec', 'blocks_enc', 'depth', 'downs', 'iters', 'layers', 'levels',
          'stages', 'warps')
MOST_LAYERS = 512
FIELDS = {
    'method': Field('state', network=True),
    'variant': Field('state'),
    'seed': Field('state', at_least=0, at_most=SEEDS),
    'backbone': Field('state', network=True, table='note'),
    'perceptual': Field('state', table='note'),
    'pretrained_dir': Field('speed'),
    'compute': Field('state', table='note'),
    'precision': Field('state', table='note', choices=PRECISIONS),
    'remat': Field('speed'),

    'data.': Field('state', table='same'),
    'data.source': Field('state', table='same', segmenter=True),
    'data.task': Field('state', table='same', segmenter=True),
    'data.direction': Field('state', table='same', segmenter=True),
    'data.paired': Field('state', table='same', segmenter=True),
    'data.resize': Field('state', table='same', segmenter=True),
    'data.load_size': Field('state', table='note', segmenter=True, at_least=1, at_most=SIDES),
    'data.crop_size': Field('state', network=True, table='same', segmenter=True, at_least=1,
                            at_most=SIDES),
    'data.channels_a': Field('state', network=True, table='note', choices=CHANNELS),
    'data.channels_b': Field('state', network=True, table='same', segmenter=True, choices=CHANNELS),
    'data.polarity': Field('state', table='same', segmenter=True),
    'data.unpalette': Field('state', table='same', segmenter=True),
    'data.frames': Field('state', network=True, table='note', at_least=1),
    'data.stride': Field('state', table='note', at_least=1),
    'data.batch': Field('state', table='note', at_least=1),
    'data.flip': Field('state', table='note'),
    'data.flip_time': Field('state', table='note', at_least=0, at_most=1),
    'data.finetune_no_crop': Field('state', table='note'),
    'data.max_gap': Field('state', table='same', at_least=0),
    'data.threads': Field('speed', at_least=0),
    'data.prefetch': Field('speed', at_least=0),
    'data.workers': Field('speed', at_least=0),
    'data.cache_dir': Field('speed'),
    'data.scenes.': Field('state', table='same', segmenter=True),
    # A table compares it with data.load_size.
    'data.scenes.size': Field('state', segmenter=True, at_least=0, at_most=SIDES),
    'data.scenes.thermal_noise': Field('state', table='same', segmenter=True, at_least=0),
    'data.scenes.val_clips': Field('state', table='same', at_least=0),
    'data.scenes.clips': Field('state', table='same', segmenter=True, at_least=1),
    'data.scenes.test_clips': Field('state', table='same', segmenter=True, at_least=0),
    'data.scenes.clip_length': Field('state', table='same', segmenter=True, at_least=1),
    'data.scenes.seed': Field('state', table='same', segmenter=True, at_least=0, at_most=SEEDS),
    'data.scenes.cache_mb': Field('speed', at_least=0),

    'weights.': Field('state', at_least=0),
    'gan.': Field('state'),
    'gan.pool': Field('state', at_least=0),
    'init.': Field('state'),
    'init.gain': Field('state', at_least=0),
    'gen.width': Field('state', network=True, at_least=1, at_most=2**16),
    'gen.blocks': Field('state', network=True, at_least=0),
    'disc.width': Field('state', network=True, at_least=1, at_most=2**16),

    'optim.': Field('state'),
    'optim.lr': Field('length'),
    'optim.lr_scale': Field('length', choices={
        'none': 'the rate as it is', 'linear': 'times the number of devices'}),
    'optim.lr_by_backbone.': Field('length'),
    'optim.b1': Field('state', at_least=0, below=1),
    'optim.b2': Field('state', at_least=0, below=1),
    'optim.eps': Field('state', at_least=0),
    'optim.accumulate': Field('state', at_least=1),
    'optim.warmup': Field('length', at_least=0),

    'critic.': Field('state'),
    'critic.scales': Field('state', network=True, at_least=1),
    'critic.lr': Field('state', at_least=0),
    'critic.r1': Field('state', at_least=0),
    'critic.r1_every': Field('state', at_least=1),

    'train.': Field('length'),
    # A run that goes on keeps what it began with (run/resume.py: with_origin).
    'train.init_from': Field('state', table='note'),
    'train.epochs': Field('length', at_least=0),
    'train.epochs_decay': Field('length', at_least=0),
    'train.steps': Field('length', at_least=0),
    'train.decay_fraction': Field('length', table='note', at_least=0, at_most=1),
    'train.ema': Field('length', table='note', at_least=0, below=1),
    'train.checkpoint_minutes': Field('output', at_least=0),
    'train.checkpoint_steps': Field('output', at_least=0),
    'train.keep': Field('output', at_least=1),
    'train.best': Field('output'),

    'log.': Field('output'),
    'log.every': Field('output', at_least=1),
    'log.samples': Field('output', at_least=1),
    'log.samples_every': Field('output', at_least=0),

    'eval.': Field('score', table='same'),
    'eval.every': Field('output', at_least=0),
    'eval.batch': Field('speed', at_least=1),
    'eval.epochs': Field('output'),
    'eval.seed': Field('score', table='same', at_least=0, at_most=SEEDS),
    'eval.max_clips': Field('score', table='same', at_least=0),
    'eval.kid_subsets': Field('score', table='same', at_least=1),
    'eval.kid_subset_size': Field('score', table='same', at_least=2),
    'eval.psnr_cap': Field('score', table='same', at_least=1),
    'eval.warp_kind': Field('score', table='same', choices={
        'mse': 'mean squared difference', 'euclidean': 'mean length, the text of STC-V2V'}),
    'eval.flow': Field('score', table='same', choices=FLOWS),
    'eval.fid_mode': Field('score', table='same', choices={
        'pytorch_fid': 'as most papers', 'clean': 'as clean-fid', 'torchmetrics': 'as its name'}),
    'eval.lpips_net': Field('score', table='same', choices={
        'alex': 'the usual one', 'vgg': 'its second'}),
    'eval.weights': Field('score', table='same', choices={
        'file': 'published ones', 'random': 'for smoke tests'}),
    'eval.absent': Field('score', table='same', choices={
        'ignore': 'classes that nothing has are left out', 'zero': 'they count'}),
    'eval.ap_style': Field('score', table='same', choices={
        'coco': 'by pycocotools', 'yolo': 'by the public YOLO code'}),
    'eval.paper_scale': Field('output'),
    'eval.stretch': Field('score', table='note'),   # of PearlGAN and MornGAN alone
    'eval.kid_degrees': Field('score', table='note'),   # more of them are more columns of a table
}


def field(name: str) -> Field:
  """What the dotted field `name` decides: its own entry, or that of the block around it."""
  if name in FIELDS:
    return FIELDS[name]
  block = name
  while '.' in block:
    block = block.rpartition('.')[0]
    if f'{block}.' in FIELDS:
      return FIELDS[f'{block}.']
  return OF_METHOD if '.' in name else Field()


def may_change_on_resume(name: str) -> bool:
  """True where a run that goes on in its folder may have another value."""
  return field(name).role != 'state'


def may_differ_in_folder(name: str) -> bool:
  """True where a run that was trained with another value is the same run when it is scored."""
  return field(name).role in ('score', 'output', 'speed')


def shapes_networks(name: str) -> bool:
  """True where the shapes of parameters may depend on a field."""
  return field(name).network


def must_agree_in_table(name: str) -> bool:
  """True where all rows of a table must have the same value.

  Fields that a method adds to `data.` and `eval.` are its own business, unless `FIELDS` lists them.
  """
  return field(name).table == 'same' and (name in FIELDS or name in _names())


def noted_in_table(name: str) -> bool:
  """True where rows of a table may differ, with a footnote."""
  return field(name).table == 'note'


def seen_by_segmenter(name: str) -> bool:
  """True where the frames that the scene segmenter learns from depend on a field."""
  return field(name).segmenter


def lower_bound(name: str) -> int | None:
  """The least value of a field that can be meant; None: there is none."""
  return field(name).at_least


def upper_bound(name: str) -> int | None:
  """The greatest value of a field that can be meant; None: there is none."""
  return MOST_LAYERS if name.rpartition('.')[2] in LAYERS else field(name).at_most


def choices(name: str) -> Mapping[int | str, str]:
  """{value: its meaning} of all values of a field that can be meant; {}: any can."""
  return field(name).choices


@functools.cache
def _names() -> frozenset[str]:
  """The dotted names of all fields of `get_config`."""
  return frozenset(_dotted(get_config()))


def _dotted(config, prefix=''):
  for name, value in config.items():
    if isinstance(value, ml_collections.ConfigDict):
      yield from _dotted(value, f'{prefix}{name}.')
    else:
      yield prefix + name

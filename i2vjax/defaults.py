"""Run-level config fields and what they mean. A method's config starts from these.

Every number a method reads stands in its own config under `configs/`; here are only the fields that
mean the same for every method.
"""

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
  config.remat = False               # recompute activations in the backward pass: less memory

  config.data = data()
  config.weights = ml_collections.ConfigDict()   # one per loss term; 0 = not computed, not logged
  config.gan = dict(mode='lsgan', pool=0)        # 'lsgan' | 'vanilla'; images in the pool of fakes
  config.init = dict(kind='normal', gain=0.02)   # 'normal' | 'xavier' | 'kaiming' | 'orthogonal'

  config.optim = dict(
      lr=2e-4, b1=0.5, b2=0.999, eps=1e-8,
      schedule='linear',             # 'linear' | 'legacy' | 'constant' (schedules.py)
      lr_scale='none',               # 'linear': times the number of devices
      accumulate=1,                  # steps whose gradients are averaged before a player moves
  )
  config.train = dict(
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


def as_published(config):
  """What every ':paper' variant shares: real data in folders, and no averages of weights.

  None of the papers here averages weights; what is shown there are the last step's.
  """
  config.data.source = 'folders'
  config.train.ema = 0.0


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
  return ml_collections.ConfigDict(
    dict(
      source='scenes',  # 'scenes' | 'folders' | 'tfds'
      root='',  # folders: fills the empty four below; tfds: data_dir
      name='',  # tfds: set/config; fills the empty four below
      train_a='',
      train_b='',
      test_a='',
      test_b='',  # folder, glob, video; tfds: viper/img:train
      direction='a2b',  # 'b2a' swaps the domains: visible to infrared
      frames=1,  # T, frames in a window
      stride=1,  # between the starts of neighboring windows
      batch=1,  # windows per step over all devices
      load_size=size(286),
      crop_size=size(256),  # resize, then random crop; int or (h, w)
      resize='square',  # 'square' | 'width' | 'none'
      # Folders, before all else: WIDTHxHEIGHT or '': resize, then center crop (preprocess.py).
      prepare=dict(resize='', crop='', resize_test=True),  # False: test frames are only cut
      finetune_no_crop=False,  # True: whole frames from where the rate decays, no crops
      flip=False,  # half of the windows mirrored
      flip_time=0.0,  # share of the windows played backwards
      paired=False,  # windows of a and b show the same moments
      channels_a=3,
      channels_b=3,  # what the networks read; gray is repeated, color to luma
      thermal_range='clip',  # 16 bit: 'clip' | 'frame' | 'dtype' | 'LOW,HIGH'
      clip_regex='',  # flat folders: group 1 names the clip
      max_gap=0,  # frame numbers further apart start a clip; 0: twice the usual
      frames_per_image='1',  # '1' | '2' | '3' | 'auto': strips of frames side by side
      cache_dir=placeholder(str),  # unpacked videos; default: the user's cache folder
      threads=2,
      prefetch=8,  # batches are made ahead of the device
      workers=0,  # > 0: processes instead of threads
      scenes=dict(
        size=size(0),  # of a drawn frame; 0: load_size
        camera='mix',  # 'driving' | 'monitoring' | 'mix'
        weather='mix',  # 'clear' | 'overcast' | 'rain' | 'snow' | 'mix'
        gain_jumps=False,
        thermal_bits=8,
        thermal_noise=1.0,
        clips=64,
        test_clips=8,
        val_clips=4,
        clip_length=24,
        paired=False,
        seed=0,
        cache_mb=256,
      ),
    )
  )


def evaluation():
  """What `evaluate` computes and how (metrics)."""
  return ml_collections.ConfigDict(dict(
      every=0,                       # steps between scores while training; 0: never
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
      lpips_net='alex',              # 'vgg'
      weights='file',                # 'random': smoke tests of fid, kid and lpips
      classes='scenes',              # of iou: cityscapes, flir, kaist, viper, small, or names
      absent='ignore',               # classes that nothing has: 'zero' counts them
      # Of other programs (evaluate --result): class maps as PNG folders, boxes as COCO files.
      labels='', predictions='', label_map='train_ids',   # label_ids, viper, or 7:0,8:1
      boxes='', detections='', ap_classes='', ap_style='coco', ap_score=0.1,
  ))

"""What each config field decides, and which values can be meant.

`FIELDS` is the one table of it: read it before you add a field to `defaults.py`.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping

import ml_collections

from i2vjax.defaults import get_config


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
    'data.test_a': Field('score', table='same'),
    'data.test_b': Field('score', table='same'),
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
    'data.tone_jitter': Field('state', table='note', at_least=0, at_most=1),
    'data.finetune_no_crop': Field('state', table='note'),
    'data.max_gap': Field('state', table='same', at_least=0),
    'data.threads': Field('speed', at_least=0),
    'data.prefetch': Field('speed', at_least=1),
    'data.workers': Field('speed', at_least=0),
    'data.cache_dir': Field('speed'),
    'data.scenes.': Field('state', table='same', segmenter=True),
    # A table compares it with data.load_size.
    'data.scenes.size': Field('state', segmenter=True, at_least=0, at_most=SIDES),
    'data.scenes.thermal_noise': Field('state', table='same', segmenter=True, at_least=0),
    'data.scenes.heat_spread': Field('state', table='note', at_least=0, at_most=30),
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

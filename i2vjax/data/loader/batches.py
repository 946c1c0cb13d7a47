"""Windows of both domains as batches for training, samples and tests (grain)."""

import copy
import functools
import types

import grain
import numpy as np
from absl import flags

from i2vjax import data as sources
from i2vjax.core import ops
from i2vjax.core.errors import UserError
from i2vjax.data.loader import augment, memory_sampling, requirements, windows
from i2vjax.data.sources import alignment
from i2vjax.data.transforms import resize


def paired(data):
  """True if a and b are to deliver the same clip and moment (supervised methods)."""
  return bool(data.get('paired', False) or (data.source == 'scenes' and data.scenes.paired))


def train_windows(data, extras=()):
  """The WindowSources (a, b) of the training split; where they are paired, frame by frame."""
  a, b = (requirements.require_source(data, 'train', domain) for domain in 'ab')
  reason = alignment.mismatch(a, b) if paired(data) else None
  if reason:
    raise UserError(f'paired training (data.paired): {reason}')
  size = functools.partial(resize.train_size, data=data)
  found = []
  for domain, x in zip('ab', (a, b), strict=True):
    own = _of_domain(extras, domain)
    requirements.require_maps(x, own, data, domain)
    found.append(windows.WindowSource(x, data.frames, data.stride, size=size,
                                    rule=data.thermal_range, extras=own))
  return tuple(found)


def _of_domain(extras, domain):
  """The extras a domain is to deliver: 'labels' is for both, 'labels_b' for b alone."""
  return {x.removesuffix(f'_{domain}') for x in extras if x[-2:] not in ('_a', '_b')
          or x.endswith(f'_{domain}')}


def steps_per_epoch(config):
  """Steps in which the longer domain is seen once: max(|A|, |B|) windows over the global batch."""
  longest = max(len(x) for x in train_windows(config.data))
  return -(-longest // config.data.batch)


def train_iterator(config, batch, process=(0, 1), extras=(), table=None):
  """Endless training batches, made ahead of the device.

  Both domains are shuffled anew each epoch, each by itself; the shorter one repeats. Draws depend
  on the seed and the position alone, not on threads or on the number of processes: with a fixed
  global batch the union over the processes is always the same.

  Args:
    config: the run's config (`data`, `seed`).
    batch: windows per batch of THIS process (`parallel.local_batch`).
    process: (index, count) of this process.
    extras: also deliver 'labels' or 'edges' ([b, T, H, W] uint8), 'index' ([b] int32, the window's
      number), or 'flow', where the source knows it (`has_flow`): 'flow_a', 'flow_b' [b, T-1, H, W,
      2] float32 in pixels, entry k on frame k + 1 and pointing to frame k, and 'flow_fwd_a',
      'flow_fwd_b', entry k on frame k and pointing to k + 1, NaN where it is not known; resized,
      cut, mirrored and reversed with the frames. A method asks for extras by its
      `batch_extras(config)`, with '_a' or '_b' for one domain.
    table: of a method's `pairing`; windows of a are then chosen by it (`memory_sampling.MemorySampler`). Positions
      in the stream mean the same with and without.

  Returns:
    grain iterator of {'a': [b, T, H, W, C] uint8 or uint16, 'limits_a': [b, 2] float32, 'b': ...,
    'limits_b': ...} and extras such as 'labels_a'. `get_state()` and `set_state()` continue with
    the very next batch.
  """
  data = config.data
  _check(data)
  both = train_windows(data, extras)
  pairs = _pairs(config, *both) if table is None else _chosen_by_memory(config, *both, table)
  dataset = pairs[process[0]::process[1]].map(_join).batch(batch, drop_remainder=True)
  options = grain.ReadOptions(num_threads=data.threads, prefetch_buffer_size=data.prefetch)
  dataset = dataset.to_iter_dataset(options)
  if data.workers:
    if not flags.FLAGS.is_parsed():     # notebooks and tests: grain reads absl flags here
      flags.FLAGS.mark_as_parsed()
    dataset = dataset.mp_prefetch(grain.MultiprocessingOptions(num_workers=data.workers))
  return iter(dataset)


def _check(data):
  for name in ('frames', 'stride', 'batch', 'prefetch'):
    if data[name] < 1:
      raise UserError(f'data.{name}={data[name]} must be at least 1')
  load, crop = (ops.hw(x) for x in (data.load_size, data.crop_size))
  if data.resize == 'square' and (load[0] < crop[0] or load[1] < crop[1]):
    raise UserError(f'data.load_size={load} is smaller than data.crop_size={crop}')


def _random_crop(data):
  return augment.RandomCrop(data.crop_size, data.flip, data.get('flip_time', 0.0))


def _pairs(config, a, b):
  """Endless pairs; with `data.finetune_no_crop` uncropped from where the rate decays (CUT)."""
  make = _paired if paired(config.data) else _unpaired
  pairs = make(config, a, b)
  if not config.data.finetune_no_crop:
    return pairs
  cropped = _constant_steps(config.train, -(-max(len(a), len(b)) // config.data.batch))
  cropped *= config.data.batch
  late = make(config, *(_uncropped(x, config.data) for x in (a, b)))
  return grain.MapDataset.concatenate([pairs[:cropped], late[cropped:]])


def _chosen_by_memory(config, a, b, table):
  """Endless pairs whose window of a is chosen for the window of b."""
  cut = _random_crop(config.data)
  return (grain.MapDataset.source(b).seed(2 * config.seed + 1).shuffle().repeat(None)
          .random_map(cut).random_map(memory_sampling.MemorySampler(a, table, cut)))


def _constant_steps(train, per_epoch):
  """Steps before the learning rate decays (schedules.py)."""
  if train.steps:
    return train.steps - int(train.steps * train.decay_fraction)
  return train.epochs * per_epoch


def _uncropped(window, data):
  """The same windows with `crop_size` in the place of `load_size`: the crop takes all of them."""
  sizes = types.SimpleNamespace(load_size=data.crop_size, crop_size=data.crop_size,
                                resize=data.resize)
  window = copy.copy(window)
  window.size = functools.partial(resize.train_size, data=sizes)
  return window


def _unpaired(config, a, b):
  """Endless pairs of windows, drawn and cut independently."""
  sides = [grain.MapDataset.source(x).seed(2 * config.seed + k).shuffle().repeat(None)
           .random_map(_random_crop(config.data)) for k, x in enumerate((a, b))]
  return grain.experimental.ZipMapDataset(sides)


def _paired(config, a, b):
  """Endless pairs of the same window in both domains, cut alike."""
  both = Both(a, b)
  return (grain.MapDataset.source(both).seed(2 * config.seed).shuffle().repeat(None)
          .random_map(_random_crop(config.data)))


class Both:
  """Two aligned WindowSources as one source of tuples."""

  def __init__(self, a, b):
    self.a, self.b = a, b

  def __len__(self):
    return len(self.a)

  def __getitem__(self, i):
    return self.a[i], self.b[i]

  def __repr__(self):
    return f'Both({self.a!r}, {self.b!r})'


def _join(pair):
  """(window a, window b) -> one flat item with the batch's names."""
  item = {}
  for domain, window in zip('ab', pair, strict=True):
    for name, value in window.items():
      item[domain if name == 'frames' else f'{name}_{domain}'] = value
  return item


def sweep(config, batch):
  """Every training window of a once, as `memory_sampling.sweep` gives them."""
  source, _ = train_windows(config.data)
  return memory_sampling.sweep(source, ops.hw(config.data.crop_size), config.seed, batch)


def sample_windows(config, count, split='test', extras=()):
  """One batch of fixed windows for contact sheets, spread evenly over the split.

  Where the split lacks a domain, its training windows stand in. Whole frames resized to
  `crop_size`; with resize 'width' or 'none' the middle of the training frame.

  Returns:
    A batch as of `train_iterator`, `count` windows, the two domains aligned where their clips are.
  """
  data = config.data
  items = []
  for window in _sample_sources(data, split, extras):
    places = np.linspace(0, len(window) - 1, count + 2).astype(int)[1:-1]
    items.append([augment.center_crop(window[i], data.crop_size) for i in places])
  joined = [_join(pair) for pair in zip(*items, strict=True)]
  return {name: np.stack([x[name] for x in joined]) for name in joined[0]}


def _sample_sources(data, split, extras):
  rule = resize.test_size if data.resize == 'square' else resize.train_size
  for domain in 'ab':
    found = sources.open_source(data, split, domain) or requirements.require_source(
      data, 'train', domain
    )
    yield windows.WindowSource(found, data.frames, size=functools.partial(rule, data=data),
                             rule=data.thermal_range, extras=_of_domain(extras, domain))

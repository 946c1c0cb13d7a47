"""Training batches, sample sheets and sweeps: windows of both domains (grain)."""

import copy
import functools
import types
from collections.abc import Iterable, Iterator

import grain
import numpy as np
from absl import flags
from ml_collections import ConfigDict

from i2vjax.core import machine, notes, ops
from i2vjax.core.errors import UserError
from i2vjax.data import open_source
from i2vjax.data.loader import augment, memory_sampling, requirements, tone_jitter
from i2vjax.data.loader.windows import WindowSource
from i2vjax.data.sources import alignment, rendered_streams
from i2vjax.data.transforms import preprocess, resize

PREFETCH = 8   # batches that are ready or in the making, at least


def paired(data: ConfigDict) -> bool:
  """True if a and b must show the same clip and moment (supervised methods)."""
  return bool(data.paired or (data.source == 'scenes' and data.scenes.paired))


def train_windows(data: ConfigDict,
                  fields: Iterable[str] = ()) -> tuple[WindowSource, WindowSource]:
  """The WindowSources (a, b) of the training split; where they are paired, frame by frame."""
  _check(data)   # before films are unpacked
  a = requirements.require_source(data, 'train', 'a')
  b = requirements.require_source(data, 'train', 'b')
  reason = alignment.mismatch(a, b) if paired(data) else None
  if reason:
    raise UserError(f'paired training (data.paired): {reason}')
  return _train_windows(a, data, 'a', fields), _train_windows(b, data, 'b', fields)


def _train_windows(source, data, domain, fields):
  fields = _fields_of(domain, fields)
  requirements.require_maps(source, fields, data, domain)
  size = functools.partial(resize.train_size, data=data)
  windows = WindowSource(source, data.frames, data.stride, size=size, rule=data.thermal_range,
                         fields=fields)
  if len(windows.items) < len(windows):
    notes.say_once(f'{source!r}: of each strip one window of data.frames={data.frames} an epoch, '
                   f'its place drawn anew')
  if data.source != 'scenes':
    _say_found(windows, domain)
  return windows


def _say_found(windows, domain):
  """What frames there are, and at which scale they are trained: wrong folders show here."""
  source, shape = windows.frames, windows.frames.read(0)['frame'].shape
  size = windows.size(shape[:2])
  kind = 'gray' if windows.channels == 1 else 'color'
  lines = [f'{source!r}: {kind} of {8 * windows.dtype.itemsize} bits',
           f'the first of {ops.size_text(shape)}']
  if tuple(size) != shape[:2]:
    lines.append(f'resized to {ops.size_text(size)} to train')
    if domain == 'a':
      lines.append('while translate keeps their size (data.resize=none trains at that scale)')
  notes.say_once(', '.join(lines))


def _fields_of(domain, fields):
  """The fields that a domain's windows have: 'labels' is for both, 'labels_b' for b alone."""
  names = set()
  for field in fields:
    if not field.endswith(('_a', '_b')):
      names.add(field)
    elif field.endswith(f'_{domain}'):
      names.add(field.removesuffix(f'_{domain}'))
  return names


def steps_per_epoch(config: ConfigDict) -> int:
  """Steps in which the longer domain is seen once: max(|A|, |B|) items over the global batch.

  An item is a window, or a strip of which one window is drawn (`WindowSource.items`).
  """
  a, b = train_windows(config.data)
  return _steps_per_epoch(config, a, b)


def _steps_per_epoch(config, a, b):
  return -(-max(len(a.items), len(b.items)) // config.data.batch)


def train_iterator(config: ConfigDict, batch: int, process: tuple[int, int] = (0, 1),
                   fields: Iterable[str] = (), table: dict | None = None) -> grain.DatasetIterator:
  """Endless training batches, prepared ahead of the device.

  Both domains are shuffled anew each epoch, each by itself; the shorter one repeats. A strip longer
  than a window gives one window to an epoch, drawn anew each time. Draws depend on the seed and the
  position alone, not on threads or on the number of processes: with a fixed global batch the union
  over the processes is always the same. A share of the infrared windows, `data.tone_jitter`, has
  the tones of other cameras.

  Args:
    config: the run's config (`data`, `seed`).
    batch: windows per batch of THIS process (`parallel.local_batch`).
    process: (index, count) of this process.
    fields: a method's `batch_fields(config)`, with '_a' or '_b' for one domain:
      'labels' or 'edges': [b, T, H, W] uint8.
      'index': [b] int32, the window's number.
      'flow', where the source knows it (`has_flow`): 'flow_a', 'flow_b' [b, T-1, H, W, 2] float32
        in pixels, entry k on frame k + 1 and pointing to frame k, and 'flow_fwd_a', 'flow_fwd_b',
        entry k on frame k and pointing to k + 1; NaN where it is unknown; resized, cropped,
        flipped and reversed with the frames.
    table: chooses the windows of a (`memory_sampling.MemorySampler`). Positions in the stream mean
      the same with and without it.

  Returns:
    grain iterator of {'a': [b, T, H, W, C] uint8 or uint16, 'range_a': [b, 2] float32 (the raw
    values that become -1 and 1), 'b': ..., 'range_b': ...} and fields such as 'labels_a'.
    `get_state()` and `set_state()` continue with the very next batch.
  """
  data = config.data
  a, b = train_windows(data, fields)
  pairs = _pairs(config, a, b) if table is None else _memory_pairs(config, a, b, table)
  pairs = _under_other_tones(config, pairs)
  index, count = process
  dataset = pairs[index::count].map(_to_batch_names).batch(batch, drop_remainder=True)
  dataset = dataset.to_iter_dataset(_read_options(data))
  if data.workers:
    if not flags.FLAGS.is_parsed():     # notebooks and tests: grain reads absl flags here
      flags.FLAGS.mark_as_parsed()
    dataset = dataset.mp_prefetch(grain.MultiprocessingOptions(num_workers=data.workers))
  return iter(dataset)


def _read_options(data):
  """Threads and buffer of grain; a thread makes a whole batch, so as many must fit the buffer."""
  processes = max(1, data.workers)
  threads = max(1, machine.threads() // processes) if data.threads is None else data.threads
  prefetch = max(PREFETCH // processes, threads) if data.prefetch is None else data.prefetch
  return grain.ReadOptions(num_threads=threads, prefetch_buffer_size=prefetch)


def _check(data):
  if data.tone_jitter and not rendered_streams.is_infrared(data):
    raise UserError(f'data.tone_jitter={data.tone_jitter} is for infrared frames that are '
                    'translated, and this run translates none: leave it away')
  load, crop = ops.hw(data.load_size), ops.hw(data.crop_size)
  if data.resize == 'square' and (load[0] < crop[0] or load[1] < crop[1]):
    raise UserError(f'data.load_size={load} is smaller than data.crop_size={crop}')
  for name in ('crop', 'resize'):   # of files; the last one done is what crops are cut from
    size = preprocess.read_size(data.prepare[name], f'data.prepare.{name}')
    if size and data.resize == 'none' and (size[0] < crop[0] or size[1] < crop[1]):
      raise UserError(f'data.prepare.{name}={data.prepare[name]} makes frames smaller than '
                      f'data.crop_size={crop[1]}x{crop[0]}: name a larger size, or a smaller crop')
    if size:
      return


# ---- endless streams of pairs of windows


def _pairs(config, a, b):
  """Endless pairs; with `data.finetune_no_crop` uncropped from where the rate decays (CUT)."""
  make = _aligned_pairs if paired(config.data) else _independent_pairs
  pairs = make(config, a, b)
  if not config.data.finetune_no_crop:
    return pairs
  steps = _steps_before_decay(config.train, _steps_per_epoch(config, a, b))
  cropped = steps * config.data.batch
  uncropped = make(config, _without_crop(a, config.data), _without_crop(b, config.data))
  return grain.MapDataset.concatenate([pairs[:cropped], uncropped[cropped:]])


def _independent_pairs(config, a, b):
  """Endless pairs of windows, drawn and cropped independently."""
  sides = [_shuffled(a, 2 * config.seed), _shuffled(b, 2 * config.seed + 1)]
  sides = [side.random_map(_random_crop(config.data)) for side in sides]
  return grain.experimental.ZipMapDataset(sides)


def _aligned_pairs(config, a, b):
  """Endless pairs of the same window in both domains, cropped alike."""
  pairs = _shuffled(AlignedWindows(a, b), 2 * config.seed)
  return pairs.random_map(_random_crop(config.data))


def _memory_pairs(config, a, b, table):
  """Endless pairs whose window of a is chosen for the window of b."""
  random_crop = _random_crop(config.data)
  windows_b = _shuffled(b, 2 * config.seed + 1).random_map(random_crop)
  return windows_b.random_map(memory_sampling.MemorySampler(a, table, random_crop))


def _under_other_tones(config, pairs):
  """The pairs, a share of them with infrared as another camera would show it."""
  share = config.data.tone_jitter
  return pairs.random_map(tone_jitter.ToneJitter(share), seed=config.seed) if share else pairs


def _shuffled(source, seed):
  """Endless windows of a source, in a new order each epoch; of strips one each, drawn anew."""
  if len(source.items) == len(source):
    return grain.MapDataset.source(source).seed(seed).shuffle().repeat(None)
  items = grain.MapDataset.range(len(source.items)).seed(seed).shuffle().repeat(None)
  return items.random_map(DrawWindow(source))


class DrawWindow(grain.transforms.RandomMap):
  """The number of an item -> one of its windows."""

  def __init__(self, source):
    """source: WindowSource or AlignedWindows."""
    self.source = source

  def random_map(self, element, rng):
    """The window, by the position in the stream alone: a resumed run repeats it."""
    first, count = self.source.items[element]
    return self.source[int(first + rng.integers(count))]


def _random_crop(data):
  return augment.RandomCrop(data.crop_size, data.flip, data.flip_time)


def _steps_before_decay(train, per_epoch):
  """Steps before the rate of `optim.schedule='linear'` decays: the same as in run/schedules.py.

  The loader imports nothing of a run; a test holds both together.
  """
  if train.steps:
    return train.steps - int(train.steps * train.decay_fraction)
  return train.epochs * per_epoch


def _without_crop(windows, data):
  """The same windows with `crop_size` in place of `load_size`: the crop then takes all of them."""
  sizes = types.SimpleNamespace(load_size=data.crop_size, crop_size=data.crop_size,
                                resize=data.resize)
  windows = copy.copy(windows)
  windows.size = functools.partial(resize.train_size, data=sizes)
  return windows


class AlignedWindows:
  """Two aligned WindowSources as one source of tuples."""

  def __init__(self, a: WindowSource, b: WindowSource):
    self.a, self.b = a, b
    self.items = min(a.items, b.items, key=len)   # the same windows; strips on one side suffice

  def __len__(self):
    return len(self.a)

  def __getitem__(self, i):
    return self.a[i], self.b[i]

  def __repr__(self):
    return f'AlignedWindows({self.a!r}, {self.b!r})'


def _to_batch_names(pair):
  """(window a, window b) -> one flat item with the batch's names."""
  item = {}
  for domain, window in zip('ab', pair, strict=True):
    for name, value in window.items():
      item[domain if name == 'frames' else f'{name}_{domain}'] = value
  return item


# ---- other batches


def sweep(config: ConfigDict, batch: int) -> Iterator[dict]:
  """Every training window of a once, as batches of `memory_sampling.sweep`."""
  source, _ = train_windows(config.data)
  return memory_sampling.sweep(source, ops.hw(config.data.crop_size), config.seed, batch)


def sample_windows(config: ConfigDict, count: int, split: str = 'test',
                   fields: Iterable[str] = ()) -> dict:
  """One batch of fixed windows for contact sheets, spread evenly over the split.

  A domain that the split lacks is replaced by its training windows. Whole frames resized to
  `crop_size`; with resize 'width' or 'none' the middle of the training frame.

  Returns:
    A batch like those of `train_iterator`, `count` windows, the two domains aligned where their
    clips are.
  """
  data = config.data
  windows_a = _sample_windows(data, split, 'a', fields, count)
  windows_b = _sample_windows(data, split, 'b', fields, count)
  items = [_to_batch_names(pair) for pair in zip(windows_a, windows_b, strict=True)]
  return {name: np.stack([item[name] for item in items]) for name in items[0]}


def _sample_windows(data, split, domain, fields, count):
  """`count` windows of one domain, spread evenly and cropped to the middle."""
  source = open_source(data, split, domain)
  if source is None:
    source = requirements.require_source(data, 'train', domain)
  rule = resize.test_size if data.resize == 'square' else resize.train_size
  windows = WindowSource(source, data.frames, size=functools.partial(rule, data=data),
                         rule=data.thermal_range, fields=_fields_of(domain, fields))
  places = np.linspace(0, len(windows) - 1, count + 2).astype(int)[1:-1]
  return [augment.center_crop(windows[i], data.crop_size) for i in places]

"""Segmentation network that scores translated `scenes` frames.

Papers score a translation by a scene parser trained on real daylight pictures. For `scenes` no such
parser exists, and none is downloaded: this one learns the run's target domain from its training
frames and their true labels. Those of the demos' streets are in the package (`segmenters/`), so
that scores of several machines can be compared: where each trains its own, mIoU differs by some
hundredths. Any other street's is trained once, in about a minute, and kept in the user's cache
folder. Its own score on the true test frames is the upper bound of what a translation can reach.
"""

import functools
import hashlib
import json
import pathlib
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax
import tqdm
from ml_collections import ConfigDict

from i2vjax import data as sources
from i2vjax import fields
from i2vjax.core import class_names, files, npz, ops, precision
from i2vjax.core.errors import UserError
from i2vjax.core.state import init_compiled
from i2vjax.data.transforms import resize, tasks
from i2vjax.losses import segmentation as seg_losses
from i2vjax.metrics import segmentation
from i2vjax.networks.segmentation import SegmentationUNet, like

VERSION = 1                    # counts changes of what is learned: older files are not used
# Ours, found on `scenes` at 64 pixels; `config.eval.segmenter` overrides.
SETTINGS = dict(
    width=24, levels=3,
    steps=1000, lr=4e-3,       # Adam; the rate falls to 0 along a cosine
    pixels=32768,              # in a batch: 8 frames of 64 x 64, 2 crops of 128 x 128
    crop=128,                  # largest side of a training crop
    frames=1024,               # training frames drawn, evenly spread
    seed=0,
)
BATCH = 16                     # frames in a call of `predict`
GRID = 4                       # cells of a side in `describe_frames`
PACKAGED = pathlib.Path(__file__).parent / 'segmenters'   # NAME-DIGEST.npz


def train_or_load(config: ConfigDict, show: bool = True) -> tuple[dict, dict]:
  """The segmentation network of a run's target domain, from package or cache, or trained now.

  Args:
    config: of a run whose `data.open_source` knows labels (`scenes`).
    show: a progress bar.

  Returns:
    (params, info). info: {'miou', 'miou_small', 'fwiou', 'pixel_accuracy', 'iou[...]' of the
    network on all true test frames; 'seconds' its training took, 'loss' at its end, 'file',
    'settings', 'loaded', 'packaged'}. The same config gives the same parameters on the same
    machine, and on all machines where the package has them.

  Raises:
    UserError: the target has no labels, or is not what a camera sees.
  """
  inside, path = packaged(config), file_of(config)
  for file in (inside, path) if inside else (path,):
    if stored := load(file, show):
      params, info = stored
      return params, {**info, 'file': str(file), 'loaded': True, 'packaged': file == inside}
  files.make_cache(path.parent)      # known before the minutes of training, not after
  started = time.monotonic()
  params, loss = train(config, show)
  seconds = time.monotonic() - started
  info = {'seconds': seconds, 'loss': loss, 'settings': settings(config)}
  info |= score_on_true_frames(params, config)
  save(path, params, info)
  return params, {**info, 'file': str(path), 'loaded': False, 'packaged': False}


def settings(config: ConfigDict) -> dict:
  """SETTINGS, overridden by `config.eval.segmenter`."""
  overrides = dict(config.eval.get('segmenter', None) or {})
  unknown = overrides.keys() - SETTINGS.keys()
  if unknown:
    raise UserError(f'eval.segmenter.{min(unknown)} is unknown: {", ".join(SETTINGS)}')
  return SETTINGS | overrides


# ---- files ------------------------------------------------------------------------------------


def packaged(config: ConfigDict) -> pathlib.Path | None:
  """The file inside the package that holds the network of this config's street, if one does."""
  return next(iter(sorted(PACKAGED.glob(f'*-{digest(config)}.npz'))), None)


def file_of(config):
  """Where parameters that were trained here lie."""
  return files.cache('segmenters') / f'{digest(config)}.npz'


def digest(config: ConfigDict) -> str:
  """16 letters that stand for all that the parameters depend on."""
  data = {'task': None}   # that of methods without tasks
  data |= {name: value for name, value in config.data.items()
           if fields.seen_by_segmenter(f'data.{name}')}
  data |= {'load_size': ops.hw(config.data.load_size), 'crop_size': ops.hw(config.data.crop_size)}
  drawn = {name: value for name, value in config.data.scenes.items()
           if fields.seen_by_segmenter(f'data.scenes.{name}')}
  drawn['size'] = ops.hw(drawn['size'])
  text = json.dumps([VERSION, data, drawn, settings(config)], sort_keys=True)
  return hashlib.sha256(text.encode()).hexdigest()[:16]


def save(path: pathlib.Path, params: dict, info: dict) -> None:
  """Write parameters and info as one .npz file, whole or not at all."""
  flat = {}
  for place, value in jax.tree_util.tree_flatten_with_path(params)[0]:
    name = '/'.join(str(part.key) for part in place)
    flat[name] = np.asarray(value)
  files.save_atomic(path, lambda part: np.savez(part, info=json.dumps(info), **flat))


def load(path: pathlib.Path, show: bool = True) -> tuple[dict, dict] | None:
  """(params, info) of a file that `save` wrote, or None where there is none or it is damaged."""
  if not path.is_file():
    return None
  try:
    flat = npz.read(path)
    info, params = json.loads(str(flat.pop('info'))), {}
  except (ValueError, KeyError, FileNotFoundError) as error:
    if show:
      print(f'{path} is damaged ({error}): the segmentation network is trained anew')
    return None
  for name, value in flat.items():
    module, leaf = name.split('/')
    params.setdefault(module, {})[leaf] = jnp.asarray(value)
  return params, info


# ---- training ---------------------------------------------------------------------------------


def examples(config: ConfigDict, split: str, count: int = 0) -> tuple[np.ndarray, np.ndarray]:
  """Labeled frames of the target domain as `evaluate` sees them.

  Args:
    split: 'train' | 'test'. count: so many, evenly spread; 0: all.

  Returns:
    (frames uint8 [N, H, W, C] in the channels of domain b, labels uint8 [N, H, W]).
  """
  data = config.data
  if tasks.task_of(data) == 'segmentation':
    raise UserError("data.task='segmentation': the target is a mask, which no network can name "
                     'the classes of')
  source = sources.open_source(data, split, 'b')
  if source is None:
    raise UserError(f'a segmentation network needs {split} frames of the target domain')
  count = min(count or len(source), len(source))
  pairs = [_example(source.read(int(i)), data, repr(source))
           for i in np.linspace(0, len(source) - 1, count).astype(int)]
  return np.stack([frame for frame, _ in pairs]), np.stack([label for _, label in pairs])


def _example(record, data, name):
  """(frame, label) of a record as `examples` returns them."""
  if 'label' not in record:
    raise UserError(f'{name} has no labels: a segmentation network can learn data.source=scenes')
  if record['frame'].dtype != np.uint8:
    raise UserError(f'{name} has 16-bit frames; a segmentation network reads 8-bit frames')
  size = resize.test_size(record['frame'].shape[:2], data)
  frame = ops.match_channels(resize.resize_frame(record['frame'], size).astype(np.float32),
                             data.channels_b)
  return (np.rint(frame).astype(np.uint8), resize.resize_labels(record['label'], size))


def train(config: ConfigDict, show: bool = True) -> tuple[dict, float]:
  """Train from scratch; the same config gives the same parameters on the same machine.

  Returns:
    (params, mean loss of the last tenth of the steps).
  """
  chosen = settings(config)
  if show:
    print(f'segmentation network for eval: drawing {chosen["frames"]} labeled frames', flush=True)
  frames, truth = examples(config, 'train', chosen['frames'])
  return fit(frames, truth, chosen, show)


def fit(frames: np.ndarray, truth: np.ndarray, chosen: dict,
        show: bool = True) -> tuple[dict, float]:
  """Train a network of these frames, whatever they come from.

  Args:
    frames: uint8 [N, H, W, C]. truth: uint8 [N, H, W], Cityscapes train ids, 255: none.
    chosen: all of `SETTINGS`. show: a progress bar.

  Returns: see `train`.

  Raises:
    UserError: the frames are too small.
  """
  factor = 2**chosen['levels']   # sides that it divides can be halved so often
  size = tuple(min(side, chosen['crop']) // factor * factor for side in frames.shape[1:3])
  if not all(size):
    raise UserError(f'frames of {frames.shape[2]}x{frames.shape[1]} pixels are too small for '
                     f'eval.segmenter.levels={chosen["levels"]}')
  batch = max(1, chosen['pixels'] // (size[0] * size[1]))
  net = SegmentationUNet(len(class_names.CITYSCAPES), chosen['width'], chosen['levels'])
  tx = optax.adam(optax.cosine_decay_schedule(chosen['lr'], chosen['steps']))
  key = jax.random.key(chosen['seed'])
  params = init_compiled(net.init, key, jnp.zeros((1, *size, frames.shape[-1])))['params']
  weights = seg_losses.class_weights(truth, net.classes)
  frames, truth, opt, losses = jnp.asarray(frames), jnp.asarray(truth), tx.init(params), []
  advance = jax.jit(functools.partial(_step, net, tx, batch, size, weights), donate_argnums=(0, 1))
  steps = tqdm.trange(chosen['steps'], desc='segmentation network', unit='step', disable=not show)
  for step in steps:
    params, opt, loss = advance(params, opt, frames, truth, jax.random.fold_in(key, step))
    losses.append(loss)
    if step % 20 == 19:
      steps.set_postfix(loss=f'{float(loss):.3f}')
  return params, float(np.mean(losses[-max(1, len(losses) // 10):]))


def _step(net, tx, batch, size, weights, params, opt, frames, truth, key):
  """One Adam step on random crops, half of them mirrored."""
  x, y = _draw(frames, truth, batch, size, key)

  def objective(params):
    logits = net.apply({'params': params}, x.astype(jnp.float32) / 127.5 - 1)
    return seg_losses.cross_entropy(logits, y, weights)
  loss, grads = jax.value_and_grad(objective)(params)
  delta, opt = tx.update(grads, opt, params)
  return optax.apply_updates(params, delta), opt, loss


def _draw(frames, truth, batch, size, key):
  """Random crops (frames [B, *size, C], labels [B, *size]), half of them mirrored."""
  def one(key):
    which, row, column, side = jax.random.split(key, 4)
    index = jax.random.randint(which, (), 0, len(frames))
    top = jax.random.randint(row, (), 0, frames.shape[1] - size[0] + 1)
    left = jax.random.randint(column, (), 0, frames.shape[2] - size[1] + 1)
    x = jax.lax.dynamic_slice(frames, (index, top, left, 0), (1, *size, frames.shape[-1]))[0]
    y = jax.lax.dynamic_slice(truth, (index, top, left), (1, *size))[0]
    mirrored = jax.random.bernoulli(side)
    return jnp.where(mirrored, x[:, ::-1], x), jnp.where(mirrored, y[:, ::-1], y)
  return jax.vmap(one)(jax.random.split(key, batch))


# ---- use --------------------------------------------------------------------------------------


def predict(params: dict, frames: np.ndarray) -> np.ndarray:
  """Class of every pixel.

  Args:
    params: from `train_or_load`.
    frames: uint8 [N, H, W, C], the channels it was trained with, any size.

  Returns:
    uint8 [N, H, W], Cityscapes train ids.
  """
  if not len(frames):
    return np.zeros(np.shape(frames)[:3], np.uint8)
  return _in_batches(_classify, params, frames)


def describe_frames(params: dict, frames: np.ndarray) -> np.ndarray:
  """What a frame shows where, as a vector: features around the places of a grid.

  Weighted means of the features of the stem (colors, edges) and of the deepest level (things)
  around GRID x GRID places (ours): two sets of frames are alike in them if the same things stand
  in the same places with the same look.

  Args:
    params, frames: as in `predict`.

  Returns:
    float32 [N, GRID * GRID * channels].
  """
  return _in_batches(_pool_features, params, frames)


def _in_batches(function, params, frames):
  """function(params, [BATCH, H, W, C]) of all frames, BATCH at a time."""
  frames = np.asarray(frames)
  channels = params['stem']['kernel'].shape[2] // 4   # blocks of 2 x 2 pixels come in as one
  if frames.ndim != 4 or frames.dtype != np.uint8 or frames.shape[-1] != channels:
    raise UserError(f'frames {frames.shape} {frames.dtype}: this segmentation network takes uint8 '
                    f'[N, H, W, {channels}]')
  results = []
  for start in range(0, len(frames), BATCH):
    part = frames[start:start + BATCH]
    filled = np.concatenate([part, np.repeat(part[-1:], BATCH - len(part), axis=0)])
    results.append(np.asarray(function(params, filled))[:len(part)])
  return np.concatenate(results)


def _padded(frames, factor):
  """uint8 [B, H, W, C] -> floats in [-1, 1], sides repeated outwards to multiples of `factor`."""
  height, width = frames.shape[1:3]
  sides = ((0, 0), (0, -height % factor), (0, -width % factor), (0, 0))
  return jnp.pad(frames.astype(jnp.float32) / 127.5 - 1, sides, mode='edge')


@jax.jit
@precision.exact
def _classify(params, frames):
  """[B, H, W, C] uint8 -> [B, H, W] uint8."""
  net, (height, width) = like(params), frames.shape[1:3]
  logits = net.apply({'params': params}, _padded(frames, 2**net.levels))
  return jnp.argmax(logits[:, :height, :width], axis=-1).astype(jnp.uint8)


@jax.jit
@precision.exact
def _pool_features(params, frames):
  """[B, H, W, C] uint8 -> [B, D]."""
  net = like(params)
  _, taps = net.apply({'params': params}, _padded(frames, 2**net.levels), taps=True)
  cells = [jax.image.resize(x, (len(x), GRID, GRID, x.shape[-1]), 'linear', antialias=True)
           for x in taps]
  return jnp.concatenate([x.reshape(len(x), -1) for x in cells], axis=-1)


def score_on_true_frames(params: dict, config: ConfigDict) -> dict[str, float]:
  """Scores of the network on the true test frames: what a perfect translation would reach."""
  frames, truth = examples(config, 'test')
  total = segmentation.update(segmentation.init(len(class_names.CITYSCAPES)), truth,
                              predict(params, frames))
  return segmentation.result(total, names=class_names.CITYSCAPES, small=class_names.SMALL)

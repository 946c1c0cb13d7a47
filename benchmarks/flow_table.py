"""Table of the accuracy and speed of the optical flow estimators.

  on the built-in street:  python benchmarks/flow_table.py [--size 256 256] [--pairs 8]
  on your own frames:      python benchmarks/flow_table.py --folders infrared=FOLDER visible=FOLDER

On the street the true motion is known: mean end-point error in pixels over pixels that the next
frame shows, over all pixels, over those that move by more than a pixel, and the share that is wrong
by more than 3 pixels and 5 %. On all frames: the squared difference between a frame and the next
one warped to it, in thousandths of [0, 1] squared, over targets inside the frame ('zero': not
warped). Speed: the fastest call on one pair, compiled before; wall and processor time. RAFT is
measured if its weight file is present, else only timed, with random weights.
"""

import argparse
import functools
import pathlib
import time

import cv2
import jax
import jax.numpy as jnp
import numpy as np
from descriptor_table import to_float

from i2vjax import defaults, pretrained
from i2vjax.core import ops
from i2vjax.core.model import Model
from i2vjax.data import scenes
from i2vjax.data.sources import folders
from i2vjax.flow import estimate as flow
from i2vjax.flow import visibility
from i2vjax.metrics import warping
from i2vjax.pretrained import registry

NAMES = ('zero', 'tvl1', 'lk', 'raft_small', 'raft_large')
COLUMNS = ('EPE seen', 'EPE all', 'EPE moving', '> 3 px %', 'warping x1000')


def street(size, count, camera, weather):
  """{title: pairs} of both domains of the street; a pair is (frame, next, truth), truth a dict."""
  data = defaults.data()
  data.scenes.update(size=tuple(size), camera=camera, weather=weather, test_clips=count,
                     clip_length=4)
  groups = {}
  for domain, title in (('a', 'street, infrared'), ('b', 'street, visible')):
    source = scenes.open_split(data, 'test', domain)
    groups[title] = []
    for clip in source.clips:
      i = clip.start + 1
      a, b = to_float(source.read(i)['frame']), to_float(source.read(i + 1)['frame'])
      groups[title].append((a, b, source.flow(i)))
  return groups


def folder(path, size, count):
  """`count` pairs of consecutive frames evenly spread over a folder, resized; no truth."""
  data = defaults.data()
  data.train_a = str(path)
  source = folders.open_split(data, 'train', 'a')
  starts = []
  for clip in source.clips:
    starts += range(clip.start, clip.start + clip.length - 1)
  if not starts:
    raise ValueError(f'{path} holds no two frames in a row')
  pairs = []
  for k in np.unique(np.linspace(0, len(starts) - 1, count).round().astype(int)):
    a = to_float(source.read(starts[k])['frame'])
    b = to_float(source.read(starts[k] + 1)['frame'])
    pairs.append((resized(a, size), resized(b, size), None))
  return pairs


def resized(frame, size):
  """[H, W, 3] -> [*size, 3], areas averaged."""
  return cv2.resize(frame, (size[1], size[0]), interpolation=cv2.INTER_AREA)


def estimator(name, stretch):
  """(compiled function of two frames [1, H, W, 3], whether its weights are random)."""
  config = defaults.get_config()
  config.flow = dict(name=name, weights='', iters=12, levels=5, warps=5, inner=30, stretch=stretch)
  networks, frozen, random = {}, {}, False
  for key, (module, weight_id) in flow.frozen_networks(config).items():
    random = registry.find(registry.entry(weight_id), config) is None
    load_config = config.copy_and_resolve_references()
    load_config.flow.name = 'random' if random else name
    networks[key] = module
    frozen[key] = pretrained.load(weight_id, module, None, load_config)

  def estimate(frozen, a, b):
    a, b = flow.stretch_contrast(config, 'a', a, b)
    a, b = ops.match_channels(a, 3), ops.match_channels(b, 3)
    return flow.estimate(Model(config, networks, frozen=frozen), a, b)
  return functools.partial(jax.jit(estimate), frozen), random


def scores(estimated, a, b, truth):
  """[columns] of one pair; nan where the truth is not known."""
  inside = visibility.inside(estimated).astype(jnp.float32)
  error = 1000 * float(warping.pair_errors((a + 1) / 2, (b + 1) / 2, estimated, inside)[0])
  if truth is None:
    return [np.nan] * 4 + [error]
  true, visible = truth['forward'][None], truth['forward_visible'][None]
  moving = visible * (np.linalg.norm(true, axis=-1) > 1)

  def of(mask):
    return {key: float(value[0]) for key, value in end_point(estimated, true, mask).items()}
  of_visible = of(visible)
  return [of_visible['epe'], of(None)['epe'], of(moving)['epe'], 100 * of_visible['fl'], error]


def end_point(flow, truth, mask=None):
  """End-point error and share of outliers of each flow field.

  Args:
    flow, truth: [N, H, W, 2] pixels.
    mask: [N, H, W], 1 = counts; None: all pixels.

  Returns:
    {'epe': [N] mean length of the error in pixels, 'fl': [N] share of pixels that are wrong by more
    than 3 pixels and by more than 5 % of the true length (KITTI's Fl-all)}; nan where none counts.
  """
  if flow.shape != truth.shape:
    raise ValueError(f'flow {flow.shape} and truth {truth.shape} differ in shape')
  error = jnp.linalg.norm(flow - truth, axis=-1)
  length = jnp.linalg.norm(truth, axis=-1)
  mask = jnp.ones_like(error) if mask is None else (mask > 0).astype(error.dtype)
  outlier = (error > 3) & (error > 0.05 * length)
  area = jnp.sum(mask, axis=(1, 2))
  return {'epe': jnp.sum(mask * error, axis=(1, 2)) / area,
          'fl': jnp.sum(mask * outlier, axis=(1, 2)) / area}


def measure(estimate, pairs):
  """(mean of the columns over pairs, wall and processor seconds of the fastest call)."""
  rows, times = [], []
  for k, (a, b, truth) in enumerate([pairs[0], *pairs]):
    a, b = jnp.asarray(a)[None], jnp.asarray(b)[None]
    began = time.perf_counter(), time.process_time()
    estimated = jax.block_until_ready(estimate(a, b))
    if k:   # the first call compiles
      times.append((time.perf_counter() - began[0], time.process_time() - began[1]))
      rows.append(scores(estimated, a, b, truth))
  rows = np.array(rows)
  count = np.isfinite(rows).sum(axis=0)
  means = np.where(count, np.nansum(rows, axis=0) / np.maximum(count, 1), np.nan)
  return means, np.min(times, axis=0)


def table(title, pairs, names, stretch):
  """Lines of one table."""
  H, W = pairs[0][0].shape[:2]
  lines = [f'{title}: {len(pairs)} pairs of {H} x {W} pixels' + ', stretched' * stretch,
           '| estimator | ' + ' | '.join(COLUMNS) + ' | s wall | s processor |',
           '|---' * (len(COLUMNS) + 3) + '|']
  for name in names:
    estimate, random = estimator(name, stretch)
    means, seconds = measure(estimate, pairs)
    cells = ['' if random or np.isnan(x) else f'{x:.3f}' for x in means]
    cells += [f'{x:.3f}' for x in seconds]
    lines.append(f'| {name + " (random: time only)" * random} | ' + ' | '.join(cells) + ' |')
  return '\n'.join(lines)


def main():
  """Parse the command line and print the tables."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--folders', nargs='+', default=(), metavar='TITLE=FOLDER')
  parser.add_argument('--size', type=int, nargs=2, default=(256, 256), help='height and width')
  parser.add_argument('--pairs', type=int, default=8)
  parser.add_argument('--camera', default='driving', help='of the street')
  parser.add_argument('--weather', default='clear', help='of the street')
  parser.add_argument('--estimators', nargs='+', default=NAMES, choices=NAMES)
  options = parser.parse_args()
  groups = {}
  for item in options.folders:
    title, _, path = item.partition('=')
    groups[title] = folder(pathlib.Path(path), options.size, options.pairs)
  if not groups:
    groups = street(options.size, options.pairs, options.camera, options.weather)
  for title, pairs in groups.items():
    print(table(title, pairs, options.estimators, stretch='infrared' in title), flush=True)


if __name__ == '__main__':
  main()

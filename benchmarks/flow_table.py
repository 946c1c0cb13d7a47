"""How well and how fast is optical flow estimated here?

  python benchmarks/flow_table.py [--size 256 256] [--pairs 8]                 on the built-in street
  python benchmarks/flow_table.py --folders infrared=FOLDER visible=FOLDER     on frames of your own

On the street the true motion is known: mean end-point error in pixels over what the next frame
shows, over all pixels, over those that move by more than a pixel, and the share that is wrong by
more than 3 pixels and 5 %. Everywhere: what is left of the difference between a frame and the next
one moved onto it, in thousandths of [0, 1] squared, over targets inside the frame ('zero' moves
nothing). Speed: the fastest call on one pair, compiled before; wall and processor time.
RAFT is measured where its weight file is here, else timed with random weights.
"""

import argparse
import functools
import pathlib
import time

import cv2
import jax
import jax.numpy as jnp
import numpy as np

from i2vjax import defaults, pretrained
from i2vjax.core import ops
from i2vjax.core.model import Model
from i2vjax.data.scenes import source as scenes
from i2vjax.data.sources import folders
from i2vjax.flow import estimate as flow
from i2vjax.flow import visibility
from i2vjax.metrics import motion, warping
from i2vjax.pretrained import registry

NAMES = ('zero', 'tvl1', 'lk', 'raft_small', 'raft_large')
COLUMNS = ('EPE seen', 'EPE all', 'EPE moving', '> 3 px %', 'warping x1000')


def street(size, count, camera, weather):
  """{title: pairs} of both domains of the street; a pair is (frame, next, truth), truth a dict."""
  data = defaults.data()
  data.scenes.update(size=tuple(size), camera=camera, weather=weather, test_clips=count,
                     clip_length=4)
  found = {}
  for domain, title in (('a', 'street, infrared'), ('b', 'street, visible')):
    source = scenes(data, 'test', domain)
    found[title] = [(*(to_float(source.read(start + k)['frame']) for k in (1, 2)),
                     source.flow(start + 1)) for _, start, _ in source.clips]
  return found


def folder(path, size, count):
  """`count` pairs of consecutive frames evenly spread over a folder, resized; no truth."""
  data = defaults.data()
  data.train_a = str(path)
  source = folders.source(data, 'train', 'a')
  starts = [i for _, start, length in source.clips for i in range(start, start + length - 1)]
  if not starts:
    raise ValueError(f'{path} holds no two frames in a row')
  picks = np.unique(np.linspace(0, len(starts) - 1, count).round().astype(int))
  return [(*(resized(to_float(source.read(starts[k] + i)['frame']), size) for i in (0, 1)), None)
          for k in picks]


def to_float(frame):
  """uint8 or uint16 [H, W, 1 or 3] -> float32 [H, W, 3] in [-1, 1]."""
  top = np.iinfo(frame.dtype).max
  return np.repeat(frame, 3 // frame.shape[2], axis=2).astype(np.float32) / top * 2 - 1


def resized(frame, size):
  """[H, W, 3] -> [*size, 3], areas averaged."""
  return cv2.resize(frame, (size[1], size[0]), interpolation=cv2.INTER_AREA)


def estimator(name, stretch):
  """(compiled function of two frames [1, H, W, 3], are its weights random)."""
  config = defaults.get_config()
  config.flow = dict(name=name, weights='', iters=12, levels=5, warps=5, inner=30, stretch=stretch)
  nets, fixed, random = {}, {}, False
  for key, (module, weight_id) in flow.frozen_networks(config).items():
    random = registry.find(registry.entry(weight_id), config) is None
    source = config.copy_and_resolve_references()
    source.flow.name = 'random' if random else name
    nets[key], fixed[key] = module, pretrained.load(weight_id, module, None, source)

  def estimate(fixed, a, b):
    a, b = (ops.match_channels(x, 3) for x in flow.stretch_contrast(config, 'a', a, b))
    return flow.estimate(Model(config, nets, frozen=fixed), a, b)
  return functools.partial(jax.jit(estimate), fixed), random


def scores(found, a, b, truth):
  """[columns] of one pair; nan where the truth is not known."""
  error = warping.pair_errors(*((x + 1) / 2 for x in (a, b)), found,
                              visibility.inside(found).astype(jnp.float32))
  if truth is None:
    return [np.nan] * 4 + [1000 * float(error[0])]
  true, seen = truth['forward'][None], truth['forward_visible'][None]
  moving = seen * (np.linalg.norm(true, axis=-1) > 1)
  of = {name: {key: float(value[0]) for key, value in motion.end_point(found, true, mask).items()}
        for name, mask in (('seen', seen), ('all', None), ('moving', moving))}
  return [of['seen']['epe'], of['all']['epe'], of['moving']['epe'], 100 * of['seen']['fl'],
          1000 * float(error[0])]


def measure(estimate, pairs):
  """(mean of the columns over pairs, wall and processor seconds of the fastest call)."""
  rows, times = [], []
  for k, (a, b, truth) in enumerate([pairs[0], *pairs]):
    a, b = (jnp.asarray(x)[None] for x in (a, b))
    began = time.perf_counter(), time.process_time()
    found = jax.block_until_ready(estimate(a, b))
    if k:   # the first call compiles
      times.append((time.perf_counter() - began[0], time.process_time() - began[1]))
      rows.append(scores(found, a, b, truth))
  rows = np.array(rows)
  known = np.isfinite(rows).sum(axis=0)
  means = np.where(known, np.nansum(rows, axis=0) / np.maximum(known, 1), np.nan)
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

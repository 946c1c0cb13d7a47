"""A training step with each way in which XLA multiplies on CPUs.

  python benchmarks/cpu_products.py [--methods configs/cut.py,configs/best.py:demo] [--rounds 3]

By itself XLA hands products to YNNPACK; without (`core/parallel.py`, `_options`) Eigen has them.
The two compiled steps take turns. Printed for each: least wall and processor seconds, and the bytes
that XLA plans for it. Further arguments --config.FIELD=VALUE hold for all methods.
"""

import argparse
import functools

import jax
import numpy as np

from i2vjax.bench import cases, clock, here
from i2vjax.cli import parse
from i2vjax.core import parallel, start_up

WAYS = {'YNNPACK': False, 'Eigen': True}
PRODUCT = (16384, 1152, 128)   # the middle of a ResNet at 256 pixels, four frames


def step_with(config, plain):
  """`bench.here.training` of a step that multiplies by Eigen (plain), or as XLA does by itself."""
  options = parallel._options
  parallel._options = lambda platform, _: options(platform, plain)
  try:
    return here.training(config)
  finally:
    parallel._options = options


def steps(name, changes, rounds):
  """Print the table of one method."""
  config = cases.case(name, changes, parse.row_config).config
  trainings = {way: step_with(config, plain) for way, plain in WAYS.items()}
  times = clock.alternate({way: made.step for way, made in trainings.items()}, rounds)
  for way, made in trainings.items():
    wall, processor = times[way].min(0)
    print(f'{name:24s} {way:8s} {wall:8.3f} s, processor {processor:8.3f} s, planned '
          f'{made.planned / 1e9:.2f} GB', flush=True)


def product():
  """Print GFLOP a second of one product by each way."""
  rows, inner, columns = PRODUCT
  x, y = (jax.numpy.asarray(np.random.default_rng(0).normal(size=shape), 'float32')
          for shape in ((rows, inner), (inner, columns)))
  for way, plain in WAYS.items():
    program = jax.jit(lambda x, y: x @ y, compiler_options=parallel._options('cpu', plain))
    seconds = clock.seconds(functools.partial(_run, program.lower(x, y).compile(), x, y), 20)
    print(f'{rows} x {inner} by {inner} x {columns}, {way}: '
          f'{2 * rows * inner * columns / seconds / 1e9:.0f} GFLOP a second', flush=True)


def _run(program, x, y):
  return program(x, y).block_until_ready()


def main():
  """Parse the command line, measure, print."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--methods', default='configs/cut.py,configs/best.py:demo')
  parser.add_argument('--rounds', type=int, default=3)
  options, changes = parser.parse_known_args()
  start_up.keep_memory()
  product()
  for name in options.methods.split(','):
    steps(name, tuple(changes), options.rounds)


if __name__ == '__main__':
  main()

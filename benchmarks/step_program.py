"""A training step as compilers see it: size, memory, time to compile.

  python benchmarks/step_program.py cptrans:demo cyclegan [--size 256] [--quick] [--steps 3]

For each config (configs/NAME.py[:VARIANT], built-in scenes, no weight files, no pools of fakes,
no averages of weights): the lines of the program as it is handed to XLA and as XLA has optimized
it, the fused kernels in it (those in loops once), the bytes of arguments and of everything in
between (XLA's plan), the processor seconds that tracing and compiling take, and with --steps the
largest resident size. Counts and plan do not depend on what else the machine does. --quick leaves
LLVM's optimizations out: the same counts and plan, compiled sooner, slow to run.
"""

import argparse
import os
import re
import time

import jax

from i2vjax.bench import clock, here
from i2vjax.run import config_files, settle


def read_config(name, size):
  """Settled config of `METHOD[:VARIANT]`."""
  config = config_files.read(name)
  config.data.source = 'scenes'
  config.data.scenes.update(clips=1, test_clips=1, val_clips=1, clip_length=config.data.frames + 2)
  if size:
    config.data.update(load_size=size, crop_size=size)
  if 'pool' in config.gan:
    config.gan.pool = 0
  config.backbone, config.perceptual = 'none', 'none'
  config = settle.settle(config)
  config.train.ema = 0.0
  return config


def measure(name, size=0, quick=False, steps=0):
  """Numbers of one config: {column: value}."""
  program, (state, batch, frozen) = here.training_program(read_config(name, size))
  began = time.process_time()
  lowered = program.lower(state, batch, frozen)
  traced = time.process_time()
  compiled = lowered.compile({'xla_backend_optimization_level': 0} if quick else None)
  ready = time.process_time()
  plan, text = compiled.memory_analysis(), compiled.as_text()
  numbers = {'step': name, 'lines in': lowered.as_text().count('\n'),
             'lines out': text.count('\n'), 'kernels': len(re.findall(r' fusion\(', text)),
             'arguments GB': plan.argument_size_in_bytes / 1e9,
             'between GB': plan.temp_size_in_bytes / 1e9,
             'trace s': traced - began, 'compile s': ready - traced}
  for _ in range(steps):
    state, terms = compiled(state, batch, frozen)
    jax.block_until_ready((state.params, terms))
  return numbers | ({'resident GB': clock.resident() / 1e9} if steps else {})


def main(argv=None):
  """Parse the command line, measure, print a Markdown table."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('configs', nargs='+')
  parser.add_argument('--size', type=int, default=0, help='pixels; default: of the config')
  parser.add_argument('--quick', action='store_true')
  parser.add_argument('--steps', type=int, default=0)
  options = parser.parse_args(argv)
  for i, name in enumerate(options.configs):
    numbers = measure(name, options.size, options.quick, options.steps)
    if not i:
      print('|', ' | '.join(numbers), '|\n' + '|---' * len(numbers) + '|')
    cells = (f'{x:.2f}' if isinstance(x, float) else f'{x}' for x in numbers.values())
    print('|', ' | '.join(cells), '|', flush=True)


if __name__ == '__main__':
  os.environ.setdefault('JAX_PLATFORMS', 'cpu')
  main()

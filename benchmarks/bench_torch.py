"""Time and memory of a training step, ours and in PyTorch.

  python benchmarks/bench_torch.py [--method cyclegan,cut,recyclegan,i2vgan] [--size 256]
      [--rounds 5] [--threads 1] [--keep_memory] [--memory] [--apart] [--perceptual]
      [--set FIELD=VALUE ...] [--what train,forward]
  python benchmarks/bench_torch.py --method cptrans,roma --ours_only [--epoch 42]

Networks and weights are those of configs/METHOD.py, changed by --set (`--set gen.width=32`); image
pools are left out and both sides get a batch of that config's size. Ours runs as in the training
loop, from uint8 frames to the updated state; the other is benchmarks/torch_steps.py, which has the
four methods above. --ours_only takes any method, without backbone and, unless --perceptual, without
VGG (with it: random weights on both sides). --what forward: one frame through the generator.
--epoch: selects the phase of a method with several.

Each round times one call of each side. Printed are minima and medians of wall time and of processor
time divided by the threads; other programs on the machine disturb the second less, least with
--threads 1. The ratio is ours / PyTorch's minimum.

`buffers` is XLA's plan for our step: arguments (parameters, optimizer, batch) and temporaries.
--memory runs each side once more in a separate process, as many rounds: its largest resident size,
and the size before the first step. PyTorch keeps its own allocator there. --apart times the two
sides in those processes, one after the other, for steps that do not fit into memory together;
--keep_memory holds for both there.
"""

import argparse
import ast
import json
import os
import subprocess
import sys

import numpy as np

from i2vjax.bench import clock
from i2vjax.run import config_files

# No import of jax or torch here: a process that measures the memory of one must not load the other.

TWINS = ('cyclegan', 'cut', 'recyclegan', 'i2vgan')


def read_config(name, options):
  """Config of `configs/NAME.py[:VARIANT]` for built-in scenes of the size in `options`."""
  config = config_files.read(name)
  config.variant = 'bench'
  config.data.update(source='scenes', load_size=options.size, crop_size=options.size)
  config.data.scenes.update(clips=1, test_clips=1, val_clips=1, clip_length=config.data.frames + 2)
  if 'pool' in config.gan:
    config.gan.pool = 0
  config.backbone, config.perceptual = 'none', 'random' if options.perceptual else 'none'
  for part in ('width', 'blocks'):
    if getattr(options, part):
      config.gen[part] = getattr(options, part)
  if options.width:
    config.disc.width = options.width
  config.update_from_flattened_dict(dict(map(parse_change, options.set)))
  return config


def parse_change(text):
  """'gen.width=32' -> ('gen.width', 32)."""
  field, _, value = text.partition('=')
  try:
    return field, ast.literal_eval(value)
  except (ValueError, SyntaxError):
    return field, value


# ---- Ours


def jax_step(config, options):
  """(one training step as a function without arguments, bytes of XLA's buffers)."""
  import jax

  from i2vjax.bench import here, twins
  from i2vjax.cli import commands
  from i2vjax.run import settle
  jax.config.update('jax_compilation_cache_dir', commands.cache_dir())
  ours = here.training(twins.comparable(settle.settle(config)), options.epoch, options.impl)
  return ours.step, ours.planned


def jax_forward(config, options):
  """(translation of one frame as a function without arguments, bytes of XLA's buffers)."""
  import jax

  from i2vjax import methods
  from i2vjax.bench import here, program, twins
  nets = here.with_impl(methods.get(config.method).networks(config), options.impl)
  gen = nets['gen' if 'gen' in nets else 'gen_ab']
  x = twins.frames(config, 1)[0]
  params = jax.jit(gen.init)(jax.random.key(0), x)
  compiled = jax.jit(gen.apply).lower(params, x).compile()
  return lambda: jax.block_until_ready(compiled(params, x)), program.memory(compiled)


# ---- PyTorch


def torch_step(config, options):
  """(one training step in PyTorch as a function without arguments, None)."""
  from i2vjax.bench import twins
  return twins.step(config), None


def torch_forward(config, options):
  """(translation of one frame in PyTorch as a function without arguments, None)."""
  import torch
  import torch_parts

  from i2vjax.bench import twins
  gen = torch_parts.Generator(config.gen)
  x = torch.from_numpy(twins.frames(config, 1)[0].transpose(0, 3, 1, 2).copy())
  return torch.no_grad()(lambda: gen(x)), None


MAKERS = {'train': {'jax': jax_step, 'torch': torch_step},
          'forward': {'jax': jax_forward, 'torch': torch_forward}}


# ---- Measuring


def limit_cores(threads):
  """Limit both sides to so many cores; returns their number. Call before either is loaded.

  PyTorch's threads wait for each other in a busy loop: on a machine with other work their
  processor time is meaningful only with one thread.
  """
  cores = sorted(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else []
  if threads and cores:
    os.sched_setaffinity(0, cores[:threads])
  return min(threads or len(cores), len(cores)) or os.cpu_count()


def run_child(side, name, what, argv):
  """One side in a separate process.

  Returns:
    {'before', 'peak': bytes resident, 'times': see clock.alternate, 'buffers': bytes}.
  """
  command = [sys.executable, __file__, *argv, '--child', side, '--method', name, '--what', what]
  done = subprocess.run(command, capture_output=True, text=True)
  if done.returncode:
    raise RuntimeError(f'{" ".join(command)} failed:\n{done.stderr}')
  return json.loads(done.stdout.splitlines()[-1])


def child(side, options):
  """The process of `run_child`: prints its measurements as JSON."""
  step, buffers = MAKERS[options.what][side](read_config(options.method, options), options)
  before = clock.resident()   # our step is compiled here
  times = clock.alternate({side: step}, options.rounds, options.threads)[side]
  print(json.dumps({'before': before, 'peak': clock.resident(), 'times': times.tolist(),
                    'buffers': buffers}))


# ---- Tables


def show_times(what, times):
  """One table of minima, medians and ratios."""
  print(f'{what:20s} {"wall min":>9s} {"median":>9s} {"cpu min":>9s} {"median":>9s}   seconds')
  for side, values in times.items():
    least, middle = values.min(0), np.median(values, 0)
    print(f'  {side:18s} {least[0]:9.3f} {middle[0]:9.3f} {least[1]:9.3f} {middle[1]:9.3f}')
  if len(times) > 1:
    ours, theirs = (times[side].min(0) for side in ('jax', 'torch'))
    print(f'  jax / torch: wall {ours[0] / theirs[0]:.2f}, processor {ours[1] / theirs[1]:.2f}')
  sys.stdout.flush()


def gigabytes(size):
  return f'{size / 1e9:.2f} GB'


def row(name, times, buffers, sizes):
  """A line of the Markdown table: processor seconds, ratio, buffers, largest resident sizes."""
  cpu = {side: values.min(0)[1] for side, values in times.items()}
  cells = [name, f'{cpu["jax"]:.2f} s', '', '', gigabytes(buffers)]
  if 'torch' in cpu:
    cells[2:4] = f'{cpu["torch"]:.2f} s', f'{cpu["jax"] / cpu["torch"]:.2f}'
  for side in ('jax', 'torch'):
    size = sizes.get(side)
    cells.append(f'{gigabytes(size["peak"])} ({gigabytes(size["before"])})' if size else '')
  return f'| {" | ".join(cells)} |'


HEAD = ('| step | ours | PyTorch | ours / PyTorch | our buffers | ours resident (before) | '
        'PyTorch resident (before) |\n|---|---|---|---|---|---|---|')


def measure(name, what, options, sizes):
  """Times of one method. Returns its line of the table."""
  config, steps, buffers = read_config(name, options), {}, {}
  if options.apart:
    times = {side: np.asarray(sizes[side]['times']) for side in sides(options)}
    buffers = {side: sizes[side]['buffers'] for side in sides(options)}
  else:
    for side in sides(options):
      steps[side], buffers[side] = MAKERS[what][side](config, options)
    times = clock.alternate(steps, options.rounds, options.threads)
  show_times(f'{name} {what}', times)
  return row(f'{name} {what}', times, buffers['jax'], sizes)


def sides(options):
  return ('jax',) if options.ours_only else ('torch', 'jax')


def parse(argv):
  parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
  parser.add_argument('--method', default='cyclegan', help='names in configs/, by commas')
  parser.add_argument('--what', default='train', help='train, forward or both, by commas')
  for name, value, text in (
      ('size', 256, 'pixels'), ('rounds', 5, ''),
      ('epoch', 1, 'whose phase is measured'), ('threads', 0, 'cores for both sides; 0: all'),
      ('width', 0, 'of generator and critic; 0: the config'), ('blocks', 0, '0: the config')):
    parser.add_argument(f'--{name}', type=int, default=value, help=text)
  parser.add_argument('--impl', default='auto', help='form of our convolutions (networks/conv.py)')
  parser.add_argument('--set', action='append', default=[], metavar='FIELD=VALUE')
  for name in ('keep_memory', 'memory', 'perceptual', 'ours_only', 'apart'):
    parser.add_argument(f'--{name}', action='store_true')
  parser.add_argument('--child', choices=('jax', 'torch'), help=argparse.SUPPRESS)
  return parser.parse_args(argv)


def main(argv):
  options = parse(argv)
  options.threads = limit_cores(options.threads)
  if options.keep_memory and (options.child != 'torch' or options.apart):
    from i2vjax.core import start_up
    start_up.keep_memory()
  if options.child != 'jax' and not options.ours_only:
    import torch
    torch.set_num_threads(options.threads)
  if options.child:
    return child(options.child, options)
  jobs = [(name, what) for name in options.method.split(',') for what in options.what.split(',')]
  sizes = {job: {} for job in jobs}
  if options.memory or options.apart:   # first: later this process itself occupies memory
    for job in jobs:
      sizes[job] = {side: run_child(side, *job, argv) for side in sides(options)}
  print(HEAD, *(measure(*job, options, sizes[job]) for job in jobs), sep='\n')
  return None


if __name__ == '__main__':
  main(sys.argv[1:])

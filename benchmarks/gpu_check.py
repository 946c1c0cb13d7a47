"""Does this GPU train, translate and keep up with PyTorch: eight minutes.

  python benchmarks/gpu_check.py --output FOLDER [--budget 450] [--only micro,compile,time,torch]

Parts in the order of their worth, should the time run out:

  micro      weight gradients of transposed and dilated convolutions: as they are written out in
             networks/conv.py, against what XLA makes of the plain form
  compile    the programs that are timed later, several at a time, into a cache in FOLDER; with
             what each needs of memory (`bench --rounds 1 --sizes 0`)
  time       steps at 256 pixels one after the other, in float32 and in bfloat16, and translation
             at 256 and 512 pixels (`bench`)
  torch      the same steps beside PyTorch's (`bench --with_torch`)
  methods    three steps of every method's demo, a sample sheet, a checkpoint
  same       six steps twice: are the weights equal bit for bit

FOLDER gets rows.json, the rows of all parts as they come, summary.md, and logs.txt. --dry runs all
of it with tiny networks, to see on any machine that this file itself works.
"""

import argparse
import concurrent.futures
import dataclasses
import functools
import json
import os
import pathlib
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))   # the package that this file belongs to, installed or not
PARTS = ('micro', 'compile', 'time', 'torch', 'methods', 'same')
TIMED = ('cyclegan', 'cptrans', 'cut', 'i2vgan', 'stc')
TWINS = ('cyclegan', 'cut', 'i2vgan')
DEMOS = tuple(sorted(path.stem for path in (ROOT / 'configs').glob('*.py')))   # of every method
TINY = ('--config.data.crop_size=32', '--config.data.load_size=32', '--config.gen.width=4',
        '--config.gen.blocks=1', '--config.disc.width=4', '--config.disc.layers=1',
        '--config.data.scenes.clips=1')


@dataclasses.dataclass
class Desk:
  """Starts processes, and keeps what they say.

  Attributes:
    folder: of the results.
    ends: time.monotonic() after which nothing more is begun.
    dry: tiny networks.
    rows: all results so far.
  """

  folder: pathlib.Path
  ends: float
  dry: bool
  rows: list = dataclasses.field(default_factory=list)

  def left(self):
    """Seconds."""
    return self.ends - time.monotonic()

  def run(self, part, what, command, file=None, limit=240):
    """One process; its rows are those of its JSON file, or the last line it prints."""
    if self.left() < 10:
      return self.keep(part, what, [{'skipped': 'no time left'}])
    began = time.monotonic()
    limit = self.left() if self.dry else limit   # a dry run may be on a machine with other work
    env = {**os.environ, 'JAX_COMPILATION_CACHE_DIR': str(self.folder / 'xla'),
           'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS': '0.3', 'TQDM_DISABLE': '1',
           'XLA_PYTHON_CLIENT_PREALLOCATE': 'false',
           'PYTHONPATH': os.pathsep.join([str(ROOT), os.environ.get('PYTHONPATH', '')])}
    try:
      done = subprocess.run(command, capture_output=True, text=True, env=env, errors='replace',
                            timeout=max(min(limit, self.left()), 1), cwd=ROOT)
      said, code = done.stdout + done.stderr, done.returncode
    except subprocess.TimeoutExpired as slow:
      said, code = str(slow), 'out of time'
    with open(self.folder / 'logs.txt', 'a', encoding='utf-8') as log:
      log.write(f'\n===== {part} {what}: {code}, {time.monotonic() - began:.0f} s\n'
                f'{said[-6000:]}\n')
    if code:
      reason = [line for line in said.splitlines() if 'rror' in line] or said.splitlines() or ['']
      return self.keep(part, what, [{'failed': f'{code}: {reason[-1][:300]}'}])
    if file:
      found = json.loads(file.read_text('utf-8'))
    else:
      lines = [line for line in said.splitlines() if line.startswith('{')]
      found = [json.loads(line) for line in lines] or [{'seconds': time.monotonic() - began}]
    return self.keep(part, what, found)

  def keep(self, part, what, found):
    """Adds rows to the file of all rows."""
    for row in found:
      self.rows.append({'part': part, 'what': what, **row})
      print(json.dumps(self.rows[-1]), flush=True)
    (self.folder / 'rows.json').write_text(json.dumps(self.rows, indent=1) + '\n')

  def bench(self, part, name, *more, limit=240):
    """`bench` of one method on this machine."""
    what = ' '.join((name, *more))
    file = self.folder / f'{part}-{len(self.rows)}-{name.replace(":", "-")}.json'
    if self.dry:
      more = (*(word for word in more if not word.startswith('--rounds')), '--rounds=1', *TINY)
    command = [sys.executable, '-m', 'i2vjax.main', 'bench', f'--methods={name}', f'--json={file}',
               *more]
    self.run(part, what, command, file, limit)


# ---- Jobs of their own, in processes of their own ------------------------------------------------


def micro(dry):
  """Seconds of forward and gradients of one layer, and how far the two forms are apart."""
  import jax
  import jax.numpy as jnp

  from i2vjax.bench import clock
  from i2vjax.networks import conv
  key = jax.random.key(0)

  def spread(x, kernel, dilation):   # networks/conv.py before its weight gradient was written out
    reach = dilation * (kernel.shape[0] // 2)
    return jax.lax.conv_general_dilated(
        x, kernel, (1, 1), ((reach, reach),) * 2, rhs_dilation=(dilation, dilation),
        dimension_numbers=conv.DIMENSIONS)
  doubling = [lambda x, w, impl=impl: conv.transposed(x, w, impl) for impl in ('auto', 'plain')]
  layers = [(f'transposed {k}x{k} of {side} pixels, {i} to {o}', (2, side, side, i), (k, k, o, i),
             *doubling)
            for k, side, i, o in ((3, 64, 256, 128), (3, 128, 128, 64), (4, 64, 256, 64))]
  layers += [(f'dilated by {d} of 256 pixels', (1, 256, 256, 256), (3, 3, 256, 64),
              lambda x, w, d=d: conv.dilated(x, w, d), lambda x, w, d=d: spread(x, w, d))
             for d in (6, 12, 18)]
  for what, shape, weights, ours, plain in layers:
    if dry:
      shape, weights = (1, 16, 16, 4), (*weights[:2], 4, 4)
    x, w = jax.random.normal(key, shape), jax.random.normal(key, weights)
    found, grads = {}, []
    for name, layer in (('ours', ours), ('plain', plain)):
      grad = jax.jit(jax.grad(lambda x, w, f=layer: jnp.sum(jnp.tanh(f(x, w))), (0, 1)))
      call = functools.partial(lambda grad, x, w: jax.block_until_ready(grad(x, w)), grad, x, w)
      found[f'{name}_s'] = clock.seconds(call, 10)
      grads.append(call())
    gaps = [float(jnp.max(jnp.abs(a - b)) / jnp.max(jnp.abs(b)))
            for a, b in zip(*grads, strict=True)]
    print(json.dumps({'layer': what, **found, 'ratio': found['plain_s'] / found['ours_s'],
                      'gap': max(gaps)}), flush=True)


def train_demo(name, folder, dry, steps):
  """So many steps of a demo; returns its weights."""
  import jax
  import numpy as np

  from i2vjax import train
  from i2vjax.cli import parse
  from i2vjax.run import load
  config = parse.row_config([f'--config={name}:demo', f'--config.train.steps={steps}',
                             '--config.log.every=1', '--config.log.tensorboard=false',
                             '--config.log.samples=1', *(TINY if dry else TINY[-1:])])
  train.train(config, folder, show=False)
  return jax.tree.map(np.asarray, load.load(folder).params)


def same(dry):
  """The largest difference of weights after the same six steps."""
  import tempfile

  import jax
  import numpy as np
  for name in ('cut',) if dry else ('cut', 'cptrans'):
    with tempfile.TemporaryDirectory() as folder:
      found = [train_demo(name, pathlib.Path(folder) / str(i), dry, 6) for i in range(2)]
    gaps = jax.tree.leaves(jax.tree.map(lambda a, b: float(np.max(np.abs(a - b))), *found))
    print(json.dumps({'demo': name, 'equal': max(gaps) == 0, 'largest_difference': max(gaps)}))


def demo(name, dry):
  """Three steps, a sample sheet and a checkpoint, as a person has them."""
  import tempfile
  with tempfile.TemporaryDirectory() as folder:
    train_demo(name, pathlib.Path(folder) / 'run', dry, 3)


# ---- The order -----------------------------------------------------------------------------------


def schedule(desk, only):
  """All parts; what is timed runs alone, what is compiled or tried runs together."""
  timed = [(name, f'--config.compute={kind}') for kind in ('float32', 'bfloat16') for name in TIMED]
  twins, demos = TWINS, DEMOS
  if desk.dry:
    timed, twins, demos = [('cut:demo', '--config.compute=float32')], ('cut:demo',), ('cut',)
  own = [sys.executable, __file__, *(['--dry'] if desk.dry else []), '--output', str(desk.folder)]
  if 'micro' in only:
    desk.run('micro', 'layers', [*own, '--job', 'micro'], limit=120)
  if 'compile' in only:
    together([lambda job=job: desk.bench('compile', *job, '--rounds=1', '--sizes=0')
              for job in timed])
  if 'time' in only:
    for job in timed:
      desk.bench('time', *job, '--rounds=10', *(['--sizes=32'] if desk.dry else []))
  if 'torch' in only:
    for name in twins:
      desk.bench('torch', name, '--with_torch', '--rounds=10', '--sizes=0', limit=90)
  if 'methods' in only:
    together([lambda name=name: desk.run('methods', name, [*own, '--job', 'demo', name])
              for name in demos])
  if 'same' in only:
    desk.run('same', 'weights', [*own, '--job', 'same'], limit=100)


def together(jobs):
  """Jobs side by side; compiling is the processor's work."""
  with concurrent.futures.ThreadPoolExecutor(max(2, min(12, (os.cpu_count() or 4) - 2))) as pool:
    for job in [pool.submit(job) for job in jobs]:
      job.result()


def summary(rows):
  """The numbers side by side, and what went wrong."""
  from i2vjax.bench import table
  parts = []
  for part in ('time', 'torch'):
    found = [row for row in rows if row['part'] == part and 'step_s' in row]
    if found:
      named = [{**row, 'method': row['what']} for row in found]
      parts.append(f'{part}:\n\n{table.markdown(named)}')
  parts += [json.dumps(row) for row in rows if row['part'] in ('micro', 'methods', 'same')]
  wrong = [row for row in rows if {'failed', 'skipped', 'error'} & row.keys()]
  parts.append(f'not well: {len(wrong)}')
  return '\n\n'.join(parts + [json.dumps(row) for row in wrong]) + '\n'


def main(argv):
  """Parse the command line, run all parts or one job, write the summary."""
  parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
  parser.add_argument('--output', required=True)
  parser.add_argument('--budget', type=float, default=450, help='seconds')
  parser.add_argument('--only', default=','.join(PARTS), help='parts, by commas')
  parser.add_argument('--dry', action='store_true', help='tiny networks')
  parser.add_argument('--job', nargs='+', help=argparse.SUPPRESS)
  options = parser.parse_args(argv)
  if options.job:
    jobs = {'micro': micro, 'same': same, 'demo': demo}
    return jobs[options.job[0]](*options.job[1:], dry=options.dry)
  unknown = set(options.only.split(',')) - set(PARTS)
  if unknown:
    parser.error(f'--only {",".join(sorted(unknown))}: choose of {", ".join(PARTS)}')
  folder = pathlib.Path(options.output).resolve()
  folder.mkdir(parents=True, exist_ok=True)
  desk = Desk(folder, time.monotonic() + options.budget, options.dry)
  try:
    schedule(desk, options.only.split(','))
  finally:
    text = summary(desk.rows)
    (folder / 'summary.md').write_text(text, encoding='utf-8')
    print(f'\n{text}')
  return None


if __name__ == '__main__':
  main(sys.argv[1:])

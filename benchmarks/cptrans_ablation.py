"""CPTrans against its own ablations on the built-in street, and what its critic finds rich.

  python benchmarks/cptrans_ablation.py --output runs/ablation [--seeds 0 1 2] [--config FILE]

Rows: baseline (no CO, no CTN), without CO, without CTN, whole; trained, scored and laid out by
`compare` (python -m i2vjax.main --help). This adds how many of the patches that the critic finds
rich in content hold an object (vehicle, person, sign, light, pole) by the true labels, beside the
share of all patches that do. Stopped, the same command goes on where it stood.
"""

import argparse
import pathlib

import jax
import jax.numpy as jnp
import numpy as np

from i2vjax import data
from i2vjax.cli import parse
from i2vjax.compare import compare, experiments, tables
from i2vjax.core import files, ops
from i2vjax.data.loader import whole_clips
from i2vjax.run import load

ROWS = {
    'baseline': ('--config.co.enabled=false', '--config.weights.ctn=0'),
    'without CO': ('--config.co.enabled=false',),
    'without CTN': ('--config.weights.ctn=0',),
    'CPTrans': (),
}
OBJECTS = (5, 6, 7, 11, 13, 14, 15, 17)   # pole, light, sign, person, car, truck, bus, motorcycle


def holds_object(labels, grid):
  """[B, h, w] bool: does the patch's cell of the frame hold a pixel of an object?

  Args:
    labels: [B, H, W] class ids.
    grid: (h, w) of the critic's map.
  """
  objects = np.isin(labels, OBJECTS)
  rows, cols = (np.linspace(0, size, count + 1) for size, count in zip(
      labels.shape[1:], grid, strict=True))
  cells = np.zeros((len(labels), *grid), bool)
  for i in range(grid[0]):
    for j in range(grid[1]):
      cell = objects[:, int(rows[i]):int(np.ceil(rows[i + 1])),
                     int(cols[j]):int(np.ceil(cols[j + 1]))]
      cells[:, i, j] = cell.any((1, 2))
  return cells


def chosen_patches(run, frames):
  """[B, h, w] bool: the eta N patches of the translated frames that deviate most."""
  method, config = run.method, run.config

  @jax.jit
  def find(params, fixed, frames):
    fake = method.see(
      run.model.networks, config, fixed, method.run(run.model.networks, params, 'gen', frames)
    )
    delta, _ = method.deviation(
      run.model.networks, config, params, fake, len(frames), jax.random.key(0)
    )
    return method.select(config, delta)
  return np.asarray(find(run.params, run.model.frozen, frames)) > 0


def object_shares(run, per_clip=3):
  """(share of chosen patches that hold an object, share of all patches that do), test frames."""
  source = data.open_source(run.config.data, 'test', 'a')
  chosen, held = [], []
  for clip in whole_clips.test_clips(run.config, 'a'):
    at = np.linspace(0, len(clip.frames) - 1, per_clip).astype(int)
    frames = ops.to_float(jnp.asarray(clip.frames[at][None]), jnp.asarray(clip.value_range)[None],
                          run.config.data.channels_a)[0]
    picked = chosen_patches(run, frames)
    labels = np.stack([source.read(clip.start + t)['label'] for t in at])
    chosen.append(picked)
    held.append(holds_object(labels, picked.shape[1:]))
  chosen, held = np.concatenate(chosen), np.concatenate(held)
  return held[chosen].mean(), held.mean()


def shares(table):
  """Markdown: share of chosen patches and of all patches that hold objects, in %, over seeds."""
  lines = ['| | chosen patches with objects, % | all patches with objects, % |', '|---|---|---|']
  for row in table['rows']:
    found = [object_shares(load.load(run['workdir'])) for run in row['runs']
             if run['state'] == 'done']
    texts = [tables.spread_text(values, 1) for values in 100 * np.transpose(found)]
    lines.append('| ' + ' | '.join([row['name'], *(texts or ['–', '–'])]) + ' |')
  return '\n'.join(lines) + '\n'


def run_all():
  """Parse the command line, fill both tables, write them beside the runs."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--output', type=pathlib.Path, required=True)
  parser.add_argument('--config', default='configs/cptrans.py:demo')
  parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2])
  parser.add_argument('--rows', nargs='+', default=list(ROWS), choices=list(ROWS))
  options, common = parser.parse_known_args()
  rows = [experiments.Row(name, options.config, ROWS[name]) for name in options.rows]
  table, stopped = compare.compare(options.output, rows, options.seeds, common=common,
                                   read=parse.row_config)
  if stopped:
    raise SystemExit('stopped; the same command goes on')
  text = f'{tables.markdown(table)}\n{shares(table)}'
  files.save_text(options.output / 'ablation.md', text)
  print(text)


if __name__ == '__main__':
  run_all()

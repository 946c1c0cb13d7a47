"""Ablation table of CPTrans on the built-in street, with its selected patches.

  python benchmarks/cptrans_ablation.py --output runs/ablation [--seeds 0 1 2] [--config FILE]

Rows: baseline (no CO, no CTN), without CO, without CTN, whole; `compare` (python -m i2vjax.main
--help) trains and scores them and makes the table. A second table has the share of the selected,
content-rich patches that contain an object (vehicle, person, sign, light, pole) by the true labels,
and that share of all patches. After an interruption the same command continues. Further arguments
--config.FIELD=VALUE hold for all rows.
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
from i2vjax.core.class_names import CITYSCAPES
from i2vjax.data.loader import whole_clips
from i2vjax.methods import cptrans, shared_roma
from i2vjax.run import load

ROWS = {
    'baseline': ('--config.co.enabled=false', '--config.weights.ctn=0'),
    'without CO': ('--config.co.enabled=false',),
    'without CTN': ('--config.weights.ctn=0',),
    'CPTrans': (),
}
OBJECTS = tuple(CITYSCAPES.index(name) for name in (
    'pole', 'traffic light', 'traffic sign', 'person', 'car', 'truck', 'bus', 'motorcycle'))


def holds_object(labels, grid):
  """[B, h, w] bool: whether the patch's cell of the frame contains a pixel of an object.

  Args:
    labels: [B, H, W] class ids.
    grid: (h, w) of the critic's map.
  """
  objects = np.isin(labels, OBJECTS)
  rows = np.linspace(0, labels.shape[1], grid[0] + 1)
  cols = np.linspace(0, labels.shape[2], grid[1] + 1)
  cells = np.zeros((len(labels), *grid), bool)
  for i in range(grid[0]):
    for j in range(grid[1]):
      cell = objects[:, int(rows[i]):int(np.ceil(rows[i + 1])),
                     int(cols[j]):int(np.ceil(cols[j + 1]))]
      cells[:, i, j] = cell.any((1, 2))
  return cells


def selected_patches(run, frames):
  """[B, h, w] bool: the eta N patches of the translated frames that deviate most.

  Args:
    run: load.Run of CPTrans.
    frames: [B, H, W, C] in [-1, 1], infrared.
  """
  @jax.jit
  def select(params, frozen, frames):
    model = run.model.replace(frozen=frozen)
    fake = shared_roma.features(model, model.apply(params, 'gen', frames))
    delta, _ = cptrans.gradient_cosine(model, params, fake, len(frames), jax.random.key(0))
    return cptrans.select(model.config, delta)
  return np.asarray(select(run.params, run.model.frozen, frames)) > 0


def object_shares(run, per_clip=3):
  """(share of selected patches with an object, share of all patches with one) of test frames."""
  source = data.open_source(run.config.data, 'test', 'a')
  selected, with_object = [], []
  for clip in whole_clips.test_clips(run.config, 'a'):
    times = np.linspace(0, len(clip.frames) - 1, per_clip).astype(int)
    frames = ops.to_float(
      jnp.asarray(clip.frames[times][None]),
      jnp.asarray(clip.value_range)[None],
      run.config.data.channels_a,
    )[0]
    patches = selected_patches(run, frames)
    labels = np.stack([source.read(clip.start + t)['label'] for t in times])
    selected.append(patches)
    with_object.append(holds_object(labels, patches.shape[1:]))
  selected, with_object = np.concatenate(selected), np.concatenate(with_object)
  return with_object[selected].mean(), with_object.mean()


def spread_text(values, digits):
  """'17.62 ± 0.75' of a list of numbers."""
  values = np.asarray(values, float)
  spread = f' ± {values.std(ddof=1):.{digits}f}' if len(values) > 1 else ''
  return f'{values.mean():.{digits}f}{spread}'


def shares(table):
  """Markdown: share of selected patches and of all patches with objects, in %, over seeds."""
  lines = ['| | selected patches with objects, % | all patches with objects, % |', '|---|---|---|']
  for row in table['rows']:
    done = [run['workdir'] for run in row['runs'] if run['state'] == 'done']
    per_seed = [object_shares(load.load(workdir)) for workdir in done]
    texts = [spread_text(values, 1) for values in 100 * np.transpose(per_seed)]
    lines.append('| ' + ' | '.join([row['name'], *(texts or ['–', '–'])]) + ' |')
  return '\n'.join(lines) + '\n'


def main():
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
  main()

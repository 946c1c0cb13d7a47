"""CPTrans against its own ablations on the built-in street: same steps, same seeds, one table.

  python launch/cptrans_ablation.py --output runs/ablation [--seeds 0 1 2] [--config FILE]

Rows: baseline (no CO, no CTN), without CO, without CTN, whole. Scores of the aligned test clips,
and how many of the patches that the critic finds rich in content hold an object (vehicle, person,
sign, light, pole) by the true labels, beside the share of all patches that do. Runs that are there
already are not trained again, so a stopped table goes on where it stood.
"""

import argparse
import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np

from i2vjax import checkpoint, data, main, ops
from i2vjax.data import windows
from i2vjax.losses import content

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
    fake = method.see(run.nets, config, fixed, method.run(run.nets, params, 'gen', frames))
    delta, _ = method.deviation(run.nets, config, params, fake, len(frames), jax.random.key(0))
    return content.selected(delta, config.co.eta, config.co.select, config.co.border_exclude)
  return np.asarray(find(run.params, run.fixed, frames)) > 0


def object_shares(run, per_clip=3):
  """(share of chosen patches that hold an object, share of all patches that do), test frames."""
  source = data.source(run.config.data, 'test', 'a')
  chosen, held = [], []
  for clip in windows.test_clips(run.config, 'a'):
    at = np.linspace(0, len(clip.frames) - 1, per_clip).astype(int)
    frames = ops.to_float(jnp.asarray(clip.frames[at][None]), jnp.asarray(clip.limits)[None],
                          run.config.data.channels_a)[0]
    picked = chosen_patches(run, frames)
    labels = np.stack([source.read(clip.start + t)['label'] for t in at])
    chosen.append(picked)
    held.append(holds_object(labels, picked.shape[1:]))
  chosen, held = np.concatenate(chosen), np.concatenate(held)
  return held[chosen].mean(), held.mean()


def scores(workdir, config, overrides):
  """Train if need be, evaluate if need be; {name: value} of one run."""
  arguments = ['i2vjax', 'train', '--config', config, '--workdir', str(workdir), *overrides]
  report = workdir / 'report' / 'scores.json'
  evaluate = ['i2vjax', 'evaluate', '--workdir', str(workdir)]
  if not report.is_file() and (main.main(arguments) or main.main(evaluate)):
    raise SystemExit(f'{workdir} did not finish')
  rows = json.loads(report.read_text())['rows']
  picked, all_patches = object_shares(checkpoint.load_run(workdir))
  found = {name: rows['translated'][name] for name in ('psnr', 'ssim', 'warping_mse')}
  others = {f'{name} psnr': rows[name]['psnr'] for name in rows if name != 'translated'}
  return {**found, 'rich': picked, 'all': all_patches, **others}


def table(results):
  """Markdown: mean and standard deviation over the seeds."""
  def cell(runs, name, scale=1.0, digits=2):
    values = scale * np.array([run[name] for run in runs])
    return f'{values.mean():.{digits}f} ± {values.std():.{digits}f}'
  lines = ['| | PSNR | SSIM | warping error x1000 | chosen patches with objects | all patches |',
           '|---|---|---|---|---|---|']
  for name, runs in results.items():
    lines.append(f"| {name} | {cell(runs, 'psnr')} | {cell(runs, 'ssim', digits=3)} | "
                 f"{cell(runs, 'warping_mse', 1e3)} | {cell(runs, 'rich', 100, 1)} % | "
                 f"{cell(runs, 'all', 100, 1)} % |")
  runs = list(results.values())[-1]   # any row will do: these do not depend on its weights
  for name in ('source psnr', 'constant psnr', 'untrained psnr', 'ceiling psnr'):
    lines.append(f"| {name.removesuffix(' psnr')} | {cell(runs, name)} | | | | |")
  return '\n'.join(lines)


def run_all():
  """Parse the command line, fill the table, write it beside the runs."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--output', type=pathlib.Path, required=True)
  parser.add_argument('--config', default='configs/cptrans.py:demo')
  parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2])
  parser.add_argument('--rows', nargs='+', default=list(ROWS), choices=list(ROWS))
  options, more = parser.parse_known_args()
  results = {name: [scores(options.output / f"{name.replace(' ', '_')}-{seed}", options.config,
                           [*ROWS[name], f'--config.seed={seed}', *more])
                    for seed in options.seeds] for name in options.rows}
  (options.output / 'table.md').write_text(table(results) + '\n')
  print(table(results))


if __name__ == '__main__':
  run_all()

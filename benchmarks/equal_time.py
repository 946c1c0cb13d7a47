"""All unpaired methods at equal time on one core, ranked.

  python benchmarks/equal_time.py --output runs/equal [--minutes 6] [--seeds 0 1 2] [--core 0]
      [--variant demo]

First a step of every method is timed as `bench` does, which tells how many it can take in the given
minutes (compiling and reading frames not counted); the times are written to times.json and not
measured again. Then `compare` trains and scores the demos with so many steps. After an interruption
the same command continues. Rows are the demos of all methods that learn from unpaired footage; GTC
needs pairs and is left out. --variant street: the same at 128 pixels. Further arguments
--config.FIELD=VALUE hold for all rows.

The rank, fixed before a method was trained by it: methods are ordered by the mean over seeds of
each of `SCORES`, the best is 1; the rank is the mean of the eight places. What is better is what
the report says (evaluation/report/text.py): higher, lower, or nearer to 1, where double is as far
as half.

  python benchmarks/equal_time.py --rank runs/equal runs/more FILE.json

prints the table of several outputs together; --save FILE.json keeps its numbers, seed by seed, and
--sheet FILE.png draws a frame of four test clips as each row translates it, best rank first.
"""

import argparse
import dataclasses
import json
import math
import os
import pathlib
import sys

import numpy as np
from scipy.stats import rankdata

from i2vjax import methods
from i2vjax.bench import cases, clock, here
from i2vjax.cli import parse
from i2vjax.compare import compare, experiments, figures, tables
from i2vjax.core import files, npz
from i2vjax.core.errors import UserError
from i2vjax.data.io import images
from i2vjax.evaluation.report import text

CALLED = {   # names that results are kept by; a method that is not here is called as its file is
    'CycleGAN': 'cyclegan', 'Recycle-GAN': 'recyclegan', 'I2V-GAN': 'i2vgan',
    'Mocycle-GAN': 'mocyclegan', 'STC': 'stc', 'Unsupervised Recycle-GAN': 'unsup_recycle',
    'CUT': 'cut', 'F-LSeSim': 'lsesim', 'ROMA': 'roma', 'CPTrans': 'cptrans',
    'PearlGAN': 'pearlgan', 'MornGAN': 'morngan',
}
ROWS = CALLED | {   # a method of paired frames would learn from what the others do not have
    name: name for name in methods.names() if name not in CALLED.values()
    and not parse.row_config([f'--config={name}:demo']).data.paired}
SCORES = ('psnr', 'ssim', 'miou', 'miou_small', 'kid_street', 'warping_mse', 'flicker_true_ratio',
          'sharpness_ratio')
COMMON = ('--config.eval.metrics=auto,iou,kid_street',)
SIZES = {'demo': ('--config.data.load_size=72',), 'street': ()}   # of frames, alike in all rows
SAME_STEPS = 0.02   # share by which the steps of a row's seeds may differ
ROUNDS = 20     # steps by which a method's time is measured
COLUMNS = {column.key: column for column in text.COLUMNS}


# ---- Time


def shares_of_phases(case):
  """{epoch: share of the training that is of its phase}; {1: 1} of a method without phases."""
  count, phases = case.config.train.epochs, {}
  for epoch in range(1, count + 1):
    phases.setdefault(dataclasses.replace(case, epoch=epoch).phase, []).append(epoch)
  if len(phases) == 1:
    return {1: 1.0}
  return {epochs[0]: len(epochs) / count for epochs in phases.values()}


def time_of(row, variant, common):
  """Mean seconds of a step of a row's variant: the quickest of `ROUNDS` in each phase."""
  case = cases.case(f'configs/{ROWS[row]}.py:{variant}', common, parse.row_config)
  return sum(share * clock.seconds(here.training(case.config, epoch).step, ROUNDS)
             for epoch, share in shares_of_phases(case).items())


def times(output, rows, variant, common):
  """{row: seconds of a step}; those that times.json lacks are measured and written to it."""
  path = output / 'times.json'
  known = json.loads(path.read_text()) if path.exists() else {}
  for row in rows:
    if row not in known:
      known[row] = time_of(row, variant, common)
      files.save_json(path, known)
  return known


# ---- Rank


def distance(name, value):
  """How far a score is from the best one thinkable: smaller is better, inf where there is none.

  Args:
    name: of `SCORES`. value: it, NaN or None where it could not be computed.
  """
  better = COLUMNS[name].better
  if value is None or math.isnan(value):
    return math.inf
  if better == 'near 1':
    return abs(math.log(max(value, 1e-9)))
  return -value if better == 'higher' else value


def ranks(means):
  """{row: mean over SCORES of its place}; equal values share the mean of their places.

  A row without a score, or with NaN in one of its seeds, has the last place of it.

  Args:
    means: {row: {score: mean over seeds}}.
  """
  by_score = [rankdata([distance(name, row.get(name)) for row in means.values()])
              for name in SCORES]
  return dict(zip(means, np.mean(by_score, axis=0).tolist(), strict=True))


def runs_of(path):
  """{row: {seed: {'steps', score: value}}} of a folder of `compare`, or of a file of --save."""
  if path.is_file():
    return json.loads(path.read_text())
  found = {}
  for row in json.loads((path / 'table.json').read_text())['rows']:
    found[row['name']] = {
        str(run['seed']): {'steps': run['steps'],
                           **{name: run['scores'].get(name, math.nan) for name in SCORES}}
        for run in row['runs'] if run['state'] == 'done'}
  return found


def check_steps(found):
  """Refuse rows whose seeds were trained for other numbers of steps: their mean says nothing.

  Args:
    found: {row: {seed: {'steps': ...}}}; they may differ by `SAME_STEPS`, since the time of a step
      may have been measured once for some seeds and again for others.

  Raises:
    UserError: names the rows and the steps of their seeds.
  """
  lines = []
  for row, runs in found.items():
    steps = [run['steps'] for run in runs.values()]
    if max(steps) - min(steps) > SAME_STEPS * max(steps):
      seeds = ', '.join(f'{run["steps"]:,} of seed {seed}' for seed, run in runs.items())
      lines.append(f'{row}: {seeds}')
  if lines:
    raise UserError('seeds of a row differ in steps by more than '
                    f'{SAME_STEPS:.0%}:\n  ' + '\n  '.join(lines) +
                    '\nname only outputs of equal time (--minutes)')


def together(paths):
  """The runs of several folders and files; a later one replaces an earlier of the same seed.

  Raises:
    UserError: see `check_steps`.
  """
  found = {}
  for path in paths:
    for row, runs in runs_of(path).items():
      found.setdefault(row, {}).update(runs)
  found = {row: runs for row, runs in found.items() if runs}
  check_steps(found)
  return found


def ranked(found):
  """({row: mean and spread over its seeds}, {row: rank}) of `together`."""
  summaries = {row: tables.summary(list(runs.values())) for row, runs in found.items()}
  return summaries, ranks({row: summary['mean'] for row, summary in summaries.items()})


def markdown(found):
  """The table of `together`, best rank first: mean and standard deviation over seeds."""
  summaries, rank = ranked(found)
  headings = ['', 'rank', *(COLUMNS[name].heading for name in SCORES), 'steps', 'seeds']
  lines = [headings, ['---'] * len(headings)]
  for row in sorted(rank, key=rank.get):
    summary = summaries[row]
    cells = [tables.cell(summary, name, COLUMNS[name].digits) for name in SCORES]
    lines.append([row, f'{rank[row]:.1f}', *cells, f'{summary["mean"]["steps"]:,.0f}',
                  str(summary['count'])])
  return '\n'.join('| ' + ' | '.join(cells) + ' |' for cells in lines) + '\n'


def sheet(paths):
  """[H, W, 3] uint8: what `compare` drew of the first seed of each row, in the order of ranks."""
  drawn = {}
  for path in paths:
    if path.is_file():
      continue
    for row in json.loads((path / 'table.json').read_text())['rows']:
      done = [run['workdir'] for run in row['runs'] if run['state'] == 'done']
      if done:
        arrays = npz.read(pathlib.Path(done[0]) / 'report' / 'frames.npz')
        drawn[row['name']] = {'pictures': figures.unpack(arrays)}
  _, rank = ranked(together(paths))
  return figures.sheet({row: drawn[row] for row in sorted(drawn, key=rank.get)})


# ---- The command


def measure(options, common):
  """Measure times, train and score what is missing."""
  if options.core is not None:
    os.sched_setaffinity(0, {options.core})   # of this process and all that it starts
  options.output.mkdir(parents=True, exist_ok=True)
  known = times(options.output, options.rows, options.variant, common)
  rows = [experiments.Row(row, f'configs/{ROWS[row]}.py:{options.variant}',
                          (f'--config.train.steps={round(60 * options.minutes / known[row])}',))
          for row in options.rows]
  _, stopped = compare.compare(options.output, rows, options.seeds, common=common,
                               read=parse.row_config, allow_different=True)
  if stopped:
    raise SystemExit('stopped; the same command goes on')


def main():
  """Parse the command line, measure or rank, print the table."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--output', type=pathlib.Path)
  parser.add_argument('--minutes', type=float, default=6.0)
  parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2])
  parser.add_argument('--rows', nargs='+', default=list(ROWS), choices=list(ROWS))
  parser.add_argument('--core', type=int)
  parser.add_argument('--variant', choices=list(SIZES), default='demo')
  parser.add_argument('--rank', type=pathlib.Path, nargs='+', default=[])
  parser.add_argument('--save', type=pathlib.Path)
  parser.add_argument('--sheet', type=pathlib.Path)
  options, common = parser.parse_known_args()
  try:
    run(options, common)
  except UserError as error:
    sys.exit(f'error: {error}')


def run(options, common):
  """What `main` was asked for."""
  together(options.rank)   # what cannot be ranked is told before hours of training
  if options.output:
    measure(options, experiments.with_changes(COMMON + SIZES[options.variant], common))
  folders = [*options.rank, *([options.output] if options.output else [])]
  if not folders:
    sys.exit('give --output FOLDER to measure, or --rank FOLDER_OR_FILE ...')
  found = together(folders)
  if options.save:
    files.save_json(options.save, found)
  if options.sheet:
    images.write_image(options.sheet, sheet(folders))
  print(markdown(found))


if __name__ == '__main__':
  main()

"""All unpaired methods at equal time on one core, and one rank over eight scores.

  python benchmarks/equal_time.py --output runs/equal [--minutes 6] [--seeds 0 1 2] [--core 0]

First every method takes a few steps, alone on its core, which tells how many it can take in the
given minutes (compiling not counted); they are written to times.json and not measured again. Then
`compare` trains and scores the demos with so many steps. After an interruption the same command
continues. Rows are the demos of all methods that learn from unpaired footage; GTC needs pairs and
is left out. Further arguments --config.FIELD=VALUE hold for all rows.

The rank, fixed before the first trial: methods are ordered by the mean over seeds of each of
`SCORES`, the best is 1; the rank is the mean of the eight places. What is better is what the report
says (evaluation/report/text.py): higher, lower, or nearer to 1, where double is as far as half.

  python benchmarks/equal_time.py --rank runs/equal runs/more FILE.json

prints the table of several outputs together; --save FILE.json keeps its numbers, seed by seed.
"""

import argparse
import json
import math
import os
import pathlib
import sys

import numpy as np

from i2vjax import main as command_line
from i2vjax.cli import parse
from i2vjax.compare import compare, experiments, tables
from i2vjax.core import files
from i2vjax.evaluation.report import text

ROWS = {
    'CycleGAN': 'cyclegan', 'Recycle-GAN': 'recyclegan', 'I2V-GAN': 'i2vgan',
    'Mocycle-GAN': 'mocyclegan', 'STC': 'stc', 'Unsupervised Recycle-GAN': 'unsup_recycle',
    'CUT': 'cut', 'F-LSeSim': 'lsesim', 'ROMA': 'roma', 'CPTrans': 'cptrans',
    'PearlGAN': 'pearlgan', 'MornGAN': 'morngan', 'best': 'best',
}
SCORES = ('psnr', 'ssim', 'miou', 'miou_small', 'kid_street', 'warping_mse', 'flicker_true_ratio',
          'sharpness_ratio')
COMMON = ('--config.data.load_size=72', '--config.eval.metrics=auto,iou,kid_street')
TRIAL, IN_PHASES = 60, {'morngan': 300}   # steps by which a method's time is measured
COLUMNS = {column.key: column for column in text.COLUMNS}


# ---- Time


def seconds_per_step(records):
  """Mean time of a step, from the records of a short training.

  Records with the same terms are of one phase. The quietest of each stands for all of it; the first
  of a phase holds its compilation.
  """
  phases = {}
  for record in records:
    phases.setdefault(frozenset(record), []).append(record['seconds_per_step'])
  weights = [len(spans) for spans in phases.values()]
  return float(np.average([min(spans[1:] or spans) for spans in phases.values()], weights=weights))


def time_of(config, folder, common):
  """Seconds of a step of a config, by a short training in `folder`."""
  steps = IN_PHASES.get(folder.name, TRIAL)
  arguments = [f'--config={config}', *common, f'--config.train.steps={steps}',
               '--config.log.every=5', f'--workdir={folder}', '--show=false']
  if command_line.main(['i2vjax', 'train', *arguments]):
    raise SystemExit(f'{config}: the training that measures its time failed, see above')
  lines = (folder / 'metrics.jsonl').read_text().splitlines()
  return seconds_per_step([json.loads(line) for line in lines])


def times(output, rows, common):
  """{row: seconds of a step}; those that times.json lacks are measured and written to it."""
  path = output / 'times.json'
  known = json.loads(path.read_text()) if path.exists() else {}
  for row in rows:
    if row not in known:
      known[row] = time_of(f'configs/{ROWS[row]}.py:demo', output / 'times' / ROWS[row], common)
      files.save_json(path, known)
  return known


# ---- Rank


def distance(name, value):
  """How far a score is from the best one thinkable: smaller is better."""
  better = COLUMNS[name].better
  if better == 'near 1':
    return abs(math.log(max(value, 1e-9)))
  return -value if better == 'higher' else value


def places(values):
  """The place of each value, 1 for the smallest; equal values share the mean of their places."""
  values = np.asarray(values)
  smaller = (values[None] < values[:, None]).sum(1)
  return smaller + ((values[None] == values[:, None]).sum(1) + 1) / 2


def ranks(means):
  """{row: mean over SCORES of its place}.

  Args:
    means: {row: {score: mean over seeds}}.
  """
  by_score = [places([distance(name, row[name]) for row in means.values()]) for name in SCORES]
  return dict(zip(means, np.mean(by_score, axis=0).tolist(), strict=True))


def runs_of(path):
  """{row: {seed: {'steps', score: value}}} of a folder of `compare`, or of a file of --save."""
  if path.is_file():
    return json.loads(path.read_text())
  found = {}
  for row in json.loads((path / 'table.json').read_text())['rows']:
    found[row['name']] = {
        str(run['seed']): {'steps': run['steps'], **{name: run['scores'][name] for name in SCORES}}
        for run in row['runs'] if run['state'] == 'done'}
  return found


def together(paths):
  """The runs of several folders and files; a later one replaces an earlier of the same seed."""
  found = {}
  for path in paths:
    for row, runs in runs_of(path).items():
      found.setdefault(row, {}).update(runs)
  return {row: runs for row, runs in found.items() if runs}


def markdown(found):
  """The table of `together`, best rank first: mean and standard deviation over seeds."""
  summaries = {row: tables.summary(list(runs.values())) for row, runs in found.items()}
  rank = ranks({row: summary['mean'] for row, summary in summaries.items()})
  headings = ['', 'rank', *(COLUMNS[name].heading for name in SCORES), 'steps', 'seeds']
  lines = [headings, ['---'] * len(headings)]
  for row in sorted(rank, key=rank.get):
    summary = summaries[row]
    cells = [tables.cell(summary, name, COLUMNS[name].digits) for name in SCORES]
    lines.append([row, f'{rank[row]:.1f}', *cells, f'{summary["mean"]["steps"]:,.0f}',
                  str(summary['count'])])
  return '\n'.join('| ' + ' | '.join(cells) + ' |' for cells in lines) + '\n'


# ---- The command


def measure(options, common):
  """Measure times, train and score what is missing."""
  if options.core is not None:
    os.sched_setaffinity(0, {options.core})   # of this process and all that it starts
  options.output.mkdir(parents=True, exist_ok=True)
  known = times(options.output, options.rows, common)
  rows = [experiments.Row(row, f'configs/{ROWS[row]}.py:demo',
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
  parser.add_argument('--rank', type=pathlib.Path, nargs='+', default=[])
  parser.add_argument('--save', type=pathlib.Path)
  options, common = parser.parse_known_args()
  if options.output:
    measure(options, (*COMMON, *common))
  folders = [*options.rank, *([options.output] if options.output else [])]
  if not folders:
    sys.exit('give --output FOLDER to measure, or --rank FOLDER_OR_FILE ...')
  found = together(folders)
  if options.save:
    files.save_json(options.save, found)
  print(markdown(found))


if __name__ == '__main__':
  main()

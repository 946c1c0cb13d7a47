"""What fault tests share: arguments of tiny runs, fingerprints of folders, campaigns of kills.

By hand: python tests/helpers/fault_tools.py training --kills 50 --seed 0
"""

import argparse
import collections
import hashlib
import json
import pathlib
import random
import shutil
import sys
import tempfile

import jax
import numpy as np
import orbax.checkpoint as ocp
from fault_server import ROOT, Server
from tiny_runs import make_footage

from i2vjax.compare import experiments

NOISE = ('seconds_per_step', 'frames_per_second', 'input_wait')
# At which calls of which functions a training is hit; 'any': at any time after its start.
TRAINING_MOMENTS = ('any', 'load', 'restore', 'loop', 'step', 'log', 'sample', 'evaluation', 'save',
                    'phase', 'file', 'finish')
MORNGAN = ('--config.data.load_size=20', '--config.data.crop_size=16', '--config.gen.width=4',
           '--config.gen.blocks_enc=1', '--config.gen.blocks_dec=1', '--config.disc.width=4',
           '--config.disc.stages=2', '--config.seg.width=4', '--config.seg.sizes=(16,)',
           '--config.sga.grid=2', '--config.data.scenes.clips=3', '--config.mining.theta_fg=0.06',
           '--config.data.scenes.clip_length=4', '--config.data.prefetch=1', '--config.log.every=1',
           '--config.log.samples_every=4', '--config.train.checkpoint_steps=1', '--show=false',
           '--config.train.steps=10')


def arguments(workdir, footage, *more):
  """Of the tiny training: 16 steps."""
  return ['--config', f'{ROOT}/tests/helpers/fault_config.py', '--workdir', workdir,
          *experiments.with_changes(
              ('--config.data.source=folders', f'--config.data.root={footage}', '--show=false'),
              more)]


def morngan(workdir, *more):
  """Of ten steps of MornGAN: five phases."""
  return ['--config', f'{ROOT}/configs/morngan.py:demo', '--workdir', workdir, *MORNGAN, *more]


# ---- what a folder holds


def digest(tree):
  """Of all arrays of a tree, bit for bit."""
  sum_ = hashlib.sha256()
  for path, leaf in sorted(jax.tree.leaves_with_path(tree), key=lambda x: str(x[0])):
    leaf = np.asarray(leaf)
    sum_.update(f'{jax.tree_util.keystr(path)} {leaf.dtype} {leaf.shape}'.encode())
    sum_.update(leaf.tobytes())
  return sum_.hexdigest()[:16]


def steps(workdir):
  """Complete checkpoints."""
  return sorted(int(path.name) for path in pathlib.Path(workdir, 'checkpoints').glob('*')
                if path.name.isdigit())


def log(workdir):
  """Lines of metrics.jsonl without what depends on the clock."""
  lines = pathlib.Path(workdir, 'metrics.jsonl').read_text().splitlines()
  return [{k: v for k, v in json.loads(line).items() if k not in NOISE} for line in lines]


def fingerprint(workdir):
  """All that a run came to: what two runs that are the same have in common, bit for bit."""
  workdir, newest = pathlib.Path(workdir), steps(workdir)[-1]
  found = {'steps': steps(workdir), 'log': log(workdir)}
  for item in ('params', 'opt', 'ema', 'extra', 'local'):
    folder = workdir.absolute() / 'checkpoints' / str(newest) / item
    if folder.is_dir():
      with ocp.StandardCheckpointer() as reader:
        found[item] = digest(reader.restore(folder))
  found['data'] = (workdir / 'checkpoints' / str(newest) / 'data' / 'metadata').read_text()
  found['samples'] = {path.name: hashlib.sha256(path.read_bytes()).hexdigest()
                      for path in sorted((workdir / 'samples').glob('*.png'))}
  if (workdir / 'pairs.npz').is_file():
    with np.load(workdir / 'pairs.npz') as table:
      found['pairs'] = digest(dict(table))
  return found


def difference(left, right):
  """Names of what differs between two fingerprints."""
  return [name for name in left.keys() | right.keys() if left.get(name) != right.get(name)]


def leftovers(folder):
  """Files that are nobody's result: of a write that was cut off."""
  return sorted(str(path.relative_to(folder)) for path in pathlib.Path(folder).rglob('*')
                if 'tmp' in path.name or path.name.startswith('.')
                and path.name not in ('.', '..'))


# ---- campaigns


def training_plans(count, seed, moments=TRAINING_MOMENTS):
  """So many kills, spread evenly over the moments, in random order."""
  rng = random.Random(seed)
  plans = []
  for k in range(count):
    at = moments[k % len(moments)]
    if at == 'any':
      plans.append({'at': 'load', 'count': 1, 'delay': rng.uniform(0, 6)})
    else:
      most = {'step': 6, 'log': 6, 'file': 6, 'save': 3, 'sample': 2}.get(at, 1)
      plans.append({'at': at, 'count': rng.randint(1, most), 'delay': rng.uniform(0, 0.08)})
    plans[-1]['name'] = at
  rng.shuffle(plans)
  return plans


def campaign(server, folder, make_arguments, plans, say=print):
  """Kill one training after the other at planned moments; go on in the folder until it is done.

  Returns:
    {moment: Counter of 'killed', 'ended before', 'lost', 'differs', 'refused', 'left over'}.
  """
  folder, rows = pathlib.Path(folder), collections.defaultdict(collections.Counter)
  log_file = folder / 'said.txt'
  code, said = server.run(make_arguments(folder / 'straight'), log_file)
  assert code == 0, said
  straight, left, chain = fingerprint(folder / 'straight'), list(plans), 0
  while left:
    chain += 1
    workdir, met = folder / f'run{chain}', []
    while left:
      plan = dict(left.pop())
      name, before = plan.pop('name'), steps(workdir)
      code, said = server.run(make_arguments(workdir), log_file, plan)
      after = steps(workdir)
      if code == 0:
        rows[name]['ended before'] += 1
        break
      met.append(name)
      rows[name]['killed' if code == -9 else f'code {code}'] += 1
      rows[name]['lost'] += bool(before and (not after or after[-1] < before[-1]))
      say(f'{chain}: {name} {plan} code {code}, checkpoints {before} -> {after}', flush=True)
      if code != -9:
        say(said)
    else:
      code, said = server.run(make_arguments(workdir), log_file)
      if code:
        say(said, flush=True)
        rows['end'][f'code {code}'] += 1
        continue
    differs, rest = difference(fingerprint(workdir), straight), leftovers(workdir)
    say(f'{chain}: done after {len(met)} kills, differs in {differs}, left over {rest}', flush=True)
    for name in met:
      rows[name]['differs'] += bool(differs)
      rows[name]['left over'] += bool(rest)
    if not differs:
      shutil.rmtree(workdir)
  return {name: dict(row) for name, row in rows.items()}


def campaign_parser(kills):
  """Flags of every campaign; `kills`: how many there are if nothing is said."""
  parser = argparse.ArgumentParser()
  parser.add_argument('--kills', type=int, default=kills)
  parser.add_argument('--seed', type=int, default=0)
  parser.add_argument('--cache', default=f'{tempfile.gettempdir()}/i2vjax-fault-cache')
  parser.add_argument('--folder')
  return parser


def main():
  parser = campaign_parser(kills=50)
  parser.add_argument('what', choices=('training', 'morngan'))
  flags = parser.parse_args()
  folder = pathlib.Path(flags.folder or tempfile.mkdtemp())
  footage = make_footage(folder / 'footage')
  with Server(flags.cache) as server:
    if flags.what == 'training':
      rows = campaign(server, folder, lambda w: arguments(w, footage),
                      training_plans(flags.kills, flags.seed))
    else:
      rows = campaign(server, folder, morngan, training_plans(
          flags.kills, flags.seed, ('step', 'save', 'phase', 'file', 'sample')))
  for name, row in rows.items():
    print(f'{name:12}', row)


if __name__ == '__main__':
  sys.exit(main())

"""Damaged run folders against what reads them: config, weights, checkpoints, logs, scores."""

import collections
import contextlib
import functools
import itertools
import json
import logging
import shutil
import types

import export_runs
import fuzz_archives
import numpy as np

from i2vjax.cli import parse
from i2vjax.compare import compare, experiments
from i2vjax.run import checkpoint, feed, folder, load, logger, resume, schedules, starter
from i2vjax.run import training_curves as curves

NAMES = ('config.json', 'fields', 'weights', 'checkpoint', 'log', 'scores', 'pairs')
VALUES = (None, True, -1, 0, 3, 2**70, 1e308, 0.5, float('nan'), 'x', '', '../x', 'a\0b', [], [1],
          [1, 'a'], {}, {'a': 1}, 'cptrans', 'auto', '9' * 5000)
# What is good besides right and refused: a change that the format cannot tell from a wish.
ALLOWED = {'config.json': {'other fields'}, 'fields': {'other fields'},
           'weights': {'other numbers'}, 'checkpoint': set(), 'log': {'fewer lines'},
           'scores': {'not yet', 'other scores'}, 'pairs': {'made anew'}}
SECONDS = {'checkpoint': 60}   # that one may take, where a good one takes some


@functools.cache
def tiny():
  """A Run of CycleGAN with tiny networks."""
  return export_runs.tiny('cyclegan', 32)


def make_starter(place):
  """A folder with config and weights in one file; returns its config as a tree."""
  run = tiny()
  starter.write(place, run.config, starter.Weights(run.params, {}, 3, 'raw'), 'float32')
  return json.loads((place / 'config.json').read_text())


def make_run(place):
  """A run folder with a checkpoint."""
  config = tiny().config
  folder.write_config(place, config)
  method, model = load.assemble(config)
  model = model.replace(optimizers=schedules.optimizers(config, method.PLAYERS, 1, 1))
  state = load.fresh_state(method, model, tiny().params)
  checkpoints = checkpoint.manager(place)
  checkpoint.save(checkpoints, state, {'next_index': 7})
  checkpoint.finish(checkpoints)
  checkpoints.close()


def same(tree, other):
  import jax
  return jax.tree.structure(tree) == jax.tree.structure(other) and all(
      np.array_equal(x, y) for x, y in zip(jax.tree.leaves(tree), jax.tree.leaves(other),
                                           strict=True))


def read_folder(place, original):
  """What all commands but train do with a folder first, and what train does with an earlier one."""
  _, _, config = parse.parse(['i2vjax', 'translate', '--workdir', str(place)])
  run = load.load(place, config=config)
  resume.compare_configs(folder.read_config(place), folder.read_config(place))
  if json.loads((place / 'config.json').read_text()) != original:
    return 'other fields'
  return 'right' if same(run.params, tiny().params) else 'other numbers'


def changed_fields(tree, rng):
  """A tree with one or two fields gone, or with another value, or a new one."""
  tree = json.loads(json.dumps(tree))
  for _ in range(int(rng.integers(1, 3))):
    block = tree
    while rng.integers(3) and any(isinstance(x, dict) and x for x in block.values()):
      names = [name for name, value in block.items() if isinstance(value, dict) and value]
      block = block[names[int(rng.integers(len(names)))]]
    name = list(block)[int(rng.integers(len(block)))] if block else 'x'
    if rng.integers(4) == 0:
      block.pop(name, None)
    else:
      name = name if rng.integers(8) else ('new', '__class__', 'a.b', '', 'items')[
          int(rng.integers(5))]
      block[name] = VALUES[int(rng.integers(len(VALUES)))]
  return tree


# ---- One campaign for each part of a run folder -------------------------------------------------


def damage(name, place, count, seed=0, say=None):
  """Counter of outcomes of so many damages of one part of a run folder."""
  rng, counts = np.random.default_rng(seed), collections.Counter()
  cases = itertools.islice(CAMPAIGNS[name](place, rng), count)
  for k, (read, named) in enumerate(cases):
    seconds = SECONDS.get(name, fuzz_archives.SECONDS)
    with quiet():
      word, text = fuzz_archives.outcome(read, named, place, seconds)
    counts[word] += 1
    if say and word not in {*fuzz_archives.GOOD, *ALLOWED[name]}:
      say(f'{name} {k}: {word} {text[:500]}')
  return counts


@contextlib.contextmanager
def quiet():
  """No warnings in the log, of which every case would have some."""
  root = logging.getLogger()
  level = root.level
  root.setLevel(logging.ERROR)
  try:
    yield
  finally:
    root.setLevel(level)


def of_config(place, rng):
  original = make_starter(place)
  path = place / 'config.json'
  data = path.read_bytes()
  while True:
    path.write_bytes(fuzz_archives.damaged(data, rng))
    yield lambda: read_folder(place, original), ''   # a field or the file is named


def of_fields(place, rng):
  original = make_starter(place)
  while True:
    (place / 'config.json').write_text(json.dumps(changed_fields(original, rng)))
    yield lambda: read_folder(place, original), ''


def of_weights(place, rng):
  original = make_starter(place)
  path = place / starter.WEIGHTS
  data = path.read_bytes()
  head = 8 + int.from_bytes(data[:8], 'little')
  while True:
    bad = fuzz_archives.damaged(data[:head], rng) + data[head:] if rng.integers(3) else \
        fuzz_archives.damaged(data, rng)
    path.write_bytes(bad)
    yield lambda: read_folder(place, original), place.name


def of_checkpoint(place, rng):
  good = place / 'good'
  make_run(good)
  original = json.loads((good / 'config.json').read_text())
  files = sorted(x.relative_to(good) for x in (good / 'checkpoints').rglob('*')
                 if x.is_file() and not {'opt', 'local'} & set(x.parts))   # of training
  while True:
    bad = place / 'bad'
    shutil.rmtree(bad, ignore_errors=True)
    shutil.copytree(good, bad)
    path = bad / files[int(rng.integers(len(files)))]
    if rng.integers(8) == 0:
      path.unlink()
    else:
      path.write_bytes(fuzz_archives.damaged(path.read_bytes() or b'x', rng))
    yield functools.partial(read_folder, bad, original), 'bad'


def of_log(place, rng):
  path = place / 'metrics.jsonl'
  curves.plot_curves({'loss': ([1], [1])})   # a first use makes Matplotlib's own folder
  lines = [json.dumps({'step': k, 'loss': 1 / k, 'frames_per_second': 3.0}) for k in range(1, 9)]
  data = '\n'.join(lines).encode()

  def read():
    found = curves.read_curves(path)
    if curves.terms(found) and rng.integers(20) == 0:
      curves.plot_curves(found)
    compare.speed(place)
    logger.cut_back(path, 5)
    return 'right' if found.get('loss', [()])[0] == list(range(1, 9)) else 'fewer lines'
  while True:
    path.write_bytes(fuzz_archives.damaged(data, rng))
    yield read, path.name


def of_scores(place, rng):
  folder.write_config(place, tiny().config)
  item = types.SimpleNamespace(row='r', seed=0, workdir=place, total=3, report=place,
                               arguments=None, config=folder.read_config(place))
  item_hash = compare.evaluate.config_hash(experiments.scored_config(item))
  scores = {'run': {'step': 3, 'config': item_hash}, 'rows': {'translated': {'psnr': 20.0}},
            'protocol': {'clips': 1}, 'skipped': {}, 'curves': {}}
  data = json.dumps(scores).encode()

  def read():
    found = compare.outcome(item)
    if found['state'] != 'done':
      return found['state']
    return 'right' if found['scores'] == {'psnr': 20.0} else 'other scores'
  while True:
    (place / 'scores.json').write_bytes(fuzz_archives.damaged(data, rng))
    yield read, 'scores.json'


def of_pairs(place, rng):
  path = place / 'pairs.npz'
  np.savez(path, first=4, index=np.arange(5))
  data = path.read_bytes()

  def read():
    found = feed.kept_table(place, 4, lambda: {'new': np.arange(2)}, False, True)
    return 'right' if found and np.array_equal(found.get('index'), np.arange(5)) else 'made anew'
  while True:
    path.write_bytes(fuzz_archives.damaged(data, rng))
    yield read, path.name


CAMPAIGNS = {'config.json': of_config, 'fields': of_fields, 'weights': of_weights,
             'checkpoint': of_checkpoint, 'log': of_log, 'scores': of_scores, 'pairs': of_pairs}

"""Damaged files by the thousand: what each reader does with them, counted.

By hand: python tests/helpers/media_fuzz.py png 'h264 in mp4' --count 1000 --seed 0
All readers: python tests/helpers/media_fuzz.py all --count 1000. One case again: --only 17.

A process of its own reads, which may crash, hang or ask for too much: it is watched and begun
anew. Each case depends on its reader, number and seed alone.
"""

import argparse
import collections
import faulthandler
import json
import os
import pathlib
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import traceback

ROOT = pathlib.Path(__file__).parents[2]
SECONDS = float(os.environ.get('I2VJAX_FUZZ_SECONDS', 10))   # a case may take
BYTES = int(os.environ.get('I2VJAX_FUZZ_BYTES', 2 * 2 ** 30))   # a case may add to the memory
LIMIT = 6 * 2 ** 30              # more than that the system refuses, so that the machine lives on
GOOD = ('read', 'refused')
BAD = ('traceback', 'crashed', 'hung', 'memory', 'stray', 'wrong', 'unnamed')


# ---- the process that reads


def work(tasks):
  """Try (reader, seed, number) after number; a line of JSON before and after each."""
  import media_readers

  from i2vjax.cli import errors
  sys.stdout.reconfigure(errors='backslashreplace')
  out, sys.stdout = sys.stdout, sys.stderr           # whatever readers print
  faulthandler.enable()
  base = pathlib.Path(tempfile.mkdtemp(dir=os.environ['TMPDIR']))
  made = {}
  for name, seed, number in tasks:
    reader = (media_readers.READERS | media_readers.BROKEN)[name]
    if name not in made:
      made[name] = whole(reader, base / f'seeds{len(made)}', media_readers)
      limit_memory()
    seeds, values = made[name]
    print(json.dumps({'begin': [name, number]}), file=out, flush=True)
    rng = random.Random(f'{name} {seed} {number}')
    folder = base / 'case'
    shutil.rmtree(folder, ignore_errors=True)
    (folder / 'x').mkdir(parents=True)
    done, path, k = media_readers.write_case(reader, rng, seeds, folder / 'x')
    faulthandler.dump_traceback_later(SECONDS, exit=True)
    before = memory(reset=True)
    outcome, what = one(reader, path, None if k is None else values[k], errors)
    faulthandler.cancel_dump_traceback_later()
    if memory() - before > BYTES:
      outcome, what = 'memory', f'{(memory() - before) / 2 ** 20:.0f} MiB'
    if stray := left(folder, path):
      outcome, what = 'stray', ' '.join(stray)
    print(json.dumps({'end': [name, number], 'damage': done, 'outcome': outcome, 'what': what}),
          file=out, flush=True)
  shutil.rmtree(base, ignore_errors=True)


def whole(reader, folder, media_readers):
  """(seeds for `write_case`, what is read of each); whole files must be read."""
  seeds = reader.seeds()
  if reader.kind != 'folder':
    folder.mkdir()
    values = []
    for ending, content in seeds:
      name = 'clips.json' if reader.read is media_readers.record_list else f'x{ending}'
      (folder / name).write_bytes(content)
      values.append(reader.read(folder / name))
    return seeds, values
  written = []
  for k, seed in enumerate(seeds):
    name, write = seed if isinstance(seed, tuple) else ('', seed)
    (folder / str(k) / 'x').mkdir(parents=True)
    (folder / str(k) / 'set.txt').write_text(name)
    write(folder / str(k) / 'x')
    assert reader.read(folder / str(k) / 'x'), name
    written.append((folder / str(k) / 'x', name))
  return written, None


def one(reader, path, value, errors):
  """(outcome, what happened) of a case. value: what is read of the whole file, if it is known."""
  import numpy as np
  try:
    found = reader.read(path)
  except AssertionError:
    return 'wrong', where_from(traceback.format_exc())
  except BaseException as error:
    told = errors.explain(error)
    if told is None or told[1] != errors.USER:
      return 'traceback', where_from(traceback.format_exc())
    named = any(text in told[0] for text in (str(path.parent), path.name, '127.0.0.1', 'set'))
    return ('refused' if named else 'unnamed'), told[0][:300]
  same = value is None or not reader.checked or (
      (len(found) == len(value) or reader.tail) and all(
          np.array_equal(x, y, equal_nan=x.dtype.kind == 'f')
          for x, y in zip(found, value, strict=False)))
  return ('read', '') if same else ('wrong', 'read as something else')


def where_from(text):
  """The error and the place in the package that it came through last."""
  lines = text.strip().splitlines()
  places = [line.strip() for line in lines if '/i2vjax/' in line and 'File' in line]
  return f'{lines[-1][:160]} | {places[-1].split("/i2vjax/")[-1] if places else ""}'


def left(folder, path):
  """What a reader left outside the places that it may write to."""
  allowed = {'in', 'out', 'set.txt', 'found.json', 'truth.json', path.name}
  return [str(x.name) for x in (*folder.iterdir(), *(folder / 'x').iterdir())
          if x.name not in allowed | {'x'}]


def memory(reset=False):
  """The most bytes of memory since the last reset."""
  if reset:
    pathlib.Path('/proc/self/clear_refs').write_text('5')
  text = pathlib.Path('/proc/self/status').read_text()
  return int(text.split('VmHWM:')[1].split()[0]) * 1024


def limit_memory():
  text = pathlib.Path('/proc/self/status').read_text()
  now = int(text.split('VmData:')[1].split()[0]) * 1024
  _, hard = resource.getrlimit(resource.RLIMIT_DATA)
  resource.setrlimit(resource.RLIMIT_DATA, (now + LIMIT, hard))


# ---- the process that watches


def campaign(names, count, seed, numbers=None):
  """[{'end': [reader, number], 'damage', 'outcome', 'what'}] of all cases."""
  import media_readers
  tasks = [(name, seed, k) for name in names for k in (
      numbers or range(_share(count, media_readers.READERS.get(name))))]
  results = []
  with tempfile.TemporaryDirectory() as folder:
    while tasks:
      try:
        ended, rest = run(tasks, pathlib.Path(folder))
      except KeyboardInterrupt:     # Ctrl-C: what is there is reported
        return results + [line for line in lines_of(pathlib.Path(folder)) if 'end' in line]
      results += ended
      tasks = tasks[len(ended):]
      if rest:
        raise RuntimeError(rest)
  return results


def _share(count, reader):
  return max(int(count * reader.share), 3) if reader else count


def run(tasks, folder):
  """(results, '') of a worker up to its end, of whatever kind; or why it did not even begin."""
  (folder / 'tasks.json').write_text(json.dumps(tasks))
  path = f'{ROOT}{os.pathsep}{ROOT / "tests" / "helpers"}'
  env = {**os.environ, 'PYTHONPATH': path, 'JAX_PLATFORMS': 'cpu', 'TMPDIR': str(folder)}
  with open(folder / 'said.txt', 'w') as said, open(folder / 'out.txt', 'w') as out:
    worker = subprocess.run([sys.executable, __file__, '--worker', str(folder / 'tasks.json')],
                            env=env, stdout=out, stderr=said)
  said = (folder / 'said.txt').read_text(errors='replace')
  lines = lines_of(folder)
  results = [line for line in lines if 'end' in line]
  begun = [line['begin'] for line in lines if 'begin' in line]
  if len(begun) > len(results):
    kind = 'hung' if 'Timeout (' in said else 'crashed'
    at = [line.strip() for line in said.splitlines() if line.startswith('  File')][-30:]
    results.append({'end': begun[-1], 'damage': '?', 'outcome': kind, 'what': ' < '.join(
        [f'code {worker.returncode}', *[line.split('site-packages/')[-1] for line in at[:3]],
         *[line.split('/i2vjax/')[-1] for line in at if '/i2vjax/' in line][:2]])})
    return results, ''
  return results, '' if worker.returncode == 0 else said[-3000:]


def lines_of(folder):
  text = (folder / 'out.txt').read_text()
  return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith('\n')]


def table(results):
  """{reader: Counter of outcomes}."""
  rows = collections.defaultdict(collections.Counter)
  for result in results:
    rows[result['end'][0]][result['outcome']] += 1
  return rows


def report(results):
  """Lines: a table for Markdown, then each kind of failure once, with the case that repeats it."""
  yield '| reader | tried | read | refused | ' + ' | '.join(BAD) + ' |'
  yield '|---' * (4 + len(BAD)) + '|'
  for name, row in table(results).items():
    cells = [sum(row.values()), *(row[kind] for kind in (*GOOD, *BAD))]
    yield f'| {name} | ' + ' | '.join(map(str, cells)) + ' |'
  kinds = collections.defaultdict(list)
  for result in results:
    if result['outcome'] in BAD:
      kinds[result['end'][0], result['outcome'], result['what']].append(result)
  for (name, outcome, what), found in sorted(kinds.items(), key=lambda item: -len(item[1])):
    yield (f'{len(found)}x {name}, {outcome} (--only {found[0]["end"][1]}, '
           f'{found[0]["damage"]}): {what}')


def main():
  parser = argparse.ArgumentParser()
  parser.add_argument('readers', nargs='*')
  parser.add_argument('--count', type=int, default=1000)
  parser.add_argument('--seed', type=int, default=0)
  parser.add_argument('--only', type=int, help='number of a case, tried alone')
  parser.add_argument('--worker')
  flags = parser.parse_args()
  if flags.worker:
    return work(json.loads(pathlib.Path(flags.worker).read_text()))
  import media_readers
  names = list(media_readers.READERS) if flags.readers == ['all'] else flags.readers
  began = time.monotonic()
  results = campaign(names, flags.count, flags.seed, None if flags.only is None else [flags.only])
  print('\n'.join(report(results)))
  print(f'{time.monotonic() - began:.0f} s')
  if flags.only is not None:
    print(*results, sep='\n')
  return 1 if any(result['outcome'] in BAD for result in results) else 0


if __name__ == '__main__':
  sys.exit(main())

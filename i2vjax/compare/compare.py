"""Several configs or runs, same data, same steps, several seeds: one table.

Each row and seed is a run folder of its own, trained and scored by the commands `train` and
`evaluate` in a process of their own: memory cannot pile up, a run that fails takes nothing with it,
and this process leaves the accelerator to them. Whatever is done already is not done again.
"""

import codecs
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

from i2vjax import evaluate
from i2vjax.compare import experiments, figures, tables
from i2vjax.core import files
from i2vjax.data.io import output_paths
from i2vjax.run import training_curves


def compare(output, rows, seeds=(0,), runs=(), common=(), *, read, allow_different=False,
            overwrite=False, show=True):
  """Train and score whatever is missing, and write table.md, table.json and index.html.

  Args:
    output: folder of the table and of its runs, `ROW-SEED`.
    rows: list of experiments.Row.
    seeds: of every row.
    runs: folders of runs that are there, scored but not trained; runs that differ in nothing but
      their seed share a row.
    common: `--config.FIELD=VALUE` arguments that every row is trained with; a row's own come after.
    read: training arguments -> config.
    allow_different: rows on other data or of other length are noted instead of refused.
    overwrite: score again what has been scored.
    show: progress bars.

  Returns:
    (content of table.json, stopped: whether it was asked to stop).

  Raises:
    ValueError, FileNotFoundError: rows that cannot be compared, folders of other runs.
    OSError: nothing can be written to `output`.
  """
  output = pathlib.Path(output)
  output_paths.check_writable(output)
  items = experiments.plan(output, rows, seeds, common, read) + experiments.given_runs(output, runs)
  experiments.unique_folders(items)
  notes = experiments.check_alike(items, allow_different)
  results, stopped = work(output, items, notes, overwrite, show)
  table = save(output, items, results, notes)
  if not stopped:
    drawn = figures.draw(items, results)   # only now may this process take the device
    table = save(output, items, results, notes, drawn)
    files.save_text(output / 'index.html', figures.page(table, drawn))
  return table, stopped


# ---- doing it ---------------------------------------------------------------------------------


def work(output, items, notes, overwrite, show):
  """Train and score one run after the other; the table on disk grows with them.

  Returns:
    ({(row, seed): tables.outcome}, stopped).
  """
  results = {(item.row, item.seed): outcome(item) for item in items}
  left = [item for item in items if overwrite or results[item.row, item.seed]['state'] != 'done']
  began = time.monotonic()
  for index, item in enumerate(left):
    spent = (time.monotonic() - began) / 60
    rest = (f', about {max(1, round(spent / index * (len(left) - index)))} min left'
            if index else '')
    say = f'[{len(items) - len(left) + index + 1} of {len(items)}] {item.row}, seed {item.seed}'
    code, reason, stopped = finish(item, f'{say}{{}}{rest}', show)
    if stopped:
      return results, True
    result = outcome(item)
    if not code and result['state'] != 'done':
      code, reason = 1, f'{item.report} holds no scores of this run'
    if code:
      result |= {'state': 'failed', 'code': code, 'reason': reason}
      print(f'{say} failed: {reason}', file=sys.stderr, flush=True)
    results[item.row, item.seed] = result
    save(output, items, results, notes)
  return results, False


def finish(item, say, show):
  """Train and score one run as far as needed. Returns (exit code, reason, stopped)."""
  bars = f'--show={str(show).lower()}'
  if item.arguments is not None and item.total not in experiments.trained_steps(item.workdir):
    print(say.format(f': training {item.total} steps in {item.workdir}'), flush=True)
    code, reason, stopped = call(['train', *item.arguments, f'--workdir={item.workdir}', bars])
    if code or stopped:
      return code, reason, stopped
  print(say.format(': scoring'), flush=True)
  return call(['evaluate', f'--workdir={item.workdir}', f'--checkpoint={item.total}',
               f'--output={item.report}', '--overwrite', bars,
               *(f'--config.eval.{name}={value}'
                 for name, value in experiments.scoring_changes(item).items())])


def call(arguments):
  """Run a command of ours in a process of its own, its error output and bars passed through.

  SIGINT and SIGTERM reach it as SIGTERM, once: it has a session of its own, because a Ctrl-C that
  the terminal sends to both would count twice and cost the checkpoint.

  Returns:
    (exit code, reason of a failure, stopped).
  """
  size = shutil.get_terminal_size()
  child = subprocess.Popen(
      [sys.executable, '-m', 'i2vjax.main', *arguments], stdout=subprocess.DEVNULL,
      stderr=subprocess.PIPE, start_new_session=True,
      env={'COLUMNS': str(size.columns), 'LINES': str(size.lines), **os.environ})
  asked, text, decoder = [], '', codecs.getincrementaldecoder('utf-8')('replace')

  def stop(number, frame):
    asked.append(number)
    child.send_signal(signal.SIGTERM)
  with forwarded(stop):
    for chunk in iter(lambda: child.stderr.read1(4096), b''):
      said = decoder.decode(chunk)
      sys.stderr.write(said)
      sys.stderr.flush()
      text = (text + said)[-4000:]
    code = child.wait()
  return code, why(code, text), bool(asked)


@contextlib.contextmanager
def forwarded(handler):
  """SIGINT and SIGTERM go to `handler` for a while; outside the main thread nothing changes."""
  before = {}
  with contextlib.suppress(ValueError):
    before = {s: signal.signal(s, handler) for s in (signal.SIGINT, signal.SIGTERM)}
  try:
    yield
  finally:
    for number, old in before.items():
      signal.signal(number, old)


def why(code, text):
  """The reason of a failure out of a command's error output."""
  if code < 0:
    return f'killed by {signal.Signals(-code).name}' + (
        ' (out of memory?)' if code == -signal.SIGKILL else '')
  _, found, message = text.rpartition('error: ')
  lines = [line.strip() for line in re.split(r'[\r\n]+', message if found else text)]
  lines = [line for line in lines if line] or [f'exit code {code}']
  return ' '.join(lines if found else lines[-1:])[:300]


# ---- what came of it --------------------------------------------------------------------------


def outcome(item):
  """One run as table.json has it; 'not yet' where its scores are missing or of another run."""
  facts = {'row': item.row, 'seed': item.seed, 'workdir': str(item.workdir), 'steps': item.total,
           'state': 'not yet', **speed(item.workdir)}
  try:
    scores = json.loads((item.report / 'scores.json').read_text())
    made = scores['run']['step'], scores['run']['config']
    wanted = item.total, evaluate.config_hash(experiments.scored_config(item))
  except (OSError, ValueError, KeyError):   # never written, or by a version that wrote otherwise
    return facts
  if made != wanted:
    return facts
  rows = dict(scores['rows'])
  return {**facts, 'state': 'done', 'scores': rows.pop('translated'), 'references': rows,
          'run': scores['run'], 'protocol': scores['protocol'], 'skipped': scores['skipped']}


def speed(workdir):
  """Median seconds a step of the logged spans.

  Without the first, which holds the compilation, and those after a scoring, which hold that.
  """
  curves = training_curves.read_curves(pathlib.Path(workdir) / 'metrics.jsonl')
  steps, seconds = curves.get('seconds_per_step', ((), ()))
  scored = {step for name in curves if name.startswith('eval/') for step in curves[name][0]}
  spans = sorted(value for before, value in zip(steps, seconds[1:], strict=False)
                 if before not in scored)
  return {'seconds_per_step': spans[len(spans) // 2]} if spans else {}


def save(output, items, results, notes, drawn=None):
  """Write table.md and table.json; returns the content of the latter."""
  arguments = {item.row: list(item.arguments[:-1]) if item.arguments else None for item in items}
  table = tables.build(arguments, results, notes, drawn or {})
  files.save_json(output / 'table.json', table)
  files.save_text(output / 'table.md', tables.markdown(table))
  return table

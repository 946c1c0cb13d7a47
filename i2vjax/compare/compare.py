"""Train and score several configs over several seeds, for one table.

Each row and seed is a run folder of its own, trained and scored by the commands `train` and
`evaluate` in a process of their own: memory cannot pile up, a run that fails takes nothing with it,
and this process leaves the accelerator to them. Whatever is done already is not done again.
"""

from __future__ import annotations

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
from collections.abc import Callable, Sequence

from i2vjax import evaluate
from i2vjax.compare import budgets, experiments, figures, preflight, tables
from i2vjax.compare.experiments import RunSpec
from i2vjax.core import files
from i2vjax.data.io import output_paths
from i2vjax.run import folder as run_folder
from i2vjax.run import lock, signals, starter, training_curves


def compare(output: str | pathlib.Path, rows: list[experiments.Row], seeds: Sequence[int] = (0,),
            runs: Sequence[str] = (), common: Sequence[str] = (), *, read: Callable,
            read_run: Callable | None = None, budget: str = 'steps', allow_different: bool = False,
            overwrite: bool = False, show: bool = True) -> tuple[dict, bool]:
  """Train and score whatever is missing, and write table.md, table.json and index.html.

  Args:
    output: folder of the table and of its runs, `ROW-SEED`.
    rows: list of experiments.Row.
    seeds: of every row.
    runs: folders of runs that were trained before and are only scored, or 'starter'; runs that
      differ in nothing but their seed, and in what changes no score, share a row.
    common: `--config.FIELD=VALUE` arguments that every row is trained with; a row's own come after.
      Of runs that were trained before they change what `experiments.changes_scores` says.
    read: training arguments -> config. read_run: the same of `evaluate`, for runs and `common`.
    budget: 'steps', 'epochs' or 'frames': what every row must be trained with as much of.
    allow_different: rows that are trained on other data or for longer, and rows that are scored on
      other data or otherwise, are noted instead of refused.
    overwrite: score again what has been scored.
    show: progress bars.

  Returns:
    (content of table.json, stopped: whether it was asked to stop).

  Raises:
    UserError, FileNotFoundError: rows that cannot be compared, trained or scored, folders of other
      runs; all of it before the first training.
    OSError: nothing can be written to `output`.
  """
  output = pathlib.Path(output)
  output_paths.check_folder_name(output)
  output_paths.check_writable(output)
  items, notes, protocol = prepare(output, rows, seeds, runs, common, read, budget,
                                   allow_different, read_run)
  results, stopped = work(output, items, notes, overwrite, show, protocol)
  table = save(output, items, results, notes, protocol)
  if not stopped:
    drawn = figures.draw(items, results)   # only now may this process take the device
    table = save(output, items, results, notes, protocol, drawn)
    files.save_text(output / 'index.html', figures.page(table, drawn))
  return table, stopped


def prepare(output: pathlib.Path, rows: list[experiments.Row], seeds: Sequence[int],
            runs: Sequence[str], common: Sequence[str], read: Callable, budget: str = 'steps',
            allow_different: bool = False, read_run: Callable | None = None
            ) -> tuple[list[RunSpec], list[str], list[str]]:
  """The runs of a table, after all checks; nothing is trained and nothing written.

  Args: see `compare`.

  Returns:
    (runs, notes on what differs between rows, sentences on what they have in common).

  Raises:
    UserError, FileNotFoundError: see `compare`.
  """
  budgets.check(budget)
  items = experiments.plan(output, rows, seeds, common, read, budget)
  items += experiments.trained_runs(output, runs, budget, items, common, read_run)
  experiments.unique_folders(items)
  notes = experiments.check_alike(items, allow_different, budget)
  done = [item for item in items if item.total in starter.steps_in(item.workdir)]
  plans = preflight.check(items, done)
  return items, notes, preflight.protocol(items, plans, budget)


# ---- training and scoring ---------------------------------------------------------------------


def work(output: pathlib.Path, items: list[RunSpec], notes: list[str], overwrite: bool,
         show: bool, protocol: Sequence[str] = ()) -> tuple[dict, bool]:
  """Train and score one run after the other; the table on disk grows with them.

  Returns:
    ({(row, seed): `outcome`}, stopped).
  """
  results = {(item.row, item.seed): outcome(item) for item in items}
  left = [item for item in items if overwrite or results[item.row, item.seed]['state'] != 'done']
  began = time.monotonic()
  for index, item in enumerate(left):
    title = f'[{len(items) - len(left) + index + 1} of {len(items)}] {item.row}, seed {item.seed}'
    rest = _time_left(time.monotonic() - began, index, len(left))
    code, reason, stopped = finish(item, title, rest, show)
    if stopped:
      return results, True
    result = outcome(item)
    if not code and result['state'] != 'done':
      code, reason = 1, f'{item.report} holds no scores of this run'
    if code:
      result |= {'state': 'failed', 'code': code, 'reason': reason}
      print(f'{title} failed: {reason}', file=sys.stderr, flush=True)
    results[item.row, item.seed] = result
    save(output, items, results, notes, protocol)
  return results, False


def _time_left(seconds, done, count):
  """', about 5 min left' after `done` of `count` runs; '' before the first."""
  if not done:
    return ''
  minutes = seconds / 60 / done * (count - done)
  return f', about {max(1, round(minutes))} min left'


def finish(item: RunSpec, title: str, time_left: str, show: bool) -> tuple[int, str, bool]:
  """Train and score one run as far as needed.

  Args:
    item: the run.
    title, time_left: begin and end of the line that is printed.
    show: progress bars.

  Returns:
    (exit code, reason of a failure, stopped).
  """
  bars = f'--show={str(show).lower()}'
  if item.arguments is not None and item.total not in run_folder.steps_in(item.workdir):
    lock.wait_for_end(item.workdir)   # an earlier comparison was killed: its training saves itself
    print(f'{title}: training {item.total} steps in {item.workdir}{time_left}', flush=True)
    code, reason, stopped = call(['train', *item.arguments, f'--workdir={item.workdir}', bars])
    if code or stopped:
      return code, reason, stopped
  print(f'{title}: scoring{time_left}', flush=True)
  changes = item.changes if item.arguments is None else [
      f'--config.eval.{name}={value}'
      for name, value in experiments.scoring_changes(item).items()]
  return call(['evaluate', f'--workdir={item.workdir}', f'--checkpoint={item.total}',
               f'--output={item.report}', '--overwrite', bars, *changes])


def call(arguments: list[str]) -> tuple[int, str, bool]:
  """Run a command of ours in a process of its own, its error output and bars passed through.

  SIGINT and SIGTERM reach it as SIGTERM, once: it has a session of its own, because a Ctrl-C that
  the terminal sends to both would count twice and cost the checkpoint.

  Returns:
    (exit code, reason of a failure, stopped).
  """
  size = shutil.get_terminal_size()
  received, said, decoder = [], '', codecs.getincrementaldecoder('utf-8')('replace')
  child = None

  def stop(number, frame):
    received.append(number)
    if child:
      child.send_signal(signal.SIGTERM)
  with forwarded(stop):   # before there is a child: a Ctrl-C just then would leave it alone
    child = subprocess.Popen(
        [sys.executable, '-m', 'i2vjax.main', *arguments], stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, start_new_session=True,
        env={'COLUMNS': str(size.columns), 'LINES': str(size.lines), **os.environ,
             signals.PARENT: str(os.getpid())})
    if received:
      child.send_signal(signal.SIGTERM)
    for chunk in iter(lambda: child.stderr.read1(4096), b''):
      part = decoder.decode(chunk)
      sys.stderr.write(part)
      sys.stderr.flush()
      said = (said + part)[-4000:]
    code = child.wait()
  return code, why(code, said), bool(received)


@contextlib.contextmanager
def forwarded(handler: Callable):
  """SIGINT and SIGTERM go to `handler` for a while; outside the main thread nothing changes."""
  before = {}
  with contextlib.suppress(ValueError):
    before = {s: signal.signal(s, handler) for s in (signal.SIGINT, signal.SIGTERM)}
  try:
    yield
  finally:
    for number, old in before.items():
      signal.signal(number, old)


def why(code: int, said: str) -> str:
  """The reason of a failure.

  Args:
    code: exit code, negative for the signal that killed the command.
    said: the end of its error output.
  """
  if code < 0:
    guess = ' (out of memory?)' if code == -signal.SIGKILL else ''
    return f'killed by {signal.Signals(-code).name}{guess}'
  _, mark, message = said.rpartition('error: ')
  lines = [line.strip() for line in re.split(r'[\r\n]+', message)]
  lines = [line for line in lines if line] or [f'exit code {code}']
  # After 'error: ' all is the message, else it is a traceback, whose last line says what.
  return ' '.join(lines if mark else lines[-1:])[:300]


# ---- results ----------------------------------------------------------------------------------


def outcome(item: RunSpec) -> dict:
  """One run as table.json has it; 'not yet' where its scores are missing or of another run."""
  facts = {'row': item.row, 'seed': item.seed, 'workdir': str(item.workdir), 'steps': item.total,
           'state': 'not yet', **speed(item.workdir)}
  try:
    scores = json.loads((item.report / 'scores.json').read_text())
    expected = item.total, evaluate.config_hash(experiments.scored_config(item))
    if (scores['run']['step'], scores['run']['config']) != expected:
      return facts
    rows = dict(scores['rows'])
    return {**facts, 'state': 'done', 'scores': rows.pop('translated'), 'references': rows,
          'run': scores['run'], 'protocol': scores['protocol'], 'skipped': scores['skipped'],
          'curves': scores.get('curves', {})}   # younger than the rest
  except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
    return facts   # never written, damaged, or by a version that wrote otherwise


def speed(workdir: str | pathlib.Path) -> dict[str, float]:
  """{'seconds_per_step': median over the logged spans}, {} where none is.

  Without the first, which holds the compilation, and those after a scoring, which hold that.
  """
  curves = training_curves.read_curves(pathlib.Path(workdir) / 'metrics.jsonl')
  steps, seconds = curves.get('seconds_per_step', ((), ()))
  scored = set()
  for name, (steps_of_score, _) in curves.items():
    if name.startswith('eval/'):
      scored |= set(steps_of_score)
  spans = sorted(value for before, value in zip(steps, seconds[1:], strict=False)
                 if before not in scored)
  return {'seconds_per_step': spans[len(spans) // 2]} if spans else {}


def save(output: pathlib.Path, items: list[RunSpec], results: dict, notes: list[str],
         protocol: Sequence[str] = (), drawn: dict | None = None) -> dict:
  """Write table.md and table.json; returns the content of the latter."""
  arguments = {item.row: list(item.arguments[:-1]) if item.arguments else
               [str(item.workdir), *item.changes] if item.changes else None for item in items}
  table = tables.build(arguments, results, notes, drawn or {}, protocol)
  files.save_json(output / 'table.json', table)
  files.save_text(output / 'table.md', tables.markdown(table))
  return table

"""The table of `compare`: mean and spread over seeds."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import numpy as np

from i2vjax import __version__
from i2vjax.evaluation.report import text

ORDER = ('ceiling', 'constant', 'source', 'untrained')   # rows to read the others against
SPREAD = 'standard deviation over seeds (n - 1)'


def build(arguments: dict, results: dict, notes: list[str], drawn: dict,
          common: Sequence[str] = ()) -> dict:
  """The content of table.json.

  Args:
    arguments: {row: training arguments, or None where its runs were trained before}, in order.
    results: {(row, seed): `compare.outcome` of a run, with 'state', 'scores', 'references' ...}.
    notes: sentences on what differs between rows.
    drawn: {row: {'parameters': int or None, ...}} as far as known.
    common: sentences on what all rows have in common.
  """
  rows = []
  for name, training_arguments in arguments.items():
    runs = [run for (row, _), run in results.items() if row == name]
    done = [run for run in runs if run['state'] == 'done']
    rows.append({'name': name, 'arguments': training_arguments,
                 **summary([run['scores'] for run in done]),
                 'parameters': drawn.get(name, {}).get('parameters'),
                 'seconds_per_step': middle([run.get('seconds_per_step') for run in done]),
                 'runs': runs})
  done = [run for run in results.values() if run['state'] == 'done']
  references, skipped = {}, {}
  for label in labels(done):
    scores = [run['references'][label] for run in done if label in run['references']]
    references[label] = summary(scores)
  for run in done:
    skipped |= run['skipped']
  return {'rows': rows, 'references': references, 'spread_is': SPREAD,
          'protocol': done[0]['protocol'] if done else {}, 'skipped': skipped,
          'common': list(common),
          'notes': [*notes, *different_weights(rows), *odd_references(done)],
          'versions': {'i2vjax': __version__, 'jax': jax.__version__}}


def labels(done: list[dict]) -> list[str]:
  """Reference rows that some run has, those of `ORDER` first."""
  present = {label: None for run in done for label in run['references']}
  return [*(label for label in ORDER if label in present),
          *(label for label in present if label not in ORDER)]


def summary(scores: list[dict]) -> dict:
  """{'count', 'mean', 'spread'} of a list of {name: value}; None (not a number) becomes NaN."""
  values = {}
  for entry in scores:
    for name, value in entry.items():
      values.setdefault(name, []).append(value)
  values = {name: np.array(items, float) for name, items in values.items()}
  return {'count': len(scores), 'mean': {name: float(x.mean()) for name, x in values.items()},
          'spread': {name: float(x.std(ddof=1)) for name, x in values.items() if len(x) > 1}}


def middle(values: list) -> float | None:
  """Median of the values that are not None, or None."""
  values = [value for value in values if value is not None]
  return float(np.median(values)) if values else None


def odd_references(done: list[dict]) -> list[str]:
  """A note where rows that depend on the test frames alone differ between runs."""
  lines = []
  for label in ('source', 'constant', 'ceiling'):
    values = [run['references'].get(label, {}).get('psnr') for run in done]
    values = [value for value in values if value is not None]
    if values and max(values) - min(values) > 1e-3:
      lines.append(f'Not comparable: {text.LABELS.get(label, label)} has {min(values):.3f} to '
                   f'{max(values):.3f} dB, so the runs were scored on different test frames.')
  return lines


# ---- weights that were scored -----------------------------------------------------------------


def rows_by_weights(rows: list[dict]) -> dict[str, list[str]]:
  """{'ema' or 'raw': rows with a run that was scored with these weights}.

  Runs without scores, or with scores of a version that did not say, are left out.
  """
  names = {}
  for row in rows:
    for run in row['runs']:
      weights = run.get('protocol', {}).get('weights')
      if weights and row['name'] not in names.setdefault(weights, []):
        names[weights].append(row['name'])
  return names


def different_weights(rows: list[dict]) -> list[str]:
  """A note where some runs were scored with averages of weights and some without."""
  names = rows_by_weights(rows)
  if len(names) < 2:
    return []
  parts = [f'{text.WEIGHTS[weights]} in {", ".join(names[weights])}' for weights in sorted(names)]
  return [f'the scored networks have {" and ".join(parts)}']


# ---- text -------------------------------------------------------------------------------------


def columns(table: dict) -> list[text.Column]:
  """The columns for which some row has a value; in the scale of a paper if some row asks for it."""
  rows = [*table['rows'], *table['references'].values()]
  paper = any(run.get('protocol', {}).get('paper_scale')
              for row in table['rows'] for run in row['runs'])
  return text.columns((row['mean'] for row in rows), paper)


def cell(row: dict, name: str, digits: int) -> str:
  """'17.62 ± 0.75' in the unit of the heading; none of one run, rounding alone, or NaN."""
  mean, spread = text.number(row['mean'], name, digits), row['spread'].get(name)
  least = max(1e-6 * abs(row['mean'].get(name) or 0), 10 ** -(digits + 3) / text.scale_of(name))
  hidden = spread is None or not np.isfinite(spread) or spread < least
  return mean if hidden else f'{mean} ± {text.number(row["spread"], name, digits)}'


def grid(table: dict) -> tuple[list[str], list[list[str]]]:
  """(headings, lines): every line a list of texts, first the trained rows, then the references."""
  shown = columns(table)
  headings = ['', *(column.heading for column in shown), 'parameters', 's / step', 'seeds']
  lines = []
  for row in table['rows']:
    cells = _cells(row, shown) if row['count'] else blank(row, shown)
    count, speed = row['parameters'], row['seconds_per_step']
    lines.append([row['name'], *cells, f'{count:,}' if count else '–',
                  f'{speed:.3g}' if speed else '–', seeds(row)])
  for label, row in table['references'].items():
    lines.append([text.LABELS.get(label, label), *_cells(row, shown), '', '', ''])
  return headings, lines


def _cells(row, shown):
  return [cell(row, column.key, column.digits) for column in shown]


def blank(row: dict, shown: list[text.Column]) -> list[str]:
  """The cells of a row that has no scores; the first says why."""
  if not shown:
    return []
  failed = any(run['state'] == 'failed' for run in row['runs'])
  return ['failed' if failed else 'not yet', *['–'] * (len(shown) - 1)]


def seeds(row: dict) -> str:
  """'3', or '2 of 3' where some are missing."""
  count, total = row['count'], len(row['runs'])
  return str(count) if count == total else f'{count} of {total}'


def caption(table: dict) -> str:
  """What the numbers are, in one line: frames, steps, seeds, spread, weights."""
  runs = [run for row in table['rows'] for run in row['runs']]
  numbers = sorted({run['seed'] for run in runs})
  seeds = (f'seeds {", ".join(map(str, numbers))}; mean ± {SPREAD}' if len(numbers) > 1 else
           f'one seed ({numbers[0]}), so no spread')
  lengths = sorted({run['steps'] for run in runs})
  steps = ', '.join(f'{count:,}' for count in lengths)
  facts, frames = table['protocol'], ''
  if facts:
    clips = f'{facts["clips"]} test clip' + 's' * (facts['clips'] != 1)
    frames = (f'{clips}, {facts["frames"]} frames of {facts["width"]} × '
              f'{facts["height"]} pixels. ')
  return f'{frames}{steps} steps; {seeds}.{_weights(table)}'


def _weights(table):
  """The sentence of the caption that says which weights were scored, '' where none says."""
  kinds = list(rows_by_weights(table['rows']))
  if len(kinds) > 1:
    return ' Scored with different kinds of weights, see below.'
  return f' Scored with the {text.WEIGHTS[kinds[0]]}.' if kinds else ''


def footnotes(table: dict) -> list[str]:
  """Sentences under the table: what is the same, failures, what differs, what was left out."""
  lines = [f'Every row: {line}' for line in table.get('common', ())]
  for row in table['rows']:
    for run in row['runs']:
      if run['state'] == 'failed':
        lines.append(f'{run["row"]}, seed {run["seed"]} failed: {run["reason"]}')
  if table['references'].get('untrained', {}).get('spread'):
    lines.append('The untrained network is the mean over those of all rows and seeds.')
  for note in table['notes']:
    lines.append(note if note.startswith('Not') else f'Differs: {note}')
  lines += [f'Left out: {name} ({why})' for name, why in table['skipped'].items()]
  return lines


def markdown(table: dict) -> str:
  """The table as Markdown, with its caption and footnotes."""
  headings, lines = grid(table)
  rows = []
  for line in (headings, *lines):
    cells = [text.markdown(value) for value in line]
    rows.append(f'| {" | ".join(cells)} |')
  rows.insert(1, '|---' * len(headings) + '|')
  notes = [f'- {text.markdown(line)}' for line in footnotes(table)]
  return '\n'.join([text.markdown(caption(table)), '', *rows, '', *notes]) + '\n'

"""The table of `compare`: mean and spread over seeds, as data and as Markdown."""

import jax
import numpy as np

from i2vjax import __version__
from i2vjax.evaluation.report import text as words

ORDER = ('ceiling', 'constant', 'source', 'untrained')   # rows to read the others against
SPREAD = 'standard deviation over seeds (n - 1)'


def build(arguments, results, notes, drawn):
  """The content of table.json.

  Args:
    arguments: {row: training arguments, or None where its runs were given}, in order.
    results: {(row, seed): outcome of a run, with 'state', 'scores', 'references' ...}.
    notes: list of sentences on what differs between rows.
    drawn: {row: {'parameters': int or None, ...}} as far as known.
  """
  rows = []
  for name, given in arguments.items():
    runs = [run for (row, _), run in results.items() if row == name]
    done = [run for run in runs if run['state'] == 'done']
    rows.append({'name': name, 'arguments': given, **summary([run['scores'] for run in done]),
                 'parameters': drawn.get(name, {}).get('parameters'),
                 'seconds_per_step': middle([run.get('seconds_per_step') for run in done]),
                 'runs': runs})
  done = [run for run in results.values() if run['state'] == 'done']
  references = {label: summary([run['references'][label] for run in done
                                if label in run['references']]) for label in labels(done)}
  return {'rows': rows, 'references': references, 'spread_is': SPREAD,
          'protocol': done[0]['protocol'] if done else {},
          'skipped': {name: why for run in done for name, why in run['skipped'].items()},
          'notes': [*notes, *odd_references(done)],
          'versions': {'i2vjax': __version__, 'jax': jax.__version__}}


def labels(done):
  """Reference rows that some run has, best to worst known first."""
  found = {label: None for run in done for label in run['references']}
  return [*(label for label in ORDER if label in found),
          *(label for label in found if label not in ORDER)]


def summary(scores):
  """{'count', 'mean', 'spread'} of a list of {name: value}; None (not a number) stays None."""
  names = {name: None for entry in scores for name in entry}
  values = {name: np.array([entry.get(name) for entry in scores if name in entry], float)
            for name in names}
  return {'count': len(scores), 'mean': {name: float(x.mean()) for name, x in values.items()},
          'spread': {name: float(x.std(ddof=1)) for name, x in values.items() if len(x) > 1}}


def middle(values):
  """Median of the values that are there, or None."""
  values = [value for value in values if value is not None]
  return float(np.median(values)) if values else None


def odd_references(done):
  """A note where rows that depend on the test frames alone differ between runs."""
  lines = []
  for label in ('source', 'constant', 'ceiling'):
    found = [run['references'][label].get('psnr') for run in done if label in run['references']]
    found = [value for value in found if value is not None]
    if found and max(found) - min(found) > 1e-3:
      lines.append(f'Not comparable: {words.LABELS.get(label, label)} has {min(found):.3f} to '
                   f'{max(found):.3f} dB, so the runs were scored on different test frames.')
  return lines


# ---- text -------------------------------------------------------------------------------------


def columns(table):
  """Entries of `text.SCORES` (key, heading, digits, way, words) that some row has."""
  rows = [*table['rows'], *table['references'].values()]
  return words.columns({'rows': dict(enumerate(row['mean'] for row in rows))})


def cell(row, key, digits):
  """'17.62 ± 0.75' in the unit of the heading; no spread of one run or of rounding alone."""
  text, spread = words.number(row['mean'], key, digits), row['spread'].get(key, 0)
  least = max(1e-6 * abs(row['mean'].get(key, 0)), 10 ** -(digits + 3) / words.SCALE.get(key, 1))
  return text if spread < least else f'{text} ± {words.number(row["spread"], key, digits)}'


def spread_text(values, digits):
  """'17.62 ± 0.75' of a list of numbers."""
  values = np.asarray(values, float)
  spread = f' ± {values.std(ddof=1):.{digits}f}' if len(values) > 1 else ''
  return f'{values.mean():.{digits}f}{spread}'


def grid(table):
  """(headings, lines): every line a list of texts, first the trained rows, then the references."""
  shown = columns(table)

  def cells_of(row):
    return [cell(row, key, digits) for key, _, digits, *_ in shown]
  heads = ['', *(heading for _, heading, *_ in shown), 'parameters', 's / step', 'seeds']
  lines = []
  for row in table['rows']:
    cells = cells_of(row) if row['count'] else blank(row, shown)
    count, speed = row['parameters'], row['seconds_per_step']
    lines.append([row['name'], *cells, f'{count:,}' if count else '–',
                  f'{speed:.3g}' if speed else '–', seeds(row)])
  for label, row in table['references'].items():
    lines.append([words.LABELS.get(label, label), *cells_of(row), '', '', ''])
  return heads, lines


def blank(row, shown):
  """The cells of a row that has no scores; the reason stands in its first."""
  failed = any(run['state'] == 'failed' for run in row['runs'])
  return [*(['failed' if failed else 'not yet'] if shown else []), *['–'] * (len(shown) - 1)]


def seeds(row):
  """'3', or '2 of 3' where some are missing."""
  return str(row['count']) if row['count'] == len(row['runs']) else (
      f'{row["count"]} of {len(row["runs"])}')


def caption(table):
  """What the numbers are, in one line."""
  runs = [run for row in table['rows'] for run in row['runs']]
  numbers = ', '.join(map(str, sorted({run['seed'] for run in runs})))
  steps = ', '.join(f'{count:,}' for count in sorted({run['steps'] for run in runs}))
  where = table['protocol']
  frames = (f"{where['clips']} test clips, {where['frames']} frames of {where['width']} × "
            f"{where['height']} pixels. " if where else '')
  return f'{frames}{steps} steps; seeds {numbers}; mean ± {SPREAD}.'


def footnotes(table):
  """Sentences under the table: failures, what differs, what was left out."""
  runs = [run for row in table['rows'] for run in row['runs']]
  failed = [f'{run["row"]}, seed {run["seed"]} failed: {run["reason"]}' for run in runs
            if run['state'] == 'failed']
  differ = [f'{line[0].upper()}{line[1:]}' if line.startswith('Not') else f'Differs: {line}'
            for line in table['notes']]
  left = [f'Left out: {name} ({why})' for name, why in table['skipped'].items()]
  varied = table['references'].get('untrained', {}).get('spread')
  fresh = ['The untrained network is the mean over those of all rows and seeds.'] if varied else []
  return failed + fresh + differ + left


def markdown(table):
  """The table as Markdown, with its caption and footnotes."""
  heads, lines = grid(table)
  rows = ['| ' + ' | '.join(text.replace('|', '\\|') for text in line) + ' |'
          for line in (heads, *lines)]
  rows.insert(1, '|---' * len(heads) + '|')
  return '\n'.join([caption(table), '', *rows, '', *(f'- {x}' for x in footnotes(table))]) + '\n'

"""The HTML page of an evaluation: scores, clips, worst frames, curves, protocol."""

from __future__ import annotations

from i2vjax.evaluation.report import figures, html_parts, text
from i2vjax.evaluation.report.html_parts import escape
from i2vjax.run import training_curves


def page(scores: dict, previews: list[dict], curves: dict) -> str:
  """The whole page as text; needs no other file and no network.

  Args:
    scores: the content of scores.json.
    previews: from `figures.add_preview`.
    curves: from `training_curves.read_curves`.
  """
  run, protocol = scores['run'], scores['protocol']
  title = ' '.join(str(run[key]) for key in ('method', 'variant') if run.get(key))
  title = title or 'Translated frames'
  step = f', step {run["step"]}' if run.get('step') is not None else ''
  parts = [f'<h1>{escape(title)}{step}</h1>',
           f'<p class=sub>{protocol["clips"]} test clips, {protocol["frames"]} frames of '
           f'{protocol["width"]} × {protocol["height"]} pixels</p>',
           f'<p class=lead>{escape(text.verdict(scores))}</p>']
  parts += _scores(scores)
  parts += _curves(scores)
  parts += _clips(scores, previews)
  if training_curves.terms(curves):
    plot = html_parts.figure(training_curves.plot_curves(curves),
                             'Each logged term; strong: its running mean')
    parts += ['<h2>Training</h2>', html_parts.card(plot)]
  parts += ['<h2>Protocol</h2>', html_parts.card(_facts({**run, **protocol}))]
  return html_parts.skeleton(title, parts)


def _scores(scores):
  """The table of all rows, what its columns say, and what was left out."""
  parts = []
  if scores['rows']['translated']:
    parts += ['<h2>Scores</h2>', html_parts.card(_score_table(scores))]
    for column in text.columns_of(scores):
      parts.append(html_parts.note(column.heading, column.explanation))
  if scores['skipped']:
    parts.append(html_parts.note('Left out:', '; '.join(text.left_out(scores))))
  return parts


def _curves(scores):
  """Scores along an axis: APCE over thresholds, FID over epochs."""
  parts = []
  for name, curve in scores.get('curves', {}).items():
    column = text.columns([{name: 0.0}])[0]
    plot = figures.plot_curve(curve, column.heading, column.scale)
    parts.append(html_parts.card(html_parts.figure(plot, f'{column.heading} by {curve["axis"]}')))
  return ['<h2>Curves</h2>', *parts] if parts else []


def _score_table(scores):
  shown = text.columns_of(scores)
  head = ''.join(html_parts.heading_cell(column.heading, column.better) for column in shown)
  body = ''
  for label, row in scores['rows'].items():
    name = escape(text.LABELS.get(label, label))
    if label in text.ROW_NOTES:
      name += f'<small>{escape(text.ROW_NOTES[label])}</small>'
    kind = ' class=own' if label == 'translated' else ''
    body += f'<tr{kind}><td>{name}</td>{_cells(row, shown)}</tr>'
  return f'<table><tr><th></th>{head}</tr>{body}</table>'


def _clip_table(scores):
  """The scores of the translation, clip by clip."""
  shown = text.columns_of(scores)
  head = ''.join(html_parts.heading_cell(column.heading) for column in shown)
  body = ''
  for entry in scores['clips']:
    cells = _cells(entry['rows']['translated'], shown)
    body += f'<tr><td>{escape(entry["name"])}</td><td>{entry["frames"]}</td>{cells}</tr>'
  return f'<table><tr><th>clip</th><th>frames</th>{head}</tr>{body}</table>'


def _cells(row, shown):
  return ''.join(f'<td>{cell}</td>' for cell in text.cells(row, shown))


def _facts(facts):
  """What was scored and how, as a list; facts without a value are left out."""
  shown = {name.replace('_', ' '): value for name, value in facts.items()
           if value not in (None, '')}
  if 'weights' in shown:
    shown['weights'] = text.WEIGHTS[shown['weights']]
  return html_parts.definitions(shown)


def _clips(scores, previews):
  """Scores and pictures of the clips, and the worst frames of all."""
  parts = ['<h2>Clips</h2>', html_parts.card(_clip_table(scores))]
  for preview in previews[:figures.SHOWN]:
    content = _film(preview)
    content += html_parts.figure(figures.clip_sheet(preview), 'Moments of the clip')
    content += html_parts.figure(figures.slice_sheet(preview),
                                 'One line of every frame, time running down')
    parts += [f'<h3>{escape(preview["name"])}</h3>', html_parts.card(content, 'card pair')]
  if len(scores['clips']) > figures.SHOWN:
    parts.append(f'<p class=note>Pictures of the first {figures.SHOWN} clips only.</p>')
  worst = previews[0]['worst'] if previews else []
  if worst:
    sheet = html_parts.figure(figures.worst_sheet(worst),
                              'The frames furthest from their target, or least steady')
    parts += ['<h2>Worst frames</h2>', html_parts.card(sheet)]
  return parts


def _film(preview):
  if not preview['video']:
    return ''
  labels = ', '.join(text.LABELS.get(label, label) for label in preview['rows'])
  return html_parts.film(preview['video'], f'The clip: {labels}')

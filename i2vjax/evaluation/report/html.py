"""An evaluation as one HTML file with everything inside: it opens without a network."""

import html

from i2vjax.evaluation.report import figures, inline, text
from i2vjax.run import training_curves

STYLE = """
:root { color-scheme: light; --ink: #18181b; --faint: #71717a; --line: #e4e4e7; --mark: #0f766e; }
* { box-sizing: border-box; }
body { font: 15px/1.55 system-ui, sans-serif; color: var(--ink); background: #fafafa; margin: 0; }
main { max-width: 1120px; margin: 0 auto; padding: 40px 24px 80px; }
h1 { font-size: 26px; margin: 0 0 4px; letter-spacing: -0.01em; }
h2 { font-size: 18px; margin: 44px 0 10px; }
h3 { font-size: 14px; margin: 22px 0 6px; font-weight: 600; }
.sub, .note, figcaption { color: var(--faint); font-size: 13px; }
.lead { font-size: 16px; max-width: 75ch; }
.card { background: #fff; border: 1px solid var(--line); border-radius: 10px; padding: 14px 18px;
  overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th { text-align: right; font-weight: 600; font-size: 13px; padding: 6px 10px; }
td { text-align: right; padding: 6px 10px; border-top: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
td small { display: block; color: var(--faint); font-size: 12px; max-width: 44ch; }
tr.own td { font-weight: 650; color: var(--mark); }
.way { display: block; font-weight: 400; color: var(--faint); font-size: 12px; }
img, video { max-width: 100%; height: auto; display: block; }
img.pixels { image-rendering: pixelated; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 4px 18px; margin: 0; }
dt { color: var(--faint); } dd { margin: 0; overflow-wrap: anywhere; }
.pair { display: flex; gap: 18px; align-items: flex-start; flex-wrap: wrap; }
figure { margin: 0; }
figcaption { width: 0; min-width: 100%; }   /* never wider than its picture */
"""


def _text(value):
  return html.escape(str(value))


def _score_table(scores):
  shown = text.columns(scores)
  head = ''.join(f'<th>{_text(heading)}<span class=way>{_text(way)}</span></th>'
                 for _, heading, _, way, _ in shown)
  body = ''
  for label, row in scores['rows'].items():
    why = f'<small>{_text(text.WHY[label])}</small>' if label in text.WHY else ''
    cells = ''.join(f'<td>{text.number(row, key, digits)}</td>' for key, _, digits, *_ in shown)
    own = ' class=own' if label == 'translated' else ''
    body += f'<tr{own}><td>{_text(text.LABELS.get(label, label))}{why}</td>{cells}</tr>'
  return f'<table><tr><th></th>{head}</tr>{body}</table>'


def _clip_table(scores):
  shown = text.columns(scores)
  head = ''.join(f'<th>{_text(heading)}</th>' for _, heading, *_ in shown)
  body = ''
  for entry in scores['clips']:
    row = entry['rows']['translated']
    cells = ''.join(f'<td>{text.number(row, key, digits)}</td>' for key, _, digits, *_ in shown)
    body += f'<tr><td>{_text(entry["name"])}</td><td>{entry["frames"]}</td>{cells}</tr>'
  return f'<table><tr><th>clip</th><th>frames</th>{head}</tr>{body}</table>'


def _facts(facts):
  rows = ''.join(f'<dt>{_text(name.replace("_", " "))}</dt><dd>{_text(value)}</dd>'
                 for name, value in facts.items() if value not in (None, ''))
  return f'<dl>{rows}</dl>'


def _figure(image, caption, kind=''):
  return (f'<figure><img class="{kind}" src="{inline.inline_png(image)}" width="{image.shape[1]}" '
          f'alt="{_text(caption)}"><figcaption>{_text(caption)}</figcaption></figure>')


def _video(sketch):
  if not sketch['video']:
    return ''
  shown = ', '.join(text.LABELS.get(label, label) for label in sketch['rows'])
  return (f'<figure><video src="{inline.inline("video/mp4", sketch["video"])}" controls loop muted '
          f'playsinline></video><figcaption>The clip: {_text(shown)}</figcaption></figure>')


def page(scores, sketches, curves):
  """The whole page as text; needs no other file and no network.

  Args:
    scores: the content of scores.json.
    sketches: list of `sketch`, kept with `keep`.
    curves: from `training_curves.read_curves`.
  """
  run = scores['run']
  title = ' '.join(str(run[key]) for key in ('method', 'variant') if run.get(key))
  title = title or 'Translated frames'
  step = f', step {run["step"]}' if run.get('step') is not None else ''
  parts = [f'<h1>{_text(title)}{step}</h1>',
           f'<p class=sub>{scores["protocol"]["clips"]} test clips, '
           f'{scores["protocol"]["frames"]} frames of {scores["protocol"]["width"]} × '
           f'{scores["protocol"]["height"]} pixels</p>',
           f'<p class=lead>{_text(text.verdict(scores))}</p>']
  if scores['rows']['translated']:
    parts += ['<h2>Scores</h2>', f'<div class=card>{_score_table(scores)}</div>',
              *(f'<p class=note><b>{_text(heading)}</b> {_text(says)}</p>'
                for _, heading, _, _, says in text.columns(scores))]
  if scores['skipped']:
    parts.append('<p class=note><b>Left out:</b> ' + '; '.join(
        f'{_text(name)} ({_text(why)})' for name, why in scores['skipped'].items()) + '</p>')
  parts += _pictures(scores, sketches)
  if curves:
    plot = _figure(
      training_curves.plot_curves(curves), 'Each logged term; strong: its running mean'
    )
    parts += ['<h2>Training</h2>', f'<div class=card>{plot}</div>']
  parts += ['<h2>Protocol</h2>', f'<div class=card>{_facts({**run, **scores["protocol"]})}</div>']
  return (f'<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport '
          f'content="width=device-width"><title>{_text(title)}</title><style>{STYLE}</style>'
          f'<main>{"".join(parts)}</main></html>\n')


def _pictures(scores, sketches):
  parts = ['<h2>Clips</h2>', f'<div class=card>{_clip_table(scores)}</div>']
  for sketch in sketches[:figures.SHOWN]:
    slices = _figure(figures.slice_sheet(sketch), 'One line of every frame, time running down')
    parts.append(f'<h3>{_text(sketch["name"])}</h3><div class="card pair">{_video(sketch)}'
                 + _figure(figures.clip_sheet(sketch), 'Moments of the clip') + slices + '</div>')
  if len(scores['clips']) > figures.SHOWN:
    parts.append(f'<p class=note>Pictures of the first {figures.SHOWN} clips only.</p>')
  worst = sketches[0]['worst'] if sketches else []
  if worst:
    sheet = _figure(figures.worst_sheet(worst),
                    'The frames furthest from their target, or least steady')
    parts += ['<h2>Worst frames</h2>', f'<div class=card>{sheet}</div>']
  return parts

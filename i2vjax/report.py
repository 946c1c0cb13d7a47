"""An evaluation to look at: one HTML file with everything inside, and a table for the terminal."""

import html

import numpy as np

from i2vjax import sheets

# key, heading, digits, which way is better, what it says
SCORES = (
    ('psnr', 'PSNR (dB)', 2, 'higher',
     'Distance to the true frame, pixel by pixel. Mean over all frames.'),
    ('ssim', 'SSIM', 4, 'higher',
     'Likeness of structure to the true frame; 1 is identical.'),
    ('lpips', 'LPIPS', 4, 'lower',
     'Distance to the true frame as people see it, in the features of a frozen network.'),
    ('warping_mse', 'warping error ×1000', 3, 'lower',
     'How much a surface changes its colour from frame to frame once its motion is taken out (mean '
     'square, 0 to 1000). The motion comes from the source, so blur does not help. A frozen or '
     'plain picture has none: read it beside PSNR and SSIM.'),
    ('warping_euclidean', 'warping error (colour distance)', 4, 'lower',
     'How far the colour of a surface moves from frame to frame once its motion is taken out.'),
    ('flicker_ratio', 'flicker / source', 3, 'near 1',
     'Change of brightness from frame to frame, divided by that of the source. Above 1: the '
     'translation adds unrest; far below 1: it has lost motion or detail.'),
    ('brightness_jitter', 'brightness jitter ×1000', 3, 'lower',
     'Trembling of the overall brightness (0 for steady or evenly changing light).'),
    ('fid', 'FID', 2, 'lower',
     'Distance of all frames together to real ones, in the features of the Inception network. '
     'Comparable between equal numbers of frames prepared alike.'),
    ('kid_mean', 'KID', 5, 'lower', 'The same by a kernel of degree 3, unbiased; may be below 0.'),
    ('kid21_mean', 'KID, degree 21', 5, 'lower', 'The kernel that CPTrans names.'),
    ('miou', 'mIoU', 4, 'higher',
     'What a segmentation network finds in the frames against the true classes: mean over classes '
     'of overlap / union.'),
    ('miou_small', 'mIoU, small classes', 4, 'higher',
     'The same over traffic sign, person, motorcycle, truck and bus.'),
    ('fwiou', 'fwIoU', 4, 'higher', 'The same, each class weighed by its pixels.'),
    ('pixel_accuracy', 'pixel accuracy', 4, 'higher', 'Share of pixels of the right class.'),
    ('ap50', 'AP at IoU 0.5', 4, 'higher', 'What a detector finds: mean over classes.'),
    ('davis_j', 'J', 4, 'higher', 'Overlap of the mask with the true one, per frame.'),
    ('davis_f', 'F', 4, 'higher', 'Agreement of the outlines.'),
    ('davis_t', 'T', 4, 'lower', 'How much the outline of the mask changes from frame to frame.'),
    ('apce', 'APCE', 4, 'higher', 'Share of the edges of the source found at the same pixels.'),
)
SCALE = {'warping_mse': 1000, 'brightness_jitter': 1000}
LABELS = {'translated': 'the translation', 'source': 'the input itself',
          'constant': 'best single colour', 'untrained': 'untrained network',
          'ceiling': 'mean colour per class', 'target': 'true frame'}
WHY = {
    'source': 'what you score by doing nothing',
    'constant': 'one colour everywhere, chosen with the test frames in sight',
    'untrained': 'the same networks with fresh weights',
    'ceiling': 'every pixel in the mean training colour of its true class: heat does not tell '
               'colours apart, so a run near this is about as good as it gets',
}
ACROSS, SHOWN = 4, 8             # frames of a clip; clips with pictures
WORST, OF_ONE = 6, 2             # worst frames; at most so many of one clip
LOW, HIGH = 176, 256             # pixels: narrowest and widest picture on the page


# ---- what is kept of the frames ---------------------------------------------------------------


def sketch(name, rows, series):
  """What the page shows of one clip.

  Args:
    name: of the clip.
    rows: {label: [T, H, W, C] uint8}, in the order of the page.
    series: {'psnr': [T], 'ssim': [T], 'warping': [T-1]} of the run, as far as computed.

  Returns:
    {'name', 'times', 'rows': {label: frames at those times}, 'slices': {label: [T, W, C] the middle
    row of every frame}, 'worst': [(badness, clip, t, {label: frame})]}.
  """
  length = len(next(iter(rows.values())))
  times = np.unique(np.linspace(0, length - 1, ACROSS).astype(int))
  return {'name': name, 'times': times.tolist(),
          'rows': {label: frames[times] for label, frames in rows.items()},
          'slices': {label: frames[:, frames.shape[1] // 2] for label, frames in rows.items()},
          'worst': _worst(name, rows, series)}


def _worst(name, rows, series):
  """The clip's two worst frames: lowest PSNR, or highest warping error without target."""
  if 'psnr' in series:
    badness = -np.asarray(series['psnr'])
  elif 'warping' in series:
    badness = np.asarray(series['warping'])
  else:
    return []
  return [(float(badness[t]), name, int(t), {label: frames[t] for label, frames in rows.items()})
          for t in np.argsort(-badness)[:OF_ONE]]


def keep(sketches, new):
  """Add a clip's sketch to the list; pictures of later clips and lesser evils are dropped."""
  sketches = [*sketches, new]
  worst = sorted((entry for sketch in sketches for entry in sketch['worst']),
                 key=lambda entry: -entry[0])[:WORST]
  if len(sketches) > SHOWN:
    del sketches[SHOWN]
  for sketch in sketches:
    sketch['worst'] = []
  sketches[0]['worst'] = worst
  return sketches


# ---- text -------------------------------------------------------------------------------------


def number(scores, key, digits):
  """A score as text, in the unit of its heading."""
  value = scores.get(key)
  if value is None or not np.isfinite(value):
    return '–' if value is None else str(value)
  return f'{value * SCALE.get(stem(key), 1):.{digits}f}'


def stem(name):
  """The score that 'warping_mse[tvl1]' or 'fid_RANDOM' is one of."""
  return name.removesuffix('_RANDOM').partition('[')[0]


def columns(scores):
  """The entries of `SCORES` that some row has, under the name they have there."""
  found = []
  for key, heading, *rest in SCORES:
    for name in sorted({name for row in scores['rows'].values() for name in row}):
      if stem(name) == key:
        marks = [name[len(key) + 1:].removesuffix('_RANDOM').removesuffix(']'),
                 'RANDOM weights' if name.endswith('_RANDOM') else '']
        mark = ', '.join(mark for mark in marks if mark and mark != 'RANDOM')
        found.append((name, f'{heading} ({mark})' if mark else heading, *rest))
  return found


def table(scores):
  """The scores as lines for a terminal."""
  shown = columns(scores)
  lines = [['', *(heading for _, heading, *_ in shown)]]
  lines += [[LABELS.get(label, label), *(number(row, key, digits) for key, _, digits, *_ in shown)]
            for label, row in scores['rows'].items()]
  widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
  text = ['  '.join(cell.ljust(width) if i == 0 else cell.rjust(width)
                    for i, (cell, width) in enumerate(zip(line, widths, strict=True)))
          for line in lines]
  text += [f'left out: {name} ({reason})' for name, reason in scores['skipped'].items()]
  return '\n'.join(text)


def verdict(scores):
  """Plain sentences on what the numbers mean."""
  rows, sentences = scores['rows'], []
  run = rows['translated']
  if 'psnr' in run:
    others = [f'{rows[label]["psnr"]:.2f} dB for {text}' for label, text in
              (('constant', 'the best single colour'), ('untrained', 'the untrained network'),
               ('source', 'the input itself')) if 'psnr' in rows.get(label, {})]
    sentences.append(f'The translated frames reach {run["psnr"]:.2f} dB'
                     + (f', against {", ".join(others)}.' if others else '.'))
    if 'psnr' in rows.get('constant', {}) and run['psnr'] < rows['constant']['psnr']:
      sentences.append('That is below a plain colour: the look of the target has not been learned '
                       'yet, or something else has.')
  for key in run:
    if stem(key) in ('warping_mse', 'warping_euclidean') and rows.get('source', {}).get(key):
      ratio = run[key] / rows['source'][key]
      sentences.append(f'Its warping error is {ratio:.2f} times that of the input itself.')
  if np.isfinite(run.get('flicker_ratio', np.nan)):
    more = 'more' if run['flicker_ratio'] > 1 else 'less'
    sentences.append(f'Brightness changes {abs(run["flicker_ratio"] - 1):.0%} {more} from frame to '
                     'frame than in the source.')
  if run.get('num_nonfinite'):
    sentences.append(f'{run["num_nonfinite"]:.0f} values are not finite: the output holds NaN.')
  return ' '.join(sentences) or 'No scores could be computed; the reasons are listed below.'


# ---- pictures ---------------------------------------------------------------------------------


def _cell(rows):
  """(height, width) of a picture on the page."""
  height, width = next(iter(rows.values()))[0].shape[:2]
  factor = min(max(LOW / width, 1), HIGH / width) if width < LOW else min(1, HIGH / width)
  return round(height * factor), round(width * factor)


def clip_sheet(sketch):
  """Rows: source, translation, target ...; columns: moments."""
  rows = {LABELS.get(label, label): frames for label, frames in sketch['rows'].items()}
  return sheets.contact_sheet(rows, columns=[f'frame {t}' for t in sketch['times']],
                              cell=_cell(rows))


def slice_sheet(sketch):
  """One line of every frame, time running down: flicker shows as stripes across."""
  rows = {LABELS.get(label, label): [lines] for label, lines in sketch['slices'].items()}
  length = len(next(iter(rows.values()))[0])
  cell = max(72, min(5 * length, 240)), HIGH
  return sheets.contact_sheet(rows, cell=cell, stretch=True)


def worst_sheet(worst):
  """The worst frames beside their source and target."""
  labels = list(worst[0][3])
  rows = {LABELS.get(label, label): [entry[3][label] for entry in worst] for label in labels}
  titles = [f'{name}, {t}' for _, name, t, _ in worst]
  return sheets.contact_sheet(rows, columns=titles, cell=_cell(rows))


# ---- the page ---------------------------------------------------------------------------------

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
img { max-width: 100%; height: auto; display: block; }
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
  shown = columns(scores)
  head = ''.join(f'<th>{_text(heading)}<span class=way>{_text(way)}</span></th>'
                 for _, heading, _, way, _ in shown)
  body = ''
  for label, row in scores['rows'].items():
    why = f'<small>{_text(WHY[label])}</small>' if label in WHY else ''
    cells = ''.join(f'<td>{number(row, key, digits)}</td>' for key, _, digits, *_ in shown)
    own = ' class=own' if label == 'translated' else ''
    body += f'<tr{own}><td>{_text(LABELS.get(label, label))}{why}</td>{cells}</tr>'
  return f'<table><tr><th></th>{head}</tr>{body}</table>'


def _clip_table(scores):
  shown = columns(scores)
  head = ''.join(f'<th>{_text(heading)}</th>' for _, heading, *_ in shown)
  body = ''
  for entry in scores['clips']:
    row = entry['rows']['translated']
    cells = ''.join(f'<td>{number(row, key, digits)}</td>' for key, _, digits, *_ in shown)
    body += f'<tr><td>{_text(entry["name"])}</td><td>{entry["frames"]}</td>{cells}</tr>'
  return f'<table><tr><th>clip</th><th>frames</th>{head}</tr>{body}</table>'


def _facts(facts):
  rows = ''.join(f'<dt>{_text(name.replace("_", " "))}</dt><dd>{_text(value)}</dd>'
                 for name, value in facts.items() if value not in (None, ''))
  return f'<dl>{rows}</dl>'


def _figure(image, caption, kind=''):
  return (f'<figure><img class="{kind}" src="{sheets.inline_png(image)}" width="{image.shape[1]}" '
          f'alt="{_text(caption)}"><figcaption>{_text(caption)}</figcaption></figure>')


def page(scores, sketches, curves):
  """The whole page as text; needs no other file and no network.

  Args:
    scores: the content of scores.json.
    sketches: list of `sketch`, kept with `keep`.
    curves: from `sheets.read_curves`.
  """
  run = scores['run']
  title = ' '.join(str(run[key]) for key in ('method', 'variant') if run.get(key))
  title = title or 'Translated frames'
  step = f', step {run["step"]}' if run.get('step') is not None else ''
  parts = [f'<h1>{_text(title)}{step}</h1>',
           f'<p class=sub>{scores["protocol"]["clips"]} test clips, '
           f'{scores["protocol"]["frames"]} frames of {scores["protocol"]["width"]} × '
           f'{scores["protocol"]["height"]} pixels</p>',
           f'<p class=lead>{_text(verdict(scores))}</p>']
  if scores['rows']['translated']:
    parts += ['<h2>Scores</h2>', f'<div class=card>{_score_table(scores)}</div>',
              *(f'<p class=note><b>{_text(heading)}</b> {_text(words)}</p>'
                for _, heading, _, _, words in columns(scores))]
  if scores['skipped']:
    parts.append('<p class=note><b>Left out:</b> ' + '; '.join(
        f'{_text(name)} ({_text(why)})' for name, why in scores['skipped'].items()) + '</p>')
  parts += _pictures(scores, sketches)
  if curves:
    plot = _figure(sheets.plot_curves(curves), 'Each logged term; strong: its running mean')
    parts += ['<h2>Training</h2>', f'<div class=card>{plot}</div>']
  parts += ['<h2>Protocol</h2>', f'<div class=card>{_facts({**run, **scores["protocol"]})}</div>']
  return (f'<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport '
          f'content="width=device-width"><title>{_text(title)}</title><style>{STYLE}</style>'
          f'<main>{"".join(parts)}</main></html>\n')


def _pictures(scores, sketches):
  parts = ['<h2>Clips</h2>', f'<div class=card>{_clip_table(scores)}</div>']
  for sketch in sketches[:SHOWN]:
    slices = _figure(slice_sheet(sketch), 'One line of every frame, time running down')
    parts.append(f'<h3>{_text(sketch["name"])}</h3><div class="card pair">'
                 + _figure(clip_sheet(sketch), 'Moments of the clip') + slices + '</div>')
  if len(scores['clips']) > SHOWN:
    parts.append(f'<p class=note>Pictures of the first {SHOWN} clips only.</p>')
  worst = sketches[0]['worst'] if sketches else []
  if worst:
    parts += ['<h2>Worst frames</h2>', '<div class=card>' + _figure(
        worst_sheet(worst), 'The frames furthest from their target, or least steady') + '</div>']
  return parts

"""What `compare` shows besides numbers: the same frames by every row, scores against steps."""

import html
import itertools

import jax
import numpy as np

from i2vjax import evaluate
from i2vjax.compare import tables
from i2vjax.core import files
from i2vjax.evaluation import baselines, eval_clips, plan
from i2vjax.evaluation.report import html as reporting
from i2vjax.evaluation.report import inline, text
from i2vjax.interop import export
from i2vjax.run import contact_sheet, load, training_curves

ACROSS = 4   # test clips with a picture
MARGIN = 8   # frames of a clip translated before the one shown, for methods with a memory
NARROW, WIDE = 128, 256   # pixels of a picture on the page

STYLE = """
main { max-width: 1280px; }
td, th { white-space: nowrap; }
tr.other td { color: var(--faint); }
"""


# ---- frames -----------------------------------------------------------------------------------


def draw(items, results):
  """Pictures, size and curves of each row; pictures by its first run that is done.

  Args:
    items: list of experiments.RunSpec.
    results: {(row, seed): outcome}.

  Returns:
    {row: {'parameters': int or None, 'pictures': {'titles': list of text; 'source', 'translated'
    and, where known, 'target': lists of [H, W, C] uint8}, 'curves': see `curves`}}.
  """
  drawn = {}
  for item in items:
    done = results[item.row, item.seed]['state'] == 'done'
    if done and item.row not in drawn:
      parameters, pictures = kept(item)
      drawn[item.row] = {
          'parameters': parameters, 'pictures': pictures,
          'curves': curves([x.workdir for x in items if x.row == item.row])}
  order = list(dict.fromkeys(item.row for item in items))
  return {row: drawn[row] for row in sorted(drawn, key=order.index)}


def kept(item):
  """(parameters, pictures) of a run, made once and kept beside its scores."""
  path, stamp = item.report / 'frames.npz', f'{evaluate.config_hash(item.config)} {item.total}'
  if path.is_file():
    with np.load(path) as stored:
      found = dict(stored)
    if str(found.get('stamp')) == stamp:
      return int(found['parameters']) or None, unpack(found)
  run = load.load(item.workdir, str(item.total))
  parameters, pictures = size_of(run), frames(run)
  jax.clear_caches()   # the programs of every row would stay in memory
  arrays = {f'{kind} {k:03d}': value for kind, values in pictures.items()
            for k, value in enumerate(values)}
  files.save_atomic(path, lambda temporary: np.savez_compressed(
      temporary, stamp=stamp, parameters=parameters or 0, **arrays))
  return parameters, pictures


def unpack(arrays):
  """{kind: list} of arrays named 'kind 000'; clips may differ in size, so nothing is stacked."""
  pictures = {}
  for name in sorted(arrays):
    kind, _, number = name.partition(' ')
    if number:
      pictures.setdefault(kind, []).append(arrays[name])
  return pictures


def size_of(run):
  """Parameters of the network that translates, or None where no single one does."""
  network = next((name for name in export.TRANSLATORS if name in run.params), None)
  return network and sum(int(x.size) for x in jax.tree.leaves(run.params[network]))


def frames(run):
  """A moment of each of the first test clips: the source, its translation, the true frame.

  A method with a memory has seen the `MARGIN` frames before it.
  """
  config = run.config.copy_and_resolve_references()
  config.eval.quantize = True
  call = baselines.translated(run.with_config(config))
  paired = plan.of_run(config, quick=True).paired
  found = {'titles': [], 'source': [], 'translated': [], 'target': []}
  for clip in itertools.islice(eval_clips.of_run(config, paired, True, False), ACROSS):
    t = len(clip.raw) // 2
    lead = eval_clips.EvalClip(clip.name, clip.raw[max(0, t - MARGIN):t + 1], clip.value_range)
    found['titles'].append(f'{clip.name}, frame {t}')
    found['source'].append(clip.shown[t])
    found['translated'].append(call(lead)[-1])
    if clip.target is not None:
      found['target'].append(clip.target[t])
  return {kind: values for kind, values in found.items() if values}


def sheet(drawn):
  """[H, W, 3]: the input, every row, the true frames."""
  first = next(iter(drawn.values()))['pictures']
  rows = {text.LABELS['source']: first['source'],
          **{name: entry['pictures']['translated'] for name, entry in drawn.items()}}
  if 'target' in first:
    rows[text.LABELS['target']] = first['target']
  height, width = first['source'][0].shape[:2]
  wide = min(max(width, NARROW), WIDE)
  return contact_sheet.contact_sheet(rows, columns=[str(title) for title in first['titles']],
                              cell=(round(height * wide / width), wide))


# ---- scores against steps ---------------------------------------------------------------------


def curves(workdirs):
  """{score: (steps, values [runs, steps])} of what `eval.every` logged at steps all runs have."""
  logs = []
  for workdir in workdirs:
    logged = training_curves.read_curves(workdir / 'metrics.jsonl')
    logs.append({name.removeprefix('eval/'): dict(zip(*points, strict=True))
                 for name, points in logged.items() if name.startswith('eval/')})
  logs = [log for log in logs if log]
  found = {}
  for name in logs[0] if logs else ():
    points = [log.get(name, {}) for log in logs]
    steps = sorted(set.intersection(*map(set, points)))
    if len(steps) > 1:
      found[name] = steps, np.array([[values[step] for step in steps] for values in points])
  return found


def plot(drawn):
  """A panel for each score, a line for each row (mean over seeds, band: lowest to highest).

  Returns:
    [H, W, 3] uint8, or None where no row was scored while it trained.
  """
  from matplotlib.backends.backend_agg import FigureCanvasAgg
  from matplotlib.figure import Figure
  shown = [entry for entry in text.SCORES
           if any(entry[0] in row['curves'] for row in drawn.values())]
  if not shown:
    return None
  across = min(3, len(shown))
  down = -(-len(shown) // across)
  figure = Figure(figsize=(3.8 * across, 2.6 * down + 0.5), dpi=110, layout='constrained')
  canvas = FigureCanvasAgg(figure)
  for index, (key, heading, *_) in enumerate(shown):
    axes = figure.add_subplot(down, across, index + 1)
    panel(axes, {name: row['curves'][key] for name, row in drawn.items() if key in row['curves']},
          {name: f'C{k}' for k, name in enumerate(drawn)}, text.SCALE.get(key, 1))
    axes.set_title(heading, fontsize=9, loc='left')
  handles = {line.get_label(): line for axes in figure.axes for line in axes.get_lines()}
  figure.legend(handles.values(), handles.keys(), loc='outside upper left', fontsize=8,
                ncols=min(4, len(handles)), frameon=False)
  canvas.draw()
  return np.asarray(canvas.buffer_rgba())[..., :3]


def panel(axes, lines, colors, scale):
  """The lines of one score."""
  for name, (steps, values) in lines.items():
    axes.plot(steps, scale * values.mean(0), color=colors[name], label=name, linewidth=1.5)
    if len(values) > 1:
      axes.fill_between(steps, scale * values.min(0), scale * values.max(0), alpha=0.15,
                        color=colors[name], linewidth=0)
  axes.tick_params(labelsize=7, length=2)
  axes.set_xlabel('steps', fontsize=7)
  axes.spines[['top', 'right']].set_visible(False)
  axes.locator_params(nbins=4)


# ---- the page ---------------------------------------------------------------------------------


def page(table, drawn):
  """The table, the frames and the curves as one HTML file that needs no other."""
  parts = ['<h1>Comparison</h1>', f'<p class=sub>{html.escape(tables.caption(table))}</p>',
           f'<div class=card>{html_table(table)}</div>',
           *(f'<p class=note>{html.escape(line)}</p>' for line in tables.footnotes(table)),
           *(f'<p class=note><b>{html.escape(heading)}</b> {html.escape(words)}</p>'
             for _, heading, _, _, words in tables.columns(table))]
  if drawn:
    parts += ['<h2>The same test frames</h2>', figure_of(
        sheet(drawn), 'Moments of the first test clips, by the first seed of each row')]
  plotted = plot(drawn)
  if plotted is not None:
    parts += ['<h2>Scores against steps</h2>', figure_of(
        plotted, 'Mean over seeds; the band reaches from the lowest to the highest seed')]
  given = ''.join(f'<dt>{html.escape(row["name"])}</dt><dd>'
                  f'{html.escape(" ".join(row["arguments"] or [row["runs"][0]["workdir"]]))}</dd>'
                  for row in table['rows'])
  parts += ['<h2>How each row was made</h2>', f'<div class=card><dl>{given}</dl></div>']
  return (f'<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport '
          f'content="width=device-width"><title>Comparison</title><style>{reporting.STYLE}{STYLE}'
          f'</style><main>{"".join(parts)}</main></html>\n')


def html_table(table):
  """The table with which way is better under each heading."""
  ways = [way for _, _, _, way, _ in tables.columns(table)]
  heads, lines = tables.grid(table)
  ways = ['', *ways, '', '', '']
  head = ''.join(f'<th>{html.escape(text)}<span class=way>{way}</span></th>'
                 for text, way in zip(heads, ways, strict=True))
  body = ''
  for index, line in enumerate(lines):
    kind = '' if index < len(table['rows']) else ' class=other'
    cells = ''.join(f'<td>{html.escape(text)}</td>' for text in line)
    body += f'<tr{kind}>{cells}</tr>'
  return f'<table><tr>{head}</tr>{body}</table>'


def figure_of(image, words):
  """A picture with its caption, inside the page."""
  return (f'<div class=card><figure><img src="{inline.inline_png(image)}" '
          f'width="{image.shape[1]}" alt="{html.escape(words)}"><figcaption>{html.escape(words)}'
          f'</figcaption></figure></div>')

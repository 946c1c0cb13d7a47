"""The page of `compare`: table, frames of every row, score curves."""

from __future__ import annotations

import contextlib
import itertools

import jax
import numpy as np

from i2vjax import evaluate
from i2vjax.compare import experiments, tables
from i2vjax.compare.experiments import RunSpec
from i2vjax.core import files, npz
from i2vjax.evaluation import baselines, eval_clips, plan
from i2vjax.evaluation.report import figures as report_figures
from i2vjax.evaluation.report import html_parts, text
from i2vjax.evaluation.report.html_parts import escape
from i2vjax.interop import export
from i2vjax.run import contact_sheet, load, training_curves
from i2vjax.run.training_curves import plain

CLIPS_SHOWN = 4   # test clips with a picture
FRAMES_BEFORE = 8   # frames of a clip translated before the one shown, for methods with a memory
MIN_WIDTH, MAX_WIDTH = 128, 256   # pixels of a picture on the page
PANELS_ACROSS = 3   # of the plot of scores

STYLE = """
main { max-width: 1280px; }
td, th { white-space: nowrap; }
tr.other td { color: var(--faint); }
"""


# ---- frames -----------------------------------------------------------------------------------


def draw(items: list[RunSpec], results: dict) -> dict[str, dict]:
  """Pictures, size and curves of each row; pictures by its first run that is done.

  Args:
    items: the runs of the table.
    results: {(row, seed): outcome}.

  Returns:
    {row: {'parameters': int or None, 'pictures': {'titles': list of text; 'source', 'translated'
    and, where known, 'target': lists of [H, W, C] uint8}, 'curves': see `curves`}}.
  """
  drawn = {}
  for item in items:
    done = results[item.row, item.seed]['state'] == 'done'
    if done and item.row not in drawn:
      parameters, pictures = cached_pictures(item)
      workdirs = [other.workdir for other in items if other.row == item.row]
      drawn[item.row] = {'parameters': parameters, 'pictures': pictures,
                         'curves': curves(workdirs)}
  order = list(dict.fromkeys(item.row for item in items))
  return {row: drawn[row] for row in sorted(drawn, key=order.index)}


def cached_pictures(item: RunSpec) -> tuple[int | None, dict]:
  """(parameters, pictures) of a run, made once and stored beside its scores."""
  path, stamp = item.report / 'frames.npz', f'{evaluate.config_hash(item.config)} {item.total}'
  with contextlib.suppress(npz.Damaged, FileNotFoundError):   # then they are made anew
    arrays = npz.read(path)
    if str(arrays.get('stamp')) == stamp:
      return int(arrays['parameters']) or None, unpack(arrays)
  run = load.load(item.workdir, str(item.total), experiments.scored_config(item))
  parameters, pictures = size_of(run), frames(run)
  jax.clear_caches()   # the programs of every row would stay in memory
  arrays = pack(pictures)
  files.save_atomic(path, lambda temporary: np.savez_compressed(
      temporary, stamp=stamp, parameters=parameters or 0, **arrays))
  return parameters, pictures


def pack(pictures: dict[str, list]) -> dict[str, np.ndarray]:
  """Lists as arrays named 'kind 000'; clips may differ in size, so nothing is stacked."""
  arrays = {}
  for kind, values in pictures.items():
    for k, value in enumerate(values):
      arrays[f'{kind} {k:03d}'] = value
  return arrays


def unpack(arrays: dict[str, np.ndarray]) -> dict[str, list]:
  """The lists that `pack` was given; other names are passed over."""
  pictures = {}
  for name in sorted(arrays):
    kind, _, number = name.partition(' ')
    if number:
      pictures.setdefault(kind, []).append(arrays[name])
  return pictures


def size_of(run: load.Run) -> int | None:
  """Parameters of the network that translates, or None where no single one does."""
  for name in export.TRANSLATORS:
    if name in run.params:
      return sum(int(x.size) for x in jax.tree.leaves(run.params[name]))
  return None


def frames(run: load.Run) -> dict[str, list]:
  """A moment of each of the first test clips: the source, its translation, the true frame.

  A method with a memory has seen the `FRAMES_BEFORE` frames before it.
  """
  config = run.config.copy_and_resolve_references()
  config.eval.quantize = True
  translate = baselines.translated(run.with_config(config))
  paired = plan.of_run(config, quick=True).paired
  pictures = {'titles': [], 'source': [], 'translated': [], 'target': []}
  test_clips = eval_clips.of_run(config, paired, quantize=True, with_motion=False)
  for clip in itertools.islice(test_clips, CLIPS_SHOWN):
    t = clip.length // 2
    lead = clip.source[max(0, t - FRAMES_BEFORE):t + 1]
    translated = translate(eval_clips.EvalClip(clip.name, lead, clip.value_range))
    pictures['titles'].append(f'{clip.name}, frame {t}')
    pictures['source'].append(clip.shown[t])
    pictures['translated'].append(translated[-1])
    if clip.target is not None:
      pictures['target'].append(clip.target[t])
  return {kind: values for kind, values in pictures.items() if values}


def sheet(drawn: dict[str, dict]) -> np.ndarray:
  """[H, W, 3]: the input, every row, the true frames."""
  first = next(iter(drawn.values()))['pictures']
  rows = {text.LABELS['source']: first['source']}
  for name, entry in drawn.items():
    rows[name] = entry['pictures']['translated']
  if 'target' in first:
    rows[text.LABELS['target']] = first['target']
  height, width = first['source'][0].shape[:2]
  cell_width = min(max(width, MIN_WIDTH), MAX_WIDTH)
  cell = round(height * cell_width / width), cell_width
  return contact_sheet.contact_sheet(rows, columns=[str(title) for title in first['titles']],
                                     cell=cell)


# ---- scores against steps ---------------------------------------------------------------------


def curves(workdirs: list) -> dict[str, tuple[list[int], np.ndarray]]:
  """{score: (steps, values [runs, steps])} of what `eval.every` logged at steps all runs have."""
  logs = [_logged_scores(workdir) for workdir in workdirs]
  logs = [log for log in logs if log]
  shared = {}
  for name in logs[0] if logs else ():
    runs = [log.get(name, {}) for log in logs]
    steps = sorted(set.intersection(*map(set, runs)))
    if len(steps) > 1:
      values = [np.array([value_at[step] for step in steps]) for value_at in runs]
      shared[name] = steps, np.stack(values)
  return shared


def _logged_scores(workdir):
  """{score: {step: value}} of a run's log."""
  scores = {}
  for name, points in training_curves.read_curves(workdir / 'metrics.jsonl').items():
    if name.startswith('eval/'):
      scores[name.removeprefix('eval/')] = dict(zip(*points, strict=True))
  return scores


def plot(drawn: dict[str, dict]) -> np.ndarray | None:
  """A panel for each score, a line for each row (mean over seeds, band: lowest to highest).

  Returns:
    [H, W, 3] uint8, or None where no row was scored while it trained.
  """
  lines = {}   # {score: {row: (steps, values [runs, steps])}}
  for row, entry in drawn.items():
    for name, curve in entry['curves'].items():
      lines.setdefault(name, {})[row] = curve
  return plot_panels([(column, 'steps', lines[column.key]) for column in text.COLUMNS
                      if column.key in lines], list(drawn))


def plot_panels(panels: list[tuple], rows: list[str]) -> np.ndarray | None:
  """[H, W, 3] uint8 of panels, None where there is none.

  Args:
    panels: (text.Column, name of the axis, {row: (at [N], values [runs, N])}) each.
    rows: names of all rows, which keep their colors.
  """
  from matplotlib.backends.backend_agg import FigureCanvasAgg
  from matplotlib.figure import Figure
  if not panels:
    return None
  across = min(PANELS_ACROSS, len(panels))
  down = -(-len(panels) // across)
  figure = Figure(figsize=(3.8 * across, 2.6 * down + 0.5), dpi=110, layout='constrained')
  canvas = FigureCanvasAgg(figure)
  colors = {name: f'C{k}' for k, name in enumerate(rows)}
  for index, (column, axis, lines) in enumerate(panels):
    axes = figure.add_subplot(down, across, index + 1)
    plot_lines(axes, lines, colors, column.scale)
    axes.set_xlabel(plain(axis), fontsize=7)
    axes.set_title(plain(column.heading), fontsize=9, loc='left')
  handles = {line.get_label(): line for axes in figure.axes for line in axes.get_lines()}
  figure.legend(handles.values(), handles.keys(), loc='outside upper left', fontsize=8,
                ncols=min(4, len(handles)), frameon=False)
  canvas.draw()
  return np.asarray(canvas.buffer_rgba())[..., :3]


def plot_lines(axes, lines: dict, colors: dict[str, str], scale: int) -> None:
  """The lines of one score."""
  for name, (at, values) in lines.items():
    marker = 'o' if len(at) <= report_figures.MARKED else None
    axes.plot(at, scale * values.mean(0), color=colors[name], label=plain(name), linewidth=1.5,
              marker=marker, markersize=3)
    if len(values) > 1:
      axes.fill_between(at, scale * values.min(0), scale * values.max(0), alpha=0.15,
                        color=colors[name], linewidth=0)
  axes.tick_params(labelsize=7, length=2)
  axes.spines[['top', 'right']].set_visible(False)
  axes.locator_params(nbins=4)


def scored_panels(table: dict) -> list[tuple]:
  """Panels of the curves that scoring gave: APCE over thresholds, FID over epochs.

  A row's line has the points that all its runs have.
  """
  lines, axes = {}, {}
  for row in table['rows']:
    curves = [run['curves'] for run in row['runs'] if run['state'] == 'done']
    for name in set.intersection(*map(set, curves)) if curves else ():
      points = [dict(zip(curve[name]['at'], curve[name]['rows']['translated'], strict=True))
                for curve in curves]
      at = sorted(set.intersection(*map(set, points)))
      values = np.array([[point[x] for x in at] for point in points], float)
      lines.setdefault(name, {})[row['name']] = at, values
      axes[name] = curves[0][name]['axis']
  columns = {name: text.columns([{name: 0.0}])[0] for name in lines}
  order = [column.key for column in text.columns([dict.fromkeys(lines, 0.0)])]
  return [(columns[name], axes[name], lines[name]) for name in order]


# ---- the page ---------------------------------------------------------------------------------


def page(table: dict, drawn: dict[str, dict]) -> str:
  """The table, the frames and the curves as one HTML file that needs no other.

  Args:
    table: from `tables.build`.
    drawn: from `draw`.
  """
  parts = ['<h1>Comparison</h1>', f'<p class=sub>{escape(tables.caption(table))}</p>',
           html_parts.card(html_table(table))]
  parts += [f'<p class=note>{escape(line)}</p>' for line in tables.footnotes(table)]
  parts += [html_parts.note(column.heading, column.explanation)
            for column in tables.columns(table)]
  if drawn:
    caption = 'Moments of the first test clips, by the first seed of each row'
    parts += ['<h2>The same test frames</h2>',
              html_parts.card(html_parts.figure(sheet(drawn), caption))]
  plotted = plot(drawn)
  if plotted is not None:
    caption = 'Mean over seeds; the band reaches from the lowest to the highest seed'
    parts += ['<h2>Scores against steps</h2>', html_parts.card(html_parts.figure(plotted, caption))]
  scored = plot_panels(scored_panels(table), [row['name'] for row in table['rows']])
  if scored is not None:
    parts += ['<h2>Curves</h2>', html_parts.card(html_parts.figure(
        scored, 'Of the scored frames; mean over seeds, the band from the lowest to the highest'))]
  sources = {row['name']: ' '.join(row['arguments'] or [row['runs'][0]['workdir']])
             for row in table['rows']}
  parts += ['<h2>How each row was made</h2>', html_parts.card(html_parts.definitions(sources))]
  return html_parts.skeleton('Comparison', parts, STYLE)


def html_table(table: dict) -> str:
  """The table with which way is better under each heading."""
  headings, lines = tables.grid(table)
  better = ['', *(column.better for column in tables.columns(table)), '', '', '']
  head = ''.join(map(html_parts.heading_cell, headings, better))
  body = ''
  for index, line in enumerate(lines):
    kind = '' if index < len(table['rows']) else ' class=other'
    cells = ''.join(f'<td>{escape(cell)}</td>' for cell in line)
    body += f'<tr{kind}>{cells}</tr>'
  return f'<table><tr>{head}</tr>{body}</table>'

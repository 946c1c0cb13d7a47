"""Training curves of a metrics.jsonl, read and plotted."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

HIDDEN = ('seconds_per_step', 'input_wait')   # logged, but not worth a panel
MOST_PANELS = 60
LONGEST = 60       # letters of a name in a plot
LARGEST = 1e300   # of numbers in a log that can be drawn
LINE_COLOR = '#0f766e'

Curves = Mapping[str, tuple[Sequence[int], Sequence[float]]]   # {term: (steps, values)}


def read_curves(path: str | os.PathLike[str]) -> dict[str, tuple[list[int], list[float]]]:
  """{term: (steps, values)} of a metrics.jsonl; {} where there is none.

  Lines that cannot be read are passed over: the last one may be half written, if its process was
  killed.
  """
  curves: dict[str, tuple[list[int], list[float]]] = {}
  for _, entry in entries(path):
    for name, value in entry.items():
      if name != 'step' and isinstance(value, int | float) and not abs(value) >= LARGEST:
        steps, values = curves.setdefault(name, ([], []))
        steps.append(entry['step'])
        values.append(float(value))
  return curves


def entries(path: str | os.PathLike[str]) -> Iterator[tuple[str, dict]]:
  """(line, its content) of all whole lines of a metrics.jsonl; none where there is no file."""
  path = Path(path)
  if not path.is_file():
    return
  for line in path.read_text('utf-8', 'replace').splitlines():
    try:
      entry = json.loads(line)
    except (ValueError, RecursionError):
      continue
    if isinstance(entry, dict) and type(entry.get('step')) is int and abs(entry['step']) < LARGEST:
      yield line, entry


def terms(curves: Curves) -> list[str]:
  """The terms that have a panel, in order."""
  names = [name for name in curves if name not in HIDDEN]
  return sorted(names, key=lambda name: (name in ('lr', 'frames_per_second'), name))[:MOST_PANELS]


def plain(text: str) -> str:
  """A text that Matplotlib shows as it is.

  Two dollars would make a formula of it, or an error; a line whose name begins with _ is left out
  of legends.
  """
  text = (text if len(text) <= LONGEST else f'{text[:LONGEST - 3]}...').replace('$', r'\$')
  return f' {text}' if text.startswith('_') else text


def plot_curves(curves: Curves) -> np.ndarray:
  """One panel for each of the `terms`, of which there must be one: logged values faint, their
  running mean strong; [H, W, 3] uint8."""
  from matplotlib.backends.backend_agg import FigureCanvasAgg
  from matplotlib.figure import Figure
  names = terms(curves)
  columns = min(4, len(names))
  rows = -(-len(names) // columns)
  figure = Figure(figsize=(2.9 * columns, 1.9 * rows), dpi=110, layout='constrained')
  canvas = FigureCanvasAgg(figure)
  for index, name in enumerate(names):
    axes = figure.add_subplot(rows, columns, index + 1)
    steps, values = curves[name]
    axes.plot(steps, values, color=LINE_COLOR, alpha=0.25, linewidth=1)
    axes.plot(steps, running_mean(values), color=LINE_COLOR, linewidth=1.5)
    axes.set_title(plain(name), fontsize=9, loc='left', color='#18181b')
    axes.tick_params(labelsize=7, length=2, colors='#71717a')
    axes.spines[['top', 'right']].set_visible(False)
    axes.spines[['left', 'bottom']].set_color('#d4d4d8')
    axes.locator_params(nbins=4)
  canvas.draw()
  return np.asarray(canvas.buffer_rgba())[..., :3]


def running_mean(values: Sequence[float], share: float = 0.05) -> list[float]:
  """Exponential mean over about `share` of the curve, started without bias; NaN stays NaN."""
  decay = 1 - 1 / max(1, share * len(values))
  total = weight = 0.0
  smooth = []
  for value in values:
    total, weight = decay * total + value, decay * weight + 1
    smooth.append(total / weight)
  return smooth

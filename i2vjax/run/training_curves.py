"""Training curves of a metrics.jsonl, read and plotted."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

HIDDEN = ('seconds_per_step', 'input_wait')   # logged, but not worth a panel
LINE_COLOR = '#0f766e'

Curves = Mapping[str, tuple[Sequence[int], Sequence[float]]]   # {term: (steps, values)}


def read_curves(path: str | os.PathLike[str]) -> dict[str, tuple[list[int], list[float]]]:
  """{term: (steps, values)} of a metrics.jsonl; {} where there is none."""
  path = Path(path)
  if not path.is_file():
    return {}
  curves: dict[str, tuple[list[int], list[float]]] = {}
  for line in path.read_text().splitlines():
    entry = json.loads(line)
    for name, value in entry.items():
      if name != 'step' and isinstance(value, (int, float)):
        steps, values = curves.setdefault(name, ([], []))
        steps.append(entry['step'])
        values.append(value)
  return curves


def plot_curves(curves: Curves) -> np.ndarray:
  """One panel for each term: logged values faint, their running mean strong; [H, W, 3] uint8."""
  from matplotlib.backends.backend_agg import FigureCanvasAgg
  from matplotlib.figure import Figure
  names = sorted((name for name in curves if name not in HIDDEN),
                 key=lambda name: (name in ('lr', 'frames_per_second'), name))
  columns = min(4, len(names))
  rows = -(-len(names) // columns)
  figure = Figure(figsize=(2.9 * columns, 1.9 * rows), dpi=110, layout='constrained')
  canvas = FigureCanvasAgg(figure)
  for index, name in enumerate(names):
    axes = figure.add_subplot(rows, columns, index + 1)
    steps, values = curves[name]
    axes.plot(steps, values, color=LINE_COLOR, alpha=0.25, linewidth=1)
    axes.plot(steps, running_mean(values), color=LINE_COLOR, linewidth=1.5)
    axes.set_title(name, fontsize=9, loc='left', color='#18181b')
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

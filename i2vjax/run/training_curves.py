"""Training curves from metrics.jsonl."""

import json
from pathlib import Path

import numpy as np

# ---- curves -----------------------------------------------------------------------------------

HIDDEN = ('seconds_per_step', 'input_wait')   # logged, but not worth a panel
LINE = '#0f766e'


def read_curves(path):
  """{term: (steps, values)} of a metrics.jsonl; {} where there is none."""
  path = Path(path)
  if not path.is_file():
    return {}
  curves = {}
  for line in path.read_text().splitlines():
    entry = json.loads(line)
    for name, value in entry.items():
      if name != 'step' and isinstance(value, (int, float)):
        steps, values = curves.setdefault(name, ([], []))
        steps.append(entry['step'])
        values.append(value)
  return curves


def plot_curves(curves):
  """Small panels, one a term: every logged value faint, a running mean strong; [H, W, 3] uint8."""
  from matplotlib.backends.backend_agg import FigureCanvasAgg
  from matplotlib.figure import Figure
  names = sorted((name for name in curves if name not in HIDDEN),
                 key=lambda name: (name in ('lr', 'frames_per_second'), name))
  across = min(4, len(names))
  down = -(-len(names) // across)
  figure = Figure(figsize=(2.9 * across, 1.9 * down), dpi=110, layout='constrained')
  canvas = FigureCanvasAgg(figure)
  for index, name in enumerate(names):
    axes = figure.add_subplot(down, across, index + 1)
    steps, values = curves[name]
    axes.plot(steps, values, color=LINE, alpha=0.25, linewidth=1)
    axes.plot(steps, running_mean(values), color=LINE, linewidth=1.5)
    axes.set_title(name, fontsize=9, loc='left', color='#18181b')
    axes.tick_params(labelsize=7, length=2, colors='#71717a')
    axes.spines[['top', 'right']].set_visible(False)
    axes.spines[['left', 'bottom']].set_color('#d4d4d8')
    axes.locator_params(nbins=4)
  canvas.draw()
  return np.asarray(canvas.buffer_rgba())[..., :3]


def running_mean(values, share=0.05):
  """Exponential mean over about `share` of the curve, started without bias; NaN stays NaN."""
  keep_share = 1 - 1 / max(1, share * len(values))
  total = weight = 0.0
  smooth = []
  for value in values:
    total, weight = keep_share * total + value, keep_share * weight + 1
    smooth.append(total / weight)
  return smooth

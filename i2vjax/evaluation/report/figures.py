"""Previews of scored clips, the picture sheets made of them, and curves."""

from __future__ import annotations

import pathlib
import tempfile

import numpy as np

from i2vjax.core import files
from i2vjax.data.io.video_writer import VideoWriter
from i2vjax.evaluation.report import text
from i2vjax.run import contact_sheet, training_curves

MOMENTS, SHOWN = 4, 8            # frames shown of a clip; clips with pictures
WORST, WORST_OF_CLIP = 6, 2      # worst frames; at most so many of one clip
MIN_WIDTH, MAX_WIDTH = 176, 256  # pixels of a picture on the page
MARKED = 20                      # points of a curve up to which each is marked
VIDEO_FRAMES, VIDEO_RATE, VIDEO_QUALITY = 75, 15, 28   # of a clip's video; see VideoWriter


# ---- previews ---------------------------------------------------------------------------------


def clip_preview(name: str, rows: dict[str, np.ndarray], series: dict, moving: bool = True) -> dict:
  """All that the page shows of one clip; the frames themselves are not kept.

  Args:
    name: of the clip.
    rows: {label: [T, H, W, C] uint8}, in the order of the page.
    series: {'psnr': [T], 'ssim': [T], 'warping': [T-1]} of the run, as far as computed.
    moving: make a video of it too.

  Returns:
    {'name', 'times', 'rows': {label: frames at those times}, 'slices': {label: [T, W, C] the middle
    row of every frame}, 'worst': [(badness, clip, t, {label: frame})], 'video': the bytes of an
    .mp4 file, empty for a single frame}.
  """
  length = len(next(iter(rows.values())))
  times = np.unique(np.linspace(0, length - 1, MOMENTS).astype(int))
  return {'name': name, 'times': times.tolist(),
          'rows': {label: frames[times] for label, frames in rows.items()},
          'slices': {label: frames[:, frames.shape[1] // 2].copy()   # a view would keep the clip
                     for label, frames in rows.items()},
          'worst': _worst(name, rows, series),
          'video': video(rows) if moving and length > 1 else b''}


def _worst(name, rows, series):
  """The clip's two worst frames: lowest PSNR, or highest warping error without target.

  Nothing is worse than a frame without numbers.
  """
  if 'psnr' in series:
    badness = -np.asarray(series['psnr'])
  elif 'warping' in series:
    badness = np.asarray(series['warping'])
  else:
    return []
  badness = np.where(np.isnan(badness), np.inf, badness)   # NaN would come last, in any order
  worst = []
  for t in np.argsort(-badness)[:WORST_OF_CLIP]:
    frames_at_t = {label: frames[t].copy() for label, frames in rows.items()}
    worst.append((float(badness[t]), name, int(t), frames_at_t))
  return worst


def add_preview(previews: list[dict], new: dict) -> list[dict]:
  """The list with a clip's preview, of bounded size.

  Only the first `SHOWN` clips stay. The worst frames of all clips, also of those that go, are with
  the first preview.
  """
  previews = [*previews, new]
  worst = []
  for preview in previews:
    worst += preview['worst']
    preview['worst'] = []
  previews[0]['worst'] = sorted(worst, key=lambda entry: -entry[0])[:WORST]
  return previews[:SHOWN]


# ---- curves -----------------------------------------------------------------------------------


def plot_curve(curve: dict, heading: str, scale: float = 1) -> np.ndarray:
  """A score along its axis, a line for each row; [H, W, 3] uint8.

  Args:
    curve: an entry of scores.json's 'curves'; None in it is no number and leaves a gap.
    heading: of the score. scale: factor of what is shown.
  """
  from matplotlib.backends.backend_agg import FigureCanvasAgg
  from matplotlib.figure import Figure
  figure = Figure(figsize=(6, 3.2), dpi=110, layout='constrained')
  canvas, axes = FigureCanvasAgg(figure), figure.add_subplot()
  marker = 'o' if len(curve['at']) <= MARKED else None
  for label, values in curve['rows'].items():
    own = {'color': training_curves.LINE_COLOR, 'linewidth': 2} if label == 'translated' else {}
    axes.plot(curve['at'], scale * np.array(values, float),
              label=training_curves.plain(text.LABELS.get(label, label)),
              **{'linewidth': 1, 'marker': marker, 'markersize': 4, **own})
  axes.set_xlabel(training_curves.plain(curve['axis']), fontsize=8)
  axes.set_title(training_curves.plain(heading), fontsize=9, loc='left')
  axes.tick_params(labelsize=7, length=2)
  axes.spines[['top', 'right']].set_visible(False)
  axes.legend(fontsize=7, frameon=False)
  canvas.draw()
  return np.asarray(canvas.buffer_rgba())[..., :3]


# ---- pictures ---------------------------------------------------------------------------------


def _cell(rows):
  """(height, width) of a picture on the page."""
  height, width = next(iter(rows.values()))[0].shape[:2]
  factor = min(max(MIN_WIDTH / width, 1), MAX_WIDTH / width)
  return round(height * factor), round(width * factor)


def video(rows: dict[str, np.ndarray]) -> bytes:
  """The first frames of all rows side by side, as the bytes of an .mp4 file.

  Raises:
    OSError: the disk of temporary files is full.
  """
  height, width = _cell(rows)
  size = height + height % 2, width + width % 2   # what H.264 takes
  with files.temporary_room(), tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder) / 'clip.mp4'
    with VideoWriter(path, VIDEO_RATE, VIDEO_QUALITY) as writer:
      for frames in zip(*(frames[:VIDEO_FRAMES] for frames in rows.values()), strict=True):
        writer.write(np.concatenate([contact_sheet.fit(frame, *size) for frame in frames], axis=1))
    return path.read_bytes()


def clip_sheet(preview: dict) -> np.ndarray:
  """Rows: source, translation, target ...; columns: moments."""
  rows = {text.LABELS.get(label, label): frames for label, frames in preview['rows'].items()}
  return contact_sheet.contact_sheet(rows, columns=[f'frame {t}' for t in preview['times']],
                                     cell=_cell(rows))


def slice_sheet(preview: dict) -> np.ndarray:
  """One line of every frame, time running down: flicker shows as stripes across."""
  rows = {text.LABELS.get(label, label): [lines] for label, lines in preview['slices'].items()}
  length = len(next(iter(rows.values()))[0])
  cell = max(72, min(5 * length, 240)), MAX_WIDTH
  return contact_sheet.contact_sheet(rows, cell=cell, stretch=True)


def worst_sheet(worst: list[tuple]) -> np.ndarray:
  """The worst frames beside their source and target; `worst` as in a preview."""
  labels = list(worst[0][3])
  rows = {}
  for label in labels:
    rows[text.LABELS.get(label, label)] = [frames[label] for _, _, _, frames in worst]
  titles = [f'{name}, {t}' for _, name, t, _ in worst]
  return contact_sheet.contact_sheet(rows, columns=titles, cell=_cell(rows))

"""What an evaluation keeps of the frames it has seen, and the pictures the page shows of it."""

import pathlib
import tempfile

import numpy as np

from i2vjax.data.io.video_writer import VideoWriter
from i2vjax.evaluation.report import text
from i2vjax.run import contact_sheet

ACROSS, SHOWN = 4, 8             # frames of a clip; clips with pictures
WORST, OF_ONE = 6, 2             # worst frames; at most so many of one clip
LOW, HIGH = 176, 256             # pixels: narrowest and widest picture on the page
MOVING, RATE, QUALITY = 75, 15, 28   # frames of a clip's video, frames a second, see VideoWriter


# ---- what is kept of the frames ---------------------------------------------------------------


def sketch(name, rows, series, moving=True):
  """What the page shows of one clip.

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
  times = np.unique(np.linspace(0, length - 1, ACROSS).astype(int))
  return {'name': name, 'times': times.tolist(),
          'rows': {label: frames[times] for label, frames in rows.items()},
          'slices': {label: frames[:, frames.shape[1] // 2].copy()   # a view would keep the clip
                     for label, frames in rows.items()},
          'worst': _worst(name, rows, series),
          'video': video(rows) if moving and length > 1 else b''}


def _worst(name, rows, series):
  """The clip's two worst frames: lowest PSNR, or highest warping error without target."""
  if 'psnr' in series:
    badness = -np.asarray(series['psnr'])
  elif 'warping' in series:
    badness = np.asarray(series['warping'])
  else:
    return []
  return [(float(badness[t]), name, int(t),
           {label: frames[t].copy() for label, frames in rows.items()})
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


# ---- as pictures ---------------------------------------------------------------------------------


def _cell(rows):
  """(height, width) of a picture on the page."""
  height, width = next(iter(rows.values()))[0].shape[:2]
  factor = min(max(LOW / width, 1), HIGH / width) if width < LOW else min(1, HIGH / width)
  return round(height * factor), round(width * factor)


def video(rows):
  """The first frames of all rows side by side, as the bytes of an .mp4 file."""
  height, width = _cell(rows)
  size = height + height % 2, width + width % 2   # what H.264 takes
  with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder) / 'clip.mp4'
    with VideoWriter(path, RATE, QUALITY) as writer:
      for frames in zip(*(frames[:MOVING] for frames in rows.values()), strict=True):
        writer.write(np.concatenate([contact_sheet.fit(frame, *size) for frame in frames], axis=1))
    return path.read_bytes()


def clip_sheet(sketch):
  """Rows: source, translation, target ...; columns: moments."""
  rows = {text.LABELS.get(label, label): frames for label, frames in sketch['rows'].items()}
  return contact_sheet.contact_sheet(rows, columns=[f'frame {t}' for t in sketch['times']],
                              cell=_cell(rows))


def slice_sheet(sketch):
  """One line of every frame, time running down: flicker shows as stripes across."""
  rows = {text.LABELS.get(label, label): [lines] for label, lines in sketch['slices'].items()}
  length = len(next(iter(rows.values()))[0])
  cell = max(72, min(5 * length, 240)), HIGH
  return contact_sheet.contact_sheet(rows, cell=cell, stretch=True)


def worst_sheet(worst):
  """The worst frames beside their source and target."""
  labels = list(worst[0][3])
  rows = {text.LABELS.get(label, label): [entry[3][label] for entry in worst] for label in labels}
  titles = [f'{name}, {t}' for _, name, t, _ in worst]
  return contact_sheet.contact_sheet(rows, columns=titles, cell=_cell(rows))

"""Scores as text: headings, numbers, a terminal table, plain sentences."""

from __future__ import annotations

import collections
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from i2vjax.metrics import score_names


class Column(NamedTuple):
  """How a score is shown; scores without a column are in scores.json alone.

  Attributes:
    key: its name in scores.json; for a name with a qualifier its base (`metrics/score_names.py`).
    heading: with the unit.
    digits: after the point.
    better: which way is better.
    explanation: what it says, in a sentence or two.
    scale: factor of the numbers that are shown, which the heading must name.
    paper: shown where `eval.paper_scale` asks for the scale of a paper.
  """

  key: str
  heading: str
  digits: int
  better: str
  explanation: str
  scale: int = 1
  paper: bool = False


COLUMNS = (   # in the order of the table
    Column('psnr', 'PSNR (dB)', 2, 'higher',
           'Distance to the true frame, pixel by pixel. Mean over all frames.'),
    Column('ssim', 'SSIM', 4, 'higher', 'Likeness of structure to the true frame; 1 is identical.'),
    Column('lpips', 'LPIPS', 4, 'lower',
           'Distance to the true frame as people see it, in the features of a frozen '
           'network.'),
    Column('lpips_temporal', 'LPIPS, frame to frame', 4, 'near the source',
           'The same distance between each frame and the next: what moves, flickers or '
           'changes. A frozen clip has 0; read it beside that of the input.'),
    Column('warping_mse', 'warping error ×1000', 3, 'lower',
           'How much a surface changes its color from frame to frame once its motion is '
           'taken out (mean square, 0 to 1000). The motion comes from the source, so blur '
           'does not help. A frozen or plain picture has none: read it beside PSNR and '
           'SSIM.', scale=1000),
    Column('warping_euclidean', 'warping error (color distance)', 4, 'lower',
           'How far the color of a surface moves from frame to frame once its motion is '
           'taken out.'),
    Column('flicker_ratio', 'flicker / source', 3, 'near the true frames\'',
           'Change of brightness from frame to frame, divided by that of the source. Far below 1: '
           'it has lost motion or detail. Daylight shows more texture than infrared: true frames '
           'may well have 2.'),
    Column('flicker_true_ratio', 'flicker / true', 3, 'near 1',
           'The same, divided by that of the true frames. Above 1: the translation adds unrest.'),
    Column('brightness_jitter', 'brightness jitter ×1000', 3, 'lower',
           'Trembling of the overall brightness (0 for steady or evenly changing light).',
           scale=1000),
    Column('sharpness_ratio', 'sharpness / true', 3, 'near 1',
           'Mean gradient of the frames, divided by that of the true ones. Below 1: blurred; above '
           '1: noise or stripes.'),
    Column('fid', 'FID', 2, 'lower',
           'Distance of all frames together to real ones, in the features of the '
           'Inception network. Comparable between equal numbers of frames prepared alike.'),
    Column('fid_div100', 'FID / 100', 4, 'lower',
           'FID in what must be the scale of tables of I2V-GAN, ROMA and CPTrans (their authors '
           'do not say).', paper=True),
    Column('kid_mean', 'KID', 5, 'lower',
           'The same by a kernel of degree 3, unbiased; may be below 0.'),
    Column('kid_street', 'KID, street', 5, 'lower',
           'KID in the features of the segmentation network of the built-in street.'),
    Column('kid21_mean', 'KID, degree 21', 5, 'lower',
           'The kernel that CPTrans names, as it is: the factor of its table is not known.'),
    Column('miou', 'mIoU', 4, 'higher',
           'What a segmentation network finds in the frames against the true classes: '
           'mean over classes of overlap / union.'),
    Column('miou_small', 'mIoU, small classes', 4, 'higher',
           'The same over traffic sign, person, motorcycle, truck and bus.'),
    Column('fwiou', 'fwIoU', 4, 'higher', 'The same, each class weighed by its pixels.'),
    Column('pixel_accuracy', 'pixel accuracy', 4, 'higher', 'Share of pixels of the right class.'),
    Column('ap50', 'AP at IoU 0.5', 4, 'higher', 'What a detector finds: mean over classes.'),
    Column('davis_j', 'J', 4, 'higher', 'Overlap of the mask with the true one, per frame.'),
    Column('davis_f', 'F', 4, 'higher', 'Agreement of the outlines.'),
    Column('davis_t', 'T', 4, 'lower',
           'How much the outline of the mask changes from frame to frame.'),
    Column('apce', 'APCE', 4, 'higher',
           'Share of the edges of the source found at the same pixels.'),
)
LABELS = {'translated': 'the translation', 'source': 'the input itself',
          'constant': 'best single color', 'untrained': 'untrained network',
          'ceiling': 'mean color per class', 'target': 'true frame'}
ROW_NOTES = {
    'source': 'what you score by doing nothing',
    'constant': 'one color everywhere, chosen with the test frames in sight',
    'untrained': 'the same networks with fresh weights',
    'ceiling': 'every pixel in the mean training color of its true class: heat does not tell '
               'colors apart, so a run near this is about as good as it gets',
}
WEIGHTS = {'ema': 'averages of weights over training (ema)',   # protocol['weights']
           'raw': 'weights of the last step (raw)'}


def scale_of(name: str) -> int:
  """The factor by which a score is multiplied when it is shown."""
  base = score_names.parse(name).base
  return next((column.scale for column in COLUMNS if column.key == base), 1)


def number(scores: dict[str, float], name: str, digits: int) -> str:
  """A score as text, in the unit of its heading; a dash where it is missing."""
  value = scores.get(name)
  if value is None:
    return '–'
  if not np.isfinite(value):
    return str(value)
  return f'{value * scale_of(name):.{digits}f}'


def columns(rows: Iterable[dict[str, float]], paper: bool = False) -> list[Column]:
  """The columns that some row has a value for.

  Args:
    rows: {score: value} of each row.
    paper: with those in the scale of a paper.

  Returns:
    Entries of `COLUMNS` with the full name as `key`; a qualifier and random weights are told in
    the heading. A score with two qualifiers (two flow estimators) has two columns.
  """
  names = sorted({name for row in rows for name in row})
  shown = []
  for column in (column for column in COLUMNS if paper or not column.paper):
    for name in names:
      score = score_names.parse(name)
      if score.base == column.key:
        marks = [score.qualifier] if score.qualifier else []
        marks += ['RANDOM weights'] if score.random else []
        heading = f'{column.heading} ({", ".join(marks)})' if marks else column.heading
        shown.append(column._replace(key=name, heading=heading))
  return shown


def columns_of(scores: dict) -> list[Column]:
  """The columns of a scores.json."""
  return columns(scores['rows'].values(), bool(scores['protocol'].get('paper_scale')))


def cells(row: dict[str, float], shown: list[Column]) -> list[str]:
  """The numbers of a row as text, one for each column."""
  return [number(row, column.key, column.digits) for column in shown]


def markdown(value: str) -> str:
  """A text for a line or a cell of a Markdown table; names of files and rows may hold anything."""
  line = ' '.join(value.split()).replace('<', '&lt;')
  return line.replace('\\', r'\\').replace('|', r'\|') if '|' in line else line


def table(scores: dict) -> str:
  """The scores as lines for a terminal.

  Args:
    scores: the content of scores.json.
  """
  shown = columns_of(scores)
  lines = [['', *(column.heading for column in shown)]]
  for label, row in scores['rows'].items():
    lines.append([LABELS.get(label, label), *cells(row, shown)])
  widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
  text = []
  for line in lines:
    padded = [line[0].ljust(widths[0])]
    padded += [cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)]
    text.append('  '.join(padded))
  text += [f'left out: {name}' for name in left_out(scores)]
  return '\n'.join(text)


def left_out(scores: dict) -> list[str]:
  """'NAMES (REASON)' of what was left out, what has the same reason in one line."""
  names = collections.defaultdict(list)
  for name, reason in scores['skipped'].items():
    names[reason].append(name)
  return [f'{", ".join(alike)} ({reason})' for reason, alike in names.items()]


def verdict(scores: dict) -> str:
  """Plain sentences on what the numbers of scores.json mean."""
  rows = scores['rows']
  run = rows['translated']
  sentences = _psnr_sentences(rows) if 'psnr' in run else []
  for name in run:
    if (score_names.parse(name).base in ('warping_mse', 'warping_euclidean')
        and rows.get('source', {}).get(name)):
      ratio = run[name] / rows['source'][name]
      sentences.append(f'Its warping error is {ratio:.2f} times that of the input itself.')
  sentences += _flicker_sentences(run)
  if run.get('num_nonfinite'):
    sentences.append(f'{run["num_nonfinite"]:.0f} values are not finite: the output holds NaN '
                     'or infinity.')
  return ' '.join(sentences) or 'No scores could be computed; the reasons are listed below.'


def _flicker_sentences(run):
  """Flicker beside the true frames', where there are none beside the source's."""
  for name, what in (('flicker_true_ratio', 'the true frames'), ('flicker_ratio', 'the source')):
    ratio = run.get(name, np.nan)
    if np.isfinite(ratio):
      more = 'more' if ratio > 1 else 'less'
      return [f'Brightness changes {abs(ratio - 1):.0%} {more} from frame to frame than in {what}.']
  return []


def _psnr_sentences(rows):
  """PSNR beside that of the baselines."""
  psnr = {label: row['psnr'] for label, row in rows.items() if 'psnr' in row}
  baselines = {'constant': 'the best single color', 'untrained': 'the untrained network',
               'source': 'the input itself'}
  others = [f'{psnr[label]:.2f} dB for {name}' for label, name in baselines.items()
            if label in psnr]
  against = f', against {", ".join(others)}' if others else ''
  sentences = [f'The translated frames reach {psnr["translated"]:.2f} dB{against}.']
  if 'constant' in psnr and psnr['translated'] < psnr['constant']:
    sentences.append('That is below a plain color: the look of the target has not been learned '
                     'yet, or something else has.')
  return sentences

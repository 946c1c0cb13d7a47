"""Scores as people read them: headings, numbers, a table for the terminal, plain sentences."""

import numpy as np

# key, heading, digits, which way is better, what it says
SCORES = (
    ('psnr', 'PSNR (dB)', 2, 'higher',
     'Distance to the true frame, pixel by pixel. Mean over all frames.'),
    ('ssim', 'SSIM', 4, 'higher',
     'Likeness of structure to the true frame; 1 is identical.'),
    ('lpips', 'LPIPS', 4, 'lower',
     'Distance to the true frame as people see it, in the features of a frozen network.'),
    ('lpips_temporal', 'LPIPS, frame to frame', 4, 'near the source',
     'The same distance between each frame and the next: what moves, flickers or changes. A frozen '
     'clip has 0; read it beside that of the input.'),
    ('warping_mse', 'warping error ×1000', 3, 'lower',
     'How much a surface changes its color from frame to frame once its motion is taken out (mean '
     'square, 0 to 1000). The motion comes from the source, so blur does not help. A frozen or '
     'plain picture has none: read it beside PSNR and SSIM.'),
    ('warping_euclidean', 'warping error (color distance)', 4, 'lower',
     'How far the color of a surface moves from frame to frame once its motion is taken out.'),
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
          'constant': 'best single color', 'untrained': 'untrained network',
          'ceiling': 'mean color per class', 'target': 'true frame'}
WHY = {
    'source': 'what you score by doing nothing',
    'constant': 'one color everywhere, chosen with the test frames in sight',
    'untrained': 'the same networks with fresh weights',
    'ceiling': 'every pixel in the mean training color of its true class: heat does not tell '
               'colors apart, so a run near this is about as good as it gets',
}


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
              (('constant', 'the best single color'), ('untrained', 'the untrained network'),
               ('source', 'the input itself')) if 'psnr' in rows.get(label, {})]
    sentences.append(f'The translated frames reach {run["psnr"]:.2f} dB'
                     + (f', against {", ".join(others)}.' if others else '.'))
    if 'psnr' in rows.get('constant', {}) and run['psnr'] < rows['constant']['psnr']:
      sentences.append('That is below a plain color: the look of the target has not been learned '
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

"""Color ceiling: PSNR of painting each true class in its mean color."""

import numpy as np
from ml_collections import ConfigDict

from i2vjax.core.errors import UserError
from i2vjax.data import scenes


def class_color_ceiling(data: ConfigDict, train_frames: int = 64, test_frames: int = 0) -> dict:
  """PSNR of the best constant color per class: the score to read translations against.

  Two cars of one temperature may have any two colors, so no method can reach a perfect score. This
  one is told the true classes of a test frame and paints each in the mean color that the class has
  in training frames of domain b. A translation above it has learned more than classes (shading,
  texture, weather); one far below has not learned the classes.

  Args:
    data: config.data with the fields of `data.scenes`.
    train_frames: so many training frames of b, evenly spread, give the colors.
    test_frames: so many test frames of b, evenly spread, are painted; 0 for all.

  Returns:
    {'psnr': mean over frames of 10 log10(255^2 / MSE), dB; 'colors': [256, 3] float64, RGB of 255
    by class, the mean of all classes where one was not met; 'share': [256] of the training pixels}.

  Raises:
    UserError: a split is empty.
  """
  train, test = scenes.open_split(data, 'train', 'b'), scenes.open_split(data, 'test', 'b')
  if train is None or test is None:
    raise UserError('class_color_ceiling needs data.scenes.clips and data.scenes.test_clips > 0')
  colors, share = _mean_colors(train, train_frames)
  scores = [_psnr(colors, test.read(i)) for i in _spread(test, test_frames)]
  return {'psnr': float(np.mean(scores)), 'colors': colors, 'share': share}


def _spread(frames, count):
  """Numbers of `count` frames, evenly spread; all of them for 0."""
  total = len(frames)
  count = total if count <= 0 else min(count, total)
  return [(2 * k + 1) * total // (2 * count) for k in range(count)]


def _mean_colors(train, count):
  """([256, 3] mean color by class, [256] share of the pixels) of training frames."""
  sums, pixels = np.zeros((256, 3)), np.zeros(256)
  for i in _spread(train, count):
    record = train.read(i)
    label = record['label'].ravel()
    pixels += np.bincount(label, minlength=256)
    for c in range(3):
      sums[:, c] += np.bincount(label, record['frame'][..., c].ravel(), minlength=256)
  mean = sums.sum(axis=0) / pixels.sum()
  colors = np.where(pixels[:, None] > 0, sums / np.maximum(pixels, 1)[:, None], mean)
  return colors, pixels / pixels.sum()


def _psnr(colors, record):
  difference = colors[record['label']] - record['frame']
  return 10.0 * np.log10(255.0 ** 2 / max(np.mean(difference * difference), 1e-10))

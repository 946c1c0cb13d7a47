"""Polarity of thermal frames: hot is white, or hot is black.

Two things are true of nearly every outdoor scene: the sky is cold, and what stands out small and
sharp (people, engines, lamps, chimneys) is hotter than what is around it. The rule is ours.
"""

from collections.abc import Sequence

import cv2
import numpy as np

from i2vjax.core.errors import UserError
from i2vjax.data.transforms import thermal

POLARITIES = ('white', 'black', 'auto')
SURE = 0.75        # share of the votes from which on 'auto' decides
SIDE = 128         # frames are judged at this height: noise of single pixels has no vote
FLAT = 0.02        # of the range of a frame: upper and lower part differ by less, no vote


def check(value: str) -> str:
  """`data.polarity`, or a UserError that names what there is."""
  if value not in POLARITIES:
    raise UserError(f"data.polarity='{value}' is unknown: white (hot is white, as it is), black "
                    '(hot is black, turned round), or auto (judged by the frames)')
  return value


def judge(frames: Sequence[np.ndarray]) -> tuple[str, float, str]:
  """What frames look like.

  Args:
    frames: at least one, each [H, W, C], uint8 or uint16.

  Returns:
    ('white' or 'black', how sure from 0.5 to 1, the two findings for a message). Sureness is the
    mean share of the votes for it: of frames whose upper quarter is darker (colder sky) than their
    lower half, and of frames whose small things are brighter than what is around them.
  """
  votes = np.array([_votes(frame) for frame in frames])     # [N, 2]: sky, small things; 1 is white
  known = votes[~np.isnan(votes[:, 0]), 0]
  sky = float(known.mean()) if len(known) else 0.5
  small = float(votes[:, 1].mean())
  white = (sky + small) / 2
  text = (f'the upper quarter is darker than the lower half in {sky:.0%} of {len(frames)} frames, '
          f'small things are brighter than what is around them in {small:.0%}')
  return ('white', white, text) if white >= 0.5 else ('black', 1 - white, text)


def _votes(frame):
  """(sky, small things): 1 for white-hot, 0 for black-hot, NaN where the sky has no vote."""
  gray = frame.astype(np.float32).mean(axis=-1)
  height = min(SIDE, gray.shape[0])
  width = max(1, round(gray.shape[1] * height / gray.shape[0]))
  gray = cv2.resize(gray, (width, height), interpolation=cv2.INTER_AREA)
  low, high = np.percentile(gray, (1, 99))
  gray = np.clip((gray - low) / max(high - low, 1e-6), 0, 1)
  difference = float(gray[height // 2:].mean() - gray[:max(1, height // 4)].mean())
  sky = np.nan if abs(difference) < FLAT else float(difference > 0)
  detail = gray - cv2.GaussianBlur(gray, (0, 0), height / 32)
  return sky, float((detail ** 3).mean() > 0)


def invert(frame: np.ndarray, rule: str | tuple | None) -> np.ndarray:
  """A frame turned round, black-hot to white-hot and back.

  Args:
    frame: uint8: 255 - x. uint16: 65535 - x; with LOW,HIGH it is LOW + HIGH - x, so that these
      remain raw values of the file.
    rule: `data.thermal_range`.
  """
  if frame.dtype == np.uint8:
    return 255 - frame
  rule = thermal.thermal_rule(rule)
  pivot = sum(rule) if isinstance(rule, tuple) else 65535
  return np.clip(pivot - frame.astype(np.float64), 0, 65535).astype(np.uint16)

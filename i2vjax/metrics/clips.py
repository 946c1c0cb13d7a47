"""PSNR, SSIM, warping error and flicker of whole clips, added to totals."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from i2vjax import metrics
from i2vjax.metrics import flicker, psnr_ssim, score_names, warping

PAIRED, UNPAIRED = ('psnr', 'ssim'), ('warping', 'flicker')
# Ratios that are open where what they divide by stands perfectly still, and how often that was.
STILL = {'flicker_ratio': 'num_still_sources', 'flicker_true_ratio': 'num_still_targets'}
NAMES = PAIRED + UNPAIRED
BLOCK = 128   # pairs whose motion is at hand at a time


@dataclasses.dataclass(frozen=True)
class UnitFrames:
  """Frames in [0, 1], converted when they are read: a long clip is four times as large in floats.

  Attributes:
    frames: [T, H, W, C] uint8, or float in [-1, 1].
  """

  frames: Any

  @property
  def shape(self) -> tuple[int, ...]:
    return self.frames.shape

  def __len__(self):
    return len(self.frames)

  def __getitem__(self, index):
    return unit(self.frames[index])


def unit(frames: np.ndarray) -> np.ndarray:
  """[..., H, W, C] uint8, or float in [-1, 1], as float32 in [0, 1]."""
  frames = np.asarray(frames)
  if frames.dtype == np.uint8:
    return frames.astype(np.float32) / 255
  return np.asarray(metrics.unit(frames))


def eight_bits(frames: np.ndarray) -> np.ndarray:
  """[T, H, W, C] uint8, or float in [-1, 1], as uint8; NaN is black."""
  frames = np.asarray(frames)
  if frames.dtype == np.uint8:
    return frames
  return np.rint(np.nan_to_num(unit(frames)) * 255).astype(np.uint8)


def score(total: dict, frames: np.ndarray, target: np.ndarray | None = None,
          source: np.ndarray | None = None, motion: tuple | None = None, *,
          names: Sequence[str] = NAMES, psnr_cap: float = 100.0, ssim_gray: bool = False,
          warp_kind: str = 'mse', batch: int = 16, estimator: str = '') -> tuple[dict, dict, dict]:
  """Score one clip and add it to a running total.

  PSNR and SSIM enter the total frame by frame (mean over all frames), warping error and flicker
  clip by clip (mean over clips), as the papers do.

  Args:
    total: from `metrics.init` or an earlier call.
    frames: [T, H, W, C] uint8 or float in [-1, 1]: the translation that is scored.
    target: the aligned truth of the same shape, or None.
    source: [T, H, W, any C], what the frames were made from, or None.
    motion: (flow [T-1, H, W, 2], visible [T-1, H, W]) of the source, of any size, or None.
    names: which of `NAMES`; those whose input is None are left out.
    estimator: of `motion`, '' where it is the truth: then 'warping_mse', else 'warping_mse[tvl1]'.

  Returns:
    (total, {name: value of this clip}, {'psnr', 'ssim': [T], 'warping': [T-1]}).
  """
  frames = UnitFrames(frames)
  values, series = {}, {}
  paired = tuple(name for name in PAIRED if name in names)
  if target is not None and paired:
    total, series = _paired(total, frames, UnitFrames(target), paired, psnr_cap, ssim_gray, batch)
    values |= {name: float(np.mean(items)) for name, items in series.items()}
  if motion is not None and 'warping' in names and len(frames) > 1:
    result, series['warping'] = _warping(frames, *motion, warp_kind, batch, estimator)
    total, values = metrics.update(total, result), values | result
  if source is not None and 'flicker' in names and len(frames) > 1:
    truth = None if target is None else UnitFrames(target)
    result = flicker.clip_values(frames, UnitFrames(source), truth)
    values |= result
    for ratio, still in STILL.items():
      if np.isnan(result.get(ratio, 0.0)):   # one still clip would make the mean NaN
        result = {**result, still: 1}
        del result[ratio]
    total = metrics.update(total, result)
  return total, values, series


def _warping(frames, flow, visible, kind, batch, estimator):
  """({score: value}, [T-1] values of the pairs)."""
  parts = []
  for start in range(0, len(flow), BLOCK):
    block = slice(start, start + BLOCK)
    motion, mask = at_size(flow[block], visible[block], frames.shape[1:3])
    parts.append(warping.clip_error(jnp.asarray(frames[start:start + len(motion) + 1]), motion,
                                    mask, kind=kind, batch=batch))
  pairs = np.concatenate([part['pairs'] for part in parts])
  return {score_names.make(f'warping_{kind}', estimator): float(pairs.mean()),
          'num_empty_pairs': sum(part['num_empty_pairs'] for part in parts)}, pairs


def at_size(flow: np.ndarray, visible: np.ndarray, size: tuple[int, int]) -> tuple:
  """(flow, mask [T-1, *size, 1]) for frames of `size`, from motion of another size.

  Resized pixels may mix two surfaces: motion boundaries are then left out too.
  """
  same = flow.shape[1:3] == tuple(size)
  flow, visible = warping.resize_flow(flow, visible, size)
  return flow, warping.valid_mask(flow, visible=visible, boundaries=not same)


def _paired(total, frames, target, names, psnr_cap, gray, batch):
  metrics.same_shape(frames, target)
  series = {name: [] for name in names}
  for start in range(0, len(frames), batch):
    index = np.arange(start, start + batch)
    mask = index < len(frames)
    index = np.minimum(index, len(frames) - 1)
    total, values = psnr_ssim.update(total, frames[index], target[index], mask, names=names,
                                     psnr_cap=psnr_cap, gray=gray)
    for name in names:
      series[name] += [float(x) for x in values[name][mask]]
  return total, series


def moments(target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Channel means and variance of each frame: all that the PSNR of a constant color needs.

  Args:
    target: [T, H, W, C] uint8 or float in [-1, 1].

  Returns:
    (means [T, C], variances [T]: mean over channels of the variance inside the frame).
  """
  means, variances = [], []
  for frame in target:
    frame = unit(frame).astype(np.float64)
    means.append(frame.mean(axis=(0, 1)))
    variances.append(frame.var(axis=(0, 1)).mean())
  return np.stack(means), np.stack(variances)


def best_color(means: np.ndarray, variances: np.ndarray, rounds: int = 200) -> np.ndarray:
  """The one color whose mean PSNR against all frames is highest (ours: the least a score means).

  A constant c has MSE_t = variance_t + |m_t - c|^2 / C in frame t, so the best c is the mean of the
  m_t weighted by 1 / MSE_t; found by repeating just that, from the plain mean.

  Args:
    means: [N, C] in [0, 1]; variances: [N], as `moments` gives them, of all target frames.

  Returns:
    [C] in [0, 1].
  """
  color = means.mean(axis=0)
  for _ in range(rounds):
    error = variances + np.mean((means - color) ** 2, axis=1)
    weight = 1 / np.maximum(error, 1e-12)
    color = (weight[:, None] * means).sum(axis=0) / weight.sum()
  return color

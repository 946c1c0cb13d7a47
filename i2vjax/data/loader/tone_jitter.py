"""Infrared as other cameras show it: gain, curve, contrast, shading.

Every camera spreads what it measured over its picture in its own way: one keeps a sky at black, the
next equalizes until clouds show in it. A network that has seen one way translates no other. Ours.
"""

import math

import cv2
import grain
import numpy as np
from scipy import ndimage

BLEND = 0.7                  # most of histogram equalization in the curve; the rest is linear
GAMMA = 0.6                  # the exponent lies between exp(-0.6) and exp(0.6)
DARK, BRIGHT = 0.3, 0.6      # black is at most 0.3 of the range, white at least 0.6
DETAIL = 1.0                 # most of what local contrast adds
SHADING = 0.12               # most of a slope of brightness, of the range
CLOUDS = 0.08                # of smooth patches of it, standard deviation at most
PATCHES = 3, 6, 12           # across a frame


class ToneJitter(grain.transforms.RandomMap):
  """A share of the infrared windows, a, under tones drawn for each; b stays as it is."""

  def __init__(self, share: float):
    """share: of the windows."""
    self.share = share

  def random_map(self, element, rng):
    """(window of a, window of b) -> the same, the infrared one changed or not."""
    if rng.random() >= self.share:
      return element
    a, b = element
    return {**a, 'frames': jitter(a['frames'], a['range'], rng)}, b


def jitter(frames: np.ndarray, raw_range: np.ndarray, rng: np.random.Generator) -> np.ndarray:
  """A window as another camera would show it, all of its frames alike.

  Args:
    frames: [T, H, W, C] uint8 or uint16. raw_range: [2], the raw values of black and white.
    rng: of the draws.

  Returns:
    The same shape and type, within `raw_range`.
  """
  low, high = map(float, raw_range)
  unit = np.clip((frames.astype(np.float32) - low) / (high - low), 0, 1)
  unit = curve(unit, rng.uniform(0, BLEND)) ** math.exp(rng.uniform(-GAMMA, GAMMA))
  unit = local_contrast(unit, rng.uniform(0, DETAIL), rng.uniform(1 / 32, 1 / 8))
  unit = np.clip(unit + shading(frames.shape[1:3], rng)[..., None], 0, 1)
  dark, bright = rng.uniform(0, DARK), rng.uniform(BRIGHT, 1)
  raw = low + (high - low) * (dark + (bright - dark) * unit)
  return np.clip(np.rint(raw), 0, np.iinfo(frames.dtype).max).astype(frames.dtype)


def curve(unit: np.ndarray, blend: float) -> np.ndarray:
  """Values of 0 to 1 spread over 0 to 1: by their percentiles 1 and 99, and by their ranks.

  `blend` is the weight of ranks, in which equal values have their mean rank (histogram
  equalization, Gonzalez and Woods, Digital Image Processing, 3.3).
  """
  dark, bright = np.percentile(unit, (1, 99))
  linear = np.clip((unit - dark) / max(bright - dark, 1e-3), 0, 1)
  counts, edges = np.histogram(unit, bins=256, range=(0, 1))
  ranks = (np.cumsum(counts) - counts / 2) / unit.size
  ranks = np.interp(unit, (edges[:-1] + edges[1:]) / 2, ranks)
  return ((1 - blend) * linear + blend * ranks).astype(np.float32)


def local_contrast(unit: np.ndarray, amount: float, reach: float) -> np.ndarray:
  """What stands out of its surroundings, `amount` times more: [T, H, W, C] clipped to 0 to 1.

  Surroundings are a Gaussian of standard deviation `reach` times the height.
  """
  sigma = reach * unit.shape[1]
  around = ndimage.gaussian_filter(unit, (0, sigma, sigma, 0), mode='nearest', truncate=2.0)
  return np.clip(unit + amount * (unit - around), 0, 1)


def shading(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
  """[H, W] added to a frame: a slope from top to bottom and smooth patches, of either sign."""
  height, width = size
  slope = rng.uniform(-SHADING, SHADING) * np.linspace(1, -1, height)[:, None]
  clouds = np.zeros(size)
  for across in PATCHES:
    coarse = rng.normal(0, 1 / len(PATCHES), (across + 1, across + 1))
    clouds += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
  return (slope + rng.uniform(0, CLOUDS) * clouds).astype(np.float32)

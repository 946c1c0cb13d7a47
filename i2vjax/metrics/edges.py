"""APCE: share of the source's Canny edges kept by the translation.

PearlGAN and MornGAN call it average precision of Canny edges under edge consistency. It is the
share of a source frame's edges that its translation has at the very same pixels (so rather a
recall, in spite of the name), averaged over 99 thresholds. The edges are those of MATLAB's
`edge(I, 'canny', [low high])`, written from what is known of it; without MATLAB equality to the
pixel cannot be tested. Host code: connected components do not map to a device.
"""

import functools

import numpy as np
from scipy import ndimage

from i2vjax.core.errors import UserError

THRESHOLDS = np.arange(1, 100) / 100       # high; low is half of it
GRAY = (0.2989, 0.5870, 0.1140)            # MATLAB's rgb2gray
SIGMA, RADIUS = 2**0.5, 6
EIGHT = np.ones((3, 3), bool)
# Neighbors in order around a pixel, from the east, counter-clockwise.
AROUND = ((0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1), (1, 0), (1, 1))


def gray(frame: np.ndarray) -> np.ndarray:
  """uint8 [H, W, 1 or 3] -> float64 [H, W] in [0, 1]; color is rounded to 8 bits, as rgb2gray."""
  if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[-1] not in (1, 3):
    raise UserError(f'frame {frame.shape} {frame.dtype}: edges are taken of uint8 frames '
                     f'[H, W, 1 or 3]')
  plane = frame[..., 0] if frame.shape[-1] == 1 else np.rint(frame @ np.array(GRAY))
  return plane / 255.0


@functools.cache
def _taps():
  """(Gaussian, its derivative) of 13 taps; the derivative's two halves sum to 1 and -1."""
  gauss = np.exp(-0.5 * (np.arange(-RADIUS, RADIUS + 1) / SIGMA) ** 2)
  gauss /= gauss.sum()
  slope = np.gradient(gauss)
  slope[slope > 0] /= slope[slope > 0].sum()
  slope[slope < 0] /= -slope[slope < 0].sum()
  return gauss, slope


def ridges(plane: np.ndarray) -> np.ndarray:
  """Gradient magnitude where it is a local maximum across the edge, else 0.

  Args:
    plane: [H, W] in [0, 1].

  Returns:
    [H, W] float64, the largest gradient of the picture being 1; all 0 for a constant picture.
  """
  gauss, slope = _taps()

  def smooth(taps, axis, x):
    return ndimage.correlate1d(x, taps, axis=axis, mode='nearest')
  down = smooth(slope, 0, smooth(gauss, 1, plane))
  right = smooth(slope, 1, smooth(gauss, 0, plane))
  size = np.hypot(down, right)
  # Rounding alone gives constant pictures gradients of about 1e-16.
  if size.max() < 1e-12:
    return np.zeros_like(size)
  return _thin_across(size / size.max(), down, right)


def _thin_across(size, down, right):
  """Keep what is not below its two neighbors along the gradient, linearly interpolated."""
  steep = np.abs(down) > np.abs(right)
  major, minor = np.where(steep, down, right), np.where(steep, right, down)
  share = np.divide(np.abs(minor), np.abs(major), out=np.zeros_like(size), where=major != 0)
  along, across = np.sign(major).astype(int), np.sign(minor).astype(int)
  y, x = np.mgrid[1:size.shape[0] - 1, 1:size.shape[1] - 1]    # the border has no neighbors
  keep = np.zeros(size.shape, bool)
  inner = (slice(1, -1), slice(1, -1))
  steep, share, along, across = steep[inner], share[inner], along[inner], across[inner]
  straight = np.where(steep, along, 0), np.where(steep, 0, along)
  slanted = np.where(steep, along, across), np.where(steep, across, along)

  def interpolated(sign):
    """The gradient one step ahead (1) or behind (-1), between the two nearest pixels."""
    return ((1 - share) * size[y + sign * straight[0], x + sign * straight[1]]
            + share * size[y + sign * slanted[0], x + sign * slanted[1]])
  ahead, behind = interpolated(1), interpolated(-1)
  keep[inner] = (size[inner] >= ahead) & (size[inner] >= behind)
  return np.where(keep, size, 0)


def hysteresis(ridge: np.ndarray, high: float) -> np.ndarray:
  """Ridges above high / 2 that hang together with one above high. [H, W] -> bool [H, W]."""
  groups, count = ndimage.label(ridge > high / 2, EIGHT)
  strong = np.zeros(count + 1, bool)
  strong[groups[ridge > high]] = True
  strong[0] = False            # group 0 is what is no ridge
  return strong[groups]


@functools.cache
def _erasable():
  """[2, 256] bool: may a pixel with these neighbors be erased, in the first and second half?

  One pass of the parallel thinning of Guo and Hall (CACM 32(3), 1989) as MATLAB's documentation
  states it: exactly one crossing, 2 to 3 neighbors counted in pairs, and not the south-east
  (first half) or north-west (second half) side of what must stay.
  """
  bits = (np.arange(256)[:, None] >> np.arange(8)) & 1
  a = [bits[:, k % 8].astype(bool) for k in range(10)]         # a[0] east, counter-clockwise
  crossings = sum((~a[k] & (a[k + 1] | a[k + 2])).astype(int) for k in (0, 2, 4, 6))
  from_even = sum((a[k] | a[k + 1]).astype(int) for k in (0, 2, 4, 6))
  from_odd = sum((a[k + 1] | a[k + 2]).astype(int) for k in (0, 2, 4, 6))
  least = np.minimum(from_even, from_odd)
  first = (a[1] | a[2] | ~a[7]) & a[0]
  second = (a[5] | a[6] | ~a[3]) & a[4]
  general = (crossings == 1) & (least >= 2) & (least <= 3)
  return np.stack([general & ~first, general & ~second])


def thin(edges: np.ndarray) -> np.ndarray:
  """One pass of thinning. bool [N, H, W] -> bool [N, H, W]."""
  edges = np.pad(edges, ((0, 0), (1, 1), (1, 1)))
  for half in _erasable():
    n, y, x = np.nonzero(edges)
    code = sum(edges[n, y + dy, x + dx].astype(np.int64) << k
               for k, (dy, dx) in enumerate(AROUND))
    edges[n, y, x] = ~half[code]
  return edges[:, 1:-1, 1:-1]


def edge_maps(frame: np.ndarray, thresholds: np.ndarray = THRESHOLDS) -> np.ndarray:
  """Edges of one frame at every threshold.

  Args:
    frame: uint8 [H, W, 1 or 3].
    thresholds: of the gradient, as a share of the frame's largest.

  Returns:
    bool [len(thresholds), H, W].
  """
  ridge = ridges(gray(frame))
  return thin(np.stack([hysteresis(ridge, high) for high in thresholds]))


def share_of_edges_kept(source: np.ndarray, frame: np.ndarray) -> np.ndarray:
  """|Ea and Eb| / |Ea| at every threshold; NaN where the source has no edge.

  Args:
    source, frame: bool [J, H, W] of `edge_maps`.

  Returns:
    [J] float64.
  """
  if source.shape != frame.shape:
    raise UserError(f'edges of {source.shape[1:]} and {frame.shape[1:]}: a frame and its source '
                     f'must have one size (height, width); nothing is resized here')
  total = source.sum(axis=(1, 2))
  return np.divide((source & frame).sum(axis=(1, 2)), total, out=np.full(len(total), np.nan),
                   where=total > 0)


# ---- over a test set --------------------------------------------------------------------------


def init(thresholds: np.ndarray = THRESHOLDS) -> dict:
  """An empty total: sums and counts of the ratios of each threshold."""
  return {'sum': np.zeros(len(thresholds)), 'count': np.zeros(len(thresholds), np.int64)}


def update(total: dict, ratios: np.ndarray) -> dict:
  """Add the ratios of frames, [N, J] of `share_of_edges_kept`; returns a new total."""
  ratios = np.atleast_2d(ratios)
  return {'sum': total['sum'] + np.nansum(ratios, axis=0),
          'count': total['count'] + np.sum(~np.isnan(ratios), axis=0)}


def merge(a: dict, b: dict) -> dict:
  """The total of two totals."""
  return {name: a[name] + b[name] for name in a}


def by_threshold(total: dict) -> np.ndarray:
  """[J] P_j: the mean ratio at each threshold (the curve of MornGAN, Fig. 8), NaN without edges."""
  count = total['count']
  return np.divide(total['sum'], count, out=np.full(len(count), np.nan), where=count > 0)


def result(total: dict) -> dict[str, float]:
  """APCE = mean_j P_j, P_j the mean over the frames that have edges at threshold j.

  Returns:
    {'apce', 'num_empty_thresholds': those at which no frame has an edge; they are left out (ours:
    the public code divides 0 by 0)}.

  Raises:
    UserError: no source frame has an edge.
  """
  shares = by_threshold(total)
  if np.isnan(shares).all():
    raise UserError('APCE needs source frames with edges, and these have none: are they blank?')
  return {'apce': float(np.nanmean(shares)),
          'num_empty_thresholds': float(np.isnan(shares).sum())}

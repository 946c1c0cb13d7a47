"""FID and KID: distances between two sets of Inception features.

Features are [N, D] arrays on the host; all sums are float64. The total of a set is a tuple of such
arrays, with the verbs of the other metrics.
"""

import functools
import logging
from collections.abc import Sequence

import numpy as np

from i2vjax.core.errors import UserError
from i2vjax.metrics import score_names

MIN_IMAGES = 2048                # images below which FID is known to come out too large
MAX_KERNEL_VALUES = 16_000_000   # held at a time where subsets share one matrix
NAMES = ('fid', 'kid')


def init() -> tuple:
  """An empty set."""
  return ()


def update(total: tuple, features: np.ndarray, mask: np.ndarray | None = None) -> tuple:
  """The set with features [N, D] added; `mask` [N] is 0 for frames that only filled up a batch."""
  features = np.asarray(features)
  return merge(total, (features[np.asarray(mask, bool)] if mask is not None else features,))


def merge(a: tuple, b: tuple) -> tuple:
  """The union of two sets; the order does not matter."""
  return tuple(part for part in (*a, *b) if len(part))


def gather(total: tuple | np.ndarray) -> np.ndarray:
  """[N, D] float64 of a total or of an array; features of two lengths are refused."""
  if not isinstance(total, tuple):
    return np.asarray(total, np.float64)
  if len({part.shape[1] for part in total}) > 1:
    raise UserError(f'features of different lengths: {[part.shape for part in total]}')
  return np.concatenate(total).astype(np.float64) if total else np.zeros((0, 0))


def result(total, reference, *, names: Sequence[str] = NAMES, degrees: Sequence[int] = (3,),
           subsets: int = 100, subset_size: int = 1000, seed: int = 0,
           random: bool = False) -> dict[str, float]:
  """{score: value} of a set against a reference set.

  Args:
    total: from `update` or `merge`, or an array [N, D].
    reference: the same.
    names: which of 'fid', 'kid'.
    degrees, subsets, subset_size, seed: see `kid`.
    random: mark the names as scores of networks with random weights.

  Returns:
    'fid', 'fid_div100', 'kid_mean', 'kid_std', 'kid21_mean', ... Sets that hold NaN or infinity
    give NaN and 'num_nonfinite', the number of such images. Errors: of `fid` and `kid`.
  """
  x, y = gather(total), gather(reference)
  values = {}
  if 'fid' in names:
    values |= fid(x, y)
  if 'kid' in names:
    values |= kid(x, y, degrees=degrees, subsets=subsets, subset_size=subset_size, seed=seed)
  values = {score_names.make(name, random=random): value for name, value in values.items()}
  nonfinite = _count_nonfinite(x) + _count_nonfinite(y)
  return {**values, 'num_nonfinite': float(nonfinite)} if nonfinite else values


def protocol(count: int, reference_count: int, *, degrees: Sequence[int] = (3,), subsets: int = 100,
             subset_size: int = 1000, seed: int = 0) -> dict:
  """How the scores came about: numbers of images, what KID drew, what to beware of."""
  note = small_set_warning(count, reference_count)
  facts = {'fid_frames': count, 'fid_reference_frames': reference_count,
           'fid_div100': 'FID / 100: scale used in the I2V-GAN line of papers (unconfirmed)',
           'kid_degrees': list(degrees), 'kid_subsets': subsets, 'kid_seed': seed,
           'kid_subset_size': min(count, reference_count, subset_size)}
  return {**facts, 'fid_note': note} if note else facts


def small_set_warning(count: int, reference_count: int) -> str:
  """The warning that FID between small sets needs, or ''."""
  if min(count, reference_count) >= MIN_IMAGES:
    return ''
  return (f'FID of {count} images against {reference_count}: with fewer than {MIN_IMAGES} it '
          'comes out too large, and is comparable between equal numbers only')


_warn_once = functools.lru_cache(maxsize=256)(logging.warning)   # each text once in a process


def _check(x, y, what):
  if min(len(x), len(y)) < 2:
    raise UserError(f'{what} needs at least 2 images per set: there are {len(x)} and {len(y)} in '
                     'the reference')
  if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1]:
    raise UserError(f'{what}: features {x.shape} and {y.shape} are not of one kind, [N, D] each')


def _count_nonfinite(features):
  return int(np.sum(~np.isfinite(features).all(axis=1)))


# ---- FID ----------------------------------------------------------------------------------------


def fid(x: np.ndarray, y: np.ndarray) -> dict[str, float]:
  """Frechet inception distance (Heusel et al., NeurIPS 2017) of features [N, D] and [M, D].

  |m1 - m2|^2 + tr S1 + tr S2 - 2 tr (S1 S2)^(1/2), means m, covariances S with divisor N - 1. A set
  against itself gives 0 up to rounding, which may be negative.

  Returns:
    {'fid', 'fid_div100': the same / 100}. The tables of I2V-GAN and CPTrans hold 0.2 to 2.5; people
    who ran the released models report about 100 times as much: taken to be that scale, unconfirmed.

  Raises:
    UserError: fewer than 2 images in a set, different features.
  """
  x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
  _check(x, y, 'FID')
  note = small_set_warning(len(x), len(y))
  if note:
    _warn_once(note)
  if _count_nonfinite(x) or _count_nonfinite(y):
    value = float('nan')
  else:
    mean_x, mean_y = x.mean(axis=0), y.mean(axis=0)
    value = float(np.sum((mean_x - mean_y) ** 2) + _spread(x - mean_x, y - mean_y))
  return {'fid': value, 'fid_div100': value / 100}


def _spread(x, y):
  """tr S1 + tr S2 - 2 tr (S1 S2)^(1/2) of centered features."""
  N, M, D = len(x), len(y), x.shape[1]
  if min(N, M) <= D // 2 and N * M <= MAX_KERNEL_VALUES:
    total = np.sum(x * x) / (N - 1) + np.sum(y * y) / (M - 1)
    return total - 2 * trace_of_root_from_features(x, y)
  first, second = x.T @ x / (N - 1), y.T @ y / (M - 1)
  return np.trace(first) + np.trace(second) - 2 * trace_of_root(first, second)


def trace_of_root(first: np.ndarray, second: np.ndarray) -> float:
  """tr (S1 S2)^(1/2) of symmetric [D, D], by symmetric problems alone.

  With A = S1^(1/2), A S2 A has the eigenvalues of S1 S2, is symmetric, and its eigenvalues are not
  negative but for rounding: no complex root, nothing added to the diagonal.
  """
  values, vectors = np.linalg.eigh(first)
  root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
  return float(np.sum(np.sqrt(np.maximum(np.linalg.eigvalsh(root @ second @ root), 0))))


def trace_of_root_from_features(x: np.ndarray, y: np.ndarray) -> float:
  """The same of centered features [N, D], [M, D]: the sum of the singular values of X Y^T, scaled.

  Few images leave most of the D directions empty: this is faster then and keeps more digits.
  """
  values = np.linalg.svd(x @ y.T, compute_uv=False)
  return float(np.sum(values) / np.sqrt((len(x) - 1) * (len(y) - 1)))


# ---- KID ----------------------------------------------------------------------------------------


def kid(x: np.ndarray, y: np.ndarray, *, degrees: Sequence[int] = (3,), subsets: int = 100,
        subset_size: int = 1000, seed: int = 0) -> dict[str, float]:
  """Kernel inception distance (Binkowski et al., ICLR 2018) of features [N, D] and [M, D].

  Unbiased squared MMD with k(a, b) = (<a, b> / D + 1)^q between subsets of equal size, drawn
  without replacement; as clean-fid does, of the smaller set's size where that has fewer images. An
  unbiased estimate may be negative: the same set twice is.

  Args:
    x, y: features.
    degrees: q; 3 is KID, CPTrans names 21.
    subsets: number of them.
    subset_size: images in each.
    seed: of the draws. Sets are put into an order of their own first, so that the order in which
      images came does not matter (ours: hosts that share a test set merge in any order).

  Returns:
    Over the subsets {'kid_mean', 'kid_std'} for degree 3, {'kid21_mean', 'kid21_std'} for 21 ...

  Raises:
    UserError: fewer than 2 images in a set, different features, impossible options.
  """
  x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
  _check(x, y, 'KID')
  if not degrees or min(degrees) < 1 or subsets < 1 or subset_size < 2:
    raise UserError(f'KID: degrees {degrees} and subsets ({subsets}) begin at 1, their size '
                     f'({subset_size}) at 2')
  if (most := min(len(x), len(y))) < subset_size:
    _warn_once(f'KID: subsets of {most} images, not {subset_size}: a set has no more')
  if _count_nonfinite(x) or _count_nonfinite(y):
    values = {q: np.full(1, np.nan) for q in degrees}
  else:
    values = _subset_values(_ordered(x), _ordered(y), degrees, subsets, subset_size, seed)
  result = {}
  for q in degrees:
    name = 'kid' if q == 3 else f'kid{q}'
    result |= {f'{name}_mean': float(np.mean(values[q])), f'{name}_std': float(np.std(values[q]))}
  return result


def _ordered(features):
  return features[sorted(range(len(features)), key=lambda i: features[i].tobytes())]


def _subset_values(x, y, degrees, subsets, subset_size, seed):
  """{q: [subsets] squared MMD}."""
  size, rng = min(len(x), len(y), subset_size), np.random.default_rng(seed)
  if size == len(x) == len(y):
    subsets = 1   # all would be the same
  draws = []
  for _ in range(subsets):
    of_x = rng.choice(len(x), size, replace=False)
    draws.append((of_x, rng.choice(len(y), size, replace=False)))
  groups = [[draw] for draw in draws]
  if max(len(x), len(y)) ** 2 <= MAX_KERNEL_VALUES:
    groups = [draws]   # all subsets share one kernel matrix
  parts = []
  for group in groups:
    rows_x, in_x = _members([of_x for of_x, _ in group])
    rows_y, in_y = _members([of_y for _, of_y in group])
    parts.append(_mmd(x[rows_x], y[rows_y], in_x, in_y, degrees))
  return {q: np.concatenate([part[q] for part in parts]) for q in degrees}


def _members(draws):
  """(rows that occur, [G, rows] 1 where the draw G holds the row, else 0)."""
  rows = np.unique(draws)
  return rows, np.stack([np.isin(rows, draw) for draw in draws]).astype(np.float64)


def _mmd(x, y, in_x, in_y, degrees):
  """{q: [G]}: [sum_{i!=j} k(x_i, x_j) + the same of y] / (m (m - 1)) - 2 / m^2 sum_ij k(x_i, y_j).

  The kernel is computed once for all subsets: a sum over a subset is s^T K s, s its members.
  """
  m, D = in_x[0].sum(), x.shape[1]
  across = x @ y.T / D + 1
  within = ((x @ x.T / D + 1, in_x), (y @ y.T / D + 1, in_y))
  values = {}
  for q in degrees:
    inside = sum(_over_members(_power(kernel, q), s, s) - s @ _power(np.diag(kernel), q)
                 for kernel, s in within)
    values[q] = inside / (m * (m - 1)) - 2 * _over_members(_power(across, q), in_x, in_y) / m ** 2
  return values


def _over_members(kernel, in_x, in_y):
  """[G] sums of kernel [N, M] over the members."""
  return np.sum((in_x @ kernel) * in_y, axis=1)


def _power(base, q):
  """base^q by squaring: a library's power of floats takes ten times as long at q = 21."""
  if q == 1:
    return base
  root = _power(base * base, q // 2)
  return root * base if q % 2 else root

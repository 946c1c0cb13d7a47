"""Pseudo-labels for unlabeled frames: mining, semantic denoising, filling (MornGAN).

MornGAN is arXiv 2208.02960. One segmentation network sees the infrared frame, another one its
visible translation; a pixel gets a label where both are sure of the same class. A label map is
[..., H, W] integer ids, 255 = no class (`segmentation.IGNORE`). Nothing here passes a gradient.
"""

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp

from i2vjax.core.state import pooled
from i2vjax.losses.segmentation import IGNORE


def thresholds(classes: int, foreground: Sequence[int], theta_fg: float,
               theta_bg: float) -> jax.Array:
  """[K] smallest confidence: `theta_fg` for the ids in `foreground`, `theta_bg` for the others."""
  ids = jnp.arange(classes)
  return jnp.where(jnp.isin(ids, jnp.asarray(foreground)), theta_fg, theta_bg)


def agreed(first: jax.Array, second: jax.Array, least_first: jax.Array,
           least_second: jax.Array) -> jax.Array:
  """Class of which both predictions are sure (MornGAN, Eq. 8 and 9).

  Args:
    first, second: [..., H, W, K] probabilities.
    least_first, least_second: [K] confidence that a class needs in each; with 0 any largest
      probability is enough.

  Returns:
    [..., H, W] int32: c where c is the largest of both and each reaches its threshold, else 255.
  """
  first, second = map(jax.lax.stop_gradient, (first, second))
  label = jnp.argmax(first, axis=-1)
  sure = jnp.max(first, axis=-1) >= least_first[label]
  sure &= (jnp.max(second, axis=-1) >= least_second[label]) & (jnp.argmax(second, -1) == label)
  return jnp.where(sure, label, IGNORE).astype(jnp.int32)


def sure_of(labels: jax.Array, probability: jax.Array, least: jax.Array) -> jax.Array:
  """The labels of which a prediction is sure, 255 elsewhere.

  Args:
    labels: [..., H, W].
    probability: [..., H, W, K].
    least: [K] confidence that each class needs.

  Returns:
    [..., H, W], same type.
  """
  labeled = labels != IGNORE
  index = jnp.where(labeled, labels, 0)
  probability = jax.lax.stop_gradient(probability)
  confidence = jnp.take_along_axis(probability, index[..., None], -1)[..., 0]
  return jnp.where(labeled & (confidence >= least[index]), labels, IGNORE)


def confident(probability: jax.Array, theta: float) -> jax.Array:
  """Class of the largest probability where that exceeds `theta`, else 255. [..., H, W] int32."""
  probability = jax.lax.stop_gradient(probability)
  label = jnp.argmax(probability, axis=-1).astype(jnp.int32)
  return jnp.where(jnp.max(probability, axis=-1) > theta, label, IGNORE)


def filled(labels: jax.Array, probability: jax.Array, theta: float) -> jax.Array:
  """Labels [..., H, W] with their gaps (255) filled where a prediction is sure (MornGAN's code)."""
  return jnp.where(labels == IGNORE, confident(probability, theta), labels)


def shares(labels: jax.Array, count: int, truth: jax.Array | None = None) -> dict[str, jax.Array]:
  """Shares of labeled pixels and precision of the labels, to be logged.

  Args:
    labels: [..., H, W].
    count: number of ids.
    truth: [..., H, W] or None.

  Returns:
    {'mined/all': share of the pixels with a label, 'mined/ID': with each id}, and with `truth`
    'mined/precision': share of right labels where the truth has one too (0 without any).
  """
  share = jnp.mean(labels[..., None] == jnp.arange(count), axis=tuple(range(labels.ndim)))
  figures = {'mined/all': jnp.sum(share)} | {f'mined/{k}': share[k] for k in range(count)}
  if truth is None:
    return figures
  compared = (labels != IGNORE) & (truth != IGNORE)
  total = pooled(jnp.sum(compared).astype(jnp.float32))
  right = jnp.sum(compared & (labels == truth)) / jnp.where(total > 0, total, 1)
  return figures | {'mined/precision': right}


# ---- Semantic denoising


def denoised(labels: jax.Array, features: jax.Array, sequence: tuple) -> jax.Array:
  """Labels without pixels that resemble another class more (semantic denoising, Eq. 5 to 7).

  In the order of `sequence`, a pixel v of class c is rejected if for a class k that c is confused
  with and that occurs

    |v - f_c|^2 > |v - f_k|^2        f: mean feature of a class

  Means and the classes that occur are those of the input map; after class c, only f_c is computed
  again from the remaining pixels of c, if there are any. Absent classes change nothing.

  Runs inside the training step; `data.annotations.class_maps.denoise` is its NumPy twin for given
  maps, which the loader cleans off the device. tests/data/annotations/test_class_maps.py holds the
  two together.

  Args:
    labels: [H, W] integer ids of one image.
    features: [H, W, C] float32, colors or gray.
    sequence: tuple of (c, (k, ...)) or (c, (k, ...), other). With `other`, if it occurs, f_c is
      replaced by the midpoint of it and the first mean of `other` (public MornGAN code).

  Returns:
    [H, W], same type.
  """
  features = jax.lax.stop_gradient(features.astype(jnp.float32))
  classes = set()
  for c, near, *other in sequence:
    classes |= {c, *near, *other}
  count = {k: jnp.sum(labels == k) for k in sorted(classes)}
  mean = {k: mean_of(features, labels == k) for k in sorted(classes)}
  first_mean = dict(mean)
  for c, near, *other in sequence:
    center = mean[c]
    for k in other:
      center = jnp.where(count[k] > 0, (center + first_mean[k]) / 2, center)
    reject = jnp.zeros(labels.shape, bool)
    for k in near:
      closer = _distance(features, center) > _distance(features, mean[k])
      reject |= closer & (count[k] > 0)
    remaining = (labels == c) & ~reject
    mean[c] = jnp.where(jnp.any(remaining), mean_of(features, remaining), mean[c])
    labels = jnp.where((labels == c) & reject, IGNORE, labels).astype(labels.dtype)
  return labels


def all_denoised(labels: jax.Array, features: jax.Array, sequence: tuple) -> jax.Array:
  """`denoised` for each image. labels: [N, H, W]; features: [N, H, W, C]."""
  return jax.vmap(lambda x, y: denoised(x, y, sequence))(labels, features)


def confusions(roles: Mapping[str, int], domain: str, release: bool = False) -> tuple:
  """The sequence of `denoised` for visible (b) or infrared (a) frames.

  Args:
    roles: {'vegetation', 'pole', 'sky', 'person': id}, -1 for a class that a list lacks.
    domain: 'a' | 'b'.
    release: domain a as in the public MornGAN code instead of the paper.

  Returns:
    Tuple for `denoised`, without the lacking classes.
  """
  vegetation, pole, sky, person = (roles[x] for x in ('vegetation', 'pole', 'sky', 'person'))
  if domain == 'b':
    table = ((vegetation, (sky,)), (pole, (sky,)), (sky, (vegetation, pole)))
  elif release:
    table = ((sky, (vegetation,)), (pole, (sky,), sky),
             (person, (vegetation,)), (vegetation, (sky, person)))
  else:
    table = ((sky, (vegetation, pole)), (pole, (sky,)),
             (person, (vegetation,)), (vegetation, (sky, person)))
  sequence = []
  for c, near, *other in table:
    near = tuple(k for k in near if k >= 0)
    other = [k for k in other if k >= 0]
    if c >= 0 and near:
      sequence.append((c, near, *other))
  return tuple(sequence)


def mean_of(features: jax.Array, mask: jax.Array) -> jax.Array:
  """[C] mean of [H, W, C] over the pixels of a mask [H, W]; 0 where it is empty."""
  return jnp.sum(features * mask[..., None], axis=(0, 1)) / jnp.maximum(jnp.sum(mask), 1)


def _distance(features, mean):
  return jnp.sum(jnp.square(features - mean), axis=-1)


# ---- Rare classes


def rare_direction(labels: jax.Array, ids: tuple[int, ...]) -> jax.Array:
  """Direction of the vector of class shares of an image, minus their mean (MornGAN, Eq. 11).

  Computed from integers, K n_k - sum n, so that equal shares give exactly 0.

  `data.loader.memory_sampling.rare_direction` is its NumPy twin for the loader, which must not
  touch the device. tests/data/loader/test_memory_sampling.py holds the two together.

  Args:
    labels: [N, H, W].
    ids: tuple of K classes.

  Returns:
    [N, K] float32 of length 1; 0 where all K classes have the same number of pixels, or none.
  """
  counts = jnp.stack([jnp.sum(labels == k, axis=(1, 2), dtype=jnp.int32) for k in ids], axis=-1)
  v = (len(ids) * counts - jnp.sum(counts, axis=-1, keepdims=True)).astype(jnp.float32)
  length = jnp.linalg.norm(v, axis=-1, keepdims=True)
  return v / jnp.where(length > 0, length, 1)

"""Labels for frames that nobody labeled: mined from two predictions, denoised, filled.

MornGAN (arXiv 2208.02960). A network that reads visible frames and one that reads infrared frames
look at the same moment, the second at the frame itself, the first at its translation; a label is
believed where both are sure of the same class. A label map is [..., H, W] integer ids, 255 = no
class. No gradient passes anything here.
"""

import jax
import jax.numpy as jnp

IGNORE = 255


def thresholds(classes, foreground, theta_fg, theta_bg):
  """[K] least confidence: `theta_fg` for the ids in `foreground`, `theta_bg` for the others."""
  ids = jnp.arange(classes)
  return jnp.where(jnp.isin(ids, jnp.asarray(foreground)), theta_fg, theta_bg)


def agreed(first, second, least_first, least_second):
  """Class of which both predictions are sure (Eq. 8 and 9 of the paper).

  Args:
    first, second: [..., H, W, K] probabilities.
    least_first, least_second: [K] confidence that a class needs in each; 0: the largest will do.

  Returns:
    [..., H, W] int32: c where c is the largest of both and each reaches its threshold, else 255.
  """
  first, second = map(jax.lax.stop_gradient, (first, second))
  label = jnp.argmax(first, axis=-1)
  sure = jnp.max(first, axis=-1) >= least_first[label]
  sure &= (jnp.max(second, axis=-1) >= least_second[label]) & (jnp.argmax(second, -1) == label)
  return jnp.where(sure, label, IGNORE).astype(jnp.int32)


def sure_of(labels, probability, least):
  """The labels whose own class has at least the confidence `least` [K], others 255.

  Args:
    labels: [..., H, W]. probability: [..., H, W, K].
  """
  known = labels != IGNORE
  place = jnp.where(known, labels, 0)
  own = jnp.take_along_axis(jax.lax.stop_gradient(probability), place[..., None], -1)[..., 0]
  return jnp.where(known & (own >= least[place]), labels, IGNORE)


def confident(probability, theta):
  """Class of the largest probability where that exceeds `theta`, else 255. [..., H, W] int32."""
  probability = jax.lax.stop_gradient(probability)
  label = jnp.argmax(probability, axis=-1).astype(jnp.int32)
  return jnp.where(jnp.max(probability, axis=-1) > theta, label, IGNORE)


def filled(labels, probability, theta):
  """Given labels, with the holes filled where a network is sure (public MornGAN code)."""
  return jnp.where(labels == IGNORE, confident(probability, theta), labels)


def shares(labels, count, truth=None):
  """Figures to log: share of the pixels with a label, 'mined/all', and with each of `count` ids,
  'mined/ID'; with the truth, how many labels are right where it has one, 'mined/precision' (0
  without any label)."""
  found = jnp.mean(labels[..., None] == jnp.arange(count), axis=tuple(range(labels.ndim)))
  figures = {'mined/all': jnp.sum(found)} | {f'mined/{k}': found[k] for k in range(count)}
  if truth is None:
    return figures
  judged = (labels != IGNORE) & (truth != IGNORE)
  right = jnp.sum(judged & (labels == truth)) / jnp.maximum(jnp.sum(judged), 1)
  return figures | {'mined/precision': right}


# ---- Semantic denoising


def denoised(labels, features, sequence):
  """Labels less those whose pixel looks more like another class (semantic denoising, Eq. 5 to 7).

  In the order of `sequence`, a pixel v of class c is rejected if for a class k that c is confused
  with and that occurs

    |v - f_c|^2 > |v - f_k|^2        f: mean feature of a class

  Means and what occurs are read off the incoming map; then f_c alone is taken anew of what is left
  of c, if anything is, before the next class is looked at. Absent classes change nothing.

  Runs inside the training step; `data.annotations.class_maps.denoise` is its NumPy twin for given
  maps, which the loader cleans off the device. tests/data/annotations/test_class_maps.py holds the
  two together.

  Args:
    labels: [H, W] integer ids of one image.
    features: [H, W, C] float32, colors or gray.
    sequence: tuple of (c, (k, ...)) or (c, (k, ...), other). With `other`, if it occurs, c is
      measured from half way between its mean and the first mean of `other` (public MornGAN code).

  Returns:
    [H, W], same type.
  """
  features = jax.lax.stop_gradient(features.astype(jnp.float32))
  classes = sorted({k for c, near, *other in sequence for k in (c, *near, *other)})
  count = {k: jnp.sum(labels == k) for k in classes}
  mean = {k: mean_of(features, labels == k) for k in classes}
  start = dict(mean)
  for c, near, *other in sequence:
    own = mean[c]
    for k in other:
      own = jnp.where(count[k] > 0, (own + start[k]) / 2, own)
    reject = jnp.zeros(labels.shape, bool)
    for k in near:
      closer = _distance(features, own) > _distance(features, mean[k])
      reject |= closer & (count[k] > 0)
    left = (labels == c) & ~reject
    mean[c] = jnp.where(jnp.any(left), mean_of(features, left), mean[c])
    labels = jnp.where((labels == c) & reject, IGNORE, labels).astype(labels.dtype)
  return labels


def all_denoised(labels, features, sequence):
  """`denoised` for each image. labels: [N, H, W]; features: [N, H, W, C]."""
  return jax.vmap(lambda x, y: denoised(x, y, sequence))(labels, features)


def confusions(roles, domain, release=False):
  """The sequence of `denoised` for visible (b) or infrared (a) frames.

  Args:
    roles: {'vegetation', 'pole', 'sky', 'person': id}, -1 for a class that a list lacks.
    domain: 'a' | 'b'.
    release: a: as public MornGAN code has it instead of the paper.

  Returns:
    Tuple for `denoised`, without classes that are lacking.
  """
  vegetation, pole, sky, person = (roles[x] for x in ('vegetation', 'pole', 'sky', 'person'))
  table = {
      'b': ((vegetation, (sky,)), (pole, (sky,)), (sky, (vegetation, pole))),
      'a': ((sky, (vegetation,) if release else (vegetation, pole)),
            (pole, (sky,), *((sky,) if release else ())),
            (person, (vegetation,)), (vegetation, (sky, person)))}[domain]
  kept = ((c, tuple(k for k in near if k >= 0), *(k for k in other if k >= 0))
          for c, near, *other in table if c >= 0)
  return tuple(entry for entry in kept if entry[1])


def mean_of(features, mask):
  """[C] mean of [H, W, C] over the pixels of a mask [H, W]; 0 where it is empty."""
  return jnp.sum(features * mask[..., None], axis=(0, 1)) / jnp.maximum(jnp.sum(mask), 1)


def _distance(features, mean):
  return jnp.sum(jnp.square(features - mean), axis=-1)


# ---- What of rare classes an image holds


def rare_direction(labels, ids):
  """Direction of the shares of some classes in an image, less their mean (Eq. 11).

  Computed of whole numbers, K n_k - sum n, so that equal shares give exactly 0.

  `data.loader.memory_sampling.rare_direction` is its NumPy twin for the loader, which must not
  touch the device. tests/data/loader/test_memory_sampling.py holds the two together.

  Args:
    labels: [N, H, W]. ids: tuple of K classes.

  Returns:
    [N, K] float32 of length 1; 0 where no pixel, or the same number of pixels, has each class.
  """
  counts = jnp.stack([jnp.sum(labels == k, axis=(1, 2), dtype=jnp.int32) for k in ids], axis=-1)
  v = (len(ids) * counts - jnp.sum(counts, axis=-1, keepdims=True)).astype(jnp.float32)
  length = jnp.linalg.norm(v, axis=-1, keepdims=True)
  return v / jnp.where(length > 0, length, 1)

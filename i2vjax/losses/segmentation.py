"""Losses of networks that predict the class of every pixel.

`rare_weights` and `boundary` are those of MornGAN, for labels that are noisy and lopsided.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax


def rare_weights(labels, classes, pixels=1024, weight=7.0):
  """[K] weights of classes: `weight` for those with fewer than `pixels` pixels an image, else 1.

  As public MornGAN code does it. A class without a pixel has the weight too, which nothing sees.
  Counted over what one device has.

  Args:
    labels: [N, H, W] ids; 255 counts for no class.
    classes: K.
    pixels: limit for each image, whatever its size.
    weight: of rare classes.
  """
  counts = jnp.sum(labels[..., None] == jnp.arange(classes), axis=(0, 1, 2))
  return jnp.where(counts < pixels * len(labels), weight, 1.0)

IGNORE = 255   # label of a pixel without a class


def boundary(logits, labels, ignore=IGNORE):
  """How far the borders between predicted classes are from those between labels.

    sum |edge(T) - edge(softmax)| / sum edge(T),    edge(X) = |X - mean of X over 3 x 3 pixels|

  T is one-hot, zero where there is no label; outside of the frame everything is zero. Sums run over
  pixels, classes and images (public MornGAN code).

  Args:
    logits: [N, H, W, K]. labels: [N, H, W] ids.

  Returns:
    Scalar; 0 where the labels have no edge.
  """
  classes = logits.shape[-1]
  known = (labels != ignore)[..., None]
  truth = edges(jax.nn.one_hot(labels, classes) * known)
  total = jnp.sum(truth)
  gap = jnp.sum(jnp.abs(truth - edges(jax.nn.softmax(logits.astype(jnp.float32), axis=-1))))
  return jnp.where(total > 0, gap / jnp.where(total > 0, total, 1), 0.0)


def edges(x):
  """|x - mean over 3 x 3|, zeros outside, always a ninth of the sum. [N, H, W, K] -> same."""
  around = jax.lax.reduce_window(x, 0.0, jax.lax.add, (1, 3, 3, 1), (1, 1, 1, 1),
                                 ((0, 0), (1, 1), (1, 1), (0, 0)))
  return jnp.abs(x - around / 9)


def class_weights(truth, classes, ignore=IGNORE):
  """[K] weights share^-0.5 of the classes in `truth`, of mean 1 over its pixels.

  Unweighted, lights, signs and persons, a few pixels in a frame, are never learned (ours).
  """
  count = np.bincount(truth[truth != ignore].ravel(), minlength=classes)[:classes]
  share = count / max(count.sum(), 1)
  weight = np.where(share > 0, np.maximum(share, 1e-9) ** -0.5, 0)
  return (weight / max(np.sum(share * weight), 1e-9)).astype(np.float32)


def cross_entropy(logits, truth, weights, ignore=IGNORE):
  """Weighted mean over the pixels that have a class of -log softmax at that class.

  Args:
    logits: [N, H, W, K]. truth: [N, H, W] ids, `ignore` = no class. weights: [K].

  Returns:
    Scalar; 0 where no pixel has a class.
  """
  known = truth != ignore
  target = jnp.where(known, truth, 0).astype(jnp.int32)
  weight = known * jnp.asarray(weights)[target]
  entropy = optax.softmax_cross_entropy_with_integer_labels(logits, target)
  total = jnp.sum(weight)
  return jnp.sum(entropy * weight) / jnp.where(total > 0, total, 1)

"""Losses of networks that predict the class of every pixel.

`rare_weights` and `boundary` are those of MornGAN, for noisy labels and unbalanced classes.

Losses here are ratios over a whole batch. Where devices share it, what they divide by is pooled
(`core.state.pooled`): the mean over devices is then the loss of the batch.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from i2vjax.core.class_names import IGNORE
from i2vjax.core.state import pooled


def rare_weights(labels: jax.Array, classes: int, pixels: int = 1024,
                 weight: float = 7.0) -> jax.Array:
  """[K] weights of classes: `weight` for those with fewer than `pixels` pixels per image, else 1.

  As in the public MornGAN code. A class without a pixel gets the weight too, which has no effect.
  Counted over the images of all devices.

  Args:
    labels: [N, H, W] ids; 255 counts for no class.
    classes: K.
    pixels: limit for each image, whatever its size.
    weight: of rare classes.
  """
  counts = jnp.sum(labels[..., None] == jnp.arange(classes), axis=(0, 1, 2))
  return jnp.where(pooled(counts.astype(jnp.float32)) < pixels * len(labels), weight, 1.0)


def boundary(logits: jax.Array, labels: jax.Array, ignore: int = IGNORE,
             floor: float = 0.0) -> jax.Array:
  """Difference between the borders of predicted classes and those of the labels.

    sum |edge(T) - edge(softmax)| / sum edge(T),    edge(X) = |X - mean of X over 3 x 3 pixels|

  T is one-hot, zero where there is no label; outside of the frame everything is zero. Sums run over
  pixels, classes and images (public MornGAN code). With few labels the denominator goes to 0 and
  the loss explodes, since edges of predictions count everywhere: `floor` bounds it below (ours).

  Args:
    logits: [N, H, W, K].
    labels: [N, H, W] ids.
    ignore: id of pixels without a class.
    floor: least denominator, as a share of the pixels of all images; 0: no bound, as published.

  Returns:
    Scalar; 0 where the labels have no edge.
  """
  classes = logits.shape[-1]
  labeled = (labels != ignore)[..., None]
  truth = edges(jax.nn.one_hot(labels, classes) * labeled)
  total = pooled(jnp.sum(truth))
  gap = jnp.sum(jnp.abs(truth - edges(jax.nn.softmax(logits.astype(jnp.float32), axis=-1))))
  least = jnp.maximum(total, floor * labels.size)
  return jnp.where(total > 0, gap / jnp.where(total > 0, least, 1), 0.0)


def edges(x: jax.Array) -> jax.Array:
  """|x - mean over 3 x 3|, zeros outside, always a ninth of the sum. [N, H, W, K] -> same."""
  total = jax.lax.reduce_window(x, 0.0, jax.lax.add, (1, 3, 3, 1), (1, 1, 1, 1),
                                ((0, 0), (1, 1), (1, 1), (0, 0)))
  return jnp.abs(x - total / 9)


def class_weights(truth: np.ndarray, classes: int, ignore: int = IGNORE) -> np.ndarray:
  """[K] weights share^-0.5 of the classes in `truth`, of mean 1 over its pixels.

  Without weights, classes of a few pixels per frame (lights, signs, persons) are never learned
  (ours).

  Args:
    truth: ids, any shape.
    classes: K.
    ignore: id of pixels without a class.

  Returns:
    [K] float32.
  """
  count = np.bincount(truth[truth != ignore].ravel(), minlength=classes)[:classes]
  share = count / max(count.sum(), 1)
  weight = np.where(share > 0, np.maximum(share, 1e-9) ** -0.5, 0)
  return (weight / max(np.sum(share * weight), 1e-9)).astype(np.float32)


def cross_entropy(logits: jax.Array, truth: jax.Array, weights: jax.Array,
                  ignore: int = IGNORE) -> jax.Array:
  """Weighted mean of -log softmax at the true class, over the pixels that have a class.

  Args:
    logits: [N, H, W, K].
    truth: [N, H, W] ids.
    weights: [K].
    ignore: id of pixels without a class.

  Returns:
    Scalar; 0 where no pixel has a class.
  """
  labeled = truth != ignore
  target = jnp.where(labeled, truth, 0).astype(jnp.int32)
  weight = labeled * jnp.asarray(weights)[target]
  entropy = optax.softmax_cross_entropy_with_integer_labels(logits, target)
  total = pooled(jnp.sum(weight))
  return jnp.sum(entropy * weight) / jnp.where(total > 0, total, 1)

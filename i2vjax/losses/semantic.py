"""Losses of networks that name the class of every pixel."""

import jax.numpy as jnp
import numpy as np
import optax

IGNORE = 255   # label of a pixel without a class


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

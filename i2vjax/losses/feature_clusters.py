"""k-means by direction of some rows of a matrix, in shapes that do not depend on how many."""

import jax
import jax.numpy as jnp

FAR = -1e9      # in the place of a similarity that does not count
TINY = 1e-6     # under the root: the derivative at a zero vector stays small


def unit(x):
  """Rows of length 1. x rsqrt(|x|^2 + 1e-6), whose gradient is finite at 0 too."""
  x = x.astype(jnp.float32)
  return x * jax.lax.rsqrt(jnp.sum(jnp.square(x), axis=-1, keepdims=True) + TINY)


def centroids(x, mask, key, clusters, rounds=20):
  """Centers of `clusters` groups of the rows that a mask names.

  Public MornGAN code: rows go to the center of the largest cosine, a center is the plain mean of
  its rows, and K random rows begin. Ours: a fixed number of rounds (at a solution further ones
  change nothing), and a center that lost all its rows stays where it was.

  Args:
    x: [n, C] features; no gradient passes.
    mask: [n] bool, the rows that count. With fewer than K of them, rows that do not count begin:
      finite, but without meaning.
    key: PRNG key, for the rows that begin.
    clusters: K. rounds: of assignment and mean.

  Returns:
    [K, C] float32.
  """
  x = jax.lax.stop_gradient(jnp.asarray(x, jnp.float32))
  mask = jax.lax.stop_gradient(mask)
  lots = jax.random.gumbel(key, mask.shape) + jnp.where(mask, 0.0, FAR)
  start = x[jax.lax.top_k(lots, clusters)[1]]
  directions = unit(x)

  def turn(center, _):
    nearest = jnp.argmax(directions @ unit(center).T, axis=-1)
    member = jax.nn.one_hot(nearest, clusters) * mask[:, None]
    count = jnp.sum(member, axis=0)[:, None]
    moved = member.T @ x / jnp.maximum(count, 1)
    return jnp.where(count > 0, moved, center), None
  return jax.lax.scan(turn, start, length=rounds)[0]


def coverage(center, x, mask):
  """How well rows and centers find each other.

  Args:
    center: [K, C]. x: [n, C]. mask: [n] bool, the rows that count.

  Returns:
    (mu, tau): mean over rows of the cosine to the nearest center, and mean over centers of the
    cosine to the nearest row. mu is 0 and tau means nothing where no row counts.
  """
  cosine = unit(x) @ unit(center).T
  mu = jnp.sum(jnp.where(mask, jnp.max(cosine, axis=1), 0)) / jnp.maximum(jnp.sum(mask), 1)
  return mu, jnp.mean(jnp.max(jnp.where(mask[:, None], cosine, FAR), axis=0))

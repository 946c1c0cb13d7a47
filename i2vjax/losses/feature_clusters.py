"""k-means by cosine over masked rows of a matrix, in static shapes."""

import jax
import jax.numpy as jnp

from i2vjax.core import precision

FAR = -1e9      # replaces a similarity that does not count
TINY = 1e-6     # under the root: the derivative at a zero vector stays small


def unit(x: jax.Array) -> jax.Array:
  """Rows of length 1 [..., C]: x rsqrt(|x|^2 + 1e-6), whose gradient is finite at 0 too."""
  x = x.astype(jnp.float32)
  return x * jax.lax.rsqrt(jnp.sum(jnp.square(x), axis=-1, keepdims=True) + TINY)


@precision.exact
def centroids(x: jax.Array, mask: jax.Array, key: jax.Array, clusters: int,
              rounds: int = 20) -> jax.Array:
  """Centers of `clusters` groups of the rows that a mask selects.

  Public MornGAN code: rows go to the center of the largest cosine, a center is the plain mean of
  its rows, and K random rows are the first centers. Ours: a fixed number of rounds (at a solution
  further ones change nothing), and a center that lost all its rows stays where it was.

  Args:
    x: [n, C] features; no gradient passes.
    mask: [n] bool, the rows that count. With fewer than K of them, other rows are first centers
      too: the result is finite, but without meaning.
    key: PRNG key, for the first centers.
    clusters: K.
    rounds: of assignment and mean.

  Returns:
    [K, C] float32.
  """
  x = jax.lax.stop_gradient(jnp.asarray(x, jnp.float32))
  mask = jax.lax.stop_gradient(mask)
  # The K largest of random numbers are a random set of K rows; masked rows come last.
  lots = jax.random.gumbel(key, mask.shape) + jnp.where(mask, 0.0, FAR)
  start = x[jax.lax.top_k(lots, clusters)[1]]
  directions = unit(x)

  def update(center, _):
    nearest = jnp.argmax(directions @ unit(center).T, axis=-1)
    member = jax.nn.one_hot(nearest, clusters) * mask[:, None]
    count = jnp.sum(member, axis=0)[:, None]
    mean = member.T @ x / jnp.maximum(count, 1)
    return jnp.where(count > 0, mean, center), None
  return jax.lax.scan(update, start, length=rounds)[0]


@precision.exact
def coverage(center: jax.Array, x: jax.Array, mask: jax.Array) -> tuple[jax.Array, jax.Array]:
  """How close rows are to their nearest centers, and centers to their nearest rows.

  Args:
    center: [K, C].
    x: [n, C].
    mask: [n] bool, the rows that count.

  Returns:
    (mu, tau): mean over rows of the cosine to the nearest center, and mean over centers of the
    cosine to the nearest row. If no row counts, mu is 0 and tau has no meaning.
  """
  cosine = unit(x) @ unit(center).T
  mu = jnp.sum(jnp.where(mask, jnp.max(cosine, axis=1), 0)) / jnp.maximum(jnp.sum(mask), 1)
  return mu, jnp.mean(jnp.max(jnp.where(mask[:, None], cosine, FAR), axis=0))

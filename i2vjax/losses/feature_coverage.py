"""Features of rare classes in translated frames cover real ones (MornGAN)."""

import jax
import jax.numpy as jnp

from i2vjax.core.state import sample_keys
from i2vjax.losses import feature_clusters


def collaborative(real: jax.Array, fake: jax.Array, labels_real: jax.Array, labels_fake: jax.Array,
                  groups: tuple[tuple[int, ...], ...], key: jax.Array, *, clusters: int = 4,
                  rounds: int = 20, local: float = 0.9, overall: float = 0.9,
                  every: bool = False) -> jax.Array:
  """Adaptive collaborative attention of one pair of images (MornGAN, Eq. 12 to 16).

  The real image's features of a group of classes are summarized by K centers u_j; then with
  mu = mean over the group's places i of max_j cos(u_j, f_i), tau = mean_j max_i cos(u_j, f_i)

    loss = max(0.9 mu_real - mu_fake, 0) + max(0.9 tau_real - tau_fake, 0),

  averaged over the groups that have more than K places in both images (public code).

  Args:
    real, fake: [h, w, C] features. Only `fake` carries a gradient.
    labels_real, labels_fake: [h, w] ids; real and fake show different scenes.
    groups: tuple of tuples of ids, each a group.
    key: PRNG key of the k-means.
    clusters: K.
    rounds: of the k-means.
    local, overall: the two factors 0.9.
    every: divide by the number of all groups, as the paper does.

  Returns:
    Scalar; 0 where no group has enough places.
  """
  real = jax.lax.stop_gradient(real.astype(jnp.float32)).reshape(-1, real.shape[-1])
  fake = fake.astype(jnp.float32).reshape(-1, fake.shape[-1])

  def membership(labels):
    """[G, n] bool: which places belong to which group."""
    return jnp.stack([jnp.isin(labels.ravel(), jnp.asarray(ids)) for ids in groups])

  def one_group(mask_real, mask_fake, key):
    center = feature_clusters.centroids(real, mask_real, key, clusters, rounds)
    mu, tau = feature_clusters.coverage(center, real, mask_real)
    mu_fake, tau_fake = feature_clusters.coverage(center, fake, mask_fake)
    enough = (jnp.sum(mask_real) > clusters) & (jnp.sum(mask_fake) > clusters)
    gap = jax.nn.relu(local * mu - mu_fake) + jax.nn.relu(overall * tau - tau_fake)
    return jnp.where(enough, gap, 0.0), enough
  gaps, enough = jax.vmap(one_group)(membership(labels_real), membership(labels_fake),
                                     jax.random.split(key, len(groups)))
  return jnp.sum(gaps) / (len(groups) if every else jnp.maximum(jnp.sum(enough), 1))


def of_batch(real: jax.Array, fake: jax.Array, labels_real: jax.Array, labels_fake: jax.Array,
             key: jax.Array, *, groups: tuple[tuple[int, ...], ...], **rest) -> jax.Array:
  """Mean of `collaborative` over pairs of images.

  Args:
    real, fake: [B, h, w, C].
    labels_real, labels_fake: [B, H, W], reduced to h x w.
    key: PRNG key; each pair gets its own.
    groups, rest: as in `collaborative`.
  """
  labels = [reduced(x, real.shape[1:3]) for x in (labels_real, labels_fake)]

  def one_pair(real, fake, labels_real, labels_fake, key):
    return collaborative(real, fake, labels_real, labels_fake, groups, key, **rest)
  return jnp.mean(jax.vmap(one_pair)(real, fake, *labels, sample_keys(key, len(real))))


def reduced(labels: jax.Array, size: tuple[int, int]) -> jax.Array:
  """Labels [N, H, W] at `size` (h, w): row i takes row floor(i H / h), columns likewise."""
  (h, w), (H, W) = size, labels.shape[1:3]
  return labels[:, jnp.arange(h) * H // h][:, :, jnp.arange(w) * W // w]

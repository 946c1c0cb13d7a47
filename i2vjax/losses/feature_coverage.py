"""Rare things of a translated frame shall look like real ones to the encoder (MornGAN)."""

import jax
import jax.numpy as jnp

from i2vjax.losses import feature_clusters


def collaborative(real, fake, labels_real, labels_fake, groups, key, *, clusters=4, rounds=20,
                  local=0.9, overall=0.9, every=False):
  """Adaptive collaborative attention of one pair of images (Eq. 12 to 16 of the paper).

  The real image's features of a group of classes are summed up by K centers u_j; then with
  mu = mean over the group's places i of max_j cos(u_j, f_i), tau = mean_j max_i cos(u_j, f_i)

    loss = max(0.9 mu_real - mu_fake, 0) + max(0.9 tau_real - tau_fake, 0),

  averaged over the groups that have more than K places in both images (public code).

  Args:
    real, fake: [h, w, C] features. Only `fake` carries a gradient.
    labels_real, labels_fake: [h, w] ids; real and fake show different scenes.
    groups: tuple of tuples of ids, each a group.
    key: PRNG key of the k-means.
    clusters: K. rounds: of the k-means. local, overall: the two factors 0.9.
    every: divide by the number of all groups, as print has it.

  Returns:
    Scalar; 0 where no group has enough places.
  """
  real = jax.lax.stop_gradient(real.astype(jnp.float32)).reshape(-1, real.shape[-1])
  fake = fake.astype(jnp.float32).reshape(-1, fake.shape[-1])
  # [G, n]: which places belong to which group.
  mine, theirs = (jnp.stack([jnp.isin(labels.ravel(), jnp.asarray(ids)) for ids in groups])
                  for labels in (labels_real, labels_fake))

  def one(mask_real, mask_fake, key):
    center = feature_clusters.centroids(real, mask_real, key, clusters, rounds)
    mu, tau = feature_clusters.coverage(center, real, mask_real)
    mu_fake, tau_fake = feature_clusters.coverage(center, fake, mask_fake)
    enough = (jnp.sum(mask_real) > clusters) & (jnp.sum(mask_fake) > clusters)
    gap = jax.nn.relu(local * mu - mu_fake) + jax.nn.relu(overall * tau - tau_fake)
    return jnp.where(enough, gap, 0.0), enough
  gaps, enough = jax.vmap(one)(mine, theirs, jax.random.split(key, len(groups)))
  return jnp.sum(gaps) / (len(groups) if every else jnp.maximum(jnp.sum(enough), 1))


def of_batch(real, fake, labels_real, labels_fake, key, *, groups, **rest):
  """Mean of `collaborative` over pairs of images.

  Args:
    real, fake: [B, h, w, C]. labels_real, labels_fake: [B, H, W], reduced to h x w.
    key: PRNG key; each pair has its own. groups, rest: as of `collaborative`.
  """
  labels = [reduced(x, real.shape[1:3]) for x in (labels_real, labels_fake)]

  def one(real, fake, labels_real, labels_fake, key):
    return collaborative(real, fake, labels_real, labels_fake, groups, key, **rest)
  return jnp.mean(jax.vmap(one)(real, fake, *labels, jax.random.split(key, len(real))))


def reduced(labels, size):
  """Labels [N, H, W] at `size` (height, width): every place takes pixel floor(i H / h)."""
  rows, cols = (jnp.arange(new) * old // new
                for new, old in zip(size, labels.shape[1:3], strict=True))
  return labels[:, rows][:, :, cols]

"""Adaptive collaborative attention (MornGAN): what is small looks in both domains as it should."""

import jax
import jax.numpy as jnp

from i2vjax.losses import clustering


def collaborative(real, fake, labels_real, labels_fake, groups, key, clusters=4, phi_local=0.9,
                  phi_global=0.9, rounds=20):
  """Features of a class in a translation gather around the centres of that class in a real image.

  For each group of classes, u its `clusters` centres in the real image, (mu, tau) as
  `clustering.coverage` finds them on either side (Eq. 12 to 16 of the paper):

    relu(phi_local mu_real - mu_fake) + relu(phi_global tau_real - tau_fake)

  Args:
    real: [h, w, C] features of a real image, a constant. fake: [h, w, C] of a translated one.
    labels_real, labels_fake: [h, w] ids of the same places; those of no group do not count.
    groups: tuple of tuples of ids.
    key: PRNG key of the k-means.
    clusters: K; a group counts with more than K places on both sides (public MornGAN code).
    phi_local, phi_global: 0.9 both. rounds: of the k-means.

  Returns:
    Scalar: mean over the groups that count, 0 without any (public code; print divides by all).
  """
  real, fake = (x.reshape(-1, x.shape[-1]).astype(jnp.float32) for x in (real, fake))
  real = jax.lax.stop_gradient(real)

  def one(masks, key):
    centre = clustering.centroids(real, masks[0], key, clusters, rounds)
    mu, tau = clustering.coverage(centre, real, masks[0])
    mu_fake, tau_fake = clustering.coverage(centre, fake, masks[1])
    loss = jax.nn.relu(phi_local * mu - mu_fake) + jax.nn.relu(phi_global * tau - tau_fake)
    counts = jnp.all(jnp.sum(masks, axis=1) > clusters)
    return jnp.where(counts, loss, 0.0), counts
  masks = jnp.stack([jnp.stack([jnp.isin(labels.ravel(), jnp.asarray(ids))
                                for labels in (labels_real, labels_fake)]) for ids in groups])
  losses, counts = jax.vmap(one)(masks, jax.random.split(key, len(groups)))
  return jnp.sum(losses) / jnp.maximum(jnp.sum(counts), 1)


def reduced(labels, size):
  """Labels [B, H, W] at `size` (h, w): the nearest by floor(i H / h), as PyTorch."""
  h, w = size
  rows, cols = (jnp.arange(n) * full // n for n, full in zip((h, w), labels.shape[1:], strict=True))
  return labels[:, rows][:, :, cols]

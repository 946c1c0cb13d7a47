"""Losses on multi-scale attention maps: diversity and similarity across domains (PearlGAN)."""

import jax
import jax.numpy as jnp


def diversity(W: jax.Array) -> jax.Array:
  """L_ad = 1/2 [ 1/4 mean (sum_c W_c - 1)^2 + 1 - mean max_c W_c ] (PearlGAN, AD; public code).

  It is 0 where every place belongs to exactly one of the scales c.

  Args:
    W: maps [B, h, w, K] in (0, 1).

  Returns:
    Scalar: mean over samples.
  """
  W = W.astype(jnp.float32)
  overlap = 0.25 * jnp.mean(jnp.square(jnp.sum(W, axis=-1) - 1))
  return 0.5 * (overlap + 1 - jnp.mean(jnp.max(W, axis=-1)))


def conditional_similarity(Z1: jax.Array, W1: jax.Array, Z2: jax.Array, W2: jax.Array) -> jax.Array:
  """ACCS(1, 2) (PearlGAN; public code): scale c attends to similar features in both images.

  q_c is the unit mean of the features under map c, k_c that map's maximum, S = q1 q2^T:

    sum_c w_c (max_j S_cj - S_cc) / (sum_c w_c + 1e-6),  w_c = min(k1_c, k2_c),
    + 1/4 sum over both of relu(mean over all K^2 entries of q q^T, its diagonal set to 0).

  The public code takes one sample at a time; here every sample of the batch has its own value.

  Args:
    Z1, Z2: features [B, h, w, C]; constants.
    W1, W2: maps [B, h, w, K]. W2 may come from another image than Z2.

  Returns:
    Scalar: mean over samples.
  """
  q1, q2 = attended_features(Z1, W1), attended_features(Z2, W2)
  k1 = jnp.max(W1.astype(jnp.float32), axis=(1, 2))
  k2 = jnp.max(W2.astype(jnp.float32), axis=(1, 2))
  w = jnp.minimum(k1, k2)
  S = jnp.einsum('bic,bjc->bij', q1, q2, precision=jax.lax.Precision.HIGHEST)
  gap = jnp.max(S, axis=2) - jnp.diagonal(S, axis1=1, axis2=2)
  align = jnp.sum(w * gap, axis=1) / (jnp.sum(w, axis=1) + 1e-6)
  return jnp.mean(align + 0.25 * (spread(q1) + spread(q2)))


def attended_features(Z: jax.Array, W: jax.Array) -> jax.Array:
  """q: mean of the features Z weighted by each map of W, at unit length.

  Args:
    Z: [B, h, w, C]; a constant.
    W: [B, h, w, K].

  Returns:
    [B, K, C] float32; 1e-6 in the root keeps the derivative at 0 finite.
  """
  Z, W = jax.lax.stop_gradient(Z).astype(jnp.float32), W.astype(jnp.float32)
  total = jnp.einsum('bhwk,bhwc->bkc', W, Z, precision=jax.lax.Precision.HIGHEST)
  q = total / jnp.sum(W, axis=(1, 2))[..., None]
  return q * jax.lax.rsqrt(jnp.sum(q * q, axis=-1, keepdims=True) + 1e-6)


def spread(q: jax.Array) -> jax.Array:
  """relu(mean of q q^T with its diagonal set to 0), over all K^2 entries. [B, K, C] -> [B]."""
  S = jnp.einsum('bic,bjc->bij', q, q, precision=jax.lax.Precision.HIGHEST)
  return jax.nn.relu(jnp.mean(S * (1 - jnp.eye(q.shape[1])), axis=(1, 2)))

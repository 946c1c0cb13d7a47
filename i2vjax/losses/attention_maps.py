"""What attention maps of several scales are to do: share out a frame, alike in both domains."""

import jax
import jax.numpy as jnp


def diversity(W):
  """L_ad = 1/2 [ 1/4 mean (sum_c W_c - 1)^2 + 1 - mean max_c W_c ] (PearlGAN, AD; public code).

  Every place belongs to one of the scales. [B, h, w, K] in (0, 1) -> scalar, mean over samples.
  """
  W = W.astype(jnp.float32)
  shared = 0.25 * jnp.mean(jnp.square(jnp.sum(W, axis=-1) - 1))
  return 0.5 * (shared + 1 - jnp.mean(jnp.max(W, axis=-1)))


def conditional_similarity(Z1, W1, Z2, W2):
  """ACCS(1, 2) (PearlGAN; public code): what scale c looks at is the same kind of thing in both.

  q_c is the unit mean of the features under map c, k_c that map's maximum, S = q1 q2^T:

    sum_c w_c (max_j S_cj - S_cc) / (sum_c w_c + 1e-6),  w_c = min(k1_c, k2_c),
    + 1/4 sum over both of relu(mean over all K^2 entries of q q^T, its diagonal set to 0).

  Public code takes one sample at a time; here each does for itself.

  Args:
    Z1, Z2: features [B, h, w, C]; constants.
    W1, W2: maps [B, h, w, K]. Those of 2 may have been taken from another picture than Z2.

  Returns:
    Scalar: mean over samples.
  """
  q1, q2 = looked_at(Z1, W1), looked_at(Z2, W2)
  w = jnp.minimum(*(jnp.max(W.astype(jnp.float32), axis=(1, 2)) for W in (W1, W2)))
  S = jnp.einsum('bic,bjc->bij', q1, q2, precision=jax.lax.Precision.HIGHEST)
  ahead = jnp.max(S, axis=2) - jnp.diagonal(S, axis1=1, axis2=2)
  align = jnp.sum(w * ahead, axis=1) / (jnp.sum(w, axis=1) + 1e-6)
  return jnp.mean(align + 0.25 * (spread(q1) + spread(q2)))


def looked_at(Z, W):
  """q: mean of the features Z [B, h, w, C] weighted by each map of W [B, h, w, K], at unit length.

  Z is a constant. Returns [B, K, C] float32; 1e-6 in the root keeps the derivative at 0 finite.
  """
  Z, W = jax.lax.stop_gradient(Z).astype(jnp.float32), W.astype(jnp.float32)
  total = jnp.einsum('bhwk,bhwc->bkc', W, Z, precision=jax.lax.Precision.HIGHEST)
  q = total / jnp.sum(W, axis=(1, 2))[..., None]
  return q * jax.lax.rsqrt(jnp.sum(q * q, axis=-1, keepdims=True) + 1e-6)


def spread(q):
  """relu(mean of q q^T with its diagonal set to 0), over all K^2 entries. [B, K, C] -> [B]."""
  S = jnp.einsum('bic,bjc->bij', q, q, precision=jax.lax.Precision.HIGHEST)
  return jax.nn.relu(jnp.mean(S * (1 - jnp.eye(q.shape[1])), axis=(1, 2)))

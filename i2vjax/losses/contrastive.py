"""Contrastive losses of patches: PatchNCE (CUT), external and internal similarity.

The similarities are those of I2V-GAN.

q queries and k keys are unit vectors [..., S, C] from the same S places of two images; the positive
of q_s is k_s, the negatives are the other S - 1 keys of the same image. All in float32.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

EPS = 1e-8   # under the ratio and the cosine of internal similarity


def patch_nce(query: jax.Array, key: jax.Array, tau: float = 0.07,
              detach_key: bool = True) -> jax.Array:
  """l = mean_s [ log sum_j exp(q_s k_j / tau) - q_s k_s / tau ] (CUT, PatchNCE; public code).

  The public code puts -10 on the diagonal and the positive beside it: equal in float32.

  Args:
    query: [..., S, C] of unit length.
    key: same shape, from the same places; a constant unless `detach_key` is False.
    tau: temperature.
    detach_key: stop the gradient at the key.

  Returns:
    [...] float32, one value per image: ln S where all vectors are equal.
  """
  key = jax.lax.stop_gradient(key) if detach_key else key
  query, key = query.astype(jnp.float32), key.astype(jnp.float32)
  logits = jnp.einsum('...sc,...tc->...st', query, key,
                      precision=jax.lax.Precision.HIGHEST) / tau
  positive = jnp.diagonal(logits, axis1=-2, axis2=-1)
  return jnp.mean(jax.nn.logsumexp(logits, axis=-1) - positive, axis=-1)


def by_layer(queries: Sequence[jax.Array], keys: Sequence[jax.Array], tau: float = 0.07,
             detach_keys: bool = True) -> jax.Array:
  """`patch_nce` of each of L layers: lists of [..., S_l, C_l] -> [..., L]."""
  pairs = zip(queries, keys, strict=True)
  return jnp.stack([patch_nce(q, k, tau, detach_keys) for q, k in pairs], axis=-1)


def external_similarity(queries: Sequence[jax.Array], keys: Sequence[jax.Array],
                        tau: float = 0.07) -> jax.Array:
  """Output patches recognize the input patches of their place: mean over layers, images, patches.

  CUT's multilayer PatchNCE and I2V-GAN's EXS of one frame (its paper sums over the patches, its
  public code takes the mean, as here). The gradient reaches only the queries.

  Args:
    queries: of the translated image, [[..., S_l, C_l] for each layer l].
    keys: of the source, same shapes.
    tau: temperature.

  Returns:
    Scalar.
  """
  return jnp.mean(by_layer(queries, keys, tau))


def change_rate(first: Sequence[jax.Array], second: Sequence[jax.Array], third: Sequence[jax.Array],
                tau: float = 0.07, detach_keys: bool = True, eps: float = EPS) -> jax.Array:
  """r = v_12 / v_01: similarity of frames 1 and 2 relative to that of frames 0 and 1 (I2V-GAN).

  v_01 is `patch_nce` with the earlier frame as the query and the later one as the key.

  Args:
    first, second, third: features of three frames, [[..., S_l, C_l] for each layer l].
    tau, detach_keys: as in `patch_nce`.
    eps: added to v_01 (ours: v_01 vanishes for a static camera; the public code has none).

  Returns:
    [..., L].
  """
  v01 = by_layer(first, second, tau, detach_keys)
  v12 = by_layer(second, third, tau, detach_keys)
  return v12 / (v01 + eps)


def internal_similarity(real: Sequence[Sequence[jax.Array]], fake: Sequence[Sequence[jax.Array]],
                        tau: float = 0.07, detach_keys: bool = True, eps: float = EPS) -> jax.Array:
  """INS = 1 - cos(r, r^): the translation changes over time as the source does (I2V-GAN).

  The source's rate r is a constant. Keys are the later frames and stop the gradient, so the last
  translated frame, the predictor's output, gets no gradient here; with `detach_keys=False` (ours)
  it does.

  Args:
    real: features of three source frames, [frame][layer] of [..., S_l, C_l], all frames at the same
      places of a layer.
    fake: of their translations, same shapes and places.
    tau, detach_keys, eps: as in `change_rate`.

  Returns:
    Scalar: mean over images of a distance of two vectors of L layers (public code: the vectors of
    the whole batch, equal for one image).
  """
  r = jax.lax.stop_gradient(change_rate(*real, tau, detach_keys, eps))
  r_fake = change_rate(*fake, tau, detach_keys, eps)
  product = jnp.sum(jnp.square(r), axis=-1) * jnp.sum(jnp.square(r_fake), axis=-1)
  cosine = jnp.sum(r * r_fake, axis=-1) / jnp.sqrt(jnp.maximum(product, EPS**2))
  return jnp.mean(1 - cosine)

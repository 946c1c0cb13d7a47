"""Contrastive losses of patches: PatchNCE (CUT), external and internal similarity (I2V-GAN).

q queries and k keys are unit vectors [..., S, C] from the same S places of two images; the positive
of q_s is k_s, the negatives are the other S - 1 keys of the same image. All in float32.
"""

import jax
import jax.numpy as jnp

EPS = 1e-8   # under the ratio and the cosine of internal similarity


def patch_nce(query, key, tau=0.07, detach_key=True):
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


def by_layer(queries, keys, tau=0.07, detach_keys=True):
  """`patch_nce` of each of L layers: lists of [..., S_l, C_l] -> [..., L]."""
  pairs = zip(queries, keys, strict=True)
  return jnp.stack([patch_nce(q, k, tau, detach_keys) for q, k in pairs], axis=-1)


def external_similarity(queries, keys, tau=0.07):
  """Output patches recognize the input patches of their place: mean over layers, images, patches.

  CUT's multilayer PatchNCE and I2V-GAN's EXS of one frame (its code takes the mean that is meant
  here, the paper prints a sum). The gradient reaches the queries alone.

  Args:
    queries: of the translated image, [[..., S_l, C_l] for each layer l].
    keys: of the source, same shapes.
    tau: temperature.

  Returns:
    Scalar.
  """
  return jnp.mean(by_layer(queries, keys, tau))


def change_rate(first, second, third, tau=0.07, detach_keys=True, eps=EPS):
  """r = v_12 / v_01: how alike frames 1 and 2 are, measured by frames 0 and 1 (I2V-GAN).

  v_01 is `patch_nce` with the earlier frame as the query and the later one as the key.

  Args:
    first, second, third: features of three frames, [[..., S_l, C_l] for each layer l].
    tau, detach_keys: as in `patch_nce`.
    eps: added to v_01 (ours: it vanishes for a standing camera; the public code has none).

  Returns:
    [..., L].
  """
  v01 = by_layer(first, second, tau, detach_keys)
  v12 = by_layer(second, third, tau, detach_keys)
  return v12 / (v01 + eps)


def internal_similarity(real, fake, tau=0.07, detach_keys=True, eps=EPS):
  """INS = 1 - cos(r, r^): the translation changes over time as the source does (I2V-GAN).

  The source's rate r is a constant. Keys are the later frames and stop the gradient, so the last
  translated frame, which the predictor makes, learns nothing here; `detach_keys=False` (ours) lets
  it learn.

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

"""PatchNCE, external and internal similarity: values and where gradients stop."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from i2vjax.losses import contrastive


def units(seed, *shape):
  x = jax.random.normal(jax.random.key(seed), shape)
  return x / jnp.linalg.norm(x, axis=-1, keepdims=True)


def frames(seed, count=3, layers=2, batch=2):
  """[frame][layer] of [B, S, C], frames alike but not equal."""
  base = [units(seed, batch, 6, 5), units(seed + 1, batch, 4, 3)][:layers]
  return [[x + 0.2 * units(seed + 7 * i + 2, *x.shape) for x in base] for i in range(count)]


def test_equal_rows_cost_the_logarithm_of_their_number():
  z = jnp.broadcast_to(units(0, 1, 8), (256, 8))
  assert contrastive.patch_nce(z, z) == pytest.approx(math.log(256), rel=1e-5)


def test_different_directions_are_told_apart():
  z = units(0, 256, 256)
  assert contrastive.patch_nce(z, z) == pytest.approx(2.4e-4, rel=0.3)


def test_patch_nce_as_the_public_code_writes_it():
  """Positive in front, the diagonal of the others at -10, cross-entropy with label 0."""
  q, k = units(1, 2, 7, 5), units(2, 2, 7, 5)
  others = jnp.where(jnp.eye(7, dtype=bool), -10.0, q @ jnp.swapaxes(k, 1, 2))
  logits = jnp.concatenate([jnp.sum(q * k, -1, keepdims=True), others], -1) / 0.07
  expected = -jax.nn.log_softmax(logits)[..., 0].mean(-1)
  np.testing.assert_allclose(contrastive.patch_nce(q, k), expected, rtol=1e-5)


def test_gradient_reaches_the_query_alone():
  q, k = units(1, 7, 5), units(2, 7, 5)
  to_q, to_k = jax.grad(lambda q, k: contrastive.patch_nce(q, k), (0, 1))(q, k)
  assert jnp.any(to_q) and not jnp.any(to_k)


def test_external_similarity_is_the_mean_over_layers_and_images():
  q, k = frames(1)[0], frames(20)[0]
  by_hand = np.mean([[contrastive.patch_nce(q[l][i], k[l][i]) for l in range(2)] for i in range(2)])
  np.testing.assert_allclose(contrastive.external_similarity(q, k), by_hand, rtol=1e-5)


def test_internal_similarity_by_hand():
  """1 - cos of v_12 / v_01 over the layers, image by image."""
  real, fake = frames(1), frames(50)

  def rate(z, image):
    v01, v12 = ([float(contrastive.patch_nce(z[i][l][image], z[i + 1][l][image])) for l in range(2)]
                for i in range(2))
    return np.array(v12) / np.array(v01)

  def distance(image):
    r, r_fake = rate(real, image), rate(fake, image)
    return 1 - r @ r_fake / np.linalg.norm(r) / np.linalg.norm(r_fake)
  expected = np.mean([distance(0), distance(1)])
  np.testing.assert_allclose(contrastive.internal_similarity(real, fake), expected, rtol=1e-3)
  assert expected > 1e-4


def test_translations_that_change_as_the_source_cost_nothing():
  real = frames(1)
  np.testing.assert_allclose(contrastive.internal_similarity(real, real), 0, atol=1e-6)


def gradients(**options):
  real, fake = frames(1), frames(50)
  to_real, to_fake = jax.grad(
      lambda real, fake: contrastive.internal_similarity(real, fake, **options), (0, 1))(real, fake)
  return [max(float(jnp.max(jnp.abs(x))) for x in frame) for frame in (*to_real, *to_fake)]


def test_internal_similarity_teaches_the_first_two_translations_alone():
  real_and_fake = gradients()
  assert real_and_fake[:3] == [0, 0, 0]
  assert real_and_fake[3] > 0 and real_and_fake[4] > 0
  assert real_and_fake[5] == 0   # the predicted frame is only a key


def test_keys_may_learn_by_wish():
  real_and_fake = gradients(detach_keys=False)
  assert real_and_fake[:3] == [0, 0, 0] and real_and_fake[5] > 0


def test_a_standing_camera_keeps_values_and_gradients_finite():
  """Equal frames of patches that cannot be confused: v_01 and v_12 vanish."""
  z = [jnp.eye(6)[None]]
  still = [z, z, z]
  value, grads = jax.value_and_grad(contrastive.internal_similarity, 1)(still, still)
  assert np.isfinite(value) and all(np.isfinite(x).all() for x in jax.tree.leaves(grads))

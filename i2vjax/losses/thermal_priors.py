"""Thermal priors: losses from knowledge about heat (MornGAN and its baseline)."""

import jax
import jax.numpy as jnp

from i2vjax.core import ops


def conditional_gradient(source: jax.Array, fake: jax.Array, background: jax.Array) -> jax.Array:
  """Strong gradients of the source's background are preserved (MornGAN, Eq. 18 and 19).

    sum max(h (g_s - g_f), 0) / sum h g_s,    h = 1 where g_s exceeds its mean over the background

  Args:
    source, fake: [N, H, W] gradient magnitudes; `source` is a constant.
    background: [N, H, W], true where gradients are to be preserved.

  Returns:
    Scalar: mean over the images, of which those without a strong gradient count 0.
  """
  b = background.astype(jnp.float32)
  g_s, g_f = b * jax.lax.stop_gradient(source), b * fake

  def total(x):
    return jnp.sum(x, axis=(1, 2))
  mean = total(g_s) / jnp.maximum(total(b), 1)
  h = (g_s > mean[:, None, None]).astype(jnp.float32)
  strong = total(h * g_s)
  lost = total(jax.nn.relu(h * (g_s - g_f)))
  return jnp.mean(jnp.where(strong > 0, lost / jnp.where(strong > 0, strong, 1), 0.0))


def monochrome(frames: jax.Array) -> jax.Array:
  """A thermal frame is gray: largest difference between channels, mean over the images.

  Args:
    frames: [N, H, W, 3] in [-1, 1]; one channel gives 0.

  Returns:
    Scalar.
  """
  return jnp.mean(jnp.max(jnp.max(frames, axis=-1) - jnp.min(frames, axis=-1), axis=(1, 2)))


def warmth(frames: jax.Array, labels: jax.Array, road: int, person: int,
           eps: float = 1e-4) -> jax.Array:
  """A person is warmer than the road: max(r - p, 0) / (r + eps), mean over the images.

  r, a constant, is the mean of the road and p the minimum of the persons in gray values of [0, 1]
  (public MornGAN code; the paper has the same without eps).

  Args:
    frames: [N, H, W, C] thermal, in [-1, 1].
    labels: [N, H, W] ids.
    road, person: ids of these classes.
    eps: keeps the ratio finite for a black road.

  Returns:
    Scalar; an image without road or without persons counts 0.
  """
  q = (ops.luma(frames)[..., 0] + 1) / 2
  on_road, on_person = labels == road, labels == person
  count = jnp.sum(on_road, axis=(1, 2))
  r = jnp.sum(jnp.where(on_road, q, 0), axis=(1, 2)) / jnp.maximum(count, 1)
  r = jax.lax.stop_gradient(r)
  p = jnp.min(jnp.where(on_person, q, 1.0), axis=(1, 2))
  both = (count > 0) & jnp.any(on_person, axis=(1, 2))
  return jnp.mean(jnp.where(both, jax.nn.relu(r - p) / (r + eps), 0.0))

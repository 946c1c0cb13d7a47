"""Losses on image gradients: smoothness, and alignment with source edges (PearlGAN)."""

import jax
import jax.numpy as jnp

from i2vjax.core import ops
from i2vjax.core.errors import UserError
from i2vjax.core.state import sample_keys


def total_variation(x: jax.Array) -> jax.Array:
  """2 (mean dh^2 + mean dw^2), dh and dw the differences of neighbors (public PearlGAN code).

  [B, H, W, C] -> scalar, a mean over samples.
  """
  x = x.astype(jnp.float32)
  return 2 * sum(jnp.mean(jnp.square(jnp.diff(x, axis=axis))) for axis in (1, 2))


def magnitude(x: jax.Array) -> jax.Array:
  """GM(x) = sqrt(v^2 + h^2 + 1e-6) of the gray values in [0, 1] (public PearlGAN and MornGAN code).

  v and h are differences over two pixels, without the half; outside the frame is 0, so that bright
  borders have a gradient. On flat regions it is 1e-3 and has a derivative.

  [B, H, W, C] in [-1, 1] -> [B, H, W] float32.
  """
  g = ops.luma((x.astype(jnp.float32) + 1) / 2)[..., 0]
  g = jnp.pad(g, ((0, 0), (1, 1), (1, 1)))
  v, h = g[:, 2:, 1:-1] - g[:, :-2, 1:-1], g[:, 1:-1, 2:] - g[:, 1:-1, :-2]
  return jnp.sqrt(v * v + h * h + 1e-6)


def alignment(key: jax.Array, edges: jax.Array, steep: jax.Array, grid: int = 8,
              threshold: float = 0.8) -> jax.Array:
  """Structured gradient alignment (PearlGAN, L_sga): a gradient where the source has an edge.

  Of the grid x grid patches of each sample, one that has an edge is drawn at random. On it

    sum relu(th e - GM / max GM) / (sum e + 1),

  where the maximum over the patch is differentiated too; 0 for a sample without an edge.

  Args:
    key: PRNG key; each sample draws its own patch.
    edges: e, [B, H, W] in [0, 1], of the source; H and W multiples of `grid`.
    steep: GM, [B, H, W], gradient magnitude of the translation.
    grid: patches along a side.
    threshold: th.

  Returns:
    Scalar: mean over samples.

  Raises:
    UserError: sides that are no multiples of `grid`.
  """
  H, W = edges.shape[1:]
  if H % grid or W % grid:
    raise UserError(f'sga.grid={grid} does not divide frames of {H}x{W} pixels: choose '
                    'data.crop_size as a multiple of it')
  side = H // grid, W // grid

  def one_sample(key, e, g):
    has_edge = jnp.sum(e.reshape(grid, side[0], grid, side[1]), axis=(1, 3)).ravel() > 0
    place = jax.random.categorical(key, jnp.where(has_edge, 0.0, -1e9))
    corner = place // grid * side[0], place % grid * side[1]
    e, g = jax.lax.dynamic_slice(e, corner, side), jax.lax.dynamic_slice(g, corner, side)
    missing = jnp.sum(jax.nn.relu(threshold * e - g / jnp.max(g)))
    return jnp.any(has_edge) * missing / (jnp.sum(e) + 1)
  return jnp.mean(jax.vmap(one_sample)(sample_keys(key, len(edges)), edges, steep))

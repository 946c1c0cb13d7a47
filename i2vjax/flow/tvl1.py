"""Optical flow without weights: TV-L1 and pyramidal Lucas-Kanade.

TV-L1 is that of Zach, Pock and Bischof (2007). Both solve a(p) = b(p + u(p)) for u [B, H, W, 2] in
pixels, [..., 0] to the right, [..., 1] down, coarse to fine, the whole batch in one program. TV-L1
keeps the edges of moving objects; Lucas-Kanade is a little better, and faster, where everything
moves smoothly. No gradient passes.
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from i2vjax.core import backend, ops

# 19 exchanges that bring the median of nine values to place 4 (a known minimal network).
MEDIAN_9 = ((1, 2), (4, 5), (7, 8), (0, 1), (3, 4), (6, 7), (1, 2), (4, 5), (7, 8), (0, 3), (5, 8),
            (4, 7), (3, 6), (1, 4), (2, 5), (4, 7), (4, 2), (6, 4), (4, 2))
UNROLLED = 6   # a divisor of the usual 30 steps
PYRAMID_SIGMA = 0.6 * math.sqrt(1 / 0.5 ** 2 - 1)   # blur before halving (as OpenCV's TV-L1)


# ---- Shared by both methods


def intensities(*frames: jax.Array) -> tuple[jax.Array, ...]:
  """Frames [B, H, W, 1 or 3] in [-1, 1] as float32 gray values [B, H, W, 1] of 0 to 255."""
  return tuple(127.5 * (ops.luma(frame.astype(jnp.float32)) + 1) for frame in frames)


def level_count(size: tuple[int, int], levels: int = 5) -> int:
  """Pyramid levels for frames (H, W): the coarsest has a short side of 12 or more."""
  return max(1, min(levels, 1 + math.floor(math.log2(max(min(size), 12) / 12))))


def pyramid(x: jax.Array, levels: int, sigma: float) -> list[jax.Array]:
  """[x, half, quarter, ...]: blurred (edges repeated), then halved; odd sizes are rounded."""
  images = [x]
  for _ in range(levels - 1):
    H, W = images[-1].shape[1:3]
    smooth = ops.gaussian_blur(images[-1], sigma, mode='edge')
    images.append(ops.resize(smooth, ((H + 1) // 2, (W + 1) // 2)))
  return images


def coarse_to_fine(a: jax.Array, b: jax.Array, levels: int, sigma: float,
                   refine: Callable) -> jax.Array:
  """Flow by `refine(a, b, u) -> u` on each level, from the coarsest down.

  Args:
    a, b: [B, H, W, 1].
    levels: of the pyramid, at most.
    sigma: blur of the pyramid.
    refine: function of a, b [B, h, w, 1] and u [B, h, w, 2], which gives a better u.

  Returns:
    [B, H, W, 2].
  """
  count = level_count(a.shape[1:3], levels)
  pairs = list(zip(pyramid(a, count, sigma), pyramid(b, count, sigma), strict=True))
  coarsest, _ = pairs[-1]
  u = jnp.zeros((*coarsest.shape[:3], 2))
  for a, b in reversed(pairs):
    (H, W), (h, w) = a.shape[1:3], u.shape[1:3]
    # Vectors grow with the map.
    u = refine(a, b, ops.resize(u, (H, W)) * jnp.array([W / w, H / h]))
  return u


def central_gradient(x: jax.Array) -> jax.Array:
  """Half central differences (d/dx, d/dy), 0 on the frame's edge: [B, H, W, 1] -> [B, H, W, 2]."""
  gx = jnp.pad(x[:, 1:-1, 2:] - x[:, 1:-1, :-2], ((0, 0), (1, 1), (1, 1), (0, 0)))
  gy = jnp.pad(x[:, 2:, 1:-1] - x[:, :-2, 1:-1], ((0, 0), (1, 1), (1, 1), (0, 0)))
  return jnp.concatenate([gx, gy], -1) / 2


def median(x: jax.Array) -> jax.Array:
  """Median of 3 x 3 pixels, edges repeated; by exchanges, not sorting. [B, H, W, C] -> same."""
  H, W = x.shape[1:3]
  x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode='edge')
  v = [x[:, i:i + H, j:j + W] for i in range(3) for j in range(3)]
  for i, j in MEDIAN_9:
    v[i], v[j] = jnp.minimum(v[i], v[j]), jnp.maximum(v[i], v[j])
  return v[4]


# ---- TV-L1, on planes [B, H, W]: on a CPU five times as fast as on [B, H, W, 2]


def forward_difference(x: jax.Array, axis: int) -> jax.Array:
  """x(p + 1) - x(p) along an axis, 0 at the end."""
  return jnp.diff(x, axis=axis, append=jax.lax.slice_in_dim(x, x.shape[axis] - 1, None, axis=axis))


def backward_difference(x: jax.Array, axis: int) -> jax.Array:
  """x(p) - x(p - 1) along an axis, x taken as 0 before its beginning.

  On fields that are 0 at the end this is minus the adjoint of `forward_difference`.
  """
  before = [(1, 0) if i == axis else (0, 0) for i in range(x.ndim)]
  return x - jax.lax.slice_in_dim(jnp.pad(x, before), 0, x.shape[axis], axis=axis)


def tvl1(a: jax.Array, b: jax.Array, *, levels: int = 5, warps: int = 5, inner: int = 30,
         lam: float = 0.15, theta: float = 0.3, tau: float = 0.25) -> jax.Array:
  """Minimizes sum_p lam |b(p + u) - a(p)| + |grad u_x| + |grad u_y|.

  The data term is linearized around the warped frame and coupled to the smooth part by `theta`; the
  smooth part is solved by dual fields that are kept over the warps of a level. A 3x3 median after
  each warp (Wedel et al., 2009).

  Args:
    a, b: [B, H, W, 1 or 3] in [-1, 1].
    levels, warps, inner: pyramid levels at most, warps per level, steps per warp.
    lam, theta, tau: weight of the data for intensities of 0 to 255, coupling, step of the dual.

  Returns:
    [B, H, W, 2] float32.
  """
  a, b = intensities(a, b)

  def refine(a, b, u):
    layers = jnp.concatenate([b, central_gradient(b)], -1)

    def warp(carry, _):
      u, dual = carry
      data = _data_step(a[..., 0], ops.warp(layers, u), u, lam * theta)
      planes, dual = _smooth(data, (u[..., 0], u[..., 1]), dual, inner, theta, tau)
      return (median(jnp.stack(planes, -1)), dual), None
    zero = jnp.zeros(u.shape[:3])
    return jax.lax.scan(warp, (u, ((zero, zero), (zero, zero))), None, warps)[0][0]
  return jax.lax.stop_gradient(coarse_to_fine(a, b, levels, PYRAMID_SIGMA, refine))


def _data_step(a, moved, u0, limit):
  """Function of planes u -> v, the best near u for r(u) = b(p + u0) + g (u - u0) - a.

  v = u - k g with k = r / |g|^2 or, where r is larger than that allows, +-`limit`.
  """
  b, gx, gy = moved[..., 0], moved[..., 1], moved[..., 2]
  square = gx * gx + gy * gy + 1e-6
  constant = b - a - gx * u0[..., 0] - gy * u0[..., 1]

  def best(x, y):
    k = jnp.clip((constant + gx * x + gy * y) / square, -limit, limit)
    return x - k * gx, y - k * gy
  return best


def _unrolled():
  """Steps of `_smooth` in one round of its loop.

  Each round is launched by itself on a GPU, and most of what it launches are copies of u and dual.
  """
  return 1 if backend.name() == 'cpu' else UNROLLED


def _smooth(data, u, dual, steps, theta, tau):
  """`steps` times: data step, then for both components the dual field and its divergence.

  Args:
    data: planes u -> planes v.
    u: (x, y), planes [B, H, W].
    dual: for each component a field (along x, along y).

  Returns:
    (u, dual).
  """
  rate = tau / theta

  def ascend(u, field):
    ux, uy = forward_difference(u, 2), forward_difference(u, 1)
    scale = 1 / (1 + rate * jnp.sqrt(ux * ux + uy * uy))
    return (field[0] + rate * ux) * scale, (field[1] + rate * uy) * scale

  def step(carry, _):
    u, dual = carry
    u = tuple(v + theta * (backward_difference(px, 2) + backward_difference(py, 1))
              for v, (px, py) in zip(data(*u), dual, strict=True))
    return (u, tuple(ascend(*pair) for pair in zip(u, dual, strict=True))), None
  return jax.lax.scan(step, (u, dual), None, steps, unroll=_unrolled())[0]


# ---- Lucas-Kanade


def lucas_kanade(a: jax.Array, b: jax.Array, *, levels: int = 5, steps: int = 5, sigma: float = 2.5,
                 ridge: float = 4.0) -> jax.Array:
  """Gauss-Newton on each pixel's Gaussian neighborhood, with a's gradients.

  Args:
    a, b: [B, H, W, 1 or 3] in [-1, 1].
    levels: pyramid levels at most.
    steps: on each level; a step is at most 2 pixels, a 3x3 median follows it.
    sigma: of the neighborhood, pixels.
    ridge: added to the diagonal of the structure tensor: without texture nothing moves.

  Returns:
    [B, H, W, 2] float32.
  """
  a, b = intensities(a, b)

  def smooth(x):
    return ops.gaussian_blur(x, sigma, mode='edge')

  def refine(a, b, u):
    g = central_gradient(a)
    tensor = smooth(jnp.concatenate([g * g, g[..., :1] * g[..., 1:]], -1))
    xx, yy, xy = tensor[..., 0] + ridge, tensor[..., 1] + ridge, tensor[..., 2]
    determinant = xx * yy - xy * xy

    def step(u, _):
      e = smooth(g * (ops.warp(b, u) - a))
      x, y = e[..., 0], e[..., 1]
      du = jnp.stack([xy * y - yy * x, xy * x - xx * y], -1) / determinant[..., None]
      return median(u + jnp.clip(du, -2, 2)), None
    return jax.lax.scan(step, u, None, steps)[0]
  return jax.lax.stop_gradient(coarse_to_fine(a, b, levels, 1.0, refine))

"""Edge maps of source frames, on the device: what gradient alignment is to find again.

PearlGAN takes them from files: of visible frames by Canny, without its parameters, of infrared ones
by an outside contour detector (MCI) that knows texture from outline. Here both are made from the
frames of the batch. Host code of the same kind, for scores, is metrics/edges.py.
"""

import jax
import jax.numpy as jnp
import numpy as np

from i2vjax.core import ops

CANNY_SIGMA = 2 ** 0.5       # as MATLAB's edge
FLAT_SHARE, LOW = 0.7, 0.4   # as MATLAB's edge: pixels below the high threshold; low / high
BINS = 64                    # thresholds are multiples of 1 / 64, as there
CONTOUR_SIGMA = 1.4          # ours
RING = 4                     # outer over inner deviation of the surround (Grigorescu et al., 2003)
TOP, LEAST = 0.99, 0.1       # ours: quantile that becomes 1; what is below counts as no edge
ROUNDING = 1e-5              # gradients up to this are errors of float32; 8 bits have steps of 4e-3


def canny(x):
  """Canny's edges with thresholds of its own for each frame (MATLAB's rule).

  The high threshold is the smallest multiple of 1 / 64 of the largest gradient below which lie 70 %
  of the pixels, the low one 0.4 of it. Low ridges stay where they hang together with a high one:
  as many rounds as the longest of them has pixels. No gradient passes.

  Args:
    x: [B, H, W, C] in [-1, 1].

  Returns:
    [B, H, W] float32, 0 or 1; no edge in a flat frame.
  """
  down, right = slopes(jax.lax.stop_gradient(x), CANNY_SIGMA)
  size = length(down, right)
  size = size / jnp.maximum(jnp.max(size, axis=(1, 2, 3), keepdims=True), ROUNDING)
  levels = jnp.arange(1, BINS + 1) / BINS
  below = jax.lax.map(lambda level: jnp.mean(size < level, axis=(1, 2, 3)), levels)
  high = levels[jnp.argmax(below > FLAT_SHARE, axis=0)][:, None, None, None]
  ridge = size * thin(size, down, right)
  weak = ridge > LOW * high

  def grow(pair):
    strong, _ = pair
    grown = weak & _dilated(strong)
    return grown, jnp.any(grown != strong)
  start = ridge > high
  strong, _ = jax.lax.while_loop(lambda pair: pair[1], grow, (start, jnp.any(start)))
  return strong[..., 0].astype(jnp.float32)


def contours(x):
  """Outlines rather than texture: gradients less what surrounds them (ours, after Grigorescu et
  al., 2003, whose idea MCI shares).

  E = relu(M - ring * M), M the size of the gradient, ring the positive part of a Gaussian of four
  times the deviation less the Gaussian, at sum 1. Thinned, divided by its 99th percentile, clipped
  to 1; below 0.1 set to 0. No gradient passes.

  [B, H, W, C] in [-1, 1] -> [B, H, W] float32 in [0, 1]; 0 everywhere in a flat frame.
  """
  down, right = slopes(jax.lax.stop_gradient(x), CONTOUR_SIGMA)
  size = length(down, right)
  ring = _ring()
  reach = len(ring) // 2
  padded = jnp.pad(size, ((0, 0), (reach, reach), (reach, reach), (0, 0)), mode='edge')
  around = jax.lax.conv_general_dilated(padded, ring[..., None, None], (1, 1), 'VALID',
                                        dimension_numbers=('NHWC', 'HWIO', 'NHWC'))
  left = jax.nn.relu(size - around)
  ridge = (left * thin(left, down, right))[..., 0]
  top = jnp.quantile(ridge.reshape(len(ridge), -1), TOP, axis=1)[:, None, None]
  e = jnp.clip(ridge / jnp.maximum(top, ROUNDING), 0, 1)
  return jnp.where(e < LEAST, 0.0, e)


def slopes(x, sigma):
  """Derivatives downwards and to the right of the gray values in [0, 1], by Gaussians.

  [B, H, W, C] in [-1, 1] -> two of [B, H, W, 1].
  """
  gray = ops.luma((x.astype(jnp.float32) + 1) / 2)
  reach = int(4 * sigma + 0.5)
  taps = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
  smooth = ops.blur(gray, tuple(taps / taps.sum()), 'edge')
  return tuple(0.5 * (ops.shift(smooth, dy, dx) - ops.shift(smooth, -dy, -dx))
               for dy, dx in ((1, 0), (0, 1)))


def length(down, right):
  """Length of the gradient, 0 where it is nothing but rounding. Three of [B, H, W, 1]."""
  size = jnp.hypot(down, right)
  return jnp.where(size > ROUNDING, size, 0.0)


def thin(size, down, right):
  """Where a gradient is not below its two neighbors along it, linearly interpolated.

  Args:
    size, down, right: [B, H, W, 1], length and parts of the gradient.

  Returns:
    [B, H, W, 1] bool; False on the frame's outermost pixels and where the gradient is 0.
  """
  steep, along = jnp.abs(down) > jnp.abs(right), down * right >= 0
  major, minor = jnp.where(steep, down, right), jnp.where(steep, right, down)
  share = jnp.abs(minor) / jnp.maximum(jnp.abs(major), 1e-12)
  keep = size > 0
  for s in (1, -1):
    straight = jnp.where(steep, ops.shift(size, s, 0), ops.shift(size, 0, s))
    across = jnp.where(steep, ops.shift(size, s, -s), ops.shift(size, -s, s))
    slanted = jnp.where(along, ops.shift(size, s, s), across)
    keep &= size >= (1 - share) * straight + share * slanted
  inner = jnp.pad(jnp.ones((1, size.shape[1] - 2, size.shape[2] - 2, 1), bool),
                  ((0, 0), (1, 1), (1, 1), (0, 0)))
  return keep & inner


def _dilated(mask):
  """3x3 neighborhood of a bool mask [B, H, W, 1]."""
  window = (1, 3, 3, 1)
  return jax.lax.reduce_window(mask, False, jax.lax.bitwise_or, window, (1, 1, 1, 1), 'SAME')


def _ring():
  """[k, k] float32: what surrounds a pixel, sum 1; reaches 3 outer deviations."""
  outer = RING * CONTOUR_SIGMA
  y, x = np.mgrid[-int(3 * outer):int(3 * outer) + 1, -int(3 * outer):int(3 * outer) + 1]
  square = x * x + y * y
  wide, narrow = (np.exp(-0.5 * square / s**2) / (2 * np.pi * s**2)
                  for s in (outer, CONTOUR_SIGMA))
  ring = np.maximum(wide - narrow, 0)
  return (ring / ring.sum()).astype(np.float32)

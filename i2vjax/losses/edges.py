"""Edge maps of source frames, the targets of gradient alignment.

PearlGAN reads them from files: of visible frames by Canny (the paper gives no parameters), of
infrared ones by an external contour detector (MCI) that tells outlines from texture. Here both are
computed from the frames of the batch. The host's edge detector for scores is metrics/edges.py.
"""

import jax
import jax.numpy as jnp
import numpy as np

from i2vjax.core import ops

CANNY_SIGMA = 2 ** 0.5       # as MATLAB's edge
FLAT_SHARE, LOW = 0.7, 0.4   # as MATLAB's edge: share of pixels below `high`; low / high
BINS = 64                    # thresholds are multiples of 1 / 64, as there
CONTOUR_SIGMA = 1.4          # ours
RING = 4                     # outer over inner deviation of the surround (Grigorescu et al., 2003)
TOP = 0.99                   # ours: quantile of the contours that becomes 1
MIN_CONTOUR = 0.1            # ours: below it there is no edge
ROUNDS = 8                   # of canny between two looks whether anything still grows
ROUNDING = 1e-5              # gradients up to this are errors of float32; 8 bits have steps of 4e-3


def canny(x: jax.Array) -> jax.Array:
  """Canny's edges with thresholds for each frame (MATLAB's rule).

  The high threshold is the smallest multiple of 1 / 64 of the largest gradient that exceeds 70 % of
  the pixels, the low one 0.4 of it. Ridges above the low threshold are kept where they are
  connected to one above the high threshold; this takes as many rounds as the longest of them has
  pixels, up to the next multiple of `ROUNDS`: a GPU asks the host whether to go on. No gradient
  passes.

  Args:
    x: [B, H, W, C] in [-1, 1].

  Returns:
    [B, H, W] float32, 0 or 1; no edge in a flat frame.
  """
  down, right = gradient(jax.lax.stop_gradient(x), CANNY_SIGMA)
  size = gradient_length(down, right)
  size = size / jnp.maximum(jnp.max(size, axis=(1, 2, 3), keepdims=True), ROUNDING)
  levels = jnp.arange(1, BINS + 1) / BINS
  below = jax.lax.map(lambda level: jnp.mean(size < level, axis=(1, 2, 3)), levels)
  high = levels[jnp.argmax(below > FLAT_SHARE, axis=0)][:, None, None, None]
  ridge = size * local_maxima(size, down, right)
  weak = ridge > LOW * high

  def grow(pair):
    grown, _ = pair
    for _ in range(ROUNDS):
      before, grown = grown, weak & _dilated(grown)
    return grown, jnp.any(grown != before)
  start = ridge > high
  strong, _ = jax.lax.while_loop(lambda pair: pair[1], grow, (start, jnp.any(start)))
  return strong[..., 0].astype(jnp.float32)


def contours(x: jax.Array) -> jax.Array:
  """Outlines without texture: gradients minus the mean gradient around them (ours).

  After Grigorescu et al. (2003), whose idea MCI shares. E = relu(M - ring * M), M the length of the
  gradient, ring the positive part of (a Gaussian of four times the deviation minus the Gaussian),
  at sum 1. Thinned, divided by its 99th percentile, clipped to 1; values below 0.1 become 0. No
  gradient passes.

  [B, H, W, C] in [-1, 1] -> [B, H, W] float32 in [0, 1]; 0 everywhere in a flat frame.
  """
  down, right = gradient(jax.lax.stop_gradient(x), CONTOUR_SIGMA)
  size = gradient_length(down, right)
  ring = _ring()
  reach = len(ring) // 2
  padded = jnp.pad(size, ((0, 0), (reach, reach), (reach, reach), (0, 0)), mode='edge')
  around = jax.lax.conv_general_dilated(padded, ring[..., None, None], (1, 1), 'VALID',
                                        dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
                                        precision=jax.lax.Precision.HIGHEST)
  outline = jax.nn.relu(size - around)
  ridge = (outline * local_maxima(outline, down, right))[..., 0]
  top = jnp.quantile(ridge.reshape(len(ridge), -1), TOP, axis=1)[:, None, None]
  e = jnp.clip(ridge / jnp.maximum(top, ROUNDING), 0, 1)
  return jnp.where(e < MIN_CONTOUR, 0.0, e)


def gradient(x: jax.Array, sigma: float) -> tuple[jax.Array, jax.Array]:
  """Derivatives downwards and to the right of the gray values in [0, 1], after a Gaussian blur.

  [B, H, W, C] in [-1, 1] -> two of [B, H, W, 1].
  """
  gray = ops.luma((x.astype(jnp.float32) + 1) / 2)
  smooth = ops.gaussian_blur(gray, sigma, truncate=4.0, mode='edge')
  down = 0.5 * (ops.shift(smooth, 1, 0) - ops.shift(smooth, -1, 0))
  right = 0.5 * (ops.shift(smooth, 0, 1) - ops.shift(smooth, 0, -1))
  return down, right


def gradient_length(down: jax.Array, right: jax.Array) -> jax.Array:
  """Length of the gradient, 0 where it is only rounding. Two of [B, H, W, 1] -> the same."""
  size = jnp.hypot(down, right)
  return jnp.where(size > ROUNDING, size, 0.0)


def local_maxima(size: jax.Array, down: jax.Array, right: jax.Array) -> jax.Array:
  """Non-maximum suppression: where a gradient is not below its two neighbors along its direction.

  The neighbors are interpolated linearly.

  Args:
    size, down, right: [B, H, W, 1], length and components of the gradient.

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
  """[k, k] float32: weights of the surround of a pixel, sum 1; reaches 3 outer deviations."""
  outer = RING * CONTOUR_SIGMA
  y, x = np.mgrid[-int(3 * outer):int(3 * outer) + 1, -int(3 * outer):int(3 * outer) + 1]
  square = x * x + y * y

  def gaussian(sigma):
    return np.exp(-0.5 * square / sigma**2) / (2 * np.pi * sigma**2)
  ring = np.maximum(gaussian(outer) - gaussian(CONTOUR_SIGMA), 0)
  return (ring / ring.sum()).astype(np.float32)

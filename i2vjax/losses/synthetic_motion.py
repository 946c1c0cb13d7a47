"""Temporal consistency from single frames, by a random smooth motion.

The moved frame replaces the next frame of a video, and translation must commute with the motion.
In Unsupervised Recycle-GAN the whole frame moves (`drift`), in CPTrans patches that are rich in
content (`content_flow`); both are `smooth_motion`.
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from i2vjax.core import ops
from i2vjax.core.errors import UserError
from i2vjax.core.state import sample_keys

NORMS = ('mse', 'l1', 'pixel_l2', 'frobenius')
ZOOM_TABLE, ZOOM_STEP = 600, 0.01   # entries -3.00, -2.99, ... of the zoom (public code)


# ---- The motion


def smooth_motion(key: jax.Array, amount: jax.Array, size: tuple[int, int], *, smooth: Callable,
                  cells: tuple[int, int] | None = None,
                  offset: jax.Array | float = 0.0) -> jax.Array:
  """F = Smooth(amount * z + offset), z normal noise: a random motion without jumps.

  Args:
    key: PRNG key; the samples of the batch draw from it independently.
    amount: [B, H, W, 1] or [B, 1, 1, 1], standard deviation of the noise in pixels.
    size: (H, W) of the frames.
    smooth: [B, H, W, 2] -> the same.
    cells: (rows, columns) of a coarse grid whose noise is enlarged to the frame; None: a draw for
      every pixel.
    offset: [B, 1, 1, 2] pixels by which everything moves.

  Returns:
    [B, H, W, 2] pixels, [..., 0] to the right, [..., 1] down, without gradient.
  """
  noise = normal(key, amount.shape[0], (*(cells or size), 2))
  noise = ops.resize(noise, size) if cells else noise
  return jax.lax.stop_gradient(smooth(amount * noise + offset))


def normal(key: jax.Array, count: int, shape: tuple[int, ...]) -> jax.Array:
  """Normal noise [count, *shape], each sample from a key of its own (`core.state.sample_keys`)."""
  return jax.vmap(lambda key: jax.random.normal(key, shape))(sample_keys(key, count))


def move(frames: jax.Array, flow: jax.Array) -> jax.Array:
  """W(I, F)(p) = I(p - F(p)): the contents of frames move along F; the edge is repeated.

  Args:
    frames: [B, H, W, C].
    flow: [B, H, W, 2] pixels.

  Returns:
    [B, H, W, C].
  """
  return ops.warp(frames, -flow)


def add_noise(key: jax.Array, frames: jax.Array, std: float, spread: float = 0.0) -> jax.Array:
  """Frames [B, H, W, C] plus normal noise; its deviation is drawn from [std, (1 + spread) std]."""
  if not std:
    return frames
  if spread:
    keys = sample_keys(jax.random.fold_in(key, 1), len(frames))
    std = std * (1 + spread * jax.vmap(lambda key: jax.random.uniform(key, (1, 1, 1)))(keys))
  return frames + std * normal(key, len(frames), frames.shape[1:])


def add_column_noise(key: jax.Array, frames: jax.Array, std: float) -> jax.Array:
  """Frames [B, H, W, C] plus a normal offset for each column, as cheap cameras have it (ours)."""
  if not std:
    return frames
  _, _, width, channels = frames.shape
  return frames + std * normal(key, len(frames), (1, width, channels))


# ---- Motion of the whole frame (Unsupervised Recycle-GAN)


def drift(key: jax.Array, count: int, size: tuple[int, int], *, motion: float = 8.0,
          shift: float = 10.0, scale: float = 0.0, cell: int = 100) -> jax.Array:
  """A random smooth motion of the whole frame (public code of Unsupervised Recycle-GAN).

  Noise of `motion` pixels on a grid of about 2 x 2 cells, enlarged to the frame; plus one shift of
  whole pixels; then a box blur as wide as a cell. With `scale` > 0 a zoom instead.

  Args:
    key: PRNG key.
    count: B, samples; each has a motion of its own (ours; the public code has one for all).
    size: (H, W) of the frames.
    motion, shift, scale, cell: pixels on frames of 256 rows, the size they were chosen for; they
      scale with H (ours). Shifts are whole numbers from -shift to shift. motion 0: only the shift.

  Returns:
    [B, H, W, 2] pixels, without gradient.
  """
  ratio, (noise_key, shift_key) = size[0] / 256, jax.random.split(key)
  if scale:
    return zoom(key, count, size, scale=scale)
  far = round(shift * ratio)
  offset = jax.vmap(lambda key: jax.random.randint(key, (1, 1, 2), -far, far + 1))(
      sample_keys(shift_key, count)).astype(jnp.float32)
  width = max(1, round(cell * ratio))
  amount = jnp.full((count, 1, 1, 1), motion * ratio)
  return smooth_motion(noise_key, amount, size, smooth=lambda x: box_blur(x, width), offset=offset,
                       cells=tuple(max(1, side // width) for side in size))


def zoom(key: jax.Array, count: int, size: tuple[int, int], *, scale: float) -> jax.Array:
  """The zoom of Unsupervised Recycle-GAN: F_x = c a[x0 + x], F_y = c a[y0 + y], a from -3 to 2.99.

  c is drawn from [-scale, scale], the window of the 600 entries of `a` from those that fit; a frame
  with more than 600 columns (or rows) takes the whole table, stretched. The table is made for
  frames of 256 rows: others read it in proportionally larger or smaller steps, and move in
  proportion (ours).

  Args:
    key: PRNG key.
    count: B.
    size: (H, W) of the frames.
    scale: largest |c|.

  Returns:
    [B, H, W, 2] pixels, without gradient.
  """
  ratio, keys = size[0] / 256, jax.random.split(key, 3)
  c = jax.vmap(lambda key: jax.random.uniform(key, (1, 1), minval=-scale, maxval=scale))(
      sample_keys(keys[0], count))

  def along(key, side):
    step = min(1 / ratio, (ZOOM_TABLE - 1) / max(side - 1, 1))
    room = ZOOM_TABLE - 1 - math.ceil(step * (side - 1) - 1e-6)
    first = jax.vmap(lambda key: jax.random.randint(key, (1,), 0, room + 1))(
        sample_keys(key, count))
    return ratio * ZOOM_STEP * (first + step * jnp.arange(side) - ZOOM_TABLE // 2)
  x, y = along(keys[1], size[1])[:, None, :], along(keys[2], size[0])[:, :, None]
  return jax.lax.stop_gradient(jnp.stack(jnp.broadcast_arrays(c * x, c * y), axis=-1))


# ---- Motion of patches that are rich in content (CPTrans)


def normalize_weights(weights: jax.Array, kind: str = 'minmax') -> jax.Array:
  """Weight maps [B, H, W, 1] to [0, 1], each image by itself (Normalize in the flow equation).

  'minmax': (w - min) / (max - min), so that patches without content stay where they are; a constant
  map becomes 0. 'max': w / max, which leaves them some motion. (Ours: the paper names no formula.)
  """
  top = jnp.max(weights, axis=(1, 2, 3), keepdims=True)
  if kind == 'max':
    return weights / top
  if kind != 'minmax':
    raise UserError(f"ctn.normalize={kind!r}: choose 'minmax' or 'max'")
  low = jnp.min(weights, axis=(1, 2, 3), keepdims=True)
  return (weights - low) / (top - low + 1e-8)


def box_width(sigma: float) -> int:
  """Odd width in pixels of the box whose standard deviation is nearest to `sigma`."""
  return 2 * round((sigma * math.sqrt(12) - 1) / 2) + 1


def box_blur(x: jax.Array, width: int) -> jax.Array:
  """Mean over width x width pixels, reflected edges. [B, H, W, C] -> same.

  An even width reaches one pixel further up and to the left (OpenCV's anchor).
  """
  return ops.blur(x, box_taps(width))


def box_taps(width: int) -> tuple[float, ...]:
  """A mean over `width` pixels, as the taps of `ops.blur`."""
  return (1 / width,) * width


def smooth_noise(noise: jax.Array, sigma: float, kind: str = 'gaussian',
                 unit_gain: bool = True) -> jax.Array:
  """Smoothed white noise of the same standard deviation (Smooth in the flow equation).

  Smoothing n independent values leaves 1 / sqrt(n) of their deviation: with sigma 16, 1/57. Taken
  literally a motion of 4 pixels would become one of 0.07, hence `unit_gain` (ours). Near an edge
  the mirrored taps read the same values twice, so the loss is smaller there: each pixel has its own
  gain.

  Args:
    noise: [B, H, W, C].
    sigma: of the smoothing, pixels.
    kind: 'gaussian' (cut at 3 sigma) or 'box' of the same standard deviation.
    unit_gain: restore the deviation: far from edges a factor of 2 sigma sqrt(pi), or of the box's
      width.

  Returns:
    [B, H, W, C].
  """
  if kind == 'gaussian':
    taps = ops.gaussian_taps(sigma)
  elif kind == 'box':
    taps = box_taps(box_width(sigma))
  else:
    raise UserError(f"ctn.smooth={kind!r}: choose 'gaussian' or 'box'")
  smooth = ops.blur(noise, taps)
  return smooth / ops.blur_deviation(noise.shape[1:3], taps) if unit_gain else smooth


def content_flow(key: jax.Array, weights: jax.Array, size: tuple[int, int], *, gamma: float = 4.0,
                 sigma: float = 16.0, normalize: str = 'minmax', upsample: str = 'linear',
                 smooth: str = 'gaussian', unit_gain: bool = True) -> jax.Array:
  """F = Smooth(Normalize(w) * gamma * z), z normal noise: motion where there is content (CPTrans).

  Args:
    key: PRNG key; the samples of the batch draw from it independently.
    weights: [B, h, w] content weights of the translated frames.
    size: (H, W) of the frames.
    gamma: gamma_stride, rms motion in pixels where the normalized weight is 1.
    sigma: pixels over which the motion keeps its direction. Both are for H = 256 and scale with H;
      gamma / sigma up to 0.35 keeps the motion from folding over.
    normalize, smooth, unit_gain: as in `normalize_weights` and `smooth_noise`.
    upsample: 'linear' or 'nearest'.

  Returns:
    [B, H, W, 2] pixels, without gradient.
  """
  scale = size[0] / 256
  # Normalized before it is enlarged: interpolation leaves a constant map constant only to rounding,
  # and the normalization would blow the rounding up.
  amount = ops.resize(normalize_weights(weights[..., None], normalize), size, upsample)

  def smooth_field(noise):
    return smooth_noise(noise, sigma * scale, smooth, unit_gain)
  return smooth_motion(key, amount * (gamma * scale), size, smooth=smooth_field)


# ---- The distance


def distance(x: jax.Array, y: jax.Array, norm: str = 'mse') -> jax.Array:
  """|| x - y || of two frames as a mean over samples, with a choice of norm.

  'mse': mean of the squares, the usual code for an L2 norm in a paper. 'l1': mean of |x - y|
  (public code of Unsupervised Recycle-GAN). 'pixel_l2': mean over pixels of the norm over channels.
  'frobenius': norm over the whole frame, some 440 times larger at 256 pixels.

  Args:
    x: [B, H, W, C].
    y: same shape.
    norm: one of `NORMS`.

  Returns:
    Scalar, exactly 0 with a finite gradient where x = y.
  """
  if norm not in NORMS:
    raise UserError(f'ctn.norm={norm!r}: choose one of {", ".join(NORMS)}')
  d = x.astype(jnp.float32) - y.astype(jnp.float32)
  if norm == 'l1':
    return jnp.mean(jnp.abs(d))
  if norm == 'mse':
    return jnp.mean(jnp.square(d))
  square = jnp.sum(jnp.square(d), axis=-1 if norm == 'pixel_l2' else (1, 2, 3))
  return jnp.mean(jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1.0)), 0.0))

"""Temporal consistency from single frames: content-aware temporal normalisation (CPTrans).

A random smooth motion stands in for the next frame: translation must commute with it. The motion is
large where the frame has content and none where it has not.
"""

import math

import jax
import jax.numpy as jnp

from i2vjax import ops

NORMS = ('mse', 'l1', 'pixel_l2', 'frobenius')


def normalise(weights, kind='minmax'):
  """Weight maps [B, H, W, 1] to [0, 1], each image by itself (Normalize in the flow equation).

  'minmax': (w - min) / (max - min), so that patches without content stay where they are; a constant
  map becomes 0. 'max': w / max, which leaves them some motion. (Ours: the paper names no formula.)
  """
  top = jnp.max(weights, axis=(1, 2, 3), keepdims=True)
  if kind == 'max':
    return weights / top
  if kind != 'minmax':
    raise ValueError(f"ctn.normalize={kind!r}: choose 'minmax' or 'max'")
  low = jnp.min(weights, axis=(1, 2, 3), keepdims=True)
  return (weights - low) / (top - low + 1e-8)


def box_width(sigma):
  """Odd width in pixels of the box whose standard deviation is nearest to `sigma`."""
  return 2 * round((sigma * math.sqrt(12) - 1) / 2) + 1


def box_blur(x, width):
  """Mean over width x width pixels, reflected edges. [B, H, W, C] -> same; width odd."""
  half = width // 2
  x = jnp.pad(x, ((0, 0), (half, half), (half, half), (0, 0)), mode='reflect')
  for size in ((1, width, 1, 1), (1, 1, width, 1)):
    x = jax.lax.reduce_window(x, 0.0, jax.lax.add, size, (1, 1, 1, 1), 'VALID') / width
  return x


def smooth_noise(noise, sigma, kind='gaussian', unit_gain=True):
  """White noise made smooth, at the size it had (Smooth in the flow equation).

  Smoothing n independent values leaves 1 / sqrt(n) of their size: with sigma 16, 1/57. Taken
  literally a motion of 4 pixels would become one of 0.07, hence `unit_gain` (ours).

  Args:
    noise: [B, H, W, C].
    sigma: of the smoothing, pixels.
    kind: 'gaussian' (cut at 3 sigma) or 'box' of the same standard deviation.
    unit_gain: undo the loss: times 2 sigma sqrt(pi), or the box's width.
  """
  if kind == 'gaussian':
    smooth, gain = ops.gaussian_blur(noise, sigma), max(1.0, 2 * sigma * math.sqrt(math.pi))
  elif kind == 'box':
    smooth, gain = box_blur(noise, box_width(sigma)), box_width(sigma)
  else:
    raise ValueError(f"ctn.smooth={kind!r}: choose 'gaussian' or 'box'")
  return smooth * gain if unit_gain else smooth


def content_flow(key, weights, size, *, gamma=4.0, sigma=16.0, normalize='minmax',
                 upsample='linear', smooth='gaussian', unit_gain=True):
  """F = Smooth(Normalize(w) * gamma * z), z normal noise: motion where there is content (CPTrans).

  Args:
    key: PRNG key; the samples of the batch draw from it independently.
    weights: [B, h, w] content weights of the translated frames.
    size: (H, W) of the frames.
    gamma: gamma_stride, rms motion in pixels where the normalised weight is 1.
    sigma: pixels over which the motion keeps its direction. Both are for H = 256 and scale with H;
      gamma / sigma up to 0.35 keeps the motion from folding over.
    normalize, smooth, unit_gain: as in `normalise` and `smooth_noise`.
    upsample: 'linear' or 'nearest'.

  Returns:
    [B, H, W, 2] pixels, without gradient.
  """
  scale = size[0] / 256
  # Normalised before it is enlarged: interpolation leaves a constant map constant only to rounding,
  # and the normalisation would blow the rounding up.
  amount = ops.resize(normalise(weights[..., None], normalize), size, upsample)
  noise = jax.random.normal(key, (*amount.shape[:3], 2))
  flow = smooth_noise(amount * (gamma * scale) * noise, sigma * scale, smooth, unit_gain)
  return jax.lax.stop_gradient(flow)


def distance(x, y, norm='mse'):
  """|| x - y || of two frames as a mean over samples, in the reading asked for.

  'mse': mean of the squares, the usual coding of a printed L2 norm. 'l1': mean of |x - y| (public
  code of Unsupervised Recycle-GAN). 'pixel_l2': mean over pixels of the norm over channels.
  'frobenius': norm over the whole frame, some 440 times larger at 256 pixels.

  Args:
    x: [B, H, W, C].
    y: same shape.
    norm: one of `NORMS`.

  Returns:
    Scalar, exactly 0 with a finite gradient where x = y.
  """
  if norm not in NORMS:
    raise ValueError(f'ctn.norm={norm!r}: choose one of {", ".join(NORMS)}')
  d = x.astype(jnp.float32) - y.astype(jnp.float32)
  if norm == 'l1':
    return jnp.mean(jnp.abs(d))
  if norm == 'mse':
    return jnp.mean(jnp.square(d))
  square = jnp.sum(jnp.square(d), axis=-1 if norm == 'pixel_l2' else (1, 2, 3))
  return jnp.mean(jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1.0)), 0.0))

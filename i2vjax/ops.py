"""Array functions that data, losses, methods and metrics share. Frames are NHWC."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

LUMA = (0.299, 0.587, 0.114)   # ITU-R BT.601


def hw(size):
  """(height, width) of a config size: one int for a square, or a pair."""
  return (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))


def fold(frames):
  """[B, T, H, W, C] -> [B*T, H, W, C]: per-frame networks see all frames in one call."""
  return frames.reshape((-1, *frames.shape[2:]))


def unfold(frames, length):
  """[B*T, H, W, C] -> [B, T, H, W, C]."""
  return frames.reshape((-1, length, *frames.shape[1:]))


def to_float(frames, limits, channels):
  """Raw frames to the networks' range.

  Args:
    frames: [B, T, H, W, C] uint8 or uint16, C 1 or 3.
    limits: [B, 2] float32: the raw values that become -1 and 1; what lies outside is clipped.
    channels: 1 or 3. Grey is repeated, colour becomes luma.

  Returns:
    [B, T, H, W, channels] float32 in [-1, 1].
  """
  low, high = (limits[:, i, None, None, None, None] for i in (0, 1))
  frames = (frames.astype(jnp.float32) - low) / (high - low)
  return match_channels(2 * jnp.clip(frames, 0, 1) - 1, channels)


def match_channels(frames, channels):
  """[..., C] with C 1 or 3 -> [..., channels]: grey is repeated, colour becomes luma."""
  if frames.shape[-1] == channels:
    return frames
  return luma(frames) if channels == 1 else jnp.repeat(frames, channels, axis=-1)


def to_uint8(frames):
  """[-1, 1] -> uint8, rounded to nearest."""
  return jnp.round(jnp.clip((frames + 1) * 127.5, 0, 255)).astype(jnp.uint8)


def luma(frames):
  """[..., 3] -> [..., 1] BT.601 luma; one channel passes through."""
  if frames.shape[-1] == 1:
    return frames
  return jnp.sum(frames * jnp.asarray(LUMA, frames.dtype), axis=-1, keepdims=True)


@functools.lru_cache(maxsize=64)
def _blur_matrix(size, sigma, truncate, mode):
  """[size, size] float32 matrix of a 1-D Gaussian with its padding rule folded in."""
  radius = int(truncate * sigma + 0.5)
  taps = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
  padded = np.pad(np.arange(size), radius, mode=mode)
  matrix = np.zeros((size, size))
  for shift, tap in enumerate(taps / taps.sum()):
    np.add.at(matrix, (np.arange(size), padded[shift:shift + size]), tap)
  return matrix.astype(np.float32)


def gaussian_blur(x, sigma, *, truncate=3.0, mode='reflect'):
  """Separable Gaussian over H and W.

  Two matrix products with the padding folded in: on every device faster than a convolution of many
  taps, and exact in its derivative.

  Args:
    x: [B, H, W, C].
    sigma: standard deviation in pixels; 0 returns `x`.
    truncate: the kernel ends at `truncate` * sigma.
    mode: 'reflect' (edge pixel not repeated) or 'edge'.
  """
  if not sigma:
    return x
  rows = _blur_matrix(x.shape[1], float(sigma), truncate, mode)
  cols = _blur_matrix(x.shape[2], float(sigma), truncate, mode)
  precision = jax.lax.Precision.HIGHEST
  x = jnp.einsum('hk,bkwc->bhwc', rows, x, precision=precision)
  return jnp.einsum('wk,bhkc->bhwc', cols, x, precision=precision)


def shift(x, dy, dx):
  """x(p + (dy, dx)) with the edge repeated; [B, H, W, C], dy and dx static ints."""
  H, W = x.shape[1:3]
  rows = jnp.clip(jnp.arange(H) + dy, 0, H - 1)
  cols = jnp.clip(jnp.arange(W) + dx, 0, W - 1)
  return x[:, rows][:, :, cols]


def warp(source, flow):
  """Bilinear backward warp: out(p) = source(p + flow(p)), coordinates clamped to the frame.

  Args:
    source: [B, H, W, C].
    flow: [B, H, W, 2] in pixels, [..., 0] to the right, [..., 1] down.

  Returns:
    [B, H, W, C]; flow 0 returns `source` bit for bit.
  """
  B, H, W, C = source.shape
  flow = flow.astype(jnp.float32)
  x = jnp.clip(jnp.arange(W) + flow[..., 0], 0, W - 1)
  y = jnp.clip(jnp.arange(H)[:, None] + flow[..., 1], 0, H - 1)
  x0, y0 = jnp.floor(x), jnp.floor(y)
  fx, fy = (x - x0)[..., None], (y - y0)[..., None]
  x0, y0 = x0.astype(jnp.int32), y0.astype(jnp.int32)
  x1, y1 = jnp.minimum(x0 + 1, W - 1), jnp.minimum(y0 + 1, H - 1)
  flat = source.reshape(B, H * W, C)

  def at(row, col):
    index = (row * W + col).reshape(B, H * W, 1)
    return jnp.take_along_axis(flat, index, axis=1).reshape(B, H, W, C)
  top = at(y0, x0) * (1 - fx) + at(y0, x1) * fx
  bottom = at(y1, x0) * (1 - fx) + at(y1, x1) * fx
  return (top * (1 - fy) + bottom * fy).astype(source.dtype)


def inside(flow):
  """[B, H, W, 1] mask of the pixels whose target p + flow(p) lies in the frame."""
  H, W = flow.shape[1:3]
  x = jnp.arange(W) + flow[..., 0]
  y = jnp.arange(H)[:, None] + flow[..., 1]
  return ((x >= 0) & (x <= W - 1) & (y >= 0) & (y <= H - 1))[..., None]


def resize(x, size, method='linear'):
  """[B, H, W, C] -> [B, *size, C], half-pixel centres, no smoothing when it shrinks."""
  return jax.image.resize(x, (x.shape[0], *hw(size), x.shape[-1]), method, antialias=False)


def flow_colours(flow, limit=None):
  """Flow as a picture: direction is hue, length is saturation.

  Args:
    flow: [B, H, W, 2] pixels.
    limit: length drawn at full saturation; None takes the largest of the batch.

  Returns:
    [B, H, W, 3] in [-1, 1]; no motion is white.
  """
  length = jnp.linalg.norm(flow, axis=-1, keepdims=True)
  length = length / jnp.maximum(jnp.max(length) if limit is None else limit, 1e-6)
  angle = jnp.arctan2(flow[..., 1:], flow[..., :1])
  hue = 0.5 + 0.5 * jnp.cos(angle - jnp.asarray([0.0, 2.0, 4.0]) * jnp.pi / 3)
  return 1 - 2 * jnp.clip(length, 0, 1) * (1 - hue)

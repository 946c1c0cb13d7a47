"""Winograd convolution F(2x2, 3x3): 16 products per 2x2 outputs instead of 36.

Tiles of 4x4 inputs that overlap by 2 are transformed and transformed back with sums and halves
(Lavin and Gray, 2016): y = A^T [ (G w G^T) * (B^T x B) ] A. Everything is written with slices and
sums, which XLA fuses, around one batch of 16 matrix products.
"""

import jax
import jax.numpy as jnp
import numpy as np

MAX_BYTES = 40e6    # of the two transformed arrays of one sample; more does not fit the cache
MIN_CHANNELS, MIN_PLACES = 128, 1024   # below, the transforms cost more than they save
G = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]], np.float32)
TRANSFORM = np.kron(G, G)   # [16, 9]: of a whole kernel, as one product
HIGHEST = jax.lax.Precision.HIGHEST


def pays(shape, kernel, stride, padding):
  """True where this form is the fastest: 3x3, stride 1, many channels, a large map in the cache.

  It is also three times as much to compile as the other forms.

  Args:
    shape: (B, H, W, C) of the input.
    kernel: [k, k, C, O].
    stride, padding: of the convolution.
  """
  k, _, C, O = kernel.shape
  if k != 3 or stride != 1 or min(C, O) < MIN_CHANNELS or kernel.dtype != jnp.float32:
    return False
  h, w = shape[1] + 2 * padding - 2, shape[2] + 2 * padding - 2
  return h * w >= MIN_PLACES and 16 * h * w * (C + O) <= MAX_BYTES


def interleave(even, odd, axis):
  """Two arrays of n places along `axis` as one of 2n, even places from the first."""
  shape = list(even.shape)
  shape[axis] *= 2
  return jnp.stack([even, odd], axis + 1).reshape(shape)


def conv(x, kernel):
  """Unpadded convolution. x: [B, H, W, C], kernel: [3, 3, C, O] -> [B, H - 2, W - 2, O]."""
  h, w = x.shape[1] - 2, x.shape[2] - 2
  x = _even(x)
  weights = _kernel(kernel)

  def one_sample(x):
    tiles = _two_axes(_input_parts, x)
    return _output(jnp.einsum('khwc,kco->khwo', tiles, weights))
  return _each(one_sample, x)[:, :h, :w]


def weight_grad(x, g):
  """Gradient [3, 3, C, O] of the kernel of `conv`, from its input and its output's gradient."""
  x, g = _even(x), _even(g)

  def one_sample(x, g):
    return jnp.einsum('khwc,khwo->kco', _two_axes(_input_parts, x), _two_axes(_grad_parts, g))
  return _kernel_grad(jnp.sum(_each(one_sample, x, g), axis=0))


def _each(function, *arrays):
  """`function` of one sample at a time, so that its intermediate arrays stay in the cache."""
  if arrays[0].shape[0] == 1:
    return function(*(array[0] for array in arrays))[None]
  return jax.lax.map(lambda samples: function(*samples), arrays)


def _even(x):
  """[B, H, W, C] with a row or column of zeros where a side is odd."""
  return jnp.pad(x, ((0, 0), (0, x.shape[1] % 2), (0, x.shape[2] % 2), (0, 0)))


def _two_axes(parts, x):
  """The four `parts` along H and of each the four along W: [H, W, C] -> [16, h, w, C]."""
  pieces = []
  for rows in parts(x, 0):
    pieces += parts(rows, 1)
  return jnp.stack(pieces)


def _input_parts(x, axis):
  """B^T x: n + 2 places along `axis` -> four arrays of n / 2."""
  n = x.shape[axis] - 2
  a, b, c, d = (jax.lax.slice_in_dim(x, i, i + n - 1, 2, axis) for i in range(4))
  return [a - c, b + c, c - b, b - d]


def _grad_parts(g, axis):
  """A g: n places along `axis` -> four arrays of n / 2."""
  even = jax.lax.slice_in_dim(g, 0, g.shape[axis], 2, axis)
  odd = jax.lax.slice_in_dim(g, 1, g.shape[axis], 2, axis)
  return [even, even + odd, even - odd, -odd]


def _kernel(w):
  """G w G^T: [3, 3, C, O] -> [16, C, O]."""
  return jnp.tensordot(TRANSFORM, w.reshape(9, *w.shape[2:]), 1, precision=HIGHEST)


def _kernel_grad(m):
  """G^T m G: [16, C, O] -> [3, 3, C, O]."""
  return jnp.tensordot(TRANSFORM.T, m, 1, precision=HIGHEST).reshape(3, 3, *m.shape[1:])


def _pair(m):
  """A^T m: four parts -> even and odd outputs."""
  return m[0] + m[1] + m[2], m[1] - m[2] - m[3]


def _output(m):
  """A^T m A: [16, h, w, O] -> [2h, 2w, O]."""
  rows = [interleave(*_pair(row), 1) for row in _pair(m.reshape(4, 4, *m.shape[1:]))]
  return interleave(*rows, 0)

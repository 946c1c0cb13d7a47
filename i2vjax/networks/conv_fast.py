"""Convolutions in forms that are fast in XLA on CPUs.

Their values equal those of the plain form up to rounding. Figures: 2 cores of a Zen 5 server, jax
0.10.2, one 3x3 convolution 256 -> 256 channels at 64x64 pixels; PyTorch 2.13 takes 10.7 ms forward
and 35 ms with its backward pass.

  forward     unpadded 52 ms; zero-padded by half the kernel and cropped 11.5 ms; Winograd 7.5 ms
  weights     XLA's own derivative about 50 ms; a product per tap 17 ms; Winograd 9.5 ms
  transposed  XLA's derivative computes on the zeros between pixels; by output phase it does not

Winograd's form F(2x2, 3x3) (Lavin and Gray, 2016) needs 16 products where the sum needs 36; its
constants are 1 and 1/2, so little precision is lost (relative error 3e-6 against 1e-6). It is used
where its intermediate arrays fit the cache. The backward passes are written by hand: a convolution
with the rotated kernel for the input, and products over all positions for the weights.
"""

import functools

import jax
import jax.numpy as jnp

from i2vjax.networks import winograd

DIMENSIONS = ('NHWC', 'HWIO', 'NHWC')
BAND_ROWS = 32      # rows of a weight gradient summed at a time on large maps, to stay in the cache
SMALL = 4e6         # bytes: up to here all taps of a layer are laid side by side, in one product
MIN_CHANNELS = 16   # with fewer channels a product per tap is mostly overhead


def pad_hw(x, mode, size):
  """[B, H, W, C] padded by `size` on all four sides; mode 'zero' | 'reflect' | 'none'."""
  if mode == 'none' or not size:
    return x
  mode = {'zero': 'constant', 'reflect': 'reflect'}[mode]
  return jnp.pad(x, ((0, 0), (size, size), (size, size), (0, 0)), mode=mode)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def conv(x, kernel, stride, pad, padding):
  """See `conv.conv`."""
  if pad == 'zero':
    return _forward(x, kernel, stride, padding)
  return _forward(pad_hw(x, pad, padding), kernel, stride, 0)


def _conv_fwd(x, kernel, stride, pad, padding):
  return conv(x, kernel, stride, pad, padding), (x, kernel)


def _conv_bwd(stride, pad, padding, saved, g):
  x, kernel = saved
  zeros = padding if pad == 'zero' else 0
  padded, unpad = jax.vjp(lambda x: x if pad == 'zero' else pad_hw(x, pad, padding), x)
  dx, = unpad(_adjoint(g, kernel, stride, zeros, padded.shape))
  return dx, _weight_grad(pad_hw(padded, 'zero', zeros), g, kernel, stride)


conv.defvjp(_conv_fwd, _conv_bwd)


@jax.custom_vjp
def transposed(x, kernel):
  """See `conv.transposed`."""
  B, H, W, _ = x.shape
  return _phases(x, kernel, 1, (B, 2 * H, 2 * W, kernel.shape[2]))


def _transposed_fwd(x, kernel):
  return transposed(x, kernel), (x, kernel)


def _transposed_bwd(saved, g):
  x, kernel = saved
  return _forward(g, kernel, 2, 1), _weight_grad(pad_hw(g, 'zero', 1), x, kernel, 2)


transposed.defvjp(_transposed_fwd, _transposed_bwd)


def _forward(x, kernel, stride, padding):
  """Convolution with zero padding."""
  k = kernel.shape[0]
  if winograd.pays(x.shape, kernel, stride, padding):
    return winograd.conv(pad_hw(x, 'zero', padding), kernel)
  sides, crop = padding, 0
  if stride == 1:
    # XLA's fast routine accepts only padding of half the kernel: more padding is added before it
    # (the barrier keeps XLA from merging the two), less is achieved by cropping the output.
    sides = (k - 1) // 2
    crop = max(sides - padding, 0)
    if padding > sides:
      x = jax.lax.optimization_barrier(pad_hw(x, 'zero', padding - sides))
  y = jax.lax.conv_general_dilated(x, kernel, (stride, stride), ((sides, sides), (sides, sides)),
                                   dimension_numbers=DIMENSIONS)
  return y[:, crop:y.shape[1] - crop, crop:y.shape[2] - crop] if crop else y


def _adjoint(g, kernel, stride, padding, shape):
  """Gradient [B, H, W, C] = `shape` of the input of `_forward`, from that of its output."""
  if stride == 1:
    rotated = kernel[::-1, ::-1].swapaxes(2, 3)
    return _forward(g, rotated, 1, kernel.shape[0] - 1 - padding)
  return _phases(g, kernel, padding, shape)


def _phases(g, kernel, padding, shape):
  """Adjoint of a convolution of stride 2, computed for each of the four output parities.

  Row 2q + a of the padded input contributed to the rows q - s of the output by the taps 2s + a.

  Args:
    g: [B, h, w, O].
    kernel: [k, k, C, O].
    padding: zeros around the input of that convolution.
    shape: (B, H, W, C) of that input.
  """
  k, (_, H, W, C) = kernel.shape[0], shape
  rows, cols, reach = -(-H // 2), -(-W // 2), k // 2 + padding
  most = max(rows - g.shape[1], cols - g.shape[2], 0) + reach
  padded = jnp.pad(g, ((0, 0), (reach, most), (reach, most), (0, 0)))
  at_once = C < MIN_CHANNELS or 4 * padded[..., 0].size * k * k * C <= SMALL
  if at_once:   # one product for all taps
    padded = jnp.einsum('bhwo,ijco->bhwijc', padded, kernel)

  def tap(i, j, y, x):
    window = padded[:, reach + y:reach + y + rows, reach + x:reach + x + cols]
    if at_once:
      return window[:, :, :, i, j]
    return jnp.einsum('bhwo,co->bhwc', window, kernel[i, j])

  def taps_of(parity):
    """[(tap, offset of the output row that it reads)] for input rows of this parity."""
    first, offset = (parity + padding) % 2, (parity + padding) // 2
    return [(2 * s + first, offset - s) for s in range((k - first + 1) // 2)]

  def phase(a, b):
    taps = [tap(i, j, y, x) for i, y in taps_of(a) for j, x in taps_of(b)]
    if not taps:   # a 1x1 kernel
      return jnp.zeros((len(g), rows, cols, C), g.dtype)
    return sum(taps)
  lines = [winograd.interleave(phase(a, 0), phase(a, 1), 2) for a in (0, 1)]
  return winograd.interleave(*lines, 1)[:, :H, :W]


def _weight_grad(x, g, kernel, stride):
  """Gradient of the kernel, [k, k, C, O].

  Args:
    x: [B, H, W, C], padded.
    g: [B, h, w, O], gradient of the output.
    kernel: for its shape.
    stride: 1 or 2.
  """
  k, C, O = kernel.shape[0], *kernel.shape[2:]
  if winograd.pays(x.shape, kernel, stride, 0):
    return winograd.weight_grad(x, g)
  if C < MIN_CHANNELS:
    return _rows_grad(x, g, k, stride).astype(kernel.dtype)
  if O < MIN_CHANNELS and stride == 1:   # the same with the roles of x and g exchanged
    rotated = _rows_grad(pad_hw(g, 'zero', k - 1), x, k, 1)
    return rotated[::-1, ::-1].swapaxes(2, 3).astype(kernel.dtype)
  if 4 * g[..., 0].size * k * k * C <= SMALL:
    return _whole_grad(x, g, k, stride).astype(kernel.dtype)
  bands, left_over = divmod(g.shape[1], BAND_ROWS)
  if bands <= 1 or left_over:
    return _taps_grad(x, g, k, stride).astype(kernel.dtype)

  def add_band(i, total):
    xs = jax.lax.dynamic_slice_in_dim(x, stride * BAND_ROWS * i, stride * (BAND_ROWS - 1) + k, 1)
    gs = jax.lax.dynamic_slice_in_dim(g, BAND_ROWS * i, BAND_ROWS, 1)
    return total + _taps_grad(xs, gs, k, stride)
  zeros = jnp.zeros(kernel.shape, jnp.float32)
  return jax.lax.fori_loop(0, bands, add_band, zeros).astype(kernel.dtype)


def _shifted(x, i, j, size, stride):
  """The values of x [B, H, W, C] that tap (i, j) reads: [B, *size, C]."""
  h, w = size
  return x[:, i:i + stride * (h - 1) + 1:stride, j:j + stride * (w - 1) + 1:stride]


def _correlate(x, g):
  """[.., C], [.., O] -> [C, O], summed over all positions in float32."""
  return jnp.einsum('pc,po->co', x.reshape(-1, x.shape[-1]), g.reshape(-1, g.shape[-1]),
                    preferred_element_type=jnp.float32)


def _taps_grad(x, g, k, stride):
  """One product per tap."""
  size = g.shape[1:3]
  taps = [_correlate(_shifted(x, i, j, size, stride), g) for i in range(k) for j in range(k)]
  return jnp.stack(taps).reshape(k, k, x.shape[-1], g.shape[-1])


def _whole_grad(x, g, k, stride):
  """One product for all taps."""
  taps = [_shifted(x, i, j, g.shape[1:3], stride) for i in range(k) for j in range(k)]
  return _correlate(jnp.concatenate(taps, -1), g).reshape(k, k, x.shape[-1], g.shape[-1])


def _rows_grad(x, g, k, stride):
  """One product per row of taps, for few channels in x."""
  size = g.shape[1:3]
  rows = []
  for i in range(k):
    row = jnp.concatenate([_shifted(x, i, j, size, stride) for j in range(k)], -1)
    rows.append(_correlate(row, g))
  return jnp.stack(rows).reshape(k, k, x.shape[-1], g.shape[-1])

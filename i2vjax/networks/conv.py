"""Convolutions in several equivalent forms; 'auto' chooses one by device.

All forms take the same parameters and give the same values up to rounding:

  'plain'   one `lax.conv_general_dilated` on an explicitly padded input. Any derivative.
  'matmul'  k*k strided slices side by side, times one matrix. For `vmap` over per-patch weight
            gradients: there the plain form becomes a grouped convolution, which is a hundred times
            slower in XLA. Any derivative.
  'fast'    CPU forms of `conv_fast.py` with a hand-written backward pass. First reverse-mode
            derivatives only.
  'portable' zeros are part of the convolution, nothing depends on the device or on sizes that are
            not known yet: for programs that run elsewhere. Any derivative.
  'auto'    'portable' inside `portable()`, else 'fast' on a CPU and 'plain' elsewhere, decided when
            the function is traced.

On GPUs XLA knows the weight gradient of a convolution as such only where that has neither zeros
between its inputs nor a stride of its own. Those of transposed and of dilated convolutions have,
and would run as convolutions whose window is the whole map, tens of times slower; so they are
written out here (`_transposed_bwd`, `dilated`), with first reverse-mode derivatives only. Nor does
it know that of a convolution whose result is larger than its input: the gradient is then a window
larger than the map below it, and XLA takes the one for the other. There the padding is kept out of
the convolution.

Padding is always explicit: 'SAME' pads a strided convolution on the other side than PyTorch does.
"""

import contextlib
import contextvars
import functools
from collections.abc import Callable, Iterator
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from i2vjax.core import backend
from i2vjax.networks import conv_fast, winograd
from i2vjax.networks.conv_fast import pad_hw

DIMENSIONS = ('NHWC', 'HWIO', 'NHWC')
FORMS = ('auto', 'plain', 'fast', 'matmul', 'portable')
_PORTABLE = contextvars.ContextVar('portable', default=False)


@contextlib.contextmanager
def portable() -> Iterator[None]:
  """What is traced inside takes the form 'portable' where it says 'auto'."""
  token = _PORTABLE.set(True)
  try:
    yield
  finally:
    _PORTABLE.reset(token)


def settled(impl):
  """The form that 'auto' means on this device; other known names are returned as they are."""
  if impl not in FORMS:
    raise ValueError(f'conv impl={impl!r}: choose one of {", ".join(FORMS)}')
  if impl == 'auto' and _PORTABLE.get():
    return 'portable'
  if impl == 'auto':
    return 'fast' if backend.name() == 'cpu' else 'plain'
  return impl


def plain(x, kernel, stride):
  """Unpadded convolution. x: [B, H, W, I], kernel: [k, k, I, O] -> [B, h, w, O]."""
  return jax.lax.conv_general_dilated(x, kernel, (stride, stride), 'VALID',
                                      dimension_numbers=DIMENSIONS)


def matmul(x, kernel, stride):
  """`plain` as one matrix product of the k*k shifted inputs, O(k*k * |x|) memory."""
  k = kernel.shape[0]
  rows, cols = (x.shape[1] - k) // stride + 1, (x.shape[2] - k) // stride + 1
  shifted = [x[:, i:i + stride * (rows - 1) + 1:stride, j:j + stride * (cols - 1) + 1:stride]
             for i in range(k) for j in range(k)]
  return jnp.concatenate(shifted, axis=-1) @ kernel.reshape(-1, kernel.shape[-1])


def conv(x, kernel, stride=1, pad='zero', padding=0, impl='auto'):
  """Convolution without bias.

  Args:
    x: [B, H, W, I].
    kernel: [k, k, I, O].
    stride: 1 or 2.
    pad: 'zero' | 'reflect' | 'none'.
    padding: pixels added on each side.
    impl: form, see the module's docstring.

  Returns:
    [B, (H + 2 padding - k) // stride + 1, ..., O].
  """
  impl = settled(impl)
  if impl == 'fast':
    return conv_fast.conv(x, kernel, stride, pad, padding)
  if impl == 'portable':
    return _unchosen(x, kernel, stride, pad, padding)
  padded = pad_hw(x, pad, padding)
  if stride == 1 and 2 * padding >= kernel.shape[0] and backend.name() == 'gpu':
    padded = jax.lax.optimization_barrier(padded)
  return (plain if impl == 'plain' else matmul)(padded, kernel, stride)


def _unchosen(x, kernel, stride, pad, padding):
  """The form 'portable'.

  XLA on CPUs is four times as fast where a convolution pads half its kernel with zeros: mirrored
  maps get these too, and lose what comes of them.
  """
  sides, crop = padding, 0
  if pad != 'zero':
    x = pad_hw(x, pad, padding)
    sides = crop = kernel.shape[0] // 2 if stride == 1 and kernel.shape[0] % 2 else 0
  y = jax.lax.conv_general_dilated(x, kernel, (stride, stride), ((sides, sides), (sides, sides)),
                                   dimension_numbers=DIMENSIONS)
  for axis in (1, 2) if crop else ():   # [crop:-crop] would be a gather where sizes are not known
    y = jax.lax.slice_in_dim(y, crop, y.shape[axis] - crop, axis=axis)
  return y


def transposed(x, kernel, impl='auto'):
  """Transposed convolution of stride 2 without bias that doubles H and W exactly.

  The adjoint of a convolution of stride 2 and padding 1. Kernel 3: PyTorch's padding 1, output
  padding 1; kernel 4: PyTorch's padding 1.

  Args:
    x: [B, H, W, I].
    kernel: [k, k, O, I], k 3 or 4 (as PyTorch's [I, O, k, k] transposed, no flip).
    impl: form; 'matmul' runs as 'plain'; 'portable' writes the zeros between pixels out, since
      jax2onnx 0.13 leaves them out of a convolution.

  Returns:
    [B, 2H, 2W, O].
  """
  form = settled(impl)
  if form == 'fast':
    return conv_fast.transposed(x, kernel)
  if form == 'portable':
    return _spread_transposed(x, kernel)
  differentiable = impl == 'auto'
  return (_transposed if differentiable else _plain_transposed)(x, kernel)


def _plain_transposed(x, kernel):
  """Any derivative."""
  sides = (kernel.shape[0] - 2, 2)
  flipped = kernel[::-1, ::-1].swapaxes(2, 3)
  return jax.lax.conv_general_dilated(x, flipped, (1, 1), (sides, sides), lhs_dilation=(2, 2),
                                      dimension_numbers=DIMENSIONS)


def _spread_transposed(x, kernel):
  """`_plain_transposed` with the zeros between pixels in its input. Any derivative."""
  for axis in (1, 2):
    x = winograd.interleave(x, jnp.zeros_like(x), axis)   # with one zero behind the last pixel
  sides = (kernel.shape[0] - 2, 1)
  flipped = kernel[::-1, ::-1].swapaxes(2, 3)
  return jax.lax.conv_general_dilated(x, flipped, (1, 1), (sides, sides),
                                      dimension_numbers=DIMENSIONS)


_transposed = jax.custom_vjp(_plain_transposed)


def _transposed_fwd(x, kernel):
  return _plain_transposed(x, kernel), (x, kernel)


def _transposed_bwd(saved, g):
  """Both gradients from the convolution that this one is the adjoint of."""
  x, kernel = saved
  dx, weight_grad = jax.vjp(lambda k: plain(pad_hw(g, 'zero', 1), k, 2), kernel)
  return dx, *weight_grad(x)


_transposed.defvjp(_transposed_fwd, _transposed_bwd)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def dilated(x, kernel, dilation):
  """Convolution of stride 1 without bias whose taps are `dilation` pixels apart; keeps H and W.

  Args:
    x: [B, H, W, I].
    kernel: [k, k, I, O], k odd.
    dilation: at least 1.

  Returns:
    [B, H, W, O].
  """
  reach, apart = dilation * (kernel.shape[0] // 2), (dilation, dilation)
  return jax.lax.conv_general_dilated(x, kernel, (1, 1), ((reach, reach), (reach, reach)),
                                      rhs_dilation=apart, dimension_numbers=DIMENSIONS)


def _dilated_fwd(x, kernel, dilation):
  return dilated(x, kernel, dilation), (x, kernel)


def _dilated_bwd(dilation, saved, g):
  """One product of matrices for each tap of the kernel."""
  x, kernel = saved
  k, (_, H, W, _) = kernel.shape[0], x.shape
  dx = dilated(g, kernel[::-1, ::-1].swapaxes(2, 3), dilation)
  padded = pad_hw(x, 'zero', dilation * (k // 2))
  taps = [jnp.einsum('bhwi,bhwo->io', padded[:, i:i + H, j:j + W], g,
                     preferred_element_type=jnp.float32)
          for i in range(0, k * dilation, dilation) for j in range(0, k * dilation, dilation)]
  return dx, jnp.stack(taps).reshape(kernel.shape).astype(kernel.dtype)


dilated.defvjp(_dilated_fwd, _dilated_bwd)


class Conv(nn.Module):
  """Convolution with bias; parameters `kernel` [k, k, I, O] and `bias` [O].

  Attributes:
    features: O.
    kernel: k.
    stride: 1 or 2.
    pad: 'zero' | 'reflect' | 'none'.
    padding: pixels on each side; None = (k - 1) // 2, or 0 with pad 'none'.
    impl: form, see the module's docstring.
    kernel_init, bias_init: initializers.
    dtype: of the computation; parameters stay float32. None computes in the input's type.
  """

  features: int
  kernel: int
  stride: int = 1
  pad: str = 'zero'
  padding: int | None = None
  impl: str = 'auto'
  kernel_init: Callable = nn.initializers.normal(0.02)
  bias_init: Callable = nn.initializers.zeros
  dtype: Any = None

  def __call__(self, x):
    """[B, H, W, I] -> [B, h, w, O]."""
    y, bias = self.parts(x)
    return y + bias

  def for_norm(self, x):
    """The same without bias, for an instance norm, which would take the bias away again.

    There it has no gradient but rounding, which costs a pass over the gradient of the output.
    """
    return self.parts(x)[0]

  @nn.compact
  def parts(self, x):
    """([B, h, w, O] without bias, bias [O])."""
    k = self.kernel
    kernel = self.param('kernel', self.kernel_init, (k, k, x.shape[-1], self.features))
    bias = self.param('bias', self.bias_init, (self.features,))
    x, kernel, bias = nn.dtypes.promote_dtype(x, kernel, bias, dtype=self.dtype or x.dtype)
    padding = (k - 1) // 2 if self.padding is None else self.padding
    padding *= self.pad != 'none'
    return conv(x, kernel, self.stride, self.pad, padding, self.impl), bias


class ConvTranspose(nn.Module):
  """`transposed` with bias; parameters `kernel` [k, k, O, I] and `bias` [O]; methods as `Conv`.

  Attributes: features O, kernel k (3 or 4), the others as `Conv`.
  """

  features: int
  kernel: int
  impl: str = 'auto'
  kernel_init: Callable = nn.initializers.normal(0.02)
  bias_init: Callable = nn.initializers.zeros
  dtype: Any = None

  __call__, for_norm = Conv.__call__, Conv.for_norm

  @nn.compact
  def parts(self, x):
    """([B, 2H, 2W, O] without bias, bias [O])."""
    k = self.kernel
    kernel = self.param('kernel', self.kernel_init, (k, k, self.features, x.shape[-1]))
    bias = self.param('bias', self.bias_init, (self.features,))
    x, kernel, bias = nn.dtypes.promote_dtype(x, kernel, bias, dtype=self.dtype or x.dtype)
    return transposed(x, kernel, self.impl), bias

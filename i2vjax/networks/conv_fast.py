"""Forms of a convolution that XLA runs fast on a CPU. Same values as the plain form."""

import jax

DIMENSIONS = ('NHWC', 'HWIO', 'NHWC')


def conv(x, kernel, stride, pad, padding):
  """See `conv.conv`."""
  if pad == 'reflect' and padding:
    from i2vjax.networks.conv import pad_hw
    x, padding = pad_hw(x, pad, padding), 0
  sides = (padding, padding)
  return jax.lax.conv_general_dilated(x, kernel, (stride, stride), (sides, sides),
                                      dimension_numbers=DIMENSIONS)


def transposed(x, kernel, padding):
  """See `conv.transposed`."""
  flipped = kernel[::-1, ::-1].swapaxes(2, 3)
  return jax.lax.conv_general_dilated(x, flipped, (1, 1), padding, lhs_dilation=(2, 2),
                                      dimension_numbers=DIMENSIONS)

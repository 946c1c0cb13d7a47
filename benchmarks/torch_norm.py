"""Instance norm for PyTorch whose gradient is right on CPUs.

The backward pass of torch 2.13's `instance_norm` on a CPU is wrong for one image whose gradient
comes channels-last in memory, as the gradient of a convolution may: errors as large as the gradient
itself. Here the gradient is made contiguous before it enters. All networks in PyTorch of
benchmarks/ and tests/ take their norm from this file; no import of jax, see torch_parts.py.
"""

from torch import nn
from torch.nn import functional


def contiguous_gradient(y):
  """y, whose gradient will be contiguous; y may be changed in place afterwards."""
  if y.requires_grad:
    y.register_hook(lambda gradient: gradient.contiguous())
  return y


def instance_norm(x):
  """Each channel of each image at mean 0 and variance 1, eps 1e-5. [B, C, H, W] -> same."""
  return contiguous_gradient(functional.instance_norm(x))


class InstanceNorm2d(nn.InstanceNorm2d):
  """PyTorch's layer of that name, with the right gradient; same keys, which is none."""

  def forward(self, x):
    return contiguous_gradient(super().forward(x))

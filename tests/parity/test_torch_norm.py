"""Gradients of the norm of all networks in PyTorch, whatever the memory layout."""

import pathlib

import pytest

torch = pytest.importorskip('torch')

import torch_norm

pytestmark = pytest.mark.parity
ROOT = pathlib.Path(__file__).parents[2]
LAYOUTS = (torch.contiguous_format, torch.channels_last)


def by_formula(x, gradient):
  """The gradient in 64 bits of (x - mean) / sqrt(variance + eps)."""
  x = x.detach().double().requires_grad_()
  centered = x - x.mean((2, 3), keepdim=True)
  y = centered / (centered.square().mean((2, 3), keepdim=True) + 1e-5).sqrt()
  y.backward(gradient.double())
  return x.grad


def drawn(layout, *shape):
  return torch.randn(shape).contiguous(memory_format=layout)


@pytest.mark.parametrize('shape', [(1, 4, 8, 6), (2, 4, 8, 6)])
@pytest.mark.parametrize('norm', [torch_norm.instance_norm, torch_norm.InstanceNorm2d(4)])
def test_gradients(norm, shape):
  """One image with a gradient in channels-last is what PyTorch's own norm gets wrong."""
  torch.manual_seed(0)
  for of_x in LAYOUTS:
    for of_gradient in LAYOUTS:
      x, gradient = drawn(of_x, *shape).requires_grad_(), drawn(of_gradient, *shape)
      norm(x).backward(gradient)
      torch.testing.assert_close(x.grad.double(), by_formula(x, gradient), atol=1e-5, rtol=1e-5)


def test_gradients_under_a_relu_in_place():
  """As networks use it: the output is changed in place, then read by a layer in channels-last."""
  torch.manual_seed(0)
  x, gradient = drawn(LAYOUTS[0], 1, 4, 8, 6).requires_grad_(), drawn(LAYOUTS[1], 1, 4, 8, 6)
  y = torch_norm.instance_norm(x)
  positive = y.detach() > 0
  y.relu_().backward(gradient)
  torch.testing.assert_close(x.grad.double(), by_formula(x, gradient * positive), atol=1e-5,
                             rtol=1e-5)


def test_no_other_norm_is_used():
  for folder in ('benchmarks', 'tests/helpers', 'tests/parity'):
    for path in (ROOT / folder).glob('*.py'):
      if path.name not in ('torch_norm.py', pathlib.Path(__file__).name):
        text = path.read_text()
        for name in ('nn.InstanceNorm2d', 'functional.instance_norm'):
          assert name not in text, f'{path}: {name}'

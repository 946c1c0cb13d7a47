"""The warp against PyTorch's grid_sample."""

import jax
import numpy as np
import pytest

from i2vjax.core import ops
from i2vjax.flow import visibility

torch = pytest.importorskip('torch')
pytestmark = pytest.mark.parity
RNG = np.random.default_rng(0)
IMAGE = RNG.normal(size=(2, 9, 13, 3)).astype(np.float32)
FLOWS = {'near': RNG.normal(size=(2, 9, 13, 2)), 'far': 40 * RNG.normal(size=(2, 9, 13, 2))}


def sampled(image, flow, padding):
  """grid_sample at absolute pixel coordinates, [B, H, W, C] tensors."""
  H, W = flow.shape[1:3]
  y, x = torch.meshgrid(torch.arange(H), torch.arange(W), indexing='ij')
  x, y = x + flow[..., 0], y + flow[..., 1]
  grid = torch.stack([2 * x / (W - 1) - 1, 2 * y / (H - 1) - 1], -1)
  out = torch.nn.functional.grid_sample(image.permute(0, 3, 1, 2), grid, padding_mode=padding,
                                        align_corners=True)
  return out.permute(0, 2, 3, 1)


@pytest.mark.parametrize('kind', list(FLOWS))
def test_warp_equals_border_padding_with_its_gradients(kind):
  flow = FLOWS[kind].astype(np.float32)
  weight = RNG.normal(size=IMAGE.shape).astype(np.float32)

  @jax.jit
  def both(image, flow):
    out, pull = jax.vjp(ops.warp, image, flow)
    return out, pull(weight)
  ours, grads = both(IMAGE, flow)
  image, moved = (torch.from_numpy(x).requires_grad_() for x in (IMAGE, flow))
  theirs = sampled(image, moved, 'border')
  np.testing.assert_allclose(ours, theirs.detach(), atol=1e-5)
  theirs.backward(torch.from_numpy(weight))
  for g, tensor in zip(grads, (image, moved), strict=True):
    np.testing.assert_allclose(g, tensor.grad, atol=2e-4)


@pytest.mark.parametrize('kind', list(FLOWS))
def test_inside_is_where_zero_padding_takes_nothing_away(kind):
  flow = FLOWS[kind].astype(np.float32)
  ones = sampled(torch.ones(2, 9, 13, 1), torch.from_numpy(flow), 'zeros').numpy()
  np.testing.assert_array_equal(np.asarray(visibility.inside(flow)), ones > 1 - 1e-6)

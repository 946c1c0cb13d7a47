"""PearlGAN's networks in PyTorch, with the same random weights, give the same numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from i2vjax.losses import gradients, reconstruction, relativistic
from i2vjax.networks import combogan, multi_view_critic, spectral

torch = pytest.importorskip('torch')

import torch_pearlgan as twin

pytestmark = pytest.mark.parity
nn = torch.nn


def drawn(module, x, scale=0.1):
  """Random arrays in the shapes of a network's parameters; slopes and scales near their own."""
  tree = jax.eval_shape(module.init, jax.random.key(0), x)['params']
  rng = np.random.default_rng(0)
  return jax.tree_util.tree_map_with_path(
      lambda path, p: (rng.normal(size=p.shape) * scale
                       + {'negative_slope': 0.25, 'scale': 1.0}.get(path[-1].key, 0)
                       ).astype(np.float32), tree)


def image(*shape):
  return np.random.default_rng(1).uniform(-1, 1, shape).astype(np.float32)


def nchw(x):
  return torch.from_numpy(np.ascontiguousarray(np.moveaxis(np.asarray(x), -1, 1)))


def tensor(x):
  return torch.from_numpy(np.array(x))


def same(ours, theirs, tolerance=1e-4):
  theirs = theirs.detach().numpy()
  theirs = np.moveaxis(theirs, 1, -1) if theirs.ndim == 4 else theirs
  np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance * max(1, np.abs(theirs).max()))


@pytest.mark.parametrize(('attend', 'groups'), [(True, 32), (False, 0)])
def test_generator(attend, groups):
  """With attention 35 x 33 places, of which the coarsest scale sees 3 x 2."""
  module = combogan.ComboGenerator(3, 4, 1, 1, attend, groups)
  x = image(2, 140, 132, 3) if attend else image(2, 36, 52, 3)
  params = drawn(module, x)

  def both(params, x):
    h, maps = module.apply({'params': params}, x, method='encode')
    return module.apply({'params': params}, h, method='decode'), maps
  frame, maps = jax.jit(both)(params, x)
  params = jax.tree.map(tensor, params)
  h, their_maps = twin.encode(params, nchw(x))
  theirs = twin.decode(params, h, (4, 2) if groups else ())
  same(frame, theirs)
  if attend:
    assert float(jnp.ptp(maps[..., 0])) > 0.1
    same(maps, their_maps)


@pytest.mark.parametrize('normed', [True, False])
def test_critics(normed):
  module, x = multi_view_critic.ThreeCritics(4, 3, normed), image(2, 45, 40, 3)
  params = drawn(module, x)
  ours = jax.jit(module.apply)({'params': params}, x)
  theirs = twin.three(jax.tree.map(tensor, params), nchw(x), normed, 3)
  for name, maps in ours.items():
    assert len(maps) == len(theirs[name])
    for found, expected in zip(maps, theirs[name], strict=True):
      same(found, expected)


def test_spectral_norm_and_its_gradient():
  """torch.nn.utils.spectral_norm: one round of the power method, sigma differentiated."""
  rng = np.random.default_rng(0)
  kernel = rng.normal(size=(4, 4, 3, 6)).astype(np.float32)
  weights = rng.normal(size=kernel.shape).astype(np.float32)     # of the loss
  u = rng.normal(size=6).astype(np.float32)

  def loss(kernel):
    normal, moved = spectral.normalize({'conv': {'kernel': kernel}}, {'conv': u})
    return jnp.sum(weights * normal['conv']['kernel']), moved
  slope, moved = jax.jit(jax.grad(loss, has_aux=True))(kernel)
  layer = nn.utils.spectral_norm(nn.Conv2d(3, 6, 4, bias=False))
  with torch.no_grad():
    layer.weight_orig.copy_(tensor(kernel.transpose(3, 2, 0, 1)))
    layer.weight_u.copy_(tensor(u))
  layer.train()
  layer(torch.zeros(1, 3, 8, 8))
  (layer.weight * tensor(weights.transpose(3, 2, 0, 1))).sum().backward()
  np.testing.assert_allclose(jax.tree.leaves(moved)[0], layer.weight_u, atol=1e-5)
  np.testing.assert_allclose(slope, layer.weight_orig.grad.numpy().transpose(2, 3, 1, 0),
                             atol=1e-5)


def test_losses_and_gradients():
  """The generator's terms on a frame, written with PyTorch's own functions."""
  x, y = image(1, 16, 12, 3), image(1, 16, 12, 3)[:, ::-1].copy()
  e = (np.random.default_rng(3).uniform(size=(1, 16, 12)) > 0.7).astype(np.float32)

  def ours(y):
    steep = gradients.alignment(jax.random.key(0), e, gradients.magnitude(y), 1, 0.8)
    return (steep + 5 * gradients.total_variation(y) + reconstruction.dissimilarity(y, x)
            + 10 * reconstruction.smooth_l1(y, x) + relativistic.least_squares(
                [x[..., 0], x[..., 1]], [y[..., 0], y[..., 1]], 1))
  value, slope = jax.jit(jax.value_and_grad(ours))(y)
  p, q = nchw(x), nchw(y).requires_grad_()
  theirs = (
      twin.alignment(twin.steepness(q)[0], tensor(e)[0], 0.8) + 5 * twin.total_variation(q)
      + twin.dissimilarity(p, q) + 10 * nn.SmoothL1Loss()(q, p)
      + twin.relativistic([p[:, 0], p[:, 1]], [q[:, 0], q[:, 1]], 1))
  theirs.backward()
  np.testing.assert_allclose(value, theirs.item(), rtol=1e-4)
  np.testing.assert_allclose(slope, np.moveaxis(q.grad.numpy(), 1, -1), atol=2e-5)

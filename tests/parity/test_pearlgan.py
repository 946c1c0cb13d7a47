"""PearlGAN's networks in PyTorch, with the same random weights, give the same numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from i2vjax.losses import gradients, reconstruction, relativistic
from i2vjax.networks import combogan, multi_view_critic, spectral

torch = pytest.importorskip('torch')

import torch_norm

pytestmark = pytest.mark.parity
nn, functional = torch.nn, torch.nn.functional


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


def conv(p, x, stride=1, padding=0, reflect=0):
  x = functional.pad(x, 4 * (reflect,), mode='reflect') if reflect else x
  weight = tensor(np.transpose(p['kernel'], (3, 2, 0, 1)))
  return functional.conv2d(x, weight, tensor(p['bias']), stride, padding)


def prelu(p, x):
  return functional.prelu(x, tensor(p['negative_slope']).reshape(1))


def norm_act(p, x):
  return prelu(p['act'], torch_norm.instance_norm(x))


def attention(p, x):
  """The block as in PearlGAN's layer table."""
  size = x.shape[2:]

  def up(m, size=size):
    return functional.interpolate(m, size=size, mode='bilinear', align_corners=False)
  s = torch.chunk(prelu(p['act'], torch_norm.instance_norm(conv(p['conv'], x))), 4, dim=1)
  pooled = [functional.avg_pool2d(part, 3, stride)
            for part, stride in zip(s, (2, 4, 8, 16), strict=True)]
  gates = []
  for i, part in enumerate(pooled[::-1], 1):
    if gates:
      part = part * (1 + up(gates[-1], part.shape[2:]))
    logit = conv(p[f'gate_{i}'], part, reflect=1)
    gates.append(torch.sigmoid(torch_norm.instance_norm(logit)))
  maps = [up(gate) for gate in gates]
  out = torch.cat([m * part for m, part in zip(maps[::-1], s, strict=True)], dim=1)
  return x + out, torch.cat(maps, dim=1)


def generator(p, x, groups):
  """E and R from their layer tables, with the blocks that the parameters have."""
  E, R = p['encoder'], p['renderer']
  x = norm_act(E['stem'], conv(E['stem']['conv'], x, reflect=3))
  for i in range(2):
    x = norm_act(E[f'down_{i}'], conv(E[f'down_{i}']['conv'], x, stride=2, padding=1))
  maps = None
  for half in (E, R):
    if 'attention' in half:
      x, found = attention(half['attention'], x)
      maps = found if maps is None else maps
    for i in range(sum(name.startswith('res_') for name in half)):
      block = half[f'res_{i}']
      y = norm_act(block, conv(block['conv_0'], x, reflect=1))
      x = x + torch_norm.instance_norm(conv(block['conv_1'], y, reflect=1))
  for i in range(2):
    q = R[f'up_{i}']
    weight = tensor(np.transpose(q['conv']['kernel'], (3, 2, 0, 1)))
    x = functional.conv_transpose2d(x, weight, tensor(q['conv']['bias']), 2, 1)
    x = functional.group_norm(x, groups[i], tensor(q['norm']['scale']), tensor(
        q['norm']['bias'])) if groups else torch_norm.instance_norm(x)
    x = prelu(q['act'], x)
  return torch.tanh(conv(R['head']['conv'], x, reflect=3)), maps


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
  theirs, their_maps = generator(params, nchw(x), (4, 2) if groups else ())
  same(frame, theirs)
  if attend:
    assert float(jnp.ptp(maps[..., 0])) > 0.1
    same(maps, their_maps)


def branch(p, x, normed, stages):
  maps = []
  for i in range(stages + 1):
    x = conv(p[f'conv_{i}'], x, stride=2 if i < stages else 1, padding=2)
    x = prelu(p[f'act_{i}'], torch_norm.instance_norm(x) if normed and i else x)
    if 0 < i < stages:
      maps.append(x[:, -1])
      x = x[:, :-1]
  return [*maps, conv(p['head'], x, padding=2)[:, 0]]


def three(p, x, normed, stages):
  """The three views by convolutions with fixed filters."""
  line = torch.tensor(multi_view_critic.BLUR)
  window = torch.outer(line, line).expand(3, 1, 5, 5)
  gray = (x * torch.tensor([0.299, 0.587, 0.114]).reshape(1, 3, 1, 1)).sum(1, keepdim=True)
  right = torch.tensor([[0.0, 0, 0], [-1, 0, 1], [0, 0, 0]]).reshape(1, 1, 3, 3)
  outline = functional.conv2d(gray[:, :, ::2, ::2], torch.cat([right, right.transpose(2, 3)]))
  return {'rgb': branch(p['rgb'], functional.conv2d(x, window, padding=2, groups=3), normed,
                        stages),
          'gray': branch(p['gray'], gray, normed, stages),
          'grad': branch(p['grad'], outline, normed, stages - 1)}


@pytest.mark.parametrize('normed', [True, False])
def test_critics(normed):
  module, x = multi_view_critic.ThreeCritics(4, 3, normed), image(2, 45, 40, 3)
  params = drawn(module, x)
  ours = jax.jit(module.apply)({'params': params}, x)
  theirs = three(params, nchw(x), normed, 3)
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
  theirs = torch_losses(p, q, tensor(e))
  theirs.backward()
  np.testing.assert_allclose(value, theirs.item(), rtol=1e-4)
  np.testing.assert_allclose(slope, np.moveaxis(q.grad.numpy(), 1, -1), atol=2e-5)


def torch_losses(x, y, e):
  g = ((y + 1) / 2 * torch.tensor([0.299, 0.587, 0.114]).reshape(1, 3, 1, 1)).sum(1, keepdim=True)
  down = torch.tensor([[0.0, -1, 0], [0, 0, 0], [0, 1, 0]]).reshape(1, 1, 3, 3)
  v, h = (functional.conv2d(g, k, padding=1) for k in (down, down.transpose(2, 3)))
  steep = torch.sqrt(v ** 2 + h ** 2 + 1e-6)[:, 0]
  sga = functional.relu(0.8 * e - steep / steep.max()).sum() / (e.sum() + 1)
  tv = 2 * ((y[:, :, 1:] - y[:, :, :-1]) ** 2).mean() + 2 * (
      (y[..., 1:] - y[..., :-1]) ** 2).mean()
  line = torch.exp(-0.5 * (torch.arange(-1.0, 2.0) / 1.5) ** 2)
  window = torch.outer(line / line.sum(), line / line.sum()).expand(3, 1, 3, 3)

  def local(z):
    return functional.conv2d(z, window, groups=3)
  s, t = (x + 1) / 2, (y + 1) / 2
  m, n = local(s), local(t)
  ssim = ((2 * m * n + 1e-4) * (2 * (local(s * t) - m * n) + 9e-4)
          / ((m ** 2 + n ** 2 + 1e-4)
             * (local(s * s) - m ** 2 + local(t * t) - n ** 2 + 9e-4))).mean()
  rel = (((x[:, 0] - y[:, 0] + 1) ** 2).mean() + 3 * ((x[:, 1] - y[:, 1] + 1) ** 2).mean()) / 8
  return sga + 5 * tv + 1 - ssim + 10 * nn.SmoothL1Loss()(y, x) + rel

"""The cell, the recurrent U-Net and the clip critic against PyTorch, in training and in use."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from i2vjax.networks import recurrent

torch = pytest.importorskip('torch')
functional = torch.nn.functional
pytestmark = pytest.mark.parity
LEVELS, WIDTH = 3, 4


def tensor(x):
  return torch.from_numpy(np.array(x))


def nchw(x):
  """[B, T, H, W, C] -> [B, T, C, H, W]."""
  return tensor(np.moveaxis(np.asarray(x), -1, 2))


def oihw(kernel):
  return tensor(kernel).permute(3, 2, 0, 1)


class Cell(torch.nn.Module):
  """Two 1x1 convolutions on the input beside the state, one frame after the other."""

  def __init__(self, params):
    super().__init__()
    for name in ('out', 'state'):
      kernel, bias = (tensor(params[f'{name}_{part}']) for part in ('kernel', 'bias'))
      layer = torch.nn.Conv2d(*kernel.shape, 1)
      layer.weight.data, layer.bias.data = kernel.T[..., None, None].clone(), bias
      setattr(self, name, layer)

  def forward(self, x, h=None):
    out = []
    h = x.new_zeros(len(x), self.state.out_channels, *x.shape[-2:]) if h is None else h
    for frame in x.unbind(1):
      both = torch.cat([frame, h], 1)
      out.append(self.out(both))
      h = torch.tanh(self.state(both))
    return h, torch.stack(out, 1)


def norm(params, running=True):
  layer = torch.nn.BatchNorm2d(len(params['scale']), track_running_stats=running)
  layer.weight.data, layer.bias.data = tensor(params['scale']), tensor(params['bias'])
  return layer


class UNet(torch.nn.Module):
  """As pix2pix builds it, with frames as a batch and the cell at the bottom."""

  def __init__(self, p):
    super().__init__()
    self.p, self.cell = p, Cell(p['memory'])
    self.norms = torch.nn.ModuleDict({name: norm(p[name]['norm']) for name in p
                                      if 'norm' in p[name]})

  def forward(self, x, h=None):
    p, size = self.p, x.shape[:2]
    x, skips = x.flatten(0, 1), []
    for k in range(LEVELS):
      bias = None if k else tensor(p['down_0']['bias'])
      x = functional.conv2d(x, oihw(p[f'down_{k}']['kernel']), bias, 2, 1)
      x = functional.leaky_relu(self.norms[f'down_{k}'](x) if k else x, 0.2)
      skips.append(x)
    h, x = self.cell(x.unflatten(0, size), h)
    x = x.flatten(0, 1)
    for k in reversed(range(LEVELS)):
      kernel = tensor(p[f'up_{k}']['kernel']).permute(3, 2, 0, 1)
      x = functional.relu(self.norms[f'up_{k}'](functional.conv_transpose2d(x, kernel, None, 2, 1)))
      x = torch.cat([x, skips[k - 1]], 1) if k else x
    x = functional.conv2d(x, oihw(p['head']['kernel']), tensor(p['head']['bias']), 1, 1)
    return h, torch.tanh(x).unflatten(0, size)


def torch_stream(p, x):
  size = x.shape[:2]
  x = functional.conv2d(x.flatten(0, 1), oihw(p['conv_0']['kernel']), tensor(p['conv_0']['bias']),
                        2, 1)
  for k in (1, 2, 3):
    x = functional.conv2d(functional.leaky_relu(x, 0.2), oihw(p[f'conv_{k}']['kernel']), None, 2, 1)
    x = norm(p[f'conv_{k}']['norm'], running=False)(x)
  x = functional.leaky_relu(x, 0.2).unflatten(0, size)
  return Cell(p['memory'])(x)[1].mean((1, 2, 3, 4))


def clip(batch=2, size=32, channels=3, seed=0):
  rng = np.random.default_rng(seed)
  return rng.uniform(-1, 1, (batch, 3, size, size, channels)).astype(np.float32)


def scattered(net, *example):
  """(parameters, running averages) of a network: scales and variances near 1, all else near 0."""
  rng = np.random.default_rng(1)

  def one(path, x):
    near, size = float(path[-1].key in ('scale', 'var')), 0.0 if path[0].key != 'params' else 0.2
    return np.asarray(near + size * rng.normal(size=x.shape), np.float32)
  shapes = jax.eval_shape(net.init, jax.random.key(0), *example)
  variables = jax.tree_util.tree_map_with_path(one, shapes)
  return variables['params'], variables.get('batch_stats')


@pytest.fixture(scope='module')
def generator():
  net = recurrent.RecurrentUNet(3, WIDTH, LEVELS, 6, dropout=0.0)
  params, stats = scattered(net, jnp.zeros((1, 1, 32, 32, 3)))
  return net, params, stats, clip()


def test_generator_in_training_moments_and_gradient(generator):
  net, params, stats, x = generator

  @jax.jit
  def ours(x):
    def loss(x):
      (h, y), moved = net.apply({'params': params, 'batch_stats': stats}, x, moments='train',
                                mutable=['batch_stats'])
      return jnp.sum(jnp.sin(3 * y)) + jnp.sum(h**2), (y, moved['batch_stats'])
    return jax.grad(loss, has_aux=True)(x)
  grad, (y, moved) = ours(x)
  theirs, seen = UNet(params).train(), nchw(x).requires_grad_()
  h, out = theirs(seen)
  (torch.sin(3 * out).sum() + (h**2).sum()).backward()
  np.testing.assert_allclose(np.moveaxis(np.asarray(y), -1, 2), out.detach(), atol=2e-5)
  scale = float(seen.grad.abs().max())
  np.testing.assert_allclose(np.moveaxis(np.asarray(grad), -1, 2), seen.grad, atol=1e-4 * scale)
  for name, layer in theirs.norms.items():
    averages = moved[name]['norm']
    np.testing.assert_allclose(averages['mean'], layer.running_mean, atol=1e-5)
    np.testing.assert_allclose(averages['var'], layer.running_var, rtol=1e-4)


def test_generator_in_use_with_its_carry(generator):
  net, params, _, x = generator
  theirs, rng = UNet(params).eval(), np.random.default_rng(2)
  averages = {}
  for name, layer in theirs.norms.items():
    mean, var = rng.normal(size=len(layer.bias)), rng.uniform(0.5, 2, len(layer.bias))
    layer.running_mean, layer.running_var = tensor(mean).float(), tensor(var).float()
    averages[name] = {'norm': {'mean': jnp.float32(mean), 'var': jnp.float32(var)}}
  use = jax.jit(lambda x, h: net.apply({'params': params, 'batch_stats': averages}, x, h))
  h, _ = use(x, jnp.zeros((2, 4, 4, 6)))
  h, y = use(x[:, ::-1], h)
  with torch.no_grad():
    carry, _ = theirs(nchw(x))
    carry, out = theirs(nchw(x[:, ::-1].copy()), carry)
  np.testing.assert_allclose(np.moveaxis(np.asarray(y), -1, 2), out, atol=2e-5)
  np.testing.assert_allclose(np.moveaxis(np.asarray(h), -1, 1), carry, atol=2e-5)


def test_critic(generator):
  frames, residuals = clip(channels=6), clip(seed=3)
  net = recurrent.ClipCritic(4, 5)
  params, _ = scattered(net, frames, residuals)
  logit = jax.jit(net.apply)({'params': params}, frames, residuals)
  with torch.no_grad():
    scores = [torch_stream(params[name], nchw(x))
              for name, x in (('frames', frames), ('residuals', residuals))]
  want = torch.stack(scores, -1) @ tensor(params['share']) + tensor(params['bias'])
  np.testing.assert_allclose(logit, want, atol=2e-5)

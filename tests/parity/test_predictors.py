"""Predictors, projection and contrast as the public PyTorch codes compute them, random weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from i2vjax.losses import contrastive, perceptual
from i2vjax.networks import projector, unet

torch = pytest.importorskip('torch')

import torch_norm

nn = torch.nn
pytestmark = pytest.mark.parity


class Level(nn.Module):
  """One level of the nested U-Net of the public pix2pix code; `inner` is the level below."""

  def __init__(self, outer, width, inner=None, inputs=None):
    super().__init__()
    outermost = inputs is not None
    down = nn.Conv2d(inputs or outer, width, 4, 2, 1)
    up = nn.ConvTranspose2d(width * (2 if inner else 1), outer, 4, 2, 1)
    leaky, norm = nn.LeakyReLU(0.2, True), torch_norm.InstanceNorm2d
    if outermost:
      layers = [down, inner, nn.ReLU(), up, nn.Tanh()]
    elif inner is None:
      layers = [leaky, down, nn.ReLU(), up, norm(outer)]
    else:
      layers = [leaky, down, norm(width), inner, nn.ReLU(), up, norm(outer)]
    self.model, self.down, self.up, self.inner = nn.Sequential(*layers), down, up, inner
    self.outermost = outermost

  def forward(self, x):
    y = self.model(x)
    return y if self.outermost else torch.cat([x, y], 1)


def torch_unet(inputs, outputs, width, downs):
  widths = [width * min(2**k, 8) for k in range(downs)]
  level = None
  for k in reversed(range(1, downs)):
    level = Level(widths[k - 1], widths[k], level)
  return Level(outputs, widths[0], level, inputs)


class TwoStream(nn.Module):
  """Recycle-GAN's 'prediction' network."""

  def __init__(self, width, norm=torch_norm.InstanceNorm2d):
    super().__init__()

    def block(inputs, outputs, kernel):
      pad = nn.ReflectionPad2d(3) if kernel == 7 else nn.ZeroPad2d(1)
      return [pad, nn.Conv2d(inputs, outputs, kernel), norm(outputs), nn.ReLU()]
    w = width
    self.stem = nn.Sequential(*block(3, w, 7), *block(w, 2 * w, 3), *block(2 * w, 4 * w, 3))
    self.unet = torch_unet(8 * w, 4 * w, 16 * w, 6)
    self.tail = nn.Sequential(*block(4 * w, 2 * w, 3), *block(2 * w, w, 3),
                              *block(w, 3, 7)[:2], nn.Tanh())

  def forward(self, x):
    first, second = self.stem(x[:, :3]), self.stem(x[:, 3:])
    return self.tail(self.unet(torch.cat([first, second], 1)))


def conv_params(layer):
  """Kernels [O, I, k, k], transposed ones [I, O, k, k]: both become [k, k, ., .]."""
  return {'kernel': layer.weight.detach().numpy().transpose(2, 3, 1, 0),
          'bias': layer.bias.detach().numpy()}


def unet_params(level):
  params, k = {}, 0
  while level is not None:
    params |= {f'down_{k}': conv_params(level.down), f'up_{k}': conv_params(level.up)}
    level, k = level.inner, k + 1
  return params


def agree(twin, net, params, channels, size):
  """Outputs on the same random frames differ by at most 1e-4."""
  x = np.random.default_rng(0).uniform(-1, 1, (2, size, size, channels)).astype(np.float32)
  with torch.no_grad():
    expected = twin(torch.from_numpy(x.transpose(0, 3, 1, 2).copy())).numpy()
  out = jax.jit(net.apply)({'params': params}, x)
  np.testing.assert_allclose(out, expected.transpose(0, 2, 3, 1), atol=1e-4)
  assert np.std(expected) > 0.01


def louder(twin):
  """Random weights at which every layer is felt in the output."""
  torch.manual_seed(0)
  for weight in twin.parameters():
    nn.init.normal_(weight, std=0.1)
  return twin


@pytest.mark.parametrize('downs, size', [(5, 32), (7, 128)])
def test_u_net(downs, size):
  twin = louder(torch_unet(6, 3, 4, downs))
  agree(twin, unet.UNetPredictor(3, 4, downs), unet_params(twin), 6, size)


def test_two_streams():
  twin = louder(TwoStream(2))
  params = {'unet': unet_params(twin.unet)}
  for name in ('stem', 'tail'):
    layers = [m for m in getattr(twin, name) if isinstance(m, nn.Conv2d)]
    params |= {f'{name}_{i}': conv_params(layer) for i, layer in enumerate(layers)}
  agree(twin, unet.TwoStreamPredictor(3, 2), params, 6, 64)


def test_projection():
  torch.manual_seed(0)
  twins = [nn.Sequential(nn.Linear(c, 16), nn.ReLU(), nn.Linear(16, 16)) for c in (3, 8)]
  x = [torch.randn(2, 5, c) for c in (3, 8)]
  with torch.no_grad():
    rows = [twin(v) for twin, v in zip(twins, x, strict=True)]
    expected = [y / (y.pow(2).sum(-1, keepdim=True).sqrt() + 1e-7) for y in rows]
  params = {f'mlp_{k}': {f'dense_{i}': {'kernel': layer.weight.detach().numpy().T,
                                        'bias': layer.bias.detach().numpy()}
                         for i, layer in enumerate((twin[0], twin[2]))}
            for k, twin in enumerate(twins)}
  out = projector.PatchProjector(16).apply({'params': params}, [v.numpy() for v in x])
  for ours, theirs in zip(out, expected, strict=True):
    np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-5)


def test_patch_nce_and_its_gradient():
  """Cross-entropy with the positive in front and -10 on the diagonal, keys detached."""
  q, k = (torch.nn.functional.normalize(torch.randn(9, 6), dim=-1) for _ in range(2))
  q.requires_grad_()
  others = (q @ k.T).masked_fill(torch.eye(9, dtype=torch.bool), -10.0)
  logits = torch.cat([(q * k).sum(-1, keepdim=True), others], 1) / 0.07
  loss = nn.functional.cross_entropy(logits, torch.zeros(9, dtype=torch.long))
  loss.backward()
  value, grad = jax.value_and_grad(contrastive.patch_nce)(
      jnp.asarray(q.detach().numpy()), jnp.asarray(k.numpy()))
  np.testing.assert_allclose(value, loss.item(), rtol=1e-5)
  np.testing.assert_allclose(grad, q.grad.numpy(), atol=1e-5)


def test_style_of_one_image():
  """Mean square of the difference of Gram matrices divided by C H W."""
  x, y = torch.randn(1, 5, 4, 6), torch.randn(1, 5, 4, 6)

  def gram(f):
    flat = f.reshape(5, 24)
    return flat @ flat.T / (5 * 4 * 6)
  expected = nn.functional.mse_loss(gram(x), gram(y)).item()
  ours = [jnp.asarray(f.permute(0, 2, 3, 1).numpy()) for f in (x, y)]
  np.testing.assert_allclose(perceptual.style_distance([ours[0]], [ours[1]], (1.0,)), expected,
                             rtol=1e-4)

"""LPIPS against PyTorch: AlexNet's features, and torchmetrics' whole distance with public heads."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util

from i2vjax import pretrained
from i2vjax.evaluation import scoring_networks
from i2vjax.metrics import lpips
from i2vjax.networks import alexnet, vgg
from i2vjax.pretrained import lpips_weights, registry, vgg_weights

torch = pytest.importorskip('torch')
from torch import nn

pytestmark = pytest.mark.parity


def alexnet_layers(width=64):
  """torchvision's `features`."""
  a, b, c, d, e = (channels * width // 64 for channels in alexnet.CHANNELS)
  return nn.Sequential(
      nn.Conv2d(3, a, 11, 4, 2), nn.ReLU(), nn.MaxPool2d(3, 2),
      nn.Conv2d(a, b, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),
      nn.Conv2d(b, c, 3, padding=1), nn.ReLU(), nn.Conv2d(c, d, 3, padding=1), nn.ReLU(),
      nn.Conv2d(d, e, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2))


def vgg_layers():
  """torchvision's `features` of VGG-16."""
  layers, c = [], 3
  for count, channels in zip((2, 2, 3, 3, 3), (64, 128, 256, 512, 512), strict=True):
    for _ in range(count):
      layers += [nn.Conv2d(c, channels, 3, padding=1), nn.ReLU()]
      c = channels
    layers.append(nn.MaxPool2d(2, 2))
  return nn.Sequential(*layers)


def saved(layers, path):
  """A file with torchvision's names of layers that are no defaults."""
  torch.manual_seed(0)
  for layer in layers:
    if isinstance(layer, nn.Conv2d):
      nn.init.kaiming_normal_(layer.weight)
      nn.init.normal_(layer.bias, 0, 0.2)
  net = nn.Module()
  net.features, net.classifier = layers, nn.Linear(3, 2)
  torch.save(net.state_dict(), path)
  return path


def fit(module, example, reader, path):
  tree = jax.eval_shape(module.init, jax.random.key(0), *example)['params']
  shapes = {name: leaf.shape for name, leaf in traverse_util.flatten_dict(tree, sep='/').items()}
  return pretrained.fit(reader(path, shapes), shapes, path)


def frames(count, size, seed=0):
  return np.random.default_rng(seed).uniform(-1, 1, (count, *size, 3)).astype(np.float32)


def nchw(x):
  return torch.from_numpy(x).permute(0, 3, 1, 2)


def test_features_of_alexnet_equal_pytorch(tmp_path):
  layers = alexnet_layers(8)
  path = saved(layers, tmp_path / 'alexnet.pth')
  module = alexnet.AlexNet(8)
  params = fit(module, (registry.FRAME,), lpips_weights.read_alexnet, path)
  x = frames(2, (64, 75))
  ours = jax.jit(module.apply)({'params': params}, x)
  h = nchw(x)
  with torch.no_grad():
    theirs = [h for layer in layers if (h := layer(h)) is not None and isinstance(layer, nn.ReLU)]
  assert list(ours) == list(alexnet.TAPS) and len(theirs) == 5
  for left, right in zip(ours.values(), theirs, strict=True):
    np.testing.assert_allclose(left, right.permute(0, 2, 3, 1), atol=1e-4)


@pytest.mark.parametrize('net', ['alex', pytest.param('vgg', marks=pytest.mark.slow)])
def test_distance_equals_torchmetrics_with_the_public_heads(net, tmp_path, monkeypatch):
  """Its package carries the heads of version 0.1; the networks behind them are random here."""
  theirs = pytest.importorskip('torchmetrics.functional.image.lpips')
  layers = alexnet_layers() if net == 'alex' else vgg_layers()
  path = saved(layers, tmp_path / 'backbone.pth')
  monkeypatch.setattr(theirs, '_get_tv_model_features', lambda name, pretrained: layers)
  module, reader = {
    'alex': (alexnet.AlexNet(), lpips_weights.read_alexnet),
    'vgg': (vgg.VGG(16, scoring_networks.VGG_TAPS), vgg_weights.READERS['vgg16']),
  }[net]
  heads = pathlib.Path(theirs.__file__).parent / 'lpips_models' / f'{net}.pth'
  params = {'backbone': fit(module, (registry.FRAME,), reader, path),
            'heads': fit(alexnet.Heads(), registry.ENTRIES[f'lpips_{net}'].example,
                         lpips_weights.read_heads, heads)}
  x, y = frames(2, (64, 72)), frames(2, (64, 72), 1)
  y[1] = (x[1] + y[1]) / 2
  ours = lpips.program({'backbone': module, 'heads': alexnet.Heads()}, params)(x, y)
  with torch.no_grad():
    expected = theirs._LPIPS(net=net)(nchw(x), nchw(y)).numpy().reshape(-1)
  assert expected.min() > 1e-3 and np.ptp(expected) > 0.01
  np.testing.assert_allclose(ours, expected, atol=1e-4)


def test_gradient_of_the_distance_equals_pytorch():
  """As a loss: through the division by the length of the features."""
  x, g = frames(1, (3, 4)), frames(1, (3, 4), 1)
  x[0, 0, 0] = 0
  ours = jax.grad(lambda z: jnp.sum(lpips.directions(z) * g))(x)
  z = torch.from_numpy(x).requires_grad_()
  length = torch.sqrt(torch.sum(z * z, -1, keepdim=True) + 1e-20)
  (z / (length + 1e-10) * torch.from_numpy(g)).sum().backward()
  inner = np.s_[0, 1:]   # where all features are 0 their direction has no derivative
  np.testing.assert_allclose(ours[inner], z.grad.numpy()[inner], rtol=1e-3, atol=1e-4)

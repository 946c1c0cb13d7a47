"""Files of ToDayGAN, PearlGAN and MornGAN: imported, our generator gives what PyTorch's gives."""

import numpy as np
import pytest

torch = pytest.importorskip('torch')

import jax
from flax import traverse_util
from torch_norm import InstanceNorm2d

from i2vjax.interop import torch_checkpoints
from i2vjax.networks import combogan

pytestmark = pytest.mark.parity
nn, functional = torch.nn, torch.nn.functional
WIDTH, ENCODER, RENDERER, SIDE = 64, 2, 1, 80    # 32 groups need this width, attention this side


def normed(features):
  return [InstanceNorm2d(features), nn.PReLU()]


class Residual(nn.Module):
  """x + list of pad, conv, norm, PReLU, pad, conv, norm."""

  def __init__(self, features):
    super().__init__()
    convs = [nn.Conv2d(features, features, 3) for _ in range(2)]
    self.conv_block = nn.Sequential(nn.ReflectionPad2d(1), convs[0], *normed(features),
                                    nn.ReflectionPad2d(1), convs[1], InstanceNorm2d(features))

  def forward(self, x):
    return x + self.conv_block(x)


class Attention(nn.Module):
  """Four groups of channels, looked at from coarse to fine."""

  def __init__(self, features):
    super().__init__()
    for i in range(1, 5):
      setattr(self, f'bottlenec{i}', nn.Sequential(
          nn.ReflectionPad2d(1), nn.Conv2d(features // 4, 1, 3), InstanceNorm2d(1),
          nn.Sigmoid()))
    self.conv = nn.Sequential(nn.Conv2d(features, features, 1), *normed(features))

  def forward(self, x):
    parts, seen, gate = torch.chunk(self.conv(x), 4, dim=1), [], None
    for i, k in enumerate((3, 2, 1, 0), 1):
      pooled = functional.avg_pool2d(parts[k], 3, 2 ** (k + 1))
      if gate is not None:
        pooled = pooled * (1 + self.resized(gate, pooled))
      gate = getattr(self, f'bottlenec{i}')(pooled)
      seen.insert(0, parts[k] * self.resized(gate, x))
    return x + torch.cat(seen, dim=1)

  @staticmethod
  def resized(gate, like):
    return functional.interpolate(gate, size=like.shape[2:], mode='bilinear', align_corners=False)


class Encoder(nn.Module):
  """Lists of layers under the public names."""

  def __init__(self, attention):
    super().__init__()
    residual = [Residual(4 * WIDTH) for _ in range(ENCODER)]
    start = [nn.ReflectionPad2d(3), nn.Conv2d(3, WIDTH, 7), *normed(WIDTH)]
    for k in (1, 2):
      start += [nn.Conv2d(k * WIDTH, 2 * k * WIDTH, 3, 2, 1), *normed(2 * k * WIDTH)]
    after = [Attention(4 * WIDTH)] if attention else residual
    self.model = nn.Sequential(*start, *after)
    if attention:
      self.model_postfix = nn.Sequential(*residual)

  def forward(self, x):
    return getattr(self, 'model_postfix', nn.Identity())(self.model(x))


class Renderer(nn.Module):
  """Lists of layers under the public names."""

  def __init__(self, attention, norm):
    super().__init__()
    if attention:
      self.model_att = Attention(4 * WIDTH)
    layers = [Residual(4 * WIDTH) for _ in range(RENDERER)]
    for k in (2, 1):
      layers += [nn.ConvTranspose2d(2 * k * WIDTH, k * WIDTH, 4, 2, 1), norm(k * WIDTH), nn.PReLU()]
    self.model = nn.Sequential(*layers, nn.ReflectionPad2d(3), nn.Conv2d(WIDTH, 3, 7), nn.Tanh())

  def forward(self, x):
    return self.model(getattr(self, 'model_att', nn.Identity())(x))


def stirred(module):
  """Slopes and norms away from where they begin, which would hide a mistake."""
  with torch.no_grad():
    for name, p in module.named_parameters():
      if p.ndim == 1:
        p += 0.1 * torch.randn(p.shape)
      elif p.ndim == 4 and '.0.' not in name:
        p *= 1.5
  return module.eval()


@pytest.mark.parametrize(('source', 'attention', 'group'), [
    ('todaygan', False, False), ('pearlgan', True, True),
    pytest.param('morngan', False, True, marks=pytest.mark.slow)])
def test_imported_halves_equal_torch(tmp_path, source, attention, group):
  torch.manual_seed(0)
  norm = (lambda features: nn.GroupNorm(32, features)) if group else InstanceNorm2d
  E, R = stirred(Encoder(attention)), stirred(Renderer(attention, norm))
  for name, half in (('G1', E), ('G2', R)):
    torch.save(half.state_dict(), tmp_path / f'80_net_{name}.pth')
  found = {name: torch_checkpoints.load(name, path) for name, path in torch_checkpoints.find(
      tmp_path, '80', torch_checkpoints.SOURCES[source][1]).items()}
  fields = {name: value for item in found.values() for name, value in item.layout.fields.items()}
  ours = combogan.ComboGenerator(3, fields['gen.width'], fields['gen.blocks_enc'],
                                 fields['gen.blocks_dec'], fields['gen.attention'],
                                 fields.get('gen.groups', 0))
  params = traverse_util.unflatten_dict(
      {f'{name.partition("/")[2]}/{leaf}': value for name, item in found.items()
       for leaf, value in item.arrays.items()}, sep='/')
  x = np.random.default_rng(0).uniform(-1, 1, (1, SIDE, SIDE, 3)).astype(np.float32)
  with torch.no_grad():
    expected = R(E(torch.from_numpy(x.transpose(0, 3, 1, 2)))).numpy().transpose(0, 2, 3, 1)
  result = jax.jit(ours.apply)({'params': params}, x)
  assert np.std(expected) > 0.05
  np.testing.assert_allclose(result, expected, atol=2e-4)

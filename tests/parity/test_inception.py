"""FID and KID against PyTorch: network, preprocessing, distances.

The twin shares no line with ours and carries the entries of pytorch-fid's file.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util

from i2vjax import pretrained
from i2vjax.metrics import fid_kid, inception_features
from i2vjax.networks import inception
from i2vjax.pretrained import inception_weights

torch = pytest.importorskip('torch')
from torch import nn
from torch.nn import functional

pytestmark = pytest.mark.parity
FAST_COMPILE = {'xla_backend_optimization_level': 0, 'xla_llvm_disable_expensive_passes': True}


class Basic(nn.Module):

  def __init__(self, source, channels, kernel, **options):
    super().__init__()
    self.conv = nn.Conv2d(source, channels, kernel, bias=False, **options)
    self.bn = nn.BatchNorm2d(channels, eps=0.001)

  def forward(self, x):
    return torch.relu(self.bn(self.conv(x)))


def mean3(x):
  return functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False)


class A(nn.Module):

  def __init__(self, c, s, pooled):
    super().__init__()
    self.branch1x1 = Basic(c, s(64), 1)
    self.branch5x5_1, self.branch5x5_2 = Basic(c, s(48), 1), Basic(s(48), s(64), 5, padding=2)
    self.branch3x3dbl_1 = Basic(c, s(64), 1)
    self.branch3x3dbl_2 = Basic(s(64), s(96), 3, padding=1)
    self.branch3x3dbl_3 = Basic(s(96), s(96), 3, padding=1)
    self.branch_pool = Basic(c, s(pooled), 1)

  def forward(self, x):
    return torch.cat([self.branch1x1(x), self.branch5x5_2(self.branch5x5_1(x)),
                      self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x))),
                      self.branch_pool(mean3(x))], 1)


class B(nn.Module):

  def __init__(self, c, s):
    super().__init__()
    self.branch3x3 = Basic(c, s(384), 3, stride=2)
    self.branch3x3dbl_1 = Basic(c, s(64), 1)
    self.branch3x3dbl_2 = Basic(s(64), s(96), 3, padding=1)
    self.branch3x3dbl_3 = Basic(s(96), s(96), 3, stride=2)

  def forward(self, x):
    return torch.cat([self.branch3x3(x),
                      self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x))),
                      functional.max_pool2d(x, 3, 2)], 1)


class C(nn.Module):

  def __init__(self, c, s, inner):
    super().__init__()
    i, row, column = s(inner), dict(kernel=(1, 7), padding=(0, 3)), dict(kernel=(7, 1),
                                                                       padding=(3, 0))
    self.branch1x1 = Basic(c, s(192), 1)
    self.branch7x7_1, self.branch7x7_2 = Basic(c, i, 1), Basic(i, i, **row)
    self.branch7x7_3 = Basic(i, s(192), **column)
    self.branch7x7dbl_1, self.branch7x7dbl_2 = Basic(c, i, 1), Basic(i, i, **column)
    self.branch7x7dbl_3, self.branch7x7dbl_4 = Basic(i, i, **row), Basic(i, i, **column)
    self.branch7x7dbl_5 = Basic(i, s(192), **row)
    self.branch_pool = Basic(c, s(192), 1)

  def forward(self, x):
    short = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
    long = x
    for k in range(1, 6):
      long = getattr(self, f'branch7x7dbl_{k}')(long)
    return torch.cat([self.branch1x1(x), short, long, self.branch_pool(mean3(x))], 1)


class D(nn.Module):

  def __init__(self, c, s):
    super().__init__()
    self.branch3x3_1, self.branch3x3_2 = Basic(c, s(192), 1), Basic(s(192), s(320), 3, stride=2)
    self.branch7x7x3_1 = Basic(c, s(192), 1)
    self.branch7x7x3_2 = Basic(s(192), s(192), (1, 7), padding=(0, 3))
    self.branch7x7x3_3 = Basic(s(192), s(192), (7, 1), padding=(3, 0))
    self.branch7x7x3_4 = Basic(s(192), s(192), 3, stride=2)

  def forward(self, x):
    long = x
    for k in range(1, 5):
      long = getattr(self, f'branch7x7x3_{k}')(long)
    return torch.cat([self.branch3x3_2(self.branch3x3_1(x)), long,
                      functional.max_pool2d(x, 3, 2)], 1)


class E(nn.Module):

  def __init__(self, c, s, last):
    super().__init__()
    self.last, t = last, s(384)
    self.branch1x1 = Basic(c, s(320), 1)
    self.branch3x3_1 = Basic(c, t, 1)
    self.branch3x3dbl_1 = Basic(c, s(448), 1)
    self.branch3x3dbl_2 = Basic(s(448), t, 3, padding=1)
    for name in ('branch3x3_2', 'branch3x3dbl_3'):
      setattr(self, f'{name}a', Basic(t, t, (1, 3), padding=(0, 1)))
      setattr(self, f'{name}b', Basic(t, t, (3, 1), padding=(1, 0)))
    self.branch_pool = Basic(c, s(192), 1)

  def forward(self, x):
    one, two = self.branch3x3_1(x), self.branch3x3dbl_2(self.branch3x3dbl_1(x))
    pooled = functional.max_pool2d(x, 3, 1, 1) if self.last else mean3(x)
    return torch.cat([self.branch1x1(x), self.branch3x3_2a(one), self.branch3x3_2b(one),
                      self.branch3x3dbl_3a(two), self.branch3x3dbl_3b(two),
                      self.branch_pool(pooled)], 1)


class Twin(nn.Module):
  """The FID Inception up to its features."""

  def __init__(self, width):
    super().__init__()

    def s(channels):
      return round(channels * width)
    self.Conv2d_1a_3x3 = Basic(3, s(32), 3, stride=2)
    self.Conv2d_2a_3x3 = Basic(s(32), s(32), 3)
    self.Conv2d_2b_3x3 = Basic(s(32), s(64), 3, padding=1)
    self.Conv2d_3b_1x1 = Basic(s(64), s(80), 1)
    self.Conv2d_4a_3x3 = Basic(s(80), s(192), 3)
    self.Mixed_5b, self.Mixed_5c = A(s(192), s, 32), A(s(256), s, 64)
    self.Mixed_5d, self.Mixed_6a = A(s(288), s, 64), B(s(288), s)
    self.Mixed_6b, self.Mixed_6c = C(s(768), s, 128), C(s(768), s, 160)
    self.Mixed_6d, self.Mixed_6e = C(s(768), s, 160), C(s(768), s, 192)
    self.Mixed_7a = D(s(768), s)
    self.Mixed_7b, self.Mixed_7c = E(s(1280), s, False), E(s(2048), s, True)
    self.fc = nn.Linear(s(2048), 1008)

  def forward(self, x):
    for name in [name for name, _ in self.named_children() if name != 'fc']:
      x = getattr(self, name)(x)
      if name in ('Conv2d_2b_3x3', 'Conv2d_4a_3x3'):
        x = functional.max_pool2d(x, 3, 2)
    return x.mean((2, 3)).numpy()


def randomized(width, x):
  """A twin whose statistics are those of `x`, so that features keep the size of trained ones."""
  torch.manual_seed(0)
  net = Twin(width).train()
  for module in net.modules():
    if isinstance(module, nn.BatchNorm2d):
      module.momentum = 1.0
      nn.init.uniform_(module.weight, 0.5, 1.5)
      nn.init.normal_(module.bias, 0, 0.3)
  with torch.no_grad():
    net(x)
  return net.eval()


def read(net, width, path):
  """(module, parameters from the twin's file)."""
  torch.save(net.state_dict(), path)
  module = inception.Inception(width)
  tree = jax.eval_shape(module.init, jax.random.key(0), jnp.zeros((1, 75, 75, 3)))['params']
  shapes = {name: leaf.shape for name, leaf in traverse_util.flatten_dict(tree, sep='/').items()}
  return module, pretrained.fit(inception_weights.read(path, shapes), shapes, path)


@pytest.fixture(scope='module')
def thin(tmp_path_factory):
  """(twin, module, parameters) with a sixteenth of the channels."""
  net = randomized(1 / 16, 2 * torch.rand(4, 3, 139, 139) - 1)
  return net, *read(net, 1 / 16, tmp_path_factory.mktemp('inception') / 'twin.pth')


def test_features_equal_pytorch(thin):
  net, module, params = thin
  x = np.random.default_rng(0).uniform(-1, 1, (2, 107, 96, 3)).astype(np.float32)
  with jax.default_matmul_precision('highest'):
    call = jax.jit(module.apply, compiler_options=FAST_COMPILE)
    ours = call({'params': params}, x)
  with torch.no_grad():
    theirs = net(torch.from_numpy(x).permute(0, 3, 1, 2))
  assert ours.shape == (2, 128) and np.ptp(theirs) > 0.3
  np.testing.assert_allclose(ours, theirs, atol=1e-4)


def prepared(frames):
  """pytorch-fid's preparation of 8-bit frames."""
  x = torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 255
  return 2 * functional.interpolate(x, (299, 299), mode='bilinear', align_corners=False) - 1


@pytest.mark.parametrize('size', [(64, 90), (310, 333)])
def test_preparation_equals_pytorch_up_and_down(size):
  frames = np.random.default_rng(0).integers(0, 256, (2, *size, 3)).astype(np.uint8)
  ours = inception_features.prepare(inception_features.levels(frames), 'pytorch_fid')
  np.testing.assert_allclose(ours, prepared(frames).permute(0, 2, 3, 1), atol=1e-5)


def clouds(count, size, seed):
  """Frames with structure of every size, as footage has; noise leaves the late maps flat, and the
  batch norms then blow rounding up, PyTorch's as well as ours."""
  rng, total = np.random.default_rng(seed), 0
  for side in (3, 6, 12, 24, 48):
    part = torch.from_numpy(rng.normal(size=(count, 3, side, side)) / side)
    total = total + functional.interpolate(part, size, mode='bicubic')
  frames = (128 + 300 * total).clamp(0, 255).permute(0, 2, 3, 1)
  return frames.numpy().astype(np.uint8)


@pytest.mark.slow
def test_whole_network_from_8_bit_frames_to_fid_equals_pytorch(tmp_path):
  """Every channel, 299 x 299, through the file."""
  sets = [clouds(4, (120, 160), seed) for seed in range(2)]
  net = randomized(1, prepared(np.concatenate(sets)))
  assert len(net.state_dict()) == 94 * 6 + 2
  module, params = read(net, 1, tmp_path / 'twin.pth')
  call = inception_features.program(module, params, batch=3)
  ours = [call(frames) for frames in sets]
  with torch.no_grad():
    theirs = [net(prepared(frames)) for frames in sets]
  for left, right in zip(ours, theirs, strict=True):
    assert left.shape == (4, 2048) and np.ptp(right) > 0.3
    np.testing.assert_allclose(left, right, rtol=1e-4, atol=1e-4)
  np.testing.assert_allclose(fid_kid.fid(*ours)['fid'], fid_kid.fid(*theirs)['fid'], rtol=1e-3)


# ---- distances ----------------------------------------------------------------------------------


def test_fid_equals_torchmetrics():
  fid = pytest.importorskip('torchmetrics.image.fid')
  rng = np.random.default_rng(0)
  x, y = rng.normal(size=(200, 24)), rng.normal(0.3, 1.4, size=(150, 24))
  moments = [torch.from_numpy(m) for z in (x, y) for m in (z.mean(0), np.cov(z, rowvar=False))]
  np.testing.assert_allclose(fid_kid.fid(x, y)['fid'], fid._compute_fid(*moments), rtol=1e-5)


@pytest.mark.parametrize('q', [3, 21])
def test_kid_equals_torchmetrics(q):
  kid = pytest.importorskip('torchmetrics.image.kid')
  rng = np.random.default_rng(0)
  x, y = (np.abs(rng.normal(size=(50, 64))) * s for s in (0.5, 0.7))
  expected = kid.poly_mmd(torch.from_numpy(y), torch.from_numpy(x), degree=q)
  name = 'kid_mean' if q == 3 else 'kid21_mean'
  np.testing.assert_allclose(fid_kid.kid(x, y, degrees=(q,))[name], expected, rtol=1e-10)

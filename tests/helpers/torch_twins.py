"""The public code bases' networks in PyTorch, laid out so that their entries get the same names."""

import torch
from torch import nn
from torch.nn import functional
from torch_norm import InstanceNorm2d as norm  # noqa: N813


class Down(nn.Module):
  """Reflected edges, [1, 2, 1] x [1, 2, 1] / 16, stride 2; the filter is an entry of the file."""

  def __init__(self, channels):
    super().__init__()
    line = torch.tensor([1.0, 2.0, 1.0])
    self.register_buffer('filt', (torch.outer(line, line) / 16).repeat(channels, 1, 1, 1))

  def forward(self, x):
    x = functional.pad(x, (1, 1, 1, 1), mode='reflect')
    return functional.conv2d(x, self.filt, stride=2, groups=x.shape[1])


class Up(nn.Module):
  """Repeated edges, the transposed filter [1, 3, 3, 1] x [1, 3, 3, 1] / 16, cropped to 2H x 2W."""

  def __init__(self, channels):
    super().__init__()
    line = torch.tensor([1.0, 3.0, 3.0, 1.0])
    self.register_buffer('filt', (torch.outer(line, line) / 16).repeat(channels, 1, 1, 1))

  def forward(self, x):
    H, W = x.shape[2:]
    x = functional.pad(x, (1, 1, 1, 1), mode='replicate')
    y = functional.conv_transpose2d(x, self.filt, stride=2, padding=2, groups=x.shape[1])
    return y[:, :, 1:1 + 2 * H, 1:1 + 2 * W]


class Block(nn.Module):

  def __init__(self, channels, dropout):
    super().__init__()
    self.conv_block = nn.Sequential(
        nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3), norm(channels), nn.ReLU(),
        *([nn.Dropout(0.5)] if dropout else []),
        nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3), norm(channels))

  def forward(self, x):
    return x + self.conv_block(x)


class Flat(nn.Module):
  """Any list of layers under the name `model`."""

  def __init__(self, layers):
    super().__init__()
    self.model = nn.Sequential(*layers)

  def forward(self, x):
    return self.model(x)


def resnet(width, blocks, down, up, dropout=False, channels=3):
  """In place where the public code is: the feature behind a norm is the rectified one."""
  layers = [nn.ReflectionPad2d(3), nn.Conv2d(channels, width, 7), norm(width), nn.ReLU(True)]
  for c in (width, 2 * width):
    stride = 1 if down == 'blur' else 2
    layers += [nn.Conv2d(c, 2 * c, 3, stride, 1), norm(2 * c), nn.ReLU(True)]
    layers += [Down(2 * c)] if down == 'blur' else []
  layers += [Block(4 * width, dropout) for _ in range(blocks)]
  for c in (4 * width, 2 * width):
    layers += ([Up(c), nn.Conv2d(c, c // 2, 3, 1, 1)] if up == 'blur' else
               [nn.ConvTranspose2d(c, c // 2, 3, 2, 1, output_padding=1)])
    layers += [norm(c // 2), nn.ReLU(True)]
  return Flat([*layers, nn.ReflectionPad2d(3), nn.Conv2d(width, 3, 7), nn.Tanh()]).eval()


def patchgan(width, count, down):
  layers, c = [], 3
  for i in range(count + 1):
    features = width * min(2**i, 8)
    last = i == count
    layers.append(nn.Conv2d(c, features, 4, 2 if down == 'stride' and not last else 1, 1))
    layers += [norm(features)] if i else []
    layers += [nn.LeakyReLU(0.2)] + ([Down(features)] if down == 'blur' and not last else [])
    c = features
  return Flat([*layers, nn.Conv2d(c, 1, 4, 1, 1)])


class Skip(nn.Module):
  """One level of the nested U-Net: around `inner`, joined to its input unless outermost."""

  def __init__(self, source, outer, width, inner=None, outermost=False):
    super().__init__()
    self.outermost = outermost
    back = nn.ConvTranspose2d(width * (2 if inner else 1), outer, 4, 2, 1)
    conv = nn.Conv2d(source, width, 4, 2, 1)
    if outermost:
      layers = [conv, inner, nn.ReLU(), back, nn.Tanh()]
    elif inner is None:
      layers = [nn.LeakyReLU(0.2), conv, nn.ReLU(), back, norm(outer)]
    else:
      layers = [nn.LeakyReLU(0.2), conv, norm(width), inner, nn.ReLU(), back, norm(outer)]
    self.model = nn.Sequential(*layers)

  def forward(self, x):
    return self.model(x) if self.outermost else torch.cat([x, self.model(x)], 1)


def unet(source, channels, width, downs):
  """A U-Net; the public code keeps it under one more `model` (Named)."""
  widths, inner = [width * min(2**k, 8) for k in range(downs)], None
  for k in reversed(range(1, downs)):
    inner = Skip(widths[k - 1], widths[k - 1], widths[k], inner)
  return Skip(source, channels, width, inner, outermost=True)


class Named(nn.Module):
  """One module under the name `model`."""

  def __init__(self, model):
    super().__init__()
    self.model = model

  def forward(self, x):
    return self.model(x)


class TwoStream(nn.Module):

  def __init__(self, width):
    super().__init__()
    w = width
    self.model1 = nn.Sequential(
        nn.ReflectionPad2d(3), nn.Conv2d(3, w, 7), norm(w), nn.ReLU(),
        nn.Conv2d(w, 2 * w, 3, 1, 1), norm(2 * w), nn.ReLU(),
        nn.Conv2d(2 * w, 4 * w, 3, 1, 1), norm(4 * w), nn.ReLU())
    self.model = Named(unet(8 * w, 4 * w, 16 * w, 6))
    self.model3 = nn.Sequential(
        nn.Conv2d(4 * w, 2 * w, 3, 1, 1), norm(2 * w), nn.ReLU(),
        nn.Conv2d(2 * w, w, 3, 1, 1), norm(w), nn.ReLU(),
        nn.ReflectionPad2d(3), nn.Conv2d(w, 3, 7), nn.Tanh())

  def forward(self, x):
    first, second = (self.model1(frame) for frame in x.chunk(2, 1))
    return self.model3(self.model(torch.cat([first, second], 1)))


class Projection(nn.Module):

  def __init__(self, channels, width):
    super().__init__()
    for k, c in enumerate(channels):
      mlp = nn.Sequential(nn.Linear(c, width), nn.ReLU(), nn.Linear(width, width))
      setattr(self, f'mlp_{k}', mlp)

  def forward(self, patches):
    out = [getattr(self, f'mlp_{k}')(x) for k, x in enumerate(patches)]
    return [x / (x.norm(dim=-1, keepdim=True) + 1e-7) for x in out]


class Vgg(nn.Module):
  """Any plan of channels and 'M' for a halving, as torchvision lays `features` out."""

  def __init__(self, plan):
    super().__init__()
    layers, c = [], 3
    for features in plan:
      layers += ([nn.MaxPool2d(2, 2)] if features == 'M' else
                 [nn.Conv2d(c, features, 3, padding=1), nn.ReLU()])
      c = c if features == 'M' else features
    self.features = nn.Sequential(*layers)
    self.classifier = nn.Sequential(nn.Linear(c, 5))

  def forward(self, x):
    outputs = []
    for layer in self.features:
      x = layer(x)
      outputs.append(x)
    return outputs

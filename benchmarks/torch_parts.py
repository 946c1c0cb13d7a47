"""Networks and losses of i2vjax in PyTorch, from the same config.

For torch_steps.py. Layers have our names, so that parameters can be copied
(tests/parity/test_steps.py), and activations work in place where nothing else needs their input.
Images are [B, 3, H, W] in [-1, 1]. This file does not import jax: the memory of a process with it
is that of PyTorch.
"""

from collections import OrderedDict

import torch
from torch import nn
from torch.nn import functional
from torch_norm import instance_norm as norm

# ---- Networks


def blur_down(x):
  """[1, 2, 1] x [1, 2, 1] / 16, stride 2, reflected edges."""
  line = x.new_tensor([0.25, 0.5, 0.25])
  kernel = torch.outer(line, line).expand(x.shape[1], 1, 3, 3)
  return functional.conv2d(functional.pad(x, (1, 1, 1, 1), mode='reflect'), kernel, stride=2,
                           groups=x.shape[1])


def blur_up(x):
  """[1, 3, 3, 1] x [1, 3, 3, 1] / 16, which is bilinear doubling."""
  return functional.interpolate(x, scale_factor=2, mode='bilinear')


class Stage(nn.Module):
  """Returns (output, the convolution's output before its norm); `how`: kind of resampling."""

  def __init__(self, before, after, how):
    super().__init__()
    self.how = how
    if how == 'deconv':
      self.conv = nn.ConvTranspose2d(before, after, 3, 2, 1, 1)
    elif how == 'stem':
      self.conv = nn.Conv2d(before, after, 7, padding=3, padding_mode='reflect')
    else:
      self.conv = nn.Conv2d(before, after, 3, 2 if how == 'stride' else 1, 1)

  def forward(self, x):
    conv = self.conv(blur_up(x) if self.how == 'blur_up' else x)
    y = norm(conv).relu_()
    return (blur_down(y) if self.how == 'blur_down' else y), conv


class Residual(nn.Module):
  """x + [conv, norm, ReLU, conv, norm] with reflected edges."""

  def __init__(self, width):
    super().__init__()
    for i in range(2):
      setattr(self, f'conv_{i}', nn.Conv2d(width, width, 3, padding=1, padding_mode='reflect'))

  def forward(self, x):
    return x + norm(self.conv_1(norm(self.conv_0(x)).relu_()))


class Generator(nn.Module):
  """ResNet generator of `config.gen`, in two halves."""

  def __init__(self, gen):
    super().__init__()
    w, blur = gen.width, {'blur': 'blur_down'}
    self.stem = Stage(3, w, 'stem')
    for i, c in enumerate((w, 2 * w)):
      setattr(self, f'down_{i}', Stage(c, 2 * c, blur.get(gen.down, gen.down)))
    for i in range(gen.blocks):
      setattr(self, f'res_{i}', Residual(4 * w))
    for i, c in enumerate((4 * w, 2 * w)):
      setattr(self, f'up_{i}', Stage(c, c // 2, 'blur_up' if gen.up == 'blur' else gen.up))
    self.head = nn.Sequential(OrderedDict(
        conv=nn.Conv2d(w, 3, 7, padding=3, padding_mode='reflect'), tanh=nn.Tanh()))
    self.stages = ('stem', 'down_0', 'down_1', *(f'res_{i}' for i in range(gen.blocks)))

  def encode(self, x, taps=(), whole=True):
    """(h, [feature of each tap]); ends with the last tap unless `whole`."""
    features = {}
    if 'rgb' in taps:
      features['rgb'] = functional.pad(x, (3,) * 4, mode='reflect')
    for name in self.stages:
      if not whole and features.keys() >= set(taps):
        break
      layer = getattr(self, name)
      if isinstance(layer, Stage):
        x, features[f'{name}.conv'] = layer(x)
      else:
        x = layer(x)
      features[name] = x
    if 'up_0.blur' in taps:
      features['up_0.blur'] = blur_up(x)
    if 'up_0.conv' in taps:
      features['up_0.conv'] = self.up_0(x)[1]
    return x, [features[tap] for tap in taps]

  def decode(self, h):
    return self.head(self.up_1(self.up_0(h)[0])[0])

  def forward(self, x):
    return self.decode(self.encode(x)[0])


class Critic(nn.Module):
  """PatchGAN of `config.disc`."""

  def __init__(self, disc):
    super().__init__()
    self.count, self.blur, before = disc.layers, disc.down == 'blur', 3
    for i in range(disc.layers + 1):
      after = disc.width * min(2**i, 8)
      stride = 1 if self.blur or i == disc.layers else 2
      setattr(self, f'conv_{i}', nn.Conv2d(before, after, 4, stride, 1))
      before = after
    self.head = nn.Conv2d(before, 1, 4, 1, 1)

  def forward(self, x):
    for i in range(self.count + 1):
      x = getattr(self, f'conv_{i}')(x)
      x = functional.leaky_relu(norm(x) if i else x, 0.2, inplace=True)
      x = blur_down(x) if self.blur and i < self.count else x
    return self.head(x)


class Predictor(nn.Module):
  """U-Net of `config.pred` on two frames side by side."""

  def __init__(self, pred):
    super().__init__()
    self.downs = pred.downs
    widths = [pred.width * min(2**k, 8) for k in range(self.downs)]
    for k, width in enumerate(widths):
      setattr(self, f'down_{k}', nn.Conv2d(widths[k - 1] if k else 6, width, 4, 2, 1))
      joined = width if k == self.downs - 1 else 2 * width
      setattr(self, f'up_{k}', nn.ConvTranspose2d(joined, widths[k - 1] if k else 3, 4, 2, 1))

  def forward(self, h):
    n, down = self.downs, []
    for k in range(n):   # in place, so the concatenated map is changed too, before its ReLU
      h = functional.leaky_relu(h, 0.2, inplace=True) if k else h
      h = getattr(self, f'down_{k}')(h)
      h = norm(h) if 0 < k < n - 1 else h
      down.append(h)
    for k in reversed(range(n)):
      h = getattr(self, f'up_{k}')(h.relu_())
      h = torch.cat([down[k - 1], norm(h)], 1) if k else h
    return h.tanh()


class Projection(nn.Module):
  """An MLP and unit length for the patches of each tap."""

  def __init__(self, channels, width):
    super().__init__()
    for k, c in enumerate(channels):
      layers = OrderedDict(dense_0=nn.Linear(c, width), relu=nn.ReLU(True),
                           dense_1=nn.Linear(width, width))
      setattr(self, f'mlp_{k}', nn.Sequential(layers))

  def forward(self, patches):
    z = [getattr(self, f'mlp_{k}')(x) for k, x in enumerate(patches)]
    return [x / (x.norm(dim=-1, keepdim=True) + 1e-7) for x in z]


class VGG(nn.Module):
  """VGG-19 to relu5_1; the first feature of every block and, by name, relu4_1."""

  def __init__(self, width):
    super().__init__()
    self.counts, before = (2, 2, 4, 4, 1), 3
    for block, factor in enumerate((1, 2, 4, 8, 8), 1):
      for i in range(self.counts[block - 1]):
        setattr(self, f'conv{block}_{i + 1}', nn.Conv2d(before, width * factor, 3, padding=1))
        before = width * factor

  def forward(self, x):
    features = {}
    for block, count in enumerate(self.counts, 1):
      x = functional.max_pool2d(x, 2) if block > 1 else x
      for i in range(1, count + 1):
        x = functional.relu(getattr(self, f'conv{block}_{i}')(x), True)
        features[f'relu{block}_{i}'] = x
    return features


def taps(config):
  """`config.nce.taps` with their full names."""
  gen = config.gen
  up = 'up_0.blur' if gen.up == 'blur' else 'up_0.conv'
  sixteenth = 4 if gen.down == 'blur' else 6   # layer 16 of the public code, with enough blocks
  full = {'res_mid': f'res_{(gen.blocks - 1) // 2}', 'up_0': up,
          'layer_16': f'res_{sixteenth}' if gen.blocks > sixteenth else up}
  return tuple(full.get(name, name) for name in config.nce.taps)


def tap_channels(config):
  """Channels of each tap."""
  w = config.gen.width
  narrow = {'rgb': 3, 'down_0': 2 * w, 'down_0.conv': 2 * w, 'up_0.conv': 2 * w}
  return [narrow.get(tap, 4 * w) for tap in taps(config)]


# ---- Losses


def squares(scores, label):
  """LSGAN."""
  return (scores - label).square().mean()


def patches(maps, ids):
  """[[B, C, h, w]] at the places [[n]] -> [[B, n, C]]."""
  return [x.flatten(2).index_select(2, i).transpose(1, 2) for x, i in zip(maps, ids, strict=True)]


def patch_nce(queries, keys, tau):
  """[B, S, C] unit vectors -> [B]; the keys are constants."""
  logits = queries @ keys.detach().transpose(1, 2) / tau
  return (logits.logsumexp(2) - logits.diagonal(dim1=1, dim2=2)).mean(1)


def by_layer(queries, keys, tau):
  """[B, L] of lists of L layers."""
  return torch.stack([patch_nce(q, k, tau) for q, k in zip(queries, keys, strict=True)], 1)


def sizes(maps):
  """Places on each map [..., h, w]."""
  return [x.shape[-2] * x.shape[-1] for x in maps]


def gram(x):
  """[B, C, h, w] -> [B, C, C]."""
  flat = x.flatten(2)
  return flat @ flat.transpose(1, 2) / flat[0].numel()

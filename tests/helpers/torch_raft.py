"""RAFT in PyTorch with torchvision's names, written on its own: gathers where ours multiplies."""

import torch
from torch import nn
from torch.nn import functional
from torch_norm import InstanceNorm2d


def cnr(into, out, kernel, stride=1, norm=None, relu=True):
  layers = [nn.Conv2d(into, out, kernel, stride, (kernel - 1) // 2)]
  layers += [norm(out)] if norm else []
  return nn.Sequential(*layers, *([nn.ReLU()] if relu else []))


class Residual(nn.Module):

  def __init__(self, into, out, stride, norm):
    super().__init__()
    self.convnormrelu1 = cnr(into, out, 3, stride, norm)
    self.convnormrelu2 = cnr(out, out, 3, 1, norm)
    self.downsample = cnr(into, out, 1, stride, norm, False) if stride > 1 else nn.Identity()

  def forward(self, x):
    return torch.relu(self.downsample(x) + self.convnormrelu2(self.convnormrelu1(x)))


class Bottleneck(nn.Module):

  def __init__(self, into, out, stride, norm):
    super().__init__()
    self.convnormrelu1 = cnr(into, out // 4, 1, 1, norm)
    self.convnormrelu2 = cnr(out // 4, out // 4, 3, stride, norm)
    self.convnormrelu3 = cnr(out // 4, out, 1, 1, norm)
    self.downsample = cnr(into, out, 1, stride, norm, False) if stride > 1 else nn.Identity()

  def forward(self, x):
    y = self.convnormrelu3(self.convnormrelu2(self.convnormrelu1(x)))
    return torch.relu(self.downsample(x) + y)


class Encoder(nn.Module):

  def __init__(self, block, widths, norm):
    super().__init__()
    stem, one, two, three, out = widths
    self.convnormrelu = cnr(3, stem, 7, 2, norm)
    self.layer1 = nn.Sequential(block(stem, one, 1, norm), block(one, one, 1, norm))
    self.layer2 = nn.Sequential(block(one, two, 2, norm), block(two, two, 1, norm))
    self.layer3 = nn.Sequential(block(two, three, 2, norm), block(three, three, 1, norm))
    self.conv = nn.Conv2d(three, out, 1)

  def forward(self, x):
    return self.conv(self.layer3(self.layer2(self.layer1(self.convnormrelu(x)))))


class Motion(nn.Module):

  def __init__(self, seen, corr, flow, out):
    super().__init__()
    self.convcorr1 = cnr(seen, corr[0], 1)
    self.convcorr2 = cnr(corr[0], corr[1], 3) if len(corr) > 1 else nn.Identity()
    self.convflow1, self.convflow2 = cnr(2, flow[0], 7), cnr(flow[0], flow[1], 3)
    self.conv = cnr(corr[-1] + flow[1], out - 2, 3)

  def forward(self, flow, seen):
    parts = self.convcorr2(self.convcorr1(seen)), self.convflow2(self.convflow1(flow))
    return torch.cat([self.conv(torch.cat(parts, 1)), flow], 1)


class Gru(nn.Module):

  def __init__(self, into, hidden, kernel):
    super().__init__()
    pad = [side // 2 for side in kernel]
    self.convz, self.convr, self.convq = (
        nn.Conv2d(into + hidden, hidden, kernel, padding=pad) for _ in range(3))

  def forward(self, h, x):
    hx = torch.cat([h, x], 1)
    z, r = torch.sigmoid(self.convz(hx)), torch.sigmoid(self.convr(hx))
    return (1 - z) * h + z * torch.tanh(self.convq(torch.cat([r * h, x], 1)))


class Recurrent(nn.Module):

  def __init__(self, into, hidden, kernels):
    super().__init__()
    self.convgru1 = Gru(into, hidden, kernels[0])
    if len(kernels) > 1:
      self.convgru2 = Gru(into, hidden, kernels[1])

  def forward(self, h, x):
    h = self.convgru1(h, x)
    return self.convgru2(h, x) if hasattr(self, 'convgru2') else h


class Head(nn.Module):

  def __init__(self, hidden, inner):
    super().__init__()
    self.conv1, self.conv2 = nn.Conv2d(hidden, inner, 3, 1, 1), nn.Conv2d(inner, 2, 3, 1, 1)

  def forward(self, h):
    return self.conv2(torch.relu(self.conv1(h)))


class Update(nn.Module):

  def __init__(self, motion, recurrent, head):
    super().__init__()
    self.motion_encoder, self.recurrent_block, self.flow_head = motion, recurrent, head


class Mask(nn.Module):

  def __init__(self):
    super().__init__()
    self.convrelu, self.conv = cnr(128, 256, 3), nn.Conv2d(256, 576, 1)

  def forward(self, h):
    return 0.25 * self.conv(self.convrelu(h))


class Raft(nn.Module):

  def __init__(self, kind):
    super().__init__()
    large = kind == 'large'
    block, norm = (Residual, nn.BatchNorm2d) if large else (Bottleneck, None)
    widths = (64, 64, 96, 128) if large else (32, 32, 64, 96)
    self.radius, self.hidden = (4, 128) if large else (3, 96)
    self.feature_encoder = Encoder(block, (*widths, 256 if large else 128), InstanceNorm2d)
    self.context_encoder = Encoder(block, (*widths, 256 if large else 160), norm)
    seen = 4 * (2 * self.radius + 1) ** 2
    if large:
      parts = (Motion(seen, (256, 192), (128, 64), 128), Recurrent(256, 128, ((1, 5), (5, 1))),
               Head(128, 256))
      self.mask_predictor = Mask()
    else:
      parts = (Motion(seen, (96,), (64, 32), 82), Recurrent(146, 96, ((3, 3),)), Head(96, 128))
    self.update_block = Update(*parts)

  def forward(self, a, b, iterations):
    f1, f2, context = self.feature_encoder(a), self.feature_encoder(b), self.context_encoder(a)
    h, x = torch.tanh(context[:, :self.hidden]), torch.relu(context[:, self.hidden:])
    B, C, H, W = f1.shape
    volume = torch.matmul(f1.flatten(2).transpose(1, 2), f2.flatten(2)) / C ** 0.5
    levels = [volume.reshape(B * H * W, 1, H, W)]
    for _ in range(3):
      levels.append(functional.avg_pool2d(levels[-1], 2, 2))
    rows, cols = torch.meshgrid(torch.arange(H), torch.arange(W), indexing='ij')
    start = torch.stack([cols, rows]).float()[None].expand(B, -1, -1, -1)
    places, update = start, self.update_block
    for _ in range(iterations):
      seen = torch.cat([self.sample(level, places / 2 ** n) for n, level in enumerate(levels)], 1)
      h = update.recurrent_block(h, torch.cat([x, update.motion_encoder(places - start, seen)], 1))
      places = places + update.flow_head(h)
    return self.enlarge(places - start, h)

  def sample(self, level, places):
    """Bilinear samples of every center's window; outside is 0."""
    B, _, H, W = places.shape
    k, l = level.shape[2:]
    line = torch.arange(-self.radius, self.radius + 1).float()
    dx, dy = torch.meshgrid(line, line, indexing='ij')   # x is the outer offset
    x = places[:, 0].reshape(-1, 1, 1) + dx
    y = places[:, 1].reshape(-1, 1, 1) + dy
    where = torch.stack([(2 * x + 1) / l - 1, (2 * y + 1) / k - 1], -1)
    window = functional.grid_sample(level, where, align_corners=False)
    return window.reshape(B, H, W, -1).permute(0, 3, 1, 2)

  def enlarge(self, flow, h):
    B, _, H, W = flow.shape
    if not hasattr(self, 'mask_predictor'):
      return 8 * functional.interpolate(flow, scale_factor=8, mode='bilinear', align_corners=True)
    weights = self.mask_predictor(h).view(B, 1, 9, 8, 8, H, W).softmax(2)
    around = functional.unfold(8 * flow, 3, padding=1).view(B, 2, 9, 1, 1, H, W)
    fine = (weights * around).sum(2).permute(0, 1, 4, 2, 5, 3)
    return fine.reshape(B, 2, 8 * H, 8 * W)


def randomized(kind, seed=0):
  """A network in evaluation mode whose frozen statistics are not those of a fresh one."""
  torch.manual_seed(seed)
  net = Raft(kind).eval()
  for module in net.modules():
    if isinstance(module, nn.BatchNorm2d):
      module.running_mean.normal_(0, 0.3)
      module.running_var.uniform_(0.5, 2)
      nn.init.uniform_(module.weight, 0.5, 1.5)
      nn.init.normal_(module.bias, 0, 0.2)
  return net

"""PearlGAN's networks and losses in PyTorch, on trees of tensors in the shapes of our parameters.

Written from the layer tables of the public code. p: parameters of a network or of a part of it;
images are [B, C, H, W] in [-1, 1].
"""

import torch
from torch.nn import functional
from torch_norm import instance_norm

from i2vjax.networks import multi_view_critic

GRAY = (0.299, 0.587, 0.114)


# ---- Networks


def conv(p, x, stride=1, padding=0, reflect=0):
  x = functional.pad(x, 4 * (reflect,), mode='reflect') if reflect else x
  return functional.conv2d(x, p['kernel'].permute(3, 2, 0, 1), p['bias'], stride, padding)


def prelu(p, x):
  return functional.prelu(x, p['negative_slope'].reshape(1))


def norm_act(p, x):
  return prelu(p['act'], instance_norm(x))


def attention(p, x):
  """The block as in PearlGAN's layer table."""
  size = x.shape[2:]

  def up(m, size=size):
    return functional.interpolate(m, size=size, mode='bilinear', align_corners=False)
  s = torch.chunk(prelu(p['act'], instance_norm(conv(p['conv'], x))), 4, dim=1)
  pooled = [functional.avg_pool2d(part, 3, stride)
            for part, stride in zip(s, (2, 4, 8, 16), strict=True)]
  gates = []
  for i, part in enumerate(pooled[::-1], 1):
    if gates:
      part = part * (1 + up(gates[-1], part.shape[2:]))
    logit = conv(p[f'gate_{i}'], part, reflect=1)
    gates.append(torch.sigmoid(instance_norm(logit)))
  maps = [up(gate) for gate in gates]
  out = torch.cat([m * part for m, part in zip(maps[::-1], s, strict=True)], dim=1)
  return x + out, torch.cat(maps, dim=1)


def attended(half, x):
  return attention(half['attention'], x) if 'attention' in half else (x, None)


def residuals(half, x):
  """As many blocks as the parameters have."""
  for i in range(sum(name.startswith('res_') for name in half)):
    block = half[f'res_{i}']
    y = norm_act(block, conv(block['conv_0'], x, reflect=1))
    x = x + instance_norm(conv(block['conv_1'], y, reflect=1))
  return x


def encode(p, x):
  """E(x): (features, attention maps or None)."""
  E = p['encoder']
  x = norm_act(E['stem'], conv(E['stem']['conv'], x, reflect=3))
  for i in range(2):
    x = norm_act(E[f'down_{i}'], conv(E[f'down_{i}']['conv'], x, stride=2, padding=1))
  x, maps = attended(E, x)
  return residuals(E, x), maps


def decode(p, h, groups):
  """R(h). groups: of the two norms behind the doublings; (): instance norms."""
  R = p['renderer']
  x = residuals(R, attended(R, h)[0])
  for i in range(2):
    q = R[f'up_{i}']
    x = functional.conv_transpose2d(x, q['conv']['kernel'].permute(3, 2, 0, 1), q['conv']['bias'],
                                    2, 1)
    x = functional.group_norm(x, groups[i], q['norm']['scale'],
                              q['norm']['bias']) if groups else instance_norm(x)
    x = prelu(q['act'], x)
  return torch.tanh(conv(R['head']['conv'], x, reflect=3))


def branch(p, x, normed, stages):
  maps = []
  for i in range(stages + 1):
    x = conv(p[f'conv_{i}'], x, stride=2 if i < stages else 1, padding=2)
    x = prelu(p[f'act_{i}'], instance_norm(x) if normed and i else x)
    if 0 < i < stages:
      maps.append(x[:, -1])
      x = x[:, :-1]
  return [*maps, conv(p['head'], x, padding=2)[:, 0]]


def gray_of(x):
  return (x * torch.tensor(GRAY).reshape(1, 3, 1, 1)).sum(1, keepdim=True)


def three(p, x, normed, stages):
  """The three views by convolutions with fixed filters: {view: maps of scores}."""
  line = torch.tensor(multi_view_critic.BLUR)
  window = torch.outer(line, line).expand(3, 1, 5, 5)
  gray = gray_of(x)
  right = torch.tensor([[0.0, 0, 0], [-1, 0, 1], [0, 0, 0]]).reshape(1, 1, 3, 3)
  outline = functional.conv2d(gray[:, :, ::2, ::2], torch.cat([right, right.transpose(2, 3)]))
  return {'rgb': branch(p['rgb'], functional.conv2d(x, window, padding=2, groups=3), normed,
                        stages),
          'gray': branch(p['gray'], gray, normed, stages),
          'grad': branch(p['grad'], outline, normed, stages - 1)}


# ---- Losses, for one image


def relativistic(real, fake, shift):
  """Of the maps of scores of one view: weights 1, 2, ..., the last one skips a number."""
  weights = [*range(1, len(real)), len(real) + 1]
  losses = [((r - f + shift) ** 2).mean() for r, f in zip(real, fake, strict=True)]
  total = sum(w * loss for w, loss in zip(weights, losses, strict=True))
  return total / sum(weights) / len(weights)


def alignment(y, e, threshold):
  """Structured gradient alignment on a patch: steep [h, w] of the translation, edges e [h, w]."""
  return functional.relu(threshold * e - y / y.max()).sum() / (e.sum() + 1)


def steepness(y):
  """[1, H, W] of a translation."""
  g = gray_of((y + 1) / 2)
  down = torch.tensor([[0.0, -1, 0], [0, 0, 0], [0, 1, 0]]).reshape(1, 1, 3, 3)
  v, h = (functional.conv2d(g, k, padding=1) for k in (down, down.transpose(2, 3)))
  return torch.sqrt(v ** 2 + h ** 2 + 1e-6)[:, 0]


def total_variation(y):
  return 2 * (((y[:, :, 1:] - y[:, :, :-1]) ** 2).mean() + (
      (y[..., 1:] - y[..., :-1]) ** 2).mean())


def dissimilarity(x, y):
  """1 - SSIM in windows of 3."""
  line = torch.exp(-0.5 * (torch.arange(-1.0, 2.0) / 1.5) ** 2)
  window = torch.outer(line / line.sum(), line / line.sum()).expand(3, 1, 3, 3)

  def local(z):
    return functional.conv2d(z, window, groups=3)
  s, t = (x + 1) / 2, (y + 1) / 2
  m, n = local(s), local(t)
  ssim = ((2 * m * n + 1e-4) * (2 * (local(s * t) - m * n) + 9e-4)
          / ((m ** 2 + n ** 2 + 1e-4)
             * (local(s * s) - m ** 2 + local(t * t) - n ** 2 + 9e-4)))
  return 1 - ssim.mean()


def diversity(W):
  """AD of maps [1, 3, h, w]."""
  return 0.5 * (0.25 * ((W.sum(1) - 1) ** 2).mean() + 1 - W.max(1).values.mean())


def conditional_similarity(Z1, W1, Z2, W2):
  """ACCS of features [1, C, h, w], which are constants, and maps [1, 3, h, w]."""
  def queries(Z, W):
    rows = [(w * Z.detach()[0]).sum((1, 2)) / w.sum() for w in W[0]]
    q = torch.stack(rows)
    return q / torch.sqrt((q * q).sum(1, keepdim=True) + 1e-6)

  def spread(q):
    return functional.relu((q @ q.T).fill_diagonal_(0).mean())
  q1, q2 = queries(Z1, W1), queries(Z2, W2)
  weight = torch.minimum(W1[0].amax((1, 2)), W2[0].amax((1, 2)))
  S = q1 @ q2.T
  align = (weight * (S.max(1).values - S.diagonal())).sum() / (weight.sum() + 1e-6)
  return align + 0.25 * (spread(q1) + spread(q2))

"""A small ViT in PyTorch with timm's names."""

import torch
from torch import nn

WIDTH, HEADS, HIDDEN, SIZE, TAPS = 24, 3, 48, 128, (1, 3, 5)   # 8 x 8 tokens


class Attention(nn.Module):

  def __init__(self):
    super().__init__()
    self.qkv, self.proj = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)

  def forward(self, x):
    B, M, C = x.shape
    q, k, v = self.qkv(x).view(B, M, 3, HEADS, C // HEADS).permute(2, 0, 3, 1, 4)
    x = nn.functional.scaled_dot_product_attention(q, k, v)
    return self.proj(x.transpose(1, 2).reshape(B, M, C))


class Mlp(nn.Module):

  def __init__(self):
    super().__init__()
    self.fc1, self.fc2 = nn.Linear(WIDTH, HIDDEN), nn.Linear(HIDDEN, WIDTH)

  def forward(self, x):
    return self.fc2(nn.functional.gelu(self.fc1(x)))


class Block(nn.Module):

  def __init__(self):
    super().__init__()
    self.norm1, self.norm2 = (nn.LayerNorm(WIDTH, eps=1e-6) for _ in range(2))
    self.attn, self.mlp = Attention(), Mlp()

  def forward(self, x):
    x = x + self.attn(self.norm1(x))
    return x + self.mlp(self.norm2(x))


class PatchEmbed(nn.Module):

  def __init__(self):
    super().__init__()
    self.proj = nn.Conv2d(3, WIDTH, 16, 16)

  def forward(self, x):
    x = nn.functional.interpolate(x, (SIZE, SIZE), mode='bilinear', align_corners=False)
    return self.proj(x).flatten(2).transpose(1, 2)


class TorchViT(nn.Module):
  """Seven blocks, one more than ours needs, and a classifier."""

  def __init__(self, grid=8):
    super().__init__()
    self.taps = TAPS
    self.patch_embed, self.norm = PatchEmbed(), nn.LayerNorm(WIDTH, eps=1e-6)
    self.cls_token = nn.Parameter(torch.zeros(1, 1, WIDTH))
    self.pos_embed = nn.Parameter(torch.zeros(1, 1 + grid**2, WIDTH))
    self.blocks = nn.ModuleList([Block() for _ in range(7)])
    self.head = nn.Linear(WIDTH, 5)

  def through(self, x):
    taken = []
    for i, block in enumerate(self.blocks[:max(self.taps) + 1]):
      x = block(x)
      taken += [self.norm(x)] if i in self.taps else []
    return taken

  def tokens(self, x, position):
    x = torch.cat([self.cls_token.expand(len(x), -1, -1), self.patch_embed(x)], 1) + position
    return [tokens[:, 1:] for tokens in self.through(x)]

  def windows(self, x, ids, side):
    """[B * K, side^2, C]: each window a sequence by itself, cut out with a loop."""
    x, cut = (self.patch_embed(x) + self.pos_embed[:, 1:]).view(len(x), 8, 8, WIDTH), []
    for image in x:
      for row, col in (divmod(i, 8) for i in ids):
        top, left = (min(max(place - side // 2, 0), 8 - side) for place in (row, col))
        cut.append(image[top:top + side, left:left + side].reshape(-1, WIDTH))
    return self.through(torch.stack(cut))


def twin(grid=8):
  torch.manual_seed(0)
  net = TorchViT(grid)
  for weight in net.parameters():
    nn.init.normal_(weight, std=0.3)
  return net.eval().requires_grad_(False)

"""A training step of ROMA as its public code takes it, in PyTorch, frame by frame.

The generator is torch_twins' ResNet with blurs, the ViT torch_vit's with timm's names.
"""

import torch
import torch_twins as twins
from released_steps import frozen, gan, numbers, total
from torch import nn
from torch.nn import functional

PLAYERS = {'gen': ['gen'], 'disc_b': ['disc_b']}


def networks(config, width):
  """`width`: of the tokens."""
  disc = config.disc
  critic = nn.Sequential(nn.Linear(width, disc.hidden), nn.GELU(),
                         nn.Linear(disc.hidden, disc.out_channels))
  return nn.ModuleDict({'gen': twins.resnet(config.gen.width, config.gen.blocks, 'blur', 'blur'),
                        'disc_b': critic})


def regions(tokens, scales):
  """Tokens and their means over windows, each with one more row below where there is one."""
  side = int(tokens.shape[1] ** 0.5)
  grid, parts = tokens.unflatten(1, (side, side)), [tokens]
  for scale in scales:
    for top in range(0, side, scale):
      for left in range(0, side, scale):
        window = grid[:, top:top + scale + 1, left:left + scale]
        parts.append(window.mean((1, 2))[:, None])
  return torch.cat(parts, 1)


def differs(first, second):
  """1 - cosine of the rows of two matrices of products."""
  return (1 - functional.cosine_similarity(first, second, dim=-1)).abs().mean()


def cross_similarity(source, fake):
  """Mean over the layers."""
  pairs = list(zip(source, fake, strict=True))
  return sum(differs(S @ T.mT, T @ S.mT) for S, T in pairs) / len(pairs)


def step(nets, tx, config, real, draw, vit, ids):
  """The critic first, then the generator against the critic just moved.

  Args:
    real: {'a': [x0, x1], 'b': ...}.
    ids: tokens at the centers of the local windows.
  """
  x, y = real['a'], real['b']
  gen, disc = nets['gen'], nets['disc_b']
  fake = [gen(frame) for frame in x]
  with torch.no_grad():
    of_x, of_y = ([vit.tokens(frame, vit.pos_embed) for frame in frames] for frames in (x, y))
  of_fake = [vit.tokens(frame, vit.pos_embed) for frame in fake]

  def judged(tokens):
    return disc(regions(tokens[-1], config.disc.scales))
  frozen(nets, ['disc_b'], False)
  tx['disc_b'].zero_grad()
  on_fake = sum(gan(judged([t.detach() for t in tokens]), False) for tokens in of_fake) / 2
  on_real = sum(gan(judged(tokens), True) for tokens in of_y) / 2
  critic = 0.5 * (on_fake + on_real)
  critic.backward()
  tx['disc_b'].step()

  frozen(nets, ['disc_b'], True)
  side = config.cs.side
  terms = {
      'adversarial': sum(gan(judged(tokens), True) for tokens in of_fake) / 2,
      'cs_global': sum(map(cross_similarity, of_x, of_fake)) / 2,
      'cs_local': sum(cross_similarity(vit.windows(a, ids, side), vit.windows(b, ids, side))
                      for a, b in zip(x, fake, strict=True)) / 2,
      'cs_motion': sum(differs(S0 @ T1.mT, T0 @ S1.mT) for S0, S1, T0, T1 in zip(
          *of_x, *of_fake, strict=True))}   # a sum over the layers
  tx['gen'].zero_grad()
  total(terms, config.weights).backward()
  tx['gen'].step()
  return numbers({**terms, 'disc_b': critic})

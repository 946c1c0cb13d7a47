"""A training step of PearlGAN and ToDayGAN as their public code takes it, in PyTorch.

Parameters are trees of tensors in the shapes of ours (torch_pearlgan.py); `u` are the vectors of
the spectral norm, {critic: tree}.
"""

import jax
import numpy as np
import torch
import torch_pearlgan as twin
from released_steps import numbers, total
from torch.nn import functional

SIDES = (('a', 'b'), ('b', 'a'))
CRITICS = ('disc_a', 'disc_b')


def leaf(x):
  return torch.from_numpy(np.array(x)).requires_grad_()


def moved(p, u):
  """(parameters over their spectral norm, vectors after one round of the power method)."""
  normal, vectors = {}, {}
  for name, value in p.items():
    if not isinstance(value, dict):
      normal[name] = value
    elif 'kernel' not in value:
      normal[name], vectors[name] = moved(value, u.get(name, {}))
    else:
      W = value['kernel'].permute(3, 2, 0, 1).flatten(1)
      with torch.no_grad():
        v = functional.normalize(W.T @ u[name], dim=0, eps=1e-12)
        vectors[name] = functional.normalize(W @ v, dim=0, eps=1e-12)
      normal[name] = {**value, 'kernel': value['kernel'] / (vectors[name] @ W @ v)}
  return normal, vectors


class Critics:
  """Both critics; with spectral norm (`u`) a pass moves the vectors once, or `once` in a step."""

  def __init__(self, config, params, u, once):
    self.params, self.u, self.once = params, u, once
    self.normed, self.stages = config.disc.norm == 'instance', config.disc.stages
    self.start = dict(u)

  def begin(self):
    """A step begins."""
    self.start = dict(self.u)

  def __call__(self, d, x):
    name = f'disc_{d}'
    p = self.params[name]
    if self.u:
      p, self.u[name] = moved(p, self.start[name] if self.once else self.u[name])
    return twin.three(p, x, self.normed, self.stages)


def relativistic(real, fake, shift):
  """Mean over the views."""
  return sum(twin.relativistic(real[view], fake[view], shift) for view in real) / len(real)


def step(params, tx, config, real, critics, patch, edges, on):
  """The generators against the critics as they are, then both critics.

  Args:
    params: {'gen_ab', 'gen_ba': trees}.
    real: {'a': x_a, 'b': x_b}, each [1, 3, H, W].
    patch: {domain: slices of the patch whose edges are aligned}.
    edges: {domain: [H, W]}.
    on: {'ssim', 'accs': 0.0 or 1.0}.
  """
  critics.begin()
  gen = {x: params[f'gen_{x}{y}'] for x, y in SIDES}   # by the domain that it reads
  groups = [min(config.gen.groups, config.gen.width * k // 2) for k in (2, 1)]
  groups = groups if config.gen.up_norm == 'group' else ()
  code, W, fake, again, back = {}, {}, {}, {}, {}
  for x, y in SIDES:
    code[x], W[x] = twin.encode(gen[x], real[x])
    fake[y] = twin.decode(gen[x], code[x], groups)
  for x, y in SIDES:
    again[y], _ = twin.encode(gen[y], fake[y])
    back[x] = twin.decode(gen[y], again[y], groups)
  scores = {d: critics(d, real[d]) for d in 'ab'}
  constant = jax.tree.map(torch.Tensor.detach, scores)
  terms = {
      'adversarial': sum(relativistic(constant[d], critics(d, fake[d]), 1) for d in 'ab'),
      'cycle': sum(functional.smooth_l1_loss(back[d], real[d]) for d in 'ab')}
  if config.weights.cycle_ssim:
    terms['cycle_ssim'] = on['ssim'] * sum(twin.dissimilarity(back[d], real[d]) for d in 'ab')
    terms['tv'] = sum(twin.total_variation(fake[d]) for d in 'ab')
  if config.weights.sga:
    terms['sga'] = sum(twin.alignment(twin.steepness(fake[y])[0][patch[x]], edges[x][patch[x]],
                                      config.sga.threshold) for x, y in SIDES)
  if config.gen.attention:
    W = {d: maps[:, 1:] for d, maps in W.items()}   # not the coarsest
    terms['ad'] = sum(twin.diversity(W[d]) for d in 'ab')
    # E of x reads x and y = its domain's translation of the other frame, under that frame's maps.
    terms['accs'] = on['accs'] * sum(
        twin.conditional_similarity(code[x], W[x], again[x], W[y]) for x, y in SIDES)
  tx['gen'].zero_grad()
  total(terms, config.weights).backward()
  tx['gen'].step()

  tx['disc'].zero_grad()
  terms['disc'] = 0.5 * sum(
      relativistic(scores[d], critics(d, fake[d].detach()), -1) for d in 'ab')
  terms['disc'].backward()
  tx['disc'].step()
  return numbers(terms)


def train(params, config, u, once, inputs):
  """[{term: number} of each step] of {network: tree of leaves}, which move.

  Args:
    inputs: for each step a dict of what `step` takes besides.
  """
  o = config.optim
  tx = {player: torch.optim.Adam(
      [x for name in params if name.startswith(player) for x in jax.tree.leaves(params[name])],
      o.lr, (o.b1, o.b2), o.eps) for player in ('gen', 'disc')}
  critics = Critics(config, params, u, once)
  return [step(params, tx, config, critics=critics, **given) for given in inputs]

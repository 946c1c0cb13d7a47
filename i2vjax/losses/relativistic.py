"""Relativistic losses: how much more real than the fakes the real frames are."""

import jax.numpy as jnp

from i2vjax.core.errors import UserError


def multipliers(count):
  """(1, 2, ..., L - 1, L + 1): what a map of scores counts, the head's one step more than its turn
  (public ToDayGAN code)."""
  return (*range(1, count), count + 1)


def least_squares(real, fake, shift):
  """sum_i m_i mean (r_i - f_i + t)^2 / (L sum_i m_i), m of `multipliers` (public ToDayGAN code).

  The mean over the maps weighted by m, and once more over their number L, as published. Sample n of
  r is compared with sample n of f. A critic asks for t = -1 (real ones score 1 more than fakes), a
  generator for t = 1.

  Args:
    real, fake: the L maps of scores [B, h_i, w_i] of one critic on real and on translated frames.
    shift: t.

  Returns:
    Scalar: a mean over samples and places. Both sides have a gradient.

  Raises:
    ValueError: maps that do not belong together.
  """
  if [r.shape for r in real] != [f.shape for f in fake]:
    raise UserError(f'scores of shapes {[r.shape for r in real]} and {[f.shape for f in fake]}: '
                     'a relativistic loss needs as many real as translated frames, of equal size')
  m = multipliers(len(real))
  total = sum(k * jnp.mean(jnp.square(r.astype(jnp.float32) - f.astype(jnp.float32) + shift))
              for k, r, f in zip(m, real, fake, strict=True))
  return total / (len(m) * sum(m))


def over_branches(real, fake, shift):
  """Mean over the branches of a critic of `least_squares`. real, fake: {branch: its maps}."""
  return sum(least_squares(real[name], fake[name], shift) for name in real) / len(real)

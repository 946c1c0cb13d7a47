"""Relativistic adversarial losses: scores of real frames minus scores of fakes."""

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp


def multipliers(count: int) -> tuple[int, ...]:
  """(1, 2, ..., L - 1, L + 1): weights of L maps of scores, the last of the head (ToDayGAN's code).
  """
  return (*range(1, count), count + 1)


def least_squares(real: Sequence[jax.Array], fake: Sequence[jax.Array], shift: float) -> jax.Array:
  """sum_i m_i mean (r_i - f_i + t)^2 / (L sum_i m_i), m of `multipliers` (public ToDayGAN code).

  The mean over the maps weighted by m, divided once more by their number L, as in the public code.
  Sample n of r is compared with sample n of f. For the critic t = -1 (real frames shall score 1
  more than fakes), for the generator t = 1.

  Args:
    real, fake: the L maps of scores [B, h_i, w_i] of one critic on real and on translated frames.
    shift: t.

  Returns:
    Scalar: a mean over samples and places. Both sides have a gradient.

  Raises:
    ValueError: maps of different shapes.
  """
  if [r.shape for r in real] != [f.shape for f in fake]:
    raise ValueError(f'scores of shapes {[r.shape for r in real]} and {[f.shape for f in fake]}: '
                     'a relativistic loss needs as many real as translated frames, of equal size')
  m = multipliers(len(real))
  total = sum(k * jnp.mean(jnp.square(r.astype(jnp.float32) - f.astype(jnp.float32) + shift))
              for k, r, f in zip(m, real, fake, strict=True))
  return total / (len(m) * sum(m))


def over_branches(real: Mapping[str, Sequence[jax.Array]], fake: Mapping[str, Sequence[jax.Array]],
                  shift: float) -> jax.Array:
  """Mean over the branches of a critic of `least_squares`. real, fake: {branch: its maps}."""
  return sum(least_squares(real[name], fake[name], shift) for name in real) / len(real)

"""Adversarial losses of a critic's scores and of its generator.

A score is a logit, whatever its shape: a PatchGAN's map [B, h, w, 1], tokens [B, h, w, C].
"""

import jax
import jax.numpy as jnp

from i2vjax.core.errors import UserError

MODES = ('lsgan', 'vanilla', 'nonsaturating')   # of `config.gan.mode`


def patch_losses(logits: jax.Array, real: bool, mode: str) -> jax.Array:
  """How far each score is from its label, element by element.

  'lsgan': (s - 1)^2 for real, s^2 for fake (Mao et al., 2017). 'vanilla': cross-entropy of
  p = sigmoid(s), -log p = softplus(-s) for real and -log(1 - p) = softplus(s) for fake (Goodfellow
  et al., 2014); the softplus form does not overflow. 'nonsaturating': the same function under the
  name that public CUT code gives it.

  Args:
    logits: scores of any shape.
    real: the label, True for real. A generator passes `real=True` for its fakes.
    mode: one of `MODES`.

  Returns:
    Float32, same shape as `logits`.

  Raises:
    UserError: the mode is not known.
  """
  if mode not in MODES:
    raise UserError(f'gan.mode={mode!r}: choose one of {", ".join(MODES)}')
  logits = logits.astype(jnp.float32)
  if mode == 'lsgan':
    return jnp.square(logits - (1.0 if real else 0.0))
  return jax.nn.softplus(-logits if real else logits)


def generator_patch_losses(logits: jax.Array, mode: str, form: str = 'nonsaturating') -> jax.Array:
  """The generator's loss on its fakes, element by element.

  'nonsaturating': the loss towards 'real', -log p with 'vanilla'. 'minimax': log(1 - p), the
  formula printed in the papers; its gradient vanishes once the critic is sure of the fakes.

  Args:
    logits: scores of fakes, of any shape.
    mode: one of `MODES`.
    form: 'nonsaturating' or 'minimax'.

  Returns:
    Float32, same shape as `logits`.

  Raises:
    UserError: an unknown form, or 'minimax' with another mode than 'vanilla'.
  """
  if form == 'nonsaturating':
    return patch_losses(logits, True, mode)
  if form != 'minimax' or mode != 'vanilla':
    raise UserError(f"gan.g_form={form!r} with gan.mode={mode!r}: choose 'nonsaturating', or "
                    "'minimax' with 'vanilla'")
  return -patch_losses(logits, False, mode)


def generator_loss(score: jax.Array, mode: str, form: str = 'nonsaturating') -> jax.Array:
  """Mean over all elements of `score` (of fakes) of `generator_patch_losses`."""
  return jnp.mean(generator_patch_losses(score, mode, form))


def discriminator_loss(real_score: jax.Array, fake_score: jax.Array, mode: str) -> jax.Array:
  """Critic's loss: mean over the real scores plus mean over the fake scores.

  This is the sum printed in the papers. The public code of CycleGAN, CUT and ROMA halves it: a
  method that does so multiplies by `gan.d_scale`.
  """
  real = jnp.mean(patch_losses(real_score, True, mode))
  return real + jnp.mean(patch_losses(fake_score, False, mode))

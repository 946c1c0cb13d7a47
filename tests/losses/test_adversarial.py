"""Adversarial map losses by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from i2vjax.losses import adversarial

SCORES = jnp.array([[-2.0, 0.0], [0.5, 3.0]])


def test_lsgan_by_hand():
  np.testing.assert_allclose(adversarial.patch_losses(SCORES, True, 'lsgan'),
                             [[9.0, 1.0], [0.25, 4.0]], rtol=1e-6)
  np.testing.assert_allclose(adversarial.patch_losses(SCORES, False, 'lsgan'),
                             [[4.0, 0.0], [0.25, 9.0]], rtol=1e-6)


@pytest.mark.parametrize('real', [True, False])
def test_vanilla_is_the_log_likelihood_of_the_label(real):
  p = jax.nn.sigmoid(SCORES)
  expected = -jnp.log(p if real else 1 - p)
  np.testing.assert_allclose(adversarial.patch_losses(SCORES, real, 'vanilla'), expected, rtol=1e-5)


def test_vanilla_survives_a_saturated_critic():
  grad = jax.grad(lambda s: adversarial.generator_loss(s, 'vanilla'))(jnp.array([-200.0, 200.0]))
  np.testing.assert_allclose(grad, [-0.5, 0.0], atol=1e-6)


def test_nonsaturating_equals_vanilla():
  np.testing.assert_array_equal(adversarial.patch_losses(SCORES, True, 'nonsaturating'),
                                adversarial.patch_losses(SCORES, True, 'vanilla'))


def test_discriminator_loss_is_the_sum_of_both_means():
  value = adversarial.discriminator_loss(jnp.array([1.0, 0.0]), jnp.array([1.0, 1.0, 2.0]), 'lsgan')
  assert value == pytest.approx(0.5 + 2.0)


def test_generator_loss_asks_for_real():
  assert adversarial.generator_loss(jnp.array([1.0, 3.0]), 'lsgan') == pytest.approx(2.0)


def test_unknown_mode_names_the_field():
  with pytest.raises(ValueError, match="gan.mode='hinged'"):
    adversarial.patch_losses(SCORES, True, 'hinged')

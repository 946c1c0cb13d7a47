"""Pixel distances by hand."""

import jax.numpy as jnp
import pytest

from i2vjax.losses import pixel


def test_l1_by_hand():
  assert pixel.l1(jnp.array([[1.0, -1.0]]), jnp.array([[0.5, 1.0]])) == pytest.approx(1.25)


def test_l1_in_float32_of_half_precision():
  x = jnp.full((64, 64), 1.0, jnp.bfloat16)
  assert pixel.l1(x, jnp.zeros_like(x)).dtype == jnp.float32


def test_l1_refuses_to_broadcast():
  with pytest.raises(ValueError, match=r'\(2, 3\) and \(1, 3\)'):
    pixel.l1(jnp.zeros((2, 3)), jnp.zeros((1, 3)))


def test_mse_by_hand_and_without_broadcasting():
  assert pixel.mse(jnp.array([[1.0, -1.0]]), jnp.array([[0.5, 1.0]])) == pytest.approx(2.125)
  with pytest.raises(ValueError, match='mse of shapes'):
    pixel.mse(jnp.zeros((2, 3)), jnp.zeros((1, 3)))

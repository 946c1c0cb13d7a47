"""Differentiable augmentation: what changes, what stays, and that gradients pass."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from i2vjax.core import diff_augment

KEY = jax.random.key(0)
X = jax.random.uniform(KEY, (64, 16, 24, 3), minval=-1)


def test_color_of_a_gray_frame_stays_gray_and_keeps_its_shape():
  gray = jnp.repeat(X[..., :1], 3, axis=-1)
  out = diff_augment.color(KEY, gray)
  np.testing.assert_allclose(out[..., 0], out[..., 2], atol=1e-6)
  x = np.asarray(X[3, ..., 0] - X[3, ..., 0].mean()).ravel()
  y = np.asarray(out[3, ..., 0] - out[3, ..., 0].mean()).ravel()
  assert np.corrcoef(x, y)[0, 1] == pytest.approx(1, abs=1e-5)


def test_brightness_moves_by_at_most_a_half():
  moved = np.asarray(diff_augment.color(KEY, X).mean((1, 2, 3)) - X.mean((1, 2, 3)))
  assert -0.5 <= moved.min() < -0.3 and 0.3 < moved.max() <= 0.5


def test_a_shift_is_a_slice_with_zeros_behind_it():
  out = np.asarray(diff_augment.shift(KEY, X))
  ways = set()
  for x, y in zip(np.asarray(X), out, strict=True):
    padded = np.pad(x, ((2, 2), (3, 3), (0, 0)))
    hits = [(i, j) for i in range(5) for j in range(7)
            if np.array_equal(padded[i:i + 16, j:j + 24], y)]
    assert len(hits) == 1
    ways |= set(hits)
  assert len(ways) > 20


def test_a_cutout_is_a_rectangle_of_half_the_sides_as_far_as_it_is_in_the_frame():
  holes = np.asarray(jnp.all(diff_augment.cutout(KEY, jnp.ones_like(X)) == 0, axis=-1))
  rows, cols = holes.any(2).sum(1), holes.any(1).sum(1)
  np.testing.assert_array_equal(holes.sum((1, 2)), rows * cols)
  assert rows.max() == 8 and cols.max() == 12 and rows.min() >= 4


def test_gradient_reaches_what_is_still_seen():
  grad = jax.grad(lambda x: jnp.sum(diff_augment.augment(KEY, x, ('shift', 'cutout'))))(X)
  share = float(jnp.mean(grad))
  assert 0.6 < share < 1 and set(np.unique(grad)) == {0.0, 1.0}


def test_tokens_pass_through_and_unknown_kinds_are_named():
  tokens = jnp.ones((2, 9, 16))
  assert diff_augment.augment(KEY, tokens, ('color', 'shift')) is tokens
  assert diff_augment.kinds('color, cutout') == ('color', 'cutout')
  with pytest.raises(ValueError, match="critic.augment='blur': 'blur' is not known"):
    diff_augment.kinds('blur')


def test_pairs_are_moved_and_cut_as_one_and_keep_their_colors():
  """[y0, y1, y1 - y0]: the difference stays that of the frames."""
  second = jnp.flip(X, 1)
  pairs = jnp.concatenate([X, second, second - X], axis=-1)
  assert diff_augment.augment(KEY, pairs, ('color',)) is pairs
  y0, y1, change = jnp.split(diff_augment.augment(KEY, pairs, ('color', 'shift', 'cutout')), 3, -1)
  np.testing.assert_allclose(change, y1 - y0, atol=1e-6)
  assert np.asarray(jnp.all(change == 0, axis=-1)).mean() > 0.1 and not np.array_equal(y0, X)

"""Differentiable augmentation: what changes, what stays, and that gradients pass."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from i2vjax.core import diff_augment, ops

KEY = jax.random.key(0)
RNG = np.random.default_rng(0)
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


# ---- Other light


def test_hue_turns_as_in_matplotlib():
  colors = pytest.importorskip('matplotlib.colors')
  x = RNG.uniform(size=(6, 7, 3))
  for turn in (0.0, 0.2, -0.3):
    hsv = colors.rgb_to_hsv(x)
    hsv[..., 0] = (hsv[..., 0] + turn) % 1
    np.testing.assert_allclose(diff_augment.turn_hue(jnp.asarray(x), turn), colors.hsv_to_rgb(hsv),
                               atol=1e-5)


def frames_in_range():
  return jnp.asarray(RNG.uniform(-1, 1, (3, 8, 9, 3)), jnp.float32)


def test_jitter_of_size_0_is_the_input_and_else_differs_by_frame():
  x = jnp.broadcast_to(frames_in_range()[:1], (3, 8, 9, 3))
  sizes = dict.fromkeys(('brightness', 'contrast', 'saturation', 'hue'), 0)
  none = diff_augment.color_jitter(jax.random.key(0), x, **sizes)
  np.testing.assert_allclose(none, x, atol=1e-5)
  out = np.asarray(diff_augment.color_jitter(jax.random.key(0), x))
  assert out.min() >= -1 - 1e-6 and out.max() <= 1 + 1e-6
  assert np.abs(out[0] - out[1]).max() > 0.05 and np.abs(out[0] - x[0]).max() > 0.05


@pytest.mark.parametrize('name', ['brightness', 'contrast', 'saturation'])
def test_jitter_by_hand(name):
  """One change alone: x = start + f (x - start), clipped, with one f in [1/2, 3/2] per frame."""
  x = np.asarray(frames_in_range())
  sizes = {'brightness': 0, 'contrast': 0, 'saturation': 0, 'hue': 0, name: 0.5}
  out = np.asarray(diff_augment.color_jitter(jax.random.key(1), x, **sizes))
  factors = []
  for before, after in zip((x + 1) / 2, (out + 1) / 2, strict=True):
    gray = before @ np.asarray(ops.LUMA)
    start = {'brightness': 0.0, 'contrast': gray.mean(), 'saturation': gray[..., None]}[name]
    inner = (after > 1e-3) & (after < 1 - 1e-3) & (np.abs(before - start) > 0.05)
    ratio = ((after - start) / (before - start))[inner]
    np.testing.assert_allclose(ratio, np.median(ratio), rtol=1e-2)
    factors.append(np.median(ratio))
  assert all(0.5 <= f <= 1.5 for f in factors) and np.ptp(factors) > 1e-3


def test_jitter_leaves_gray_frames_gray():
  x = jnp.repeat(frames_in_range()[..., :1], 3, axis=-1)
  out = diff_augment.color_jitter(jax.random.key(2), x)
  np.testing.assert_allclose(out[..., 0], out[..., 2], atol=1e-5)

"""Edge maps made on the device: Canny, and contours less texture."""

import jax
import numpy as np
from scipy import ndimage

from i2vjax.losses import edges

canny, contours = jax.jit(edges.canny), jax.jit(edges.contours)


def square(size=32, noise=0.0):
  """A bright square from 10 to 21 on dark ground."""
  rng = np.random.default_rng(0)
  x = np.full((1, size, size, 3), -0.5, np.float32)
  x[:, 10:22, 10:22] = 0.5
  return x + rng.normal(size=x.shape).astype(np.float32) * noise


def test_canny_outlines_a_square_with_a_thin_closed_line():
  found = np.asarray(canny(square()))[0]
  assert set(np.unique(found)) == {0, 1}
  groups, count = ndimage.label(found, np.ones((3, 3)))
  inside, _ = ndimage.label(found == 0)
  assert count == 1 and inside.max() == 2                  # one line, with an inside and an outside
  assert found[12:20, 9:11].sum() >= 8 and found[14:18, 14:18].sum() == 0
  assert found.sum() < 2.2 * 4 * 12


def test_canny_follows_a_weak_line_to_its_end_whatever_the_rounds(monkeypatch):
  """A line strong at one end alone, much longer than the rounds between two looks."""
  x = np.full((1, 16, 96, 1), -0.9, np.float32)
  x[:, 8:] += np.linspace(1.0, 0.45, 96, dtype=np.float32)[:, None]
  found = []
  for rounds in (1, edges.ROUNDS):
    monkeypatch.setattr(edges, 'ROUNDS', rounds)
    found.append(np.asarray(jax.jit(lambda x: edges.canny(x))(x)))   # traced anew
  np.testing.assert_array_equal(*found)
  assert found[0][0].any(axis=0)[2:94].all()


def test_nothing_in_flat_frames():
  for level in (-1, 0.2, 1):
    flat = np.full((1, 32, 32, 3), level, np.float32)
    assert not canny(flat).any() and not contours(flat).any()


def test_every_frame_has_thresholds_of_its_own():
  x = square(noise=0.02)
  both = np.concatenate([x, 0.25 * x])
  found = np.asarray(canny(both))
  np.testing.assert_array_equal(found[0], found[1])


def test_weak_ridges_stay_only_where_they_reach_a_strong_one():
  """Against labeled regions (SciPy) of the same ridges."""
  x = square(noise=0.15)
  down, right = edges.gradient(x, edges.CANNY_SIGMA)
  size = np.hypot(down, right)
  size = size / size.max()
  ridge = (size * np.asarray(edges.local_maxima(size, down, right)))[0, ..., 0]
  high = next(k / 64 for k in range(1, 65) if (size < k / 64).mean() > 0.7)
  groups, _ = ndimage.label(ridge > 0.4 * high, np.ones((3, 3)))
  kept = np.isin(groups, np.unique(groups[ridge > high])) & (groups > 0)
  np.testing.assert_array_equal(np.asarray(canny(x))[0] > 0, kept)
  assert kept.sum() > (ridge > high).sum()


def test_thin_lines_are_one_pixel_wide_across_a_slope():
  """A ramp that is steepest at column 16."""
  x = np.broadcast_to(np.tanh((np.arange(32) - 16) / 3), (1, 32, 32))[..., None]
  down, right = edges.gradient(x.astype(np.float32), 1.4)
  kept = np.asarray(edges.local_maxima(np.hypot(down, right), down, right))[0, ..., 0]
  np.testing.assert_array_equal(kept[8], np.arange(32) == 16)
  assert not kept[0].any()                                 # the outermost pixels have no neighbors


def test_contours_drop_texture_and_keep_outlines():
  """Left a lone step, right stripes of the same contrast: Canny keeps both."""
  x = np.zeros((1, 64, 128, 1), np.float32)
  x[:, :, 32:64] = 0.5
  x[:, :, 64:] = 0.5 * (np.arange(64) // 4 % 2)[:, None]
  lone, texture = (np.asarray(contours(x))[0, 20:44, part].mean(axis=0)
                   for part in (slice(26, 38), slice(84, 116)))
  assert lone.max() > 0.9 and texture.max() < 0.5 * lone.max()
  assert np.asarray(canny(x))[0, 30, 84:116].sum() >= 7


def test_contours_lie_between_0_and_1_and_leave_out_the_faint():
  found = np.asarray(contours(square(noise=0.05)))
  assert found.shape == (1, 32, 32) and found.max() == 1
  assert found[found > 0].min() >= 0.1


def test_no_gradient_passes():
  slope = jax.jit(jax.grad(lambda x: edges.contours(x).sum() + edges.canny(x).sum()))
  assert not slope(square()).any()

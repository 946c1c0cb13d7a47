"""Self-similarity maps and their comparison (LSeSim) by hand and by their invariances."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from i2vjax.losses import selfsim

KEY = jax.random.key(0)
F = jax.random.normal(KEY, (2, 6, 8, 4))
IDS = jnp.array([0, 7, 40, 47, 20])


@pytest.mark.parametrize('unit', [False, True])
def test_map_by_hand(unit):
  """tanh(<q, k> / 10 C) of centered features, or their cosines."""
  f = np.asarray(F - F.mean((1, 2), keepdims=True)).reshape(2, 48, 4)
  if unit:
    f = f / np.linalg.norm(f, axis=-1, keepdims=True)
  s = np.stack([x[np.asarray(IDS)] @ x.T for x in f])
  expected = s if unit else np.tanh(s / 40)
  np.testing.assert_allclose(selfsim.similarity_map(F, IDS, 64, unit), expected, atol=1e-5)


def test_an_offset_of_the_features_changes_nothing():
  moved = F + jnp.array([3.0, -2.0, 0.5, 1.0])
  np.testing.assert_allclose(selfsim.similarity_map(moved, IDS), selfsim.similarity_map(F, IDS),
                             atol=1e-5)


def test_windows_hold_the_neighbors_shifted_inwards():
  whole = np.asarray(selfsim.similarity_map(F, IDS, 64)).reshape(2, 5, 6, 8)
  windows = np.asarray(selfsim.similarity_map(F, IDS, 3)).reshape(2, 5, 3, 3)
  corners = [(0, 0), (0, 5), (3, 0), (3, 5), (1, 3)]   # of places (0,0) (0,7) (5,0) (5,7) (2,4)
  for i, (top, left) in enumerate(corners):
    np.testing.assert_array_equal(windows[:, i], whole[:, i, top:top + 3, left:left + 3])


@pytest.mark.parametrize('side', [6, 8, 64])
def test_a_window_not_smaller_both_ways_is_the_whole_map(side):
  assert selfsim.similarity_map(F, IDS, side).shape == (2, 5, 48)


def test_places_are_drawn_per_layer_without_repetition():
  features = [jnp.zeros((1, 6, 8, 2)), jnp.zeros((1, 3, 4, 2))]
  ids = selfsim.places(KEY, features, 20)
  assert [len(set(np.asarray(i))) for i in ids] == [20, 12]
  np.testing.assert_array_equal(selfsim.places(KEY, features, -1)[0], np.arange(48))


def test_a_quarter_and_one_of_the_target_stay():
  s, t = jax.random.normal(KEY, (2, 1, 3, 21))
  source, target = selfsim.strongest(s, t)
  kept = np.asarray(target != 0)
  assert np.all(kept.sum(-1) == 21 // 4 + 1)
  np.testing.assert_array_equal(kept, source != 0)
  for row in range(3):
    assert t[0, row][kept[0, row]].min() > t[0, row][~kept[0, row]].max()


@pytest.mark.parametrize('unit', [False, True])
@pytest.mark.parametrize('mode', ['cos', 'l1'])
def test_equal_maps_cost_nothing(mode, unit):
  s = selfsim.similarity_map(F, IDS, 64, unit)
  assert selfsim.difference(s, s, mode, unit) < 1e-6


def test_cosine_by_hand():
  """K = 4: the two largest of t are seen; s there is (1, 0), t is (3, 4): c = 3 / 5."""
  s, t = jnp.array([[[1.0, 0.0, 9.0, -9.0]]]), jnp.array([[[3.0, 4.0, 1.0, -1.0]]])
  assert selfsim.difference(s, t, 'cos', unit=True) == pytest.approx(0.4, abs=1e-5)
  assert selfsim.difference(s, t, 'cos') == pytest.approx(0.5 * 0.4**2, abs=1e-5)
  assert selfsim.difference(-s, t, 'cos') == pytest.approx(1.6 - 0.5, abs=1e-5)


def test_l1_by_hand():
  """Differences (2, 4, 0, 0) times K / floor(K / 4) = 4, mean of |x| or of its smooth form."""
  s, t = jnp.array([[[1.0, 0.0, 9.0, -9.0]]]), jnp.array([[[3.0, 4.0, 1.0, -1.0]]])
  assert selfsim.difference(s, t, 'l1', unit=True) == pytest.approx((8 + 16) / 4)
  assert selfsim.difference(s, t, 'l1') == pytest.approx((7.5 + 15.5) / 4)


def test_source_is_a_constant_and_constant_features_do_no_harm():
  s, t = jax.random.normal(KEY, (2, 1, 3, 8))
  assert not np.any(jax.grad(selfsim.difference)(s, t))
  assert np.any(jax.grad(selfsim.difference, 1)(s, t))
  for unit in (False, True):
    def loss(f, unit=unit):
      seen = [selfsim.similarity_map(x, IDS, 64, unit) for x in (F, f)]
      return selfsim.difference(*seen, unit=unit)
    assert np.all(np.isfinite(jax.grad(loss)(jnp.ones_like(F))))


def test_unknown_mode_is_refused():
  with pytest.raises(ValueError, match='lsesim.loss_mode'):
    selfsim.difference(jnp.ones((1, 1, 4)), jnp.ones((1, 1, 4)), 'info')


def test_contrast_on_two_rows_by_hand():
  """s = t = unit vectors e1, e2 and o = e1 twice: logits (1, 0 | 1, 1 | 1, 1) and (0, 1 | 0 ..)."""
  s = jnp.array([[[2.0, 0.0], [0.0, 3.0]]])   # lengths do not matter
  o = jnp.array([[[1.0, 0.0], [5.0, 0.0]]])
  first = np.log(5 * np.exp(2) + 1) - 2      # temperature 1 / 2
  second = np.log(np.exp(2) + 5) - 2
  assert selfsim.contrast(s, s, o, 0.5) == pytest.approx((first + second) / 2, abs=1e-5)


def test_contrast_teaches_all_three_and_pairs_rows_within_an_image():
  s, t, o = jax.random.normal(KEY, (3, 2, 3, 8))
  grads = jax.grad(selfsim.contrast, (0, 1, 2))(s, t, o)
  assert all(np.any(g) for g in grads)
  each = [selfsim.contrast(s[i:i + 1], t[i:i + 1], o[i:i + 1]) for i in range(2)]
  assert selfsim.contrast(s, t, o) == pytest.approx(float(sum(each)) / 2, rel=1e-5)

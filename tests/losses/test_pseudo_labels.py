"""Labels that are mined, denoised and filled, against plain loops."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from i2vjax.losses import pseudo_labels

VEGETATION, POLE, SKY, PERSON = 0, 1, 2, 3
SEQUENCES = {
    'visible': ((VEGETATION, (SKY,)), (POLE, (SKY,)), (SKY, (VEGETATION, POLE))),
    'infrared': ((SKY, (VEGETATION, POLE)), (POLE, (SKY,)), (PERSON, (VEGETATION,)),
                 (VEGETATION, (SKY, PERSON))),
    'shifted': ((SKY, (VEGETATION,)), (POLE, (SKY,), SKY)),
}
denoised = jax.jit(pseudo_labels.denoised, static_argnums=2)


def loop(labels, features, sequence):
  """`denoised` by its definition, pixel by pixel, in 64 bits."""
  features = features.astype(np.float64)
  first = {k: features[labels == k].mean(axis=0) for k in range(4) if (labels == k).any()}
  means, labels = dict(first), labels.copy()
  for c, near, *other in sequence:
    if c not in first:
      continue
    own = means[c]
    for k in other:
      own = (own + first[k]) / 2 if k in first else own
    for y, x in zip(*np.nonzero(labels == c), strict=True):
      v = features[y, x]
      if any(k in first and ((v - own) ** 2).sum() > ((v - means[k]) ** 2).sum() for k in near):
        labels[y, x] = 255
    if (labels == c).any():
      means[c] = features[labels == c].mean(axis=0)
  return labels


def scene(seed, channels, absent=()):
  """Labels of which a third is wrong, and features around the mean of the true class."""
  rng = np.random.default_rng(seed)
  truth = rng.integers(0, 5, (12, 12))
  labels = np.where(rng.random((12, 12)) < 0.3, rng.integers(0, 5, (12, 12)), truth)
  labels = np.where(np.isin(labels, (4, *absent)), 255, labels)
  features = rng.normal(size=(5, channels))[truth] + 0.4 * rng.normal(size=(12, 12, channels))
  return labels.astype(np.int32), features.astype(np.float32)


@pytest.mark.parametrize('name', SEQUENCES)
@pytest.mark.parametrize('absent', [(), (SKY,), (VEGETATION, POLE), (0, 1, 2, 3)])
def test_denoising_equals_a_loop_over_pixels(name, absent):
  for seed in range(3):
    labels, features = scene(seed, 3 if name == 'visible' else 1, absent)
    found = denoised(labels, features, SEQUENCES[name])
    np.testing.assert_array_equal(found, loop(labels, features, SEQUENCES[name]))


def test_exactly_the_swapped_pixels_are_rejected():
  """Two colors; the means come from the map with the mistakes in it."""
  labels = np.repeat([[VEGETATION, SKY]], 8, axis=0).repeat(8, axis=1).astype(np.uint8)
  features = np.where(labels == SKY, 1.0, -1.0)[..., None] * np.ones(3)
  noisy = labels.copy()
  noisy[2, 3], noisy[5, 12] = SKY, VEGETATION
  found = np.asarray(denoised(noisy, features, SEQUENCES['visible']))
  assert found.dtype == np.uint8
  assert {tuple(x) for x in np.argwhere(found == 255)} == {(2, 3), (5, 12)}
  np.testing.assert_array_equal(found[found != 255], labels[found != 255])


def test_order_of_the_classes_matters():
  labels, features = scene(1, 1)
  there, back = (denoised(labels, features, SEQUENCES['infrared'][::k]) for k in (1, -1))
  assert (there != back).any()


def test_a_gain_and_offset_of_the_camera_change_nothing():
  labels, features = scene(2, 1)
  np.testing.assert_array_equal(denoised(labels, 5 * features - 3, SEQUENCES['infrared']),
                                denoised(labels, features, SEQUENCES['infrared']))


def test_sequences_of_both_domains():
  roles = dict(vegetation=VEGETATION, pole=POLE, sky=SKY, person=PERSON)
  assert pseudo_labels.confusions(roles, 'b') == SEQUENCES['visible']
  assert pseudo_labels.confusions(roles, 'a') == SEQUENCES['infrared']
  assert pseudo_labels.confusions(roles, 'a', release=True)[:2] == SEQUENCES['shifted']
  assert pseudo_labels.confusions({**roles, 'sky': -1, 'pole': -1}, 'a') == (
      (PERSON, (VEGETATION,)), (VEGETATION, (PERSON,)))


# ---- Mining


def test_truth_table_of_mining():
  """Class 0 needs 0.9, class 1 needs 0.8, in both predictions."""
  least = jnp.array([0.9, 0.8])
  first = jnp.array([[0.95, 0.95, 0.85, 0.15, 0.15, 0.30, 0.95]])
  second = jnp.array([[0.92, 0.85, 0.95, 0.18, 0.25, 0.10, 0.05]])
  both = [jnp.stack([x, 1 - x], axis=-1) for x in (first, second)]
  found = pseudo_labels.agreed(*both, least, least)
  np.testing.assert_array_equal(found, [[0, 255, 255, 1, 255, 255, 255]])
  class_only = pseudo_labels.agreed(*both, least, jnp.zeros(2))
  np.testing.assert_array_equal(class_only, [[0, 0, 255, 1, 1, 255, 255]])


def test_thresholds_by_kind_of_class():
  found = pseudo_labels.thresholds(4, (1, 3), 0.95, 0.99)
  np.testing.assert_allclose(found, [0.99, 0.95, 0.99, 0.95])


def probabilities(seed, sharp=4):
  return jax.nn.softmax(sharp * jax.random.normal(jax.random.key(seed), (2, 6, 6, 3)))


def test_confident_filled_and_sure():
  p = np.asarray(probabilities(0))
  top, best = p.max(-1), p.argmax(-1)
  np.testing.assert_array_equal(pseudo_labels.confident(p, 0.9), np.where(top > 0.9, best, 255))
  given = np.where(np.arange(36).reshape(6, 6) % 2, 255, 1)[None].repeat(2, 0).astype(np.uint8)
  expected = np.where(given != 255, given, np.where(top > 0.9, best, 255))
  np.testing.assert_array_equal(pseudo_labels.filled(given, p, 0.9), expected)
  least = np.array([0.0, 0.6, 1.1])
  sure = (given != 255) & (p[..., 1] >= 0.6)
  np.testing.assert_array_equal(pseudo_labels.sure_of(jnp.asarray(given), p, least),
                                np.where(sure, 1, 255))


def test_shares_and_precision():
  labels = np.array([[[0, 1, 255, 255], [0, 2, 2, 255]]])
  truth = np.array([[[0, 0, 1, 255], [255, 2, 0, 0]]])
  found = pseudo_labels.shares(jnp.asarray(labels), 3, truth)
  assert {k: round(float(v), 4) for k, v in found.items()} == {
      'mined/all': 0.625, 'mined/0': 0.25, 'mined/1': 0.125, 'mined/2': 0.25,
      'mined/precision': 0.5}
  assert pseudo_labels.shares(jnp.full((1, 2, 2), 255), 3, truth[:, :, :2])['mined/precision'] == 0


def test_no_gradient_passes_a_label():
  def f(p):
    return jnp.sum(p * (pseudo_labels.agreed(p, p, jnp.zeros(3), jnp.zeros(3)) == 1)[..., None])
  found = jax.grad(f)(probabilities(1))
  assert set(np.unique(found)) == {0.0, 1.0}


# ---- Rare classes


def test_direction_of_rare_classes():
  ids = (6, 7, 11)
  rng = np.random.default_rng(0)
  labels = rng.choice([0, 6, 7, 11, 255], size=(4, 8, 8), p=[0.5, 0.1, 0.2, 0.1, 0.1])
  labels[1] = 0                                                 # no such class
  labels[2] = np.repeat([6, 7, 11, 0], 16).reshape(8, 8)        # as many of each
  share = np.stack([(labels == k).mean(axis=(1, 2)) for k in ids], axis=-1)
  v = share - share.mean(axis=-1, keepdims=True)
  v[1:3] = 0
  v[[0, 3]] /= np.linalg.norm(v[[0, 3]], axis=-1, keepdims=True)
  found = jax.jit(pseudo_labels.rare_direction, static_argnums=1)(labels, ids)
  np.testing.assert_allclose(found, v, atol=1e-6)
  np.testing.assert_array_equal(found[1:3], 0)
  np.testing.assert_allclose(pseudo_labels.rare_direction(labels[:, :, ::-1], ids), found)

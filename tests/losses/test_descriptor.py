"""Local self-similarity tokens: what they ignore, what they tell apart, how they are cut."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from i2vjax import defaults
from i2vjax.data import scenes
from i2vjax.losses import descriptor, similarity

SMALL = {'floor': 0.03}   # below 128 pixels


@functools.partial(jax.jit, static_argnames='local')
def loss(x, y, local=False):
  S, T = (descriptor.maps(frames, **SMALL) for frames in (x, y))
  places = similarity.random_windows(jax.random.key(0), S[0].shape[1:3], 16, 7)
  pick = (lambda m: descriptor.window_tokens(m, places)) if local else descriptor.tokens
  return similarity.cross_similarity(pick(S), pick(T))


@pytest.fixture(scope='module')
def street():
  """Infrared and visible of the same moment, and a visible frame of another clip: [1, H, W, 3]."""
  data = defaults.data()
  data.scenes.update(size=64, test_clips=2, clip_length=3, weather='clear', camera='driving')
  a, b = (scenes.open_split(data, 'test', domain) for domain in ('a', 'b'))

  def frame(source, i):
    image = np.asarray(source.read(i)['frame'], np.float32) / 127.5 - 1
    return jnp.asarray(np.broadcast_to(image, (64, 64, 3)))[None]
  return frame(a, 0), frame(b, 0), frame(b, a.clips[1][1])


def test_offsets_stand_on_a_circle():
  assert descriptor.offsets(2, 8)[:3] == [(0, 2), (1, 1), (2, 0)]
  assert len(set(descriptor.offsets(1, 8))) == 8


def test_sizes_follow_the_height():
  assert descriptor.sizes(256, (2, 4, 8), 2.0, 16) == {'radii': (2, 4, 8), 'sigma': 2.0, 'cell': 16}
  assert descriptor.sizes(64, (2, 4, 8), 2.0, 16) == {'radii': (1, 2, 4), 'sigma': 1.0, 'cell': 4}


def test_a_cell_for_each_level_makes_a_pyramid():
  levels = jax.eval_shape(lambda x: descriptor.maps(x, cell=(4, 8, 8), sub=1),
                          jnp.zeros((1, 256, 192, 3)))
  assert [level.shape for level in levels] == [(1, 64, 48, 8), (1, 32, 24, 8), (1, 32, 24, 8)]
  assert descriptor.sizes(128, (2, 4, 8), 2.0, (4, 8, 16))['cell'] == (4, 4, 8)


def test_similarity_by_hand_on_a_step_edge():
  """Without smoothing: d_k is the squared difference to the neighbor, s = exp(-d / V)."""
  frames = jnp.zeros((1, 4, 8, 1)).at[:, :, 4:].set(1.0)
  s = descriptor.self_similarity(frames, 1, 4, 0.0, 0.0)   # right, down, left, up
  V = 0.25 + 1e-4                                          # one of four neighbors differs
  np.testing.assert_allclose(s[0, 1, 3], [np.exp(-1 / V), 1, 1, 1], rtol=1e-4)
  np.testing.assert_allclose(s[0, 1, 4], [1, 1, np.exp(-1 / V), 1], rtol=1e-4)


def test_pool_averages_the_parts_of_a_cell():
  x = jnp.arange(64.0).reshape(1, 8, 8, 1)
  pooled = descriptor.pool(x, 4, 2)
  assert pooled.shape == (1, 2, 2, 4)
  np.testing.assert_allclose(pooled[0, 1, 0], [x[0, i:i + 2, j:j + 2].mean() for i in (4, 6)
                                               for j in (0, 2)])


def test_a_frame_without_a_whole_cell_names_the_field():
  with pytest.raises(ValueError, match='lss.cell'):
    descriptor.pool(jnp.zeros((1, 3, 8, 1)), 4, 2)


@pytest.mark.parametrize('local', [False, True])
@pytest.mark.parametrize('change', [lambda x: x, lambda x: -x])
def test_equal_and_inverted_frames_cost_nothing(street, local, change):
  assert loss(street[1], change(street[1]), local=local) < 1e-6


def test_grid_is_16_by_16_tokens_of_32_channels():
  assert descriptor.maps(jnp.zeros((1, 64, 64, 3)))[2].shape == (1, 16, 16, 32)
  shapes = jax.eval_shape(descriptor.maps, jnp.zeros((1, 256, 192, 3)))
  assert [level.shape for level in shapes] == [(1, 16, 12, 32)] * 3


@pytest.mark.parametrize('local', [False, True])
def test_aligned_is_closer_than_shifted_than_another_clip(street, local):
  infrared, visible, other = street
  shifted = jnp.roll(visible, 32, axis=2)
  aligned, moved, foreign = (float(loss(infrared, y, local=local))
                             for y in (visible, shifted, other))
  assert aligned < moved - 0.02
  assert aligned < foreign - 0.02


def test_finite_gradient_on_constant_and_noise_frames(street):
  constant = jnp.zeros((1, 64, 64, 3))
  for y in (constant, jax.random.normal(jax.random.key(0), constant.shape)):
    assert np.all(np.isfinite(slope(street[0], y)))


slope = jax.jit(jax.grad(lambda x, y: loss(x, y) + loss(x, y, local=True), argnums=1))


def test_windows_are_centered_by_themselves():
  level = jax.random.normal(jax.random.key(0), (2, 6, 6, 4)) + 3.0
  tokens = descriptor.window_tokens([level], jnp.array([[0, 1, 6, 7]]))[0]
  expected = descriptor.center(level[:, :2, :2].reshape(2, 4, 4))
  np.testing.assert_allclose(tokens[:, 0], expected, rtol=1e-6)

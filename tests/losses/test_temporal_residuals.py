"""Residuals of clips whose motion is known, and the local loss on them."""

import jax
import jax.numpy as jnp
import numpy as np

from i2vjax.flow import visibility
from i2vjax.losses import temporal_residuals

residuals, reliable_mask = jax.jit(temporal_residuals.residuals), jax.jit(visibility.reliable_mask)


def drifting(frames=3, size=16, step=2):
  """A texture that moves `step` pixels to the right per frame, and its flows back and forth."""
  wide = jax.random.uniform(jax.random.key(0), (1, size, size + step * frames, 3))
  clip = jnp.stack([wide[:, :, step * (frames - t):][:, :, :size] for t in range(frames)], 1)
  back = jnp.broadcast_to(jnp.array([-step, 0.0]), (1, frames - 1, size, size, 2))
  return clip, back, -back


def test_rigid_motion_leaves_nothing():
  clip, back, forth = drifting()
  valid = reliable_mask(back[0], forth[0])[None]
  assert float(jnp.mean(valid)) == 14 / 16           # what came in from the left has no past
  np.testing.assert_allclose(residuals(clip, back, valid), 0, atol=1e-6)
  assert float(jnp.max(jnp.abs(residuals(clip, back, jnp.ones_like(valid))))) > 0.1


def test_the_other_direction_of_flow_leaves_much():
  """The flow that the paper's text names, from t-1 to t, does not align."""
  clip, back, forth = drifting()
  valid = reliable_mask(back[0], forth[0])[None]
  assert float(jnp.mean(jnp.abs(residuals(clip, forth, valid)))) > 0.1


def test_trust_around_a_moving_square():
  """1 on what stands still and on the square, 0 where the square was and around its edge."""
  size, step = 24, 4
  now, before = (jnp.zeros((1, size, size, 1)).at[:, 8:16, x:x + 8].set(1.0) for x in (8, 4))
  back = jnp.concatenate([-step * now, 0 * now], -1)
  forth = jnp.concatenate([step * before, 0 * before], -1)
  valid = np.asarray(reliable_mask(back, forth))[0, ..., 0]
  assert not valid[8:16, 4:8].any()                       # uncovered
  assert valid[9:15, 9:15].all()                          # the square less its rim
  far = np.ones((size, size), bool)
  far[7:17, 3:17] = False
  assert valid[far].all()


def test_first_residual_is_zero_and_the_sign_is_kept():
  clip = jnp.stack([jnp.zeros((1, 2, 2, 1)), jnp.full((1, 2, 2, 1), -0.5)], 1)
  e = residuals(clip, jnp.zeros((1, 1, 2, 2, 2)), jnp.ones((1, 1, 2, 2, 1)))
  assert e.shape == clip.shape and e[:, 0].tolist() == np.zeros((1, 2, 2, 1)).tolist()
  assert e[:, 1].tolist() == np.full((1, 2, 2, 1), -0.5).tolist()


def test_local_by_hand():
  """1/T sum_t mean |E_t| with |E| = 0, 1, 0.5 over T = 3 frames: 0.5."""
  e = jnp.stack([jnp.zeros((1, 2, 2, 1)), -jnp.ones((1, 2, 2, 1)), jnp.full((1, 2, 2, 1), 0.5)], 1)
  np.testing.assert_allclose(temporal_residuals.local(e), 0.5)


def test_gradient_reaches_both_frames_where_the_flow_is_trusted():
  clip, back, _ = drifting(frames=2, size=4, step=1)
  valid = jnp.ones((1, 1, 4, 4, 1)).at[:, :, 0].set(0)
  noisy = clip + 0.1 * jax.random.normal(jax.random.key(1), clip.shape)
  grad = jax.jit(jax.grad(lambda x: temporal_residuals.local(residuals(x, back, valid))))(noisy)
  share = 1 / noisy.size                      # of one pixel and channel in the mean
  np.testing.assert_allclose(np.abs(grad[0, 1, 1:]), share, rtol=1e-5)
  np.testing.assert_allclose(np.abs(grad[0, 0, 1:, 1:3]), share, rtol=1e-5)   # seen once each
  assert not grad[0, :, 0].any() and not grad[0, 0, :, 3].any()               # left the frame

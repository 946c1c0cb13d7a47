"""Masks of flow: true motion of the street, and figures by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from i2vjax import defaults
from i2vjax.core import ops
from i2vjax.data import scenes
from i2vjax.data.scenes import flow as motion
from i2vjax.flow import visibility


@pytest.fixture(scope='module')
def source():
  data = defaults.data()
  data.update(load_size=96)
  data.scenes.update(clips=2, clip_length=12, camera='driving')
  return scenes.open_split(data, 'train', 'b')


@pytest.fixture(scope='module')
def street(source):
  """True flow and visibility between frames of two clips, both ways: {key: [N, H, W, ...]}."""
  flows = [source.flow(start + 3) for _, start, _ in source.clips]
  frames = [[source.read(start + 3 + k)['frame'] for _, start, _ in source.clips] for k in (0, 1)]
  found = {key: np.stack([flow[key] for flow in flows]) for key in flows[0]}
  return found | {'first': np.stack(frames[0]), 'second': np.stack(frames[1])}


def test_hidden_pixels_fail_the_round_trip(source):
  """Of those behind something that moves otherwise by more than a pixel, 9 in 10 are found.

  Over six frames: from one to the next little is covered so fast.
  """
  pairs = [source.locate(start + 2) for _, start, _ in source.clips]
  there = [motion.between(world, t, t + 6, source.size) for world, t in pairs]
  flow = jnp.asarray([found for found, _ in there], jnp.float32)
  back = jnp.asarray([motion.between(world, t + 6, t, source.size)[0] for world, t in pairs],
                     jnp.float32)
  seen = np.stack([visible for _, visible in there])
  apart = jnp.linalg.norm(ops.warp(back, flow) + flow, axis=-1) > 1
  hidden = ~seen & np.asarray(apart & visibility.inside(flow)[..., 0])
  found = np.asarray(visibility.occlusion(flow, back))[..., 0]
  assert hidden.sum() > 150 and found[hidden].mean() > 0.9
  assert found[seen].mean() < 0.01


def test_trusted_is_neither_hidden_nor_torn_nor_outside(street):
  flow, back = street['forward'], street['backward']
  expected = ~(
    np.asarray(visibility.occlusion(flow, back)) | np.asarray(visibility.motion_boundary(flow))
  )
  V = visibility.reliable_mask(flow, back)
  assert V.shape == (*flow.shape[:3], 1) and V.dtype == jnp.float32
  np.testing.assert_array_equal(V, expected & np.asarray(visibility.inside(flow)))
  assert 0.3 < float(V.mean()) < 1


def test_a_shift_out_of_the_frame_is_not_trusted():
  flow = jnp.zeros((1, 4, 6, 2)).at[..., 0].set(2.0)
  np.testing.assert_array_equal(
    visibility.reliable_mask(flow, -flow)[0, :, :, 0], [[1, 1, 1, 1, 0, 0]] * 4
  )


@pytest.mark.parametrize(('norm', 'step', 'left'), [
    ('l2', 0.02, np.exp(-50 * 0.02)), ('l2sq', 0.2, np.exp(-50 * 0.04)),
    ('bt_code', 0.2, np.exp(-50 * 0.04))])
def test_photometric_mask_by_hand(norm, step, left):
  """One channel differs by `step` of [0, 1]."""
  x = jnp.zeros((1, 2, 2, 3))
  other = x.at[..., 1].set(2 * step)
  O = visibility.photometric_mask(x, other, jnp.zeros((1, 2, 2, 2)), norm=norm)
  np.testing.assert_allclose(O, left, rtol=1e-5)


def test_channels_cancel_only_in_the_public_code():
  x, still = jnp.zeros((1, 1, 1, 3)), jnp.zeros((1, 1, 1, 2))
  other = jnp.array([0.4, -0.4, 0.0]).reshape(1, 1, 1, 3)
  assert float(visibility.photometric_mask(x, other, still, norm='bt_code')[0, 0, 0, 0]) == 1
  assert float(visibility.photometric_mask(x, other, still, norm='l2sq')[0, 0, 0, 0]) < 0.1


def test_photometric_mask_is_1_where_the_warp_is_exact_and_0_outside():
  x = jax.random.normal(jax.random.key(0), (1, 5, 8, 3))
  flow = jnp.zeros((1, 5, 8, 2)).at[..., 0].set(3.0)
  moved = ops.warp(x, -flow)   # moved(p + 3) = x(p)
  O = visibility.photometric_mask(x, moved, flow)[0, :, :, 0]
  np.testing.assert_array_equal(O, [[1] * 5 + [0] * 3] * 5)
  loose = visibility.photometric_mask(x, moved, flow, in_frame=False)[0, :, :, 0]
  assert 0 < float(loose[:, 5:].max()) < 1


def test_photometric_mask_tells_hidden_from_seen(street):
  """Area under the curve above 0.9 for pixels that the next frame does not show (STC-V2V)."""
  frames = [jnp.asarray(street[name] / 127.5 - 1, jnp.float32) for name in ('first', 'second')]
  O = np.asarray(visibility.photometric_mask(*frames, street['forward'], norm='l2sq'))[..., 0]
  seen = street['forward_visible'] == 1
  ranks = np.argsort(np.argsort(O, axis=None)).reshape(O.shape)
  count = seen.sum()
  area = (ranks[seen].sum() - count * (count - 1) / 2) / (count * (~seen).sum())
  assert area > 0.9


def test_masks_carry_no_gradient():
  x, flow = jnp.ones((1, 4, 4, 3)), jnp.full((1, 4, 4, 2), 0.3)
  grad = jax.jit(jax.grad(lambda x, f: jnp.sum(visibility.photometric_mask(x, 0.9 * x, f))
                          + jnp.sum(visibility.reliable_mask(f, -f)), (0, 1)))(x, flow)
  assert not any(np.any(g) for g in grad)


def test_unknown_norm_is_named():
  with pytest.raises(ValueError, match="mask.norm='l1'"):
    visibility.photometric_mask(
      jnp.zeros((1, 2, 2, 3)), jnp.zeros((1, 2, 2, 3)), jnp.zeros((1, 2, 2, 2)), norm='l1'
    )

"""True motion in the batch: it still leads from frame to frame after every cut."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest

from i2vjax import defaults
from i2vjax.core import ops
from i2vjax.core.model import Model
from i2vjax.data.loader import augment, batches, windows
from i2vjax.data.source import Clip, FrameSource
from i2vjax.flow import estimate, visibility

OFFSETS = ((0, 0), (3, 1), (2, -2), (6, 0))   # (x, y) of the view in the texture, frame by frame


class Pan(FrameSource):
  """A view that moves by whole pixels over a texture: every pixel's motion is known."""

  has_flow = True

  def __init__(self, size=(24, 28), zoom=1):
    texture = np.random.default_rng(0).integers(0, 255, (size[0] + 8, size[1] + 8, 1), np.uint8)
    self.texture, self.size, self.zoom = texture, size, zoom
    self.clips = [Clip('pan', 0, len(OFFSETS))]

  def read(self, i):
    (x, y), (H, W) = OFFSETS[i], self.size
    frame = self.texture[y + 2:y + 2 + H, x + 2:x + 2 + W]
    return {'frame': frame.repeat(self.zoom, 0).repeat(self.zoom, 1)}

  def flow(self, i):
    moved = self.zoom * np.subtract(OFFSETS[i + 1], OFFSETS[i]).astype(np.float32)
    shape = (self.size[0] * self.zoom, self.size[1] * self.zoom, 2)
    return {'backward': np.broadcast_to(moved, shape), 'forward': np.broadcast_to(-moved, shape)}


def window(source, **options):
  return windows.WindowSource(source, len(OFFSETS), fields=('flow',), **options)[0]


def errors(item):
  """|x_t+1 - W(x_t, flow)| and |x_t - W(x_t+1, flow_fwd)| where the flow stays in the frame."""
  frames = item['frames'].astype(np.float32)
  for near, far, motion in ((frames[1:], frames[:-1], item['flow']),
                            (frames[:-1], frames[1:], item['flow_fwd'])):
    motion = jnp.asarray(motion)
    inside = np.asarray(visibility.inside(motion))
    assert inside.mean() > 0.5
    yield float(np.max(inside * np.abs(near - np.asarray(ops.warp(far, motion)))))


@pytest.mark.parametrize(('flip', 'reverse'), [*itertools.product((False, True), repeat=2)])
def test_flow_leads_to_the_neighbor_after_crop_flip_and_reversal(flip, reverse):
  cut = augment.crop(window(Pan()), (3, 5), (16, 20), flip, reverse)
  assert cut['flow'].shape == cut['flow_fwd'].shape == (3, 16, 20, 2)
  assert max(errors(cut)) == 0
  moved = [abs(cut['frames'][k].astype(int) - cut['frames'][k + 1]).mean() for k in range(3)]
  assert min(moved) > 20


def test_flow_shrinks_with_the_frames_each_axis_by_itself():
  item = window(Pan((24, 24), zoom=2), size=lambda shape: (24, 48))
  np.testing.assert_array_equal(item['flow'][:, 0, 0], np.diff(OFFSETS, axis=0) * [2, 1])


def test_resized_flow_of_the_street_leads_to_the_neighbor():
  """Drawn at 96, used at 64: better than no motion, and than vectors of the size drawn."""
  config = street()
  config.data.scenes.size = 96
  item = batches.train_windows(config.data, ('flow',))[1][4]
  now, before, motion = (jnp.asarray(x, jnp.float32) for x in (
      item['frames'][1:], item['frames'][:-1], item['flow']))
  error, still, unscaled = (float(jnp.mean(jnp.abs(now - ops.warp(before, factor * motion))))
                            for factor in (1, 0, 1.5))
  assert error < 0.9 * min(still, unscaled)


def street():
  config = defaults.get_config()
  config.data.update(load_size=64, crop_size=48, frames=3, flip=True, flip_time=0.5)
  config.data.scenes.update(camera='driving', weather='clear', clips=2, clip_length=6)
  return config


def test_batches_name_the_flow_of_each_domain():
  """Cut, mirrored or reversed, the street's flow beats the opposite one in every window.

  (Not always standing still: so small, its fine texture suffers from every interpolation.)
  """
  feed = batches.train_iterator(street(), 4, fields=('flow',))
  batch = next(feed)
  for domain in 'ab':
    back, forward = batch[f'flow_{domain}'], batch[f'flow_fwd_{domain}']
    assert back.shape == forward.shape == (4, 2, 48, 48, 2) and back.dtype == np.float32
    frames = jnp.asarray(batch[domain], jnp.float32)
    for now, before, motion in ((frames[:, 1:], frames[:, :-1], back),
                                (frames[:, :-1], frames[:, 1:], forward)):
      error, opposite = (jnp.mean(jnp.abs(ops.fold(now) - ops.warp(
          ops.fold(before), jnp.asarray(sign * ops.fold(motion)))), axis=(1, 2, 3))
                         for sign in (1, -1))
      assert np.all(error < 0.97 * opposite), (domain, error / opposite)


def test_flow_comes_only_where_it_is_wanted_and_known():
  source = Pan()
  assert 'flow' not in windows.WindowSource(source, 3)[0]
  assert 'flow' not in windows.WindowSource(source, 1, fields=('flow',))[0]
  assert 'flow' not in windows.WindowSource(source, 2, step=2, fields=('flow',))[0]
  source.has_flow = False
  assert set(window(source)) == {'frames', 'range'}


class Holed(Pan):
  """The right quarter of every frame has no known motion."""

  def flow(self, i):
    result = {name: x.copy() for name, x in super().flow(i).items()}
    for x in result.values():
      x[:, -7:] = np.nan
    return result


def test_unknown_motion_comes_out_of_the_loader_as_such():
  cut = augment.crop(window(Holed()), (3, 5), (16, 20), flip=True)
  for name in ('flow', 'flow_fwd'):
    lost = np.isnan(cut[name]).all(axis=-1)
    assert lost[..., :4].all() and np.isfinite(cut[name][..., 4:, :]).all()
  small = window(Holed(), size=lambda shape: (12, 14))['flow']
  assert np.isnan(small[:, :, 10:]).all() and np.isfinite(small[:, :, :10]).all()


def trained_on(source):
  """What a method is given: {way: [1, 3, 24, 28, 2]} of a batch with known flow."""
  item = window(source)
  batch = {'a': jnp.asarray(item['frames'][None], jnp.float32) / 127.5 - 1,
           'flow_a': jnp.asarray(item['flow'][None]),
           'flow_fwd_a': jnp.asarray(item['flow_fwd'][None])}
  config = defaults.get_config()
  config.flow = dict(name='gt')
  ways = ('backward', 'forward')
  result = estimate.flows_of_clips(
    Model(config, {}, frozen={}), batch, [('a', way) for way in ways]
  )
  return batch['a'], {way: result['a', way] for way in ways}


def test_pixels_of_unknown_motion_count_in_no_mask_of_the_methods():
  """Standing still would be believed: nothing moves here, and every mask would be 1."""
  frames, flows = trained_on(Holed())
  back, forth = (ops.fold(flows[way]) for way in ('backward', 'forward'))
  assert bool(jnp.isfinite(back).all()) and float(jnp.abs(back[..., -7:, :]).max()) <= 12
  now, before = jnp.zeros_like(ops.fold(frames[:, 1:])), jnp.zeros_like(ops.fold(frames[:, 1:]))
  seen = {'GTC': visibility.reliable_mask(back, forth),
          'MocycleGAN': ~visibility.occlusion(back, forth) & visibility.inside(back),
          'STC': visibility.photometric_mask(now, before, back)}
  for name, mask in seen.items():
    assert not np.any(mask[:, :, -7:]), name
    assert np.any(mask[:, :, :-7]), name


def test_known_motion_reaches_the_methods_bit_for_bit():
  known, holed = (trained_on(source)[1]['backward'] for source in (Pan(), Holed()))
  np.testing.assert_array_equal(known[0, :, 0, 0], np.diff(OFFSETS, axis=0))
  np.testing.assert_array_equal(holed[..., :-7, :], known[..., :-7, :])

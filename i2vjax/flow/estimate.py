"""Optical flow by the name in `config.flow`: known, learned, computed, or none.

  'gt', 'precomputed'   what the batch brings along, insisted upon
  'raft_small', 'raft_large'   learned; need a weight file
  'tvl1', 'lk'          computed; need none
  'zero'                nothing moves
  'gt+NAME'             known flow where the batch has it, else the estimator NAME
  'auto'                'gt+raft_small' if its file is here, else 'gt+tvl1' (`settle.settle`)

A method that needs flow returns `extras(config)` from `batch_extras` and joins `fixed(config)` to
its frozen networks. Fields of `config.flow` besides `name`: `weights` (path of RAFT's file, '' to
search for it), `iters` (RAFT), `levels`, `warps`, `inner` (TV-L1, Lucas-Kanade), `stretch`.
"""

import jax
import jax.numpy as jnp

from i2vjax.core import ops
from i2vjax.core.errors import UserError
from i2vjax.flow import raft, tvl1

LEARNED, COMPUTED = ('raft_small', 'raft_large'), ('tvl1', 'lk', 'zero')
KNOWN = ('gt', 'precomputed')
WAYS = {'backward': 'flow', 'forward': 'flow_fwd'}   # of a clip -> key in the batch


def plan(name):
  """(is known flow taken, estimator or None) of `flow.name`."""
  if name in KNOWN:
    return True, None
  estimator = name.removeprefix('gt+')
  if estimator not in LEARNED + COMPUTED:
    names = ', '.join(KNOWN + LEARNED + COMPUTED)
    raise UserError(f'flow.name={name!r}: choose auto, {names}, or gt+ and an estimator')
  return name.startswith('gt+'), estimator


def batch_fields(config):
  """What to ask the loader for (`batch_extras` of a method)."""
  return ('flow',) if plan(config.flow.name)[0] else ()


def frozen_networks(config):
  """{'flow': (RAFT, weight id)}, {} where no weights are needed (`fixed` of a method)."""
  _, estimator = plan(config.flow.name)
  if estimator not in LEARNED:
    return {}
  return {'flow': (raft.RAFT(estimator.removeprefix('raft_'), config.flow.iters), estimator)}


def estimate(model, a, b):
  """a(p) = b(p + flow(p)), by the estimator of the config.

  Args:
    nets, fixed: those of a method; 'flow' in them where the estimator is learned.
    a, b: [B, H, W, 1 or 3] in [-1, 1].

  Returns:
    [B, H, W, 2] float32 pixels without gradient.

  Raises:
    ValueError: the config insists on known flow.
  """
  config = model.config
  _, name = plan(config.flow.name)
  if name is None:
    raise UserError(f'flow.name={config.flow.name!r}: these frames come without known flow, which '
                     'scenes bring and records with motion (viper/img_flow); set '
                     '--config.flow.name=tvl1, or auto')
  if name == 'zero':
    return jnp.zeros((*a.shape[:3], 2))
  a, b = jax.lax.stop_gradient((a, b))
  levels = config.flow.levels
  if name == 'tvl1':
    return tvl1.tvl1(a, b, levels=levels, warps=config.flow.warps, inner=config.flow.inner)
  if name == 'lk':
    return tvl1.lucas_kanade(a, b, levels=levels, steps=config.flow.warps)
  return jax.lax.stop_gradient(model.networks['flow'].apply({'params': model.frozen['flow']}, a, b))


def stretched(config, domain, a, b):
  """Frames for the estimator: infrared ones use the whole range, by `flow.stretch` (ours).

  The 1 % and 99 % percentiles of each pair, taken together, become -1 and 1.
  """
  infrared = 'a' if config.data.direction == 'a2b' else 'b'
  if not config.flow.stretch or domain != infrared:
    return a, b
  a, b = ops.luma(a), ops.luma(b)
  both = jnp.concatenate([a, b], 1).reshape(len(a), -1)
  low, high = (jnp.percentile(both, q, axis=1)[:, None, None, None] for q in (1, 99))
  gain = 2 / jnp.maximum(high - low, 2 / 255)
  return tuple(jnp.clip((x - low) * gain - 1, -1, 1) for x in (a, b))


def of_clips(model, batch, wanted):
  """Flow between neighboring frames of clips; all that must be estimated in one call.

  Args:
    nets, fixed: as for `estimate`.
    batch: {'a': [B, T, H, W, C] in [-1, 1], ...} and known flow, as the loader brings it; pixels
      of which it is not finite lead out of the frame (`led_out`).
    wanted: [(domain, 'backward' or 'forward')]. Backward flow k lies on frame k + 1 and points to
      frame k, counted from 0; forward flow k lies on frame k and points to frame k + 1.

  Returns:
    {(domain, way): [B, T-1, H, W, 2] float32 pixels}, without gradient.
  """
  config = model.config
  known, found, pairs = plan(config.flow.name)[0], {}, {}
  for domain, way in wanted:
    key = f'{WAYS[way]}_{domain}'
    if known and key in batch:
      found[domain, way] = led_out(batch[key])
    else:
      near, far = batch[domain][:, :-1], batch[domain][:, 1:]
      near, far = (far, near) if way == 'backward' else (near, far)
      pair = stretched(config, domain, ops.fold(near), ops.fold(far))
      pairs[domain, way] = [ops.match_channels(x, 3) for x in pair]
  if pairs:
    a, b = (jnp.concatenate(frames) for frames in zip(*pairs.values(), strict=True))
    flows = jnp.split(estimate(model, a, b), len(pairs))
    found |= {name: ops.unfold(flow, batch[name[0]].shape[1] - 1)
              for name, flow in zip(pairs, flows, strict=True)}
  return jax.lax.stop_gradient(found)


def led_out(flow):
  """Known flow without gaps: a pixel whose motion is not known leads out of the frame (ours).

  What comes from outside cannot be compared, and every mask of the methods leaves it out: that of
  GTC and MocycleGAN where `visibility.inside` does not hold, STC's by `mask.in_frame`. By the shortest
  way: no vector is longer than half the frame, as a network that reads flow sees it (MocycleGAN).

  Args:
    flow: [B, T-1, H, W, 2], not finite where it is not known.
  """
  def way(length):
    k = jnp.arange(length)
    return jnp.where(2 * k < length, -1 - k, length - k).astype(jnp.float32)
  x, y = jnp.broadcast_arrays(way(flow.shape[-2]), way(flow.shape[-3])[:, None])
  sideways = jnp.abs(x) <= jnp.abs(y)
  out = jnp.stack([jnp.where(sideways, x, 0), jnp.where(sideways, 0, y)], axis=-1)
  known = jnp.all(jnp.isfinite(flow), axis=-1, keepdims=True)
  return jnp.where(known, flow, out)
